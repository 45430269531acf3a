"""Encoding into formats with few codes: finding the place among thresholds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction

from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.number import Sum
from mase_opt.lib.hardware.wire import Wire, constant


def search(
    b: Builder, x: Sum, codes: Sequence[int], place: Callable[[Fraction], int]
) -> Wire:
    """
    The code of an exact number: `codes[place(x)]`.

    `place` must not fall as its argument grows. What the sum can be is cut where the
    place changes, so the circuit is exact whatever `place` computes.
    """
    wire = arith.total(b, x.terms)

    def at(value: int) -> int:
        return place(value * x.unit + x.offset)

    thresholds: list[int] = []
    places = [at(wire.lo)]
    start, last = wire.lo, at(wire.hi)
    while places[-1] != last:
        # As `bisect` does, but for ranges of any size.
        stop = wire.hi
        while start < stop:
            middle = (start + stop) // 2
            if at(middle) > places[-1]:
                stop = middle
            else:
                start = middle + 1
        thresholds.append(start)
        places.append(at(start))
    return choose(b, wire, thresholds, [codes[k] for k in places])


def choose(
    b: Builder, x: Wire, thresholds: Sequence[int], codes: Sequence[int]
) -> Wire:
    """
    `codes[k]` for as many thresholds as x reaches: ascending ones, one less than codes.

    Halves are looked at in turn, so that there is one comparator for every bit of k.
    """
    flags: list[Wire] = []
    stages = len(thresholds).bit_length()
    for stage in range(stages):
        size = 1 << (stages - stage)
        # The threshold in the middle, for every way to get here.
        middles = [
            constant(thresholds[k] if k < len(thresholds) else x.hi + 1)
            for k in range(size // 2 - 1, (1 << stages) - 1, size)
        ]
        flags.append(arith.compare(b, "ge", x, _pick(b, flags, middles)))
    padded = [*codes, *[codes[-1]] * ((1 << stages) - len(codes))]
    return _pick(b, flags, [constant(code) for code in padded])


def _pick(b: Builder, flags: Sequence[Wire], options: Sequence[Wire]) -> Wire:
    """The option whose index has the flags as bits, the highest one first."""
    level = list(options)
    for flag in reversed(flags):
        pairs = zip(level[::2], level[1::2], strict=True)
        level = [
            low
            if low.constant is not None and low.constant == high.constant
            else arith.mux(b, flag, high, low)
            for low, high in pairs
        ]
    return level[0]
