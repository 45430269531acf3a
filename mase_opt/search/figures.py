"""What a search has found, as figures."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from mase_opt.lib.drawing import Figure, height_of_bars, new_figure

Series = Sequence[tuple[float, float]]
"""Points of a line: x and y."""


def front(
    trials: Sequence[Sequence[float]],
    best: Sequence[Sequence[float]],
    names: Sequence[str],
) -> Figure:
    """
    The values of trials, and of the best among them: metric 0 over each other one.

    `names` are those of the metrics, at least two.
    """
    figure, all_axes = new_figure(len(names) - 1)
    # Seen from one side, a surface is no line.
    line = {"linestyle": "--" if len(names) == 2 else "", "linewidth": 1}
    for index, axes in enumerate(all_axes, 1):
        ranked = sorted(best, key=lambda values: values[index])
        for label, points, style in (
            ("trials", trials, {"linestyle": "", "markersize": 4, "alpha": 0.4}),
            ("Pareto front", ranked, line),
        ):
            x, y = [p[index] for p in points], [p[0] for p in points]
            axes.plot(x, y, marker="o", label=label, **style)
        axes.set(xlabel=names[index], ylabel=names[0])
        axes.legend(frameon=False)
    return figure


def best_so_far(metrics: Mapping[str, Mapping[str, Series]]) -> Figure:
    """The best value of each metric after so many trials; a line for each series."""
    figure, all_axes = new_figure(len(metrics))
    for axes, (metric, series) in zip(all_axes, metrics.items(), strict=True):
        for label, points in series.items():
            x, y = [x for x, _ in points], [y for _, y in points]
            axes.step(x, y, where="post", label=label, marker=".", linewidth=1)
        axes.set(xlabel="trials", ylabel=f"best {metric}")
        if len(series) > 1:
            axes.legend(frameon=False, fontsize="small")
    return figure


def importance(metrics: Mapping[str, Mapping[str, float]], shown: int = 16) -> Figure:
    """How much parameters matter to each metric: the `shown` that matter most."""
    rows = max(min(len(shares), shown) for shares in metrics.values())
    figure, all_axes = new_figure(len(metrics), height=height_of_bars(rows))
    for axes, (metric, shares) in zip(all_axes, metrics.items(), strict=True):
        ranked = sorted(shares.items(), key=lambda item: -item[1])[:shown]
        axes.barh([name for name, _ in ranked], [share for _, share in ranked])
        axes.invert_yaxis()
        axes.set(xlabel=f"importance for {metric}", xlim=(0, 1))
    return figure


def bits_per_layer(layers: Sequence[tuple[str, float, float]]) -> Figure:
    """Bits of a weight, and of a number that is read, of each layer by its name."""
    figure, (axes,) = new_figure(1, height=height_of_bars(2 * len(layers)))
    for index, label in enumerate(("weights", "inputs")):
        places = [place + 0.4 * index - 0.2 for place in range(len(layers))]
        axes.barh(places, [layer[index + 1] for layer in layers], 0.36, label=label)
    axes.set_yticks(range(len(layers)), [name for name, _, _ in layers])
    axes.invert_yaxis()
    axes.set(xlabel="bits")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return figure
