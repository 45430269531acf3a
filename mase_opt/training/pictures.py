"""Pictures of what a model makes, and of how its losses fell."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.drawing import Figure, new_figure
from mase_opt.lib.errors import UserError

Array = NDArray[Any]
SHOWN = 16
"""Outputs that are drawn."""


def outputs_figure(outputs: Array) -> Figure:
    """The first `outputs`, `[samples, …]`: images by rows and columns, else lines."""
    kept = outputs[:SHOWN]
    figure, all_axes = new_figure(len(kept), height=2.4)
    figure.set_size_inches(2.0 * len(kept), 2.4)
    for axes, output in zip(all_axes, kept, strict=True):
        image = output[0] if output.ndim == 3 else output
        axes.grid(visible=False)
        if image.ndim == 2:
            axes.imshow(image, cmap="gray")
            axes.set_axis_off()
        else:
            axes.plot(image.reshape(-1))
    return figure


def losses_of(logs: Path) -> dict[str, list[tuple[int, float]]]:
    """
    The losses by name in the CSV logs of a training, all versions one after another.

    Raises `UserError` where there are none.
    """
    found: dict[str, list[tuple[int, float]]] = {}
    paths = sorted(logs.glob("version_*/metrics.csv"), key=_version)
    for path in paths:
        with path.open(newline="", encoding="utf-8") as stream:
            for row in csv.DictReader(stream):
                for name, text in row.items():
                    if name.endswith("loss") and not name.startswith("test") and text:
                        point = int(row["step"]), float(text)
                        found.setdefault(name, []).append(point)
    if not found:
        raise UserError(f"there is no log of a training in '{logs}': mase train first")
    return found


def _version(path: Path) -> int:
    number = path.parent.name.removeprefix("version_")
    return int(number) if number.isdecimal() else 0


def averaged(values: Sequence[float], window: int) -> list[float]:
    """The mean of each value and those before it, `window` of them at most."""
    sums = np.cumsum([0.0, *values])
    ends = np.arange(1, len(values) + 1)
    starts = np.maximum(ends - window, 0)
    return ((sums[ends] - sums[starts]) / (ends - starts)).tolist()


def losses_figure(
    losses: Mapping[str, Sequence[tuple[int, float]]],
    window: int,
    marks: Mapping[str, int],
) -> Figure:
    """
    Losses over steps, averaged over `window` entries, on a logarithmic scale.

    `marks` are steps by names of checkpoints.
    """
    figure, (axes,) = new_figure(1)
    for name, points in losses.items():
        values = averaged([value for _, value in points], window)
        axes.plot([step for step, _ in points], values, label=name, linewidth=1)
    for name, step in marks.items():
        axes.axvline(step, color="#787774", linewidth=0.8, linestyle=":")
        axes.annotate(name, (step, 1), xycoords=("data", "axes fraction"), size=6)
    axes.set(xlabel="step", ylabel="loss", yscale="log")
    axes.legend(frameon=False)
    return figure
