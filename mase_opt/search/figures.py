"""
What a search has found, as figures.

matplotlib makes them, without a display. As SVG they hold their text as text, and the
same numbers give the same bytes.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib import import_module
from io import BytesIO, StringIO
from typing import Any

from mase_opt.lib.errors import UserError

Figure = Any
"""matplotlib's, whose own types say little."""
Series = Sequence[tuple[float, float]]
"""Points of a line: x and y."""

_COLOURS = (
    *("#0b6e99", "#d9730d", "#448361", "#9065b0", "#c14c8a", "#cb912f"),
    *("#d44c47", "#787774", "#7fb5d5", "#9f6b53", "#37352f"),
)
_SIZE = 5.4, 3.6
"""Inches of one set of axes."""


def front(
    trials: Sequence[Sequence[float]],
    best: Sequence[Sequence[float]],
    names: Sequence[str],
) -> Figure:
    """
    The values of trials, and of the best among them: metric 0 over each other one.

    `names` are those of the metrics, at least two.
    """
    figure, all_axes = _axes(len(names) - 1)
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
    figure, all_axes = _axes(len(metrics))
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
    figure, all_axes = _axes(len(metrics), rows)
    for axes, (metric, shares) in zip(all_axes, metrics.items(), strict=True):
        ranked = sorted(shares.items(), key=lambda item: -item[1])[:shown]
        axes.barh([name for name, _ in ranked], [share for _, share in ranked])
        axes.invert_yaxis()
        axes.set(xlabel=f"importance for {metric}", xlim=(0, 1))
    return figure


def bits_per_layer(layers: Sequence[tuple[str, float, float]]) -> Figure:
    """Bits of a weight, and of a number that is read, of each layer by its name."""
    figure, (axes,) = _axes(1, 2 * len(layers))
    for index, label in enumerate(("weights", "inputs")):
        places = [place + 0.4 * index - 0.2 for place in range(len(layers))]
        axes.barh(places, [layer[index + 1] for layer in layers], 0.36, label=label)
    axes.set_yticks(range(len(layers)), [name for name, _, _ in layers])
    axes.invert_yaxis()
    axes.set(xlabel="bits")
    axes.legend(frameon=False, loc="lower left", bbox_to_anchor=(0, 1), ncols=2)
    return figure


def _axes(count: int, rows: int | None = None) -> tuple[Figure, Sequence[Any]]:
    """A figure with sets of axes side by side, as high as so many bars need."""
    library = _library("figure")
    width, height = _SIZE
    if rows is not None:
        height = 1.1 + 0.24 * rows
    figure = library.Figure((width * count, height), layout="constrained")
    all_axes = [figure.add_subplot(1, count, i + 1) for i in range(count)]
    for axes in all_axes:
        axes.set_prop_cycle(color=_COLOURS)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e6e4")
        axes.set_axisbelow(True)
    return figure, all_axes


def svg(figure: Figure, name: str) -> str:
    """The figure as an element for HTML, where no other has its name."""
    stream = StringIO()
    # The metadata would name a creator and an address.
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with _library().rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": name, "svg.id": name}
    ):
        figure.savefig(stream, format="svg", metadata=metadata)
    text = stream.getvalue()
    return text[text.index("<svg") :]


def png(figure: Figure) -> bytes:
    """The figure as a file."""
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()


def _library(part: str = "") -> Any:
    """matplotlib, or a module of it; raises `UserError` if it is missing."""
    try:
        return import_module(f"matplotlib.{part}".removesuffix("."))
    except ModuleNotFoundError as error:
        raise UserError(
            'figures need matplotlib: pip install "mase-opt[search]"'
        ) from error
