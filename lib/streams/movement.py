"""
How elements come into another order: which beats a process reads one after the other.

A process reads a place that is linear in its loop counters, and gives a beat of what
it has read. So every beat that is written must come from one that is read, its lanes in
the same way each time, and the beats must follow each other in loops.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from math import prod

import numpy as np

from mase_opt.lib.streams.layout import BEYOND, Index, Layout


@dataclass(frozen=True)
class Progression:
    """`start + Σ step · counter`, in every iteration of some loops."""

    start: int
    sizes: tuple[int, ...]
    """Of the loops, outermost first."""
    steps: tuple[int, ...]

    @staticmethod
    def of(values: Index) -> Progression | None:
        """The loops that go through `values`; None if there are none."""
        start, loops = int(values[0]), list[tuple[int, int]]()
        while len(values) > 1:
            steps = np.diff(values)
            ends = np.flatnonzero(steps != steps[0]) + 1
            size = int(np.gcd.reduce(ends, initial=len(values)))
            if size == 1:
                return None
            loops.insert(0, (size, int(steps[0])))
            values = values[::size]
        return Progression(
            start, tuple(size for size, _ in loops), tuple(step for _, step in loops)
        )


@dataclass(frozen=True)
class Movement:
    """From each beat that is read to the beat that is written."""

    source: Layout
    result: Layout
    lanes: tuple[int, ...]
    """The lane of the source for each one of the result."""
    places: Progression
    """The beats that are read."""

    @property
    def is_view(self) -> bool:
        """Whether the beats are those of the source, in their order."""
        beats, places = self.source.beats, self.places
        one = ((), ()) if beats == 1 else ((beats,), (1,))
        in_order = places.start == 0 and (places.sizes, places.steps) == one
        return in_order and self.lanes == tuple(range(self.source.lanes))

    @property
    def cycles(self) -> int:
        """Of the slower one of the two ends."""
        return max(self.source.beats, self.result.beats)


def movement(source: Layout, index: Index, result: Layout) -> Movement | None:
    """
    How `result` comes from `source`, if one process can do it.

    `index` has the flat place in the source for each element of the result.
    """
    inside = result.indices != BEYOND
    places = np.empty(prod(source.shape), np.int64)
    held = source.indices != BEYOND
    places[source.indices[held]] = np.flatnonzero(held)
    found = places[index.ravel()[np.where(inside, result.indices, 0)]]
    beats, lanes = found // source.lanes, found % source.lanes
    # The first lane of a tile is never beyond the end, nor is any of the first tile.
    fits = ((beats == beats[:, :1]) & (lanes == lanes[0])) | ~inside
    progression = Progression.of(beats[:, 0]) if fits.all() else None
    if progression is None:
        return None
    return Movement(source, result, tuple(lanes[0].tolist()), progression)


def fastest(
    source: Layout, index: Index, natural: Callable[[int], Layout]
) -> Movement | None:
    """
    The movement in the fewest cycles, of the source in beats as wide or in parts.

    `natural` gives the layout of the result for a number of lanes.
    """
    channels = natural(prod(index.shape)).lanes
    choices: list[tuple[int, int, Layout, Layout]] = []
    for lanes in divisors(source.lanes):
        cut = narrowed(source, lanes)
        for width in {lanes, *divisors(channels)}:
            if width <= channels:
                result = natural(width)
                cycles = max(cut.beats, result.beats)
                choices.append((cycles, -lanes, cut, result))
    choices.sort(key=lambda choice: (*choice[:2], -choice[3].lanes))
    found = (movement(cut, index, result) for _, _, cut, result in choices)
    return next((one for one in found if one is not None), None)


def narrowed(layout: Layout, lanes: int) -> Layout:
    """The layout with beats of fewer lanes, along its one dimension of tiles."""
    tile = tuple(lanes if size > 1 else 1 for size in layout.tile)
    return replace(layout, tile=tile)


def divisors(number: int) -> Iterator[int]:
    """The largest first."""
    return (n for n in range(number, 0, -1) if number % n == 0)
