"""Multiplying by powers of two that only the data tells, and finding them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from xdsl.dialects import comb

from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.arith import Term
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.sticky import cut
from mase_opt.lib.hardware.wire import Wire, constant, depth_of


def shift(b: Builder, x: Wire, powers: Sequence[Term], offset: int, top: int) -> Wire:
    """
    `x · 2^(Σ powers + offset)`, rounded to odd (see `sticky`).

    Of what is beyond ±2^top, only that is kept, and the low bits.

    A barrel shifter goes right from the highest exponent that matters: one more, and
    whatever is not zero is beyond. At the lowest one that matters, all of x is lost.
    """
    bits = max(abs(x.lo), abs(x.hi)).bit_length()
    lowest, highest = (min(max(e + offset, -bits), top) for e in span(powers))
    if x.constant == 0 or lowest == highest:
        return cut(b, arith.shift_left(b, x, max(lowest, 0)), max(-lowest, 0))
    negated = [replace(t, negative=not t.negative) for t in powers]
    amount = arith.total(b, negated, highest - offset)
    amount = arith.minimum(b, amount, constant(highest - lowest))
    amount = arith.maximum(b, amount, constant(0))
    # One bit is left for whatever gets lost: y counts in twos.
    zeros, first = max(highest - 1, 0), max(1 - highest, 0)
    y = arith.floor_shift(arith.shift_left(b, x, zeros), first)
    lost = _any(b, x, 0, first)
    for place in reversed(range(amount.width)):
        count = 1 << place
        moves = arith.bit(b, amount, place)
        dropped = arith.mux(b, moves, _any(b, y, zeros, count), constant(0))
        lost = arith.mux(b, lost, constant(1), dropped)
        y = arith.mux(b, moves, arith.floor_shift(y, count), y)
        zeros = max(zeros - count, 0)
    value = b.concat(b.read(y, y.width), b.read(lost, 1))
    return Wire(value, 0, y.width + 1, 2 * y.lo, 2 * y.hi + 1, depth_of(y, lost))


def span(powers: Sequence[Term]) -> tuple[int, int]:
    """The smallest and the largest sum of `powers`, which are not shifted."""
    ends = [
        (-t.wire.hi, -t.wire.lo) if t.negative else (t.wire.lo, t.wire.hi)
        for t in powers
    ]
    return sum(lo for lo, _ in ends), sum(hi for _, hi in ends)


def _any(b: Builder, x: Wire, low: int, high: int) -> Wire:
    """One bit: one of the bits `low` to `high` - 1 of `x` is set."""
    high = min(high, x.width)
    if low >= high:
        return constant(0)
    part = b.slice(b.read(x, x.width), low, high - low)
    bits = b.wire(part, (0, (1 << (high - low)) - 1), x)
    return arith.compare(b, "ne", bits, constant(0))


def union(b: Builder, wires: Sequence[Wire]) -> Wire:
    """The bitwise or of wires that are not negative."""
    level = list(wires)
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        rest = level[len(level) // 2 * 2 :]
        level = [*(_or(b, x, y) for x, y in pairs), *rest]
    return level[0]


def _or(b: Builder, x: Wire, y: Wire) -> Wire:
    if x.constant == 0 or y.constant == 0:
        return y if x.constant == 0 else x
    width = max(x.width, y.width)
    value = arith.bitwise(b, comb.OrOp, b.read(x, width), b.read(y, width))
    depth = depth_of(x, y) + arith.BITWISE
    return Wire(value, 0, width, max(x.lo, y.lo), (1 << width) - 1, depth)


def leading_one(b: Builder, x: Wire) -> tuple[Wire, Wire]:
    """
    ⌊log2 x⌋ of a wire that is not negative (0 for 0), and whether x > 0.

    The upper half of the bits is looked into, or the lower one if that is zero; then
    half of that.
    """
    if x.constant is not None:
        return constant(max(x.lo.bit_length() - 1, 0)), constant(int(x.lo > 0))
    top, places = x.hi.bit_length() - 1, list[Wire]()
    for place in reversed(range((x.width - 1).bit_length())):
        half = 1 << place
        upper = arith.floor_shift(x, half)
        found = arith.compare(b, "ne", upper, constant(0))
        places.append(found)
        lower = replace(x, bits=min(half, x.bits), lo=0, hi=min(x.hi, (1 << half) - 1))
        x = arith.mux(b, found, upper, lower)
    positive = arith.compare(b, "ne", x, constant(0))
    if not places:
        return constant(0), positive
    value = b.concat(*(b.read(w, 1) for w in places))
    return Wire(value, 0, len(places), 0, top, depth_of(*places)), positive
