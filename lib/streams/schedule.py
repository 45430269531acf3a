"""
The schedule of a process: a loop nest, one iteration a cycle, and what it accesses.

Everything about the time that a process takes is computed from here: what it waits for,
what it gives, how many beats it must hold, and the counters of its circuit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.streams.layout import Index, Layout


class ScheduleError(ValueError):
    """A schedule that cannot be; the message says why."""


@dataclass(frozen=True)
class Affine:
    """`offset + Σ factors · loop counters`"""

    offset: int
    factors: tuple[int, ...]

    def values(self, counters: Sequence[Index]) -> Index:
        """The value in every iteration."""
        result = np.full(len(counters[0]) if counters else 1, self.offset, np.int64)
        for factor, counter in zip(self.factors, counters, strict=True):
            if factor:
                result += factor * counter
        return result

    def scaled(self, factor: int) -> Affine:
        return Affine(self.offset * factor, tuple(f * factor for f in self.factors))

    def plus(self, other: Affine) -> Affine:
        pairs = zip(self.factors, other.factors, strict=True)
        return Affine(self.offset + other.offset, tuple(a + b for a, b in pairs))

    def outer(self, levels: int) -> Affine:
        """The same without all but the `levels` outermost loops."""
        rest = (0,) * (len(self.factors) - levels)
        return Affine(self.offset, (*self.factors[:levels], *rest))

    def steps(self, loops: Sequence[int], per_frame: int) -> list[int]:
        """
        What is added when a loop goes on and those inside it start again, by loop.

        The last entry is for all of them starting again, after which the value must be
        `per_frame` more than at the start before.
        """
        result: list[int] = []
        inner = 0
        for factor, size in zip(reversed(self.factors), reversed(loops), strict=True):
            result.append(factor - inner)
            inner += factor * (size - 1)
        return [*reversed(result), per_frame - inner]


@dataclass(frozen=True)
class Access:
    """Which tile of a channel each iteration reads or writes."""

    layout: Layout
    tiles: tuple[Affine, ...]
    """The place in the grid of tiles, by dimension; may lie outside of the grid."""

    @cached_property
    def position(self) -> Affine:
        """The beats before the tile, as if there were tiles outside of the grid."""
        result = Affine(0, (0,) * len(self.tiles[0].factors))
        for tile, stride in zip(self.tiles, self.layout.strides, strict=True):
            result = result.plus(tile.scaled(stride))
        return result

    def bounded(self, loops: Sequence[int]) -> list[tuple[Affine, int]]:
        """The places that lie outside at times, and the sizes of their dimensions."""
        result: list[tuple[Affine, int]] = []
        for tile, size in zip(self.tiles, self.layout.grid, strict=True):
            ends = [f * (n - 1) for f, n in zip(tile.factors, loops, strict=True)]
            low = tile.offset + sum(min(end, 0) for end in ends)
            high = tile.offset + sum(max(end, 0) for end in ends)
            if low < 0 or high >= size:
                result.append((tile, size))
        return result


@dataclass(frozen=True)
class Read(Access):
    """
    Beats that a process reads, from a buffer of its own.

    The buffer keeps beats while the `held` outermost loops stand still: what lies
    before the first tile that is read in their iteration is dropped.
    """

    held: int

    def released(self, loops: Sequence[int]) -> Affine:
        """The number of beats that are dropped before an iteration."""
        inner = zip(self.position.factors[self.held :], loops[self.held :], strict=True)
        back = sum(min(factor * (size - 1), 0) for factor, size in inner)
        outer = self.position.outer(self.held)
        return replace(outer, offset=outer.offset + back)


@dataclass(frozen=True)
class Schedule:
    """A loop nest with its accesses."""

    loops: tuple[int, ...]
    """Iterations of each loop, outermost first."""
    reads: tuple[Read, ...]
    write: Access
    """Written by the last iteration of the loops that it does not depend on."""
    latency: int
    """Cycles from an iteration to the arrival of what it writes."""

    @property
    def iterations(self) -> int:
        """Cycles that a sample takes at least."""
        return prod(self.loops)

    @cached_property
    def counters(self) -> list[Index]:
        """The counter of each loop, in every iteration."""
        grids = np.indices(self.loops, dtype=np.int64).reshape(len(self.loops), -1)
        return list(grids)

    @cached_property
    def reduced(self) -> int:
        """How many of the innermost loops lead to one written beat."""
        count = 0
        for level in range(len(self.loops) - 1, -1, -1):
            if self.loops[level] > 1 and any(
                tile.factors[level] for tile in self.write.tiles
            ):
                break
            count += 1
        return count

    @property
    def group(self) -> int:
        """Iterations that lead to one written beat."""
        return prod(self.loops[len(self.loops) - self.reduced :])

    def inside(self, access: Access) -> NDArray[np.bool_]:
        """Whether the tile lies within the grid, in every iteration."""
        result = np.ones(self.iterations, np.bool_)
        for place, size in access.bounded(self.loops):
            values = place.values(self.counters)
            result &= (values >= 0) & (values < size)
        return result

    @cached_property
    def writes(self) -> NDArray[np.bool_]:
        """Whether an iteration writes."""
        result = self.inside(self.write)
        last = np.arange(self.iterations) % self.group == self.group - 1
        return result & last

    def positions(self, read: Read) -> Index:
        """The beat that each iteration reads; what lies outside has no meaning."""
        return read.position.values(self.counters)

    def needs(self, read: Read) -> Index:
        """How many beats of the sample an iteration needs, and all before it."""
        wanted = np.where(self.inside(read), self.positions(read) + 1, 0)
        return np.maximum.accumulate(wanted)

    def drops(self, read: Read) -> Index:
        """How many beats are dropped before each iteration."""
        return read.released(self.loops).values(self.counters)

    def least_capacity(self, read: Read) -> int:
        """The beats that lie in the buffer together, at the least."""
        inside = self.inside(read)
        span = (self.positions(read) - self.drops(read))[inside]
        return int(span.max(initial=0)) + 1

    def check(self) -> None:
        """Raises `ScheduleError` unless the accesses suit each other and the types."""
        for index, read in enumerate(self.reads):
            self.check_read(index, read)
        position = self.write.position.values(self.counters)[self.writes]
        beats = self.write.layout.beats
        if len(position) != beats or (position != np.arange(beats)).any():
            raise ScheduleError(
                f"its iterations write {len(position)} beats, expected the {beats} of "
                "the result's type, in their order"
            )

    def check_read(self, index: int, read: Read) -> None:
        """Raises `ScheduleError` unless operand `index` is there while it is read."""
        beats, drops = read.layout.beats, self.drops(read)
        if not 0 <= read.held <= len(self.loops):
            raise ScheduleError(
                f"operand {index} is held by {read.held} loops of {len(self.loops)}"
            )
        if (np.diff(drops) < 0).any() or drops[-1] > drops[0] + beats:
            raise ScheduleError(
                f"operand {index}: beats that were dropped would have to come back"
            )
        inside = self.inside(read)
        early = inside & (self.positions(read) < drops)
        if early.any():
            raise ScheduleError(
                f"operand {index}: iteration {int(early.argmax())} reads a beat that "
                "has been dropped"
            )
