"""How numbers lie on what a format can represent, as figures."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Attribute

from mase_opt.dialects.mase.types import ElementType
from mase_opt.lib.drawing import COLOURS, Figure, new_figure
from mase_opt.lib.formats.format import Format
from mase_opt.lib.formats.grid import grid_of
from mase_opt.lib.formats.rounding import FormatError

Array = NDArray[Any]
BINS = 64
DRAWN = 512
"""Numbers of a format that are drawn one by one; of more, only the range is."""
HEIGHT = 2.6
"""Inches."""


@dataclass(frozen=True)
class Distribution:
    """Numbers in floating point, and those that stand for them."""

    title: str
    values: Array
    """Any shape."""
    element: Attribute
    """What holds them."""


def representable(format: Format[Any], values: Array) -> Array:
    """
    The finite numbers that elements of `values` may become in `format`, ascending.

    Where parts of a tensor have scales of their own, with the largest of these. Empty
    if there are more than `DRAWN`, or if they are not known one by one.
    """
    try:
        grid = grid_of(format, values.astype(np.float64))
    except FormatError:
        return np.empty(0)
    element = grid.element
    if not values.size or element.max_code - element.min_code >= 2 * DRAWN:
        return np.empty(0)
    codes = np.arange(element.min_code, element.max_code + 1)
    numbers = element.decode(codes)
    numbers = np.unique(numbers[np.isfinite(numbers) & (numbers >= grid.low)])
    return numbers * grid.scales.max() if numbers.size <= DRAWN else np.empty(0)


def figure(distributions: list[Distribution]) -> Figure:
    """
    A histogram of each, side by side, over the numbers of its format.

    Lines below zero stand for one number each, a bar for a range that is full of them.
    """
    drawn, all_axes = new_figure(len(distributions), height=HEIGHT)
    for axes, distribution in zip(all_axes, distributions, strict=True):
        _draw(axes, distribution)
    return drawn


def _draw(axes: Any, distribution: Distribution) -> None:
    values = distribution.values.astype(np.float64)
    values = values[np.isfinite(values)]
    counts, edges = np.histogram(values, BINS)
    axes.stairs(counts, edges, fill=True, color=COLOURS[0], alpha=0.6)
    below = -0.12 * max(int(counts.max()), 1)
    element = distribution.element
    if isinstance(element, ElementType):
        numbers = representable(element.format, distribution.values)
        if numbers.size:
            axes.vlines(numbers, below, 0, color=COLOURS[1], linewidth=0.6)
        else:
            low, high = (
                float(np.max(end)) if bound else float(np.min(end))
                for bound, end in enumerate(element.format.reach(values))
            )
            axes.fill_between((low, high), below, 0, color=COLOURS[1], alpha=0.6)
        # What lies far outside the data tells nothing of it.
        margin = 0.15 * (edges[-1] - edges[0])
        axes.set_xlim(edges[0] - margin, edges[-1] + margin)
    axes.set_ylim(bottom=below)
    axes.set(title=distribution.title, ylabel="numbers")
    axes.title.set_fontsize("medium")
