"""
Where values cross from one pipeline stage to the next, at the granularity of levels.

The level of a value is the number of logic levels before it. A value crosses every cut
from its own level to that of its last user, and takes a register for each of its bits
there. Cuts lie where the fewest bits cross them, as `hardware.registers` places single
registers.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import inf

import numpy as np
from numpy.typing import NDArray

Numbers = NDArray[np.float64]

SHIFT_REGISTER = 3
"""Registers in a row that synthesis makes a shift register of."""


@dataclass(frozen=True)
class Pipeline:
    """The registers between inputs and outputs."""

    latency: int
    depth: int
    """Most logic levels between registers."""
    registers: float
    """Bits of registers that are in no shift register."""


def advance(level: int, levels: int, max_depth: int) -> int:
    """
    The level behind an operation of `levels`, whose operands are there at `level`.

    One that does not fit into the stage starts the next one, and one that has more
    levels than a stage is alone in it. Without `max_depth` there is one stage.
    """
    if not levels or not max_depth:
        return level + levels
    used = (level - 1) % max_depth + 1 if level else 0
    if used and used + levels > max_depth:
        level += max_depth - used
    return level + min(levels, max_depth)


def last_cut(level: int, levels: int, max_depth: int) -> int:
    """
    The level behind the last cut that operands of an operation cross.

    The operation has `levels`, and `level` is behind it. No cut lies inside of it.
    """
    if max_depth:
        levels = min(levels, max_depth)
    return level - levels + (levels > 0)


def pipeline(crossings: Numbers, end: int, max_depth: int, latency: int) -> Pipeline:
    """
    The registers of a circuit of `end` levels.

    `crossings` are `[N, 3]`: the level of a value, that behind the last cut that it
    crosses, and its bits. Those of values that no output depends on may be later than
    `end`. Without `max_depth` there are no registers.
    """
    if not max_depth:
        return Pipeline(0, end, 0.0)
    table: Numbers = np.minimum(crossings, [end + 1, end + 1, np.inf])
    first, last, bits = table.T
    changes = np.zeros(end + 3)
    np.add.at(changes, first.astype(np.int64), bits)
    np.add.at(changes, last.astype(np.int64), -bits)
    cuts = cheapest_cuts(np.cumsum(changes)[: end + 1].tolist(), max_depth, latency)
    places = np.array(cuts, np.float64)[:, None]
    passed = ((places >= first) & (places < last)).sum(axis=0)
    apart = np.where(passed < SHIFT_REGISTER, passed, 0)
    ends = [0, *cuts, end]
    depth = max(b - a for a, b in pairwise(ends))
    return Pipeline(latency, depth, float((apart * bits).sum()))


def cheapest_cuts(cost: Sequence[float], max_depth: int, count: int) -> list[int]:
    """
    `count` levels at the lowest cost, at most `max_depth` apart from each other.

    As are the first one from level 0, and the last one from the end.
    """
    end = len(cost) - 1
    best = [0.0] + [inf] * end
    before: list[list[int]] = []
    for _ in range(count):
        previous = [
            min(range(max(level - max_depth, 0), level + 1), key=best.__getitem__)
            for level in range(end + 1)
        ]
        best = [best[p] + c for p, c in zip(previous, cost, strict=True)]
        before.append(previous)
    if not count:
        return []
    last = min(range(max(end - max_depth, 0), end + 1), key=best.__getitem__)
    cuts = [last]
    for previous in before[:0:-1]:
        cuts.append(previous[cuts[-1]])
    return cuts[::-1]
