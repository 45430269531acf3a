"""
Cutting bits off such that later rounding does not notice.

The last bit that stays is set if anything was lost: rounding to odd. Rounding that to
multiples of four, in any mode, gives what the uncut number would give.
"""

from __future__ import annotations

from fractions import Fraction
from math import lcm

from mase_opt.lib.formats.rounding import RoundingMode
from mase_opt.lib.hardware import arith, rounding
from mase_opt.lib.hardware.arith import Term
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.number import Sum, check_bits
from mase_opt.lib.hardware.wire import Wire, constant


def cut(b: Builder, x: Wire, shift: int) -> Wire:
    """x / 2^shift, rounded to odd."""
    if shift == 0:
        return x
    lo, hi = ((end >> shift) | (end % (1 << shift) != 0) for end in (x.lo, x.hi))
    if lo == hi:
        return constant(lo)
    width = max(x.width, shift + 2)
    low = min(shift + 1, x.width)
    last = arith.is_nonzero(b, b.read(x, low), low)
    high = b.slice(b.read(x, width), shift + 1, width - shift - 1)
    depth = x.depth + arith.COMPARE
    return Wire(b.concat(high, last), 0, width - shift, lo, hi, depth)


def in_steps(b: Builder, x: Sum, step: Fraction) -> Wire:
    """An exact number divided by `step`, a power of two, and rounded to odd."""
    x = x / step
    divisor = lcm(x.unit.denominator, x.offset.denominator)
    if divisor & (divisor - 1) == 0:
        whole = rounding.round_sum(b, x / Fraction(1, divisor), RoundingMode.FLOOR)
        check_bits(whole.lo, whole.hi)
        return cut(b, whole, divisor.bit_length() - 1)
    # Down to an even number, and one more unless that was exact.
    whole = arith.total(b, x.terms)
    x = Sum([Term(whole)], x.unit / 2, x.offset / 2)
    half = rounding.round_sum(b, x, RoundingMode.FLOOR)
    lost = _is_lost(b, whole, half, x)
    return arith.total(b, [Term(half, 1), Term(lost)])


def _is_lost(b: Builder, whole: Wire, floor: Wire, x: Sum) -> Wire:
    """One bit: `x = whole · unit + offset` is more than its floor."""
    divisor = lcm(x.unit.denominator, x.offset.denominator)
    factor, offset = int(x.unit * divisor), int(x.offset * divisor)
    if not rounding.meets(whole, factor, offset, divisor):
        return constant(1)
    dividend = arith.total(b, [arith.term(b, whole, factor)], offset)
    multiple = arith.total(b, [arith.term(b, floor, divisor)])
    return arith.compare(b, "ne", dividend, multiple)
