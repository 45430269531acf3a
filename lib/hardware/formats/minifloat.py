"""
Minifloats: a significand and an exponent, and rounding at the leading one.

Codes at inputs are numbers: where the format has codes of infinities and NaN, nothing
is promised of results that depend on one.
"""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction

from xdsl.ir import SSAValue

from mase_opt.lib.formats.minifloat import Kind, MiniFloat
from mase_opt.lib.formats.rounding import Overflow, RoundingMode
from mase_opt.lib.hardware import arith, sign_magnitude
from mase_opt.lib.hardware.arith import Term
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.codec import Rounding, decoder, encoder
from mase_opt.lib.hardware.number import Number, Sum
from mase_opt.lib.hardware.rounding import overflow_error
from mase_opt.lib.hardware.sign_magnitude import both, either
from mase_opt.lib.hardware.sticky import cut, in_steps
from mase_opt.lib.hardware.wire import Wire, constant, depth_of


@decoder(MiniFloat)
def decode(b: Builder, format: MiniFloat, code: Wire) -> Number:
    negative, magnitude = sign_magnitude.split(b, code, format.bits - 1)
    if format.has_nan:
        hi = min(magnitude.hi, format.max_position)
        magnitude = replace(magnitude, lo=min(magnitude.lo, hi), hi=hi)
    field, significand = sign_magnitude.split(b, magnitude, format.mantissa)
    exponent = field
    if format.kind is not Kind.NO_IMPLICIT:
        normal = arith.compare(b, "ne", field, constant(0))
        significand = sign_magnitude.join(b, normal, significand, format.mantissa)
        exponent = arith.sub(b, field, normal)
        exponent = replace(exponent, lo=0) if exponent.lo < 0 else exponent
    return Number(
        sign_magnitude.signed(b, negative, significand),
        Fraction(format.step),
        exponent=None if exponent.constant == 0 else exponent,
    )


@encoder(MiniFloat)
def encode(b: Builder, format: MiniFloat, x: Sum, options: Rounding) -> Wire:
    """
    Counted in steps of the lowest magnitudes, a number with its leading one above
    those is shifted right until that is in their place; every shift by one makes its
    position, the rank of its magnitude, higher by as many as there are between two
    powers of two. Rounding up carries into the exponent by itself.
    """
    quarters = in_steps(b, x, Fraction(format.step) / 4)
    negative, magnitude = sign_magnitude.unsigned(b, quarters)
    fraction = format.mantissa - (format.kind is Kind.NO_IMPLICIT)
    # Whatever is an octave above the highest magnitude overflows.
    beyond = format.max_position >> fraction
    steps = arith.minimum(b, magnitude, constant(1 << (fraction + 2 + beyond)))
    shifts = max(0, steps.hi.bit_length() - 3 - fraction)
    places: list[Term] = []
    for place in reversed(range(shifts.bit_length())):
        count = 1 << place
        limit = 1 << (fraction + 2 + count)
        above = arith.compare(b, "ge", steps, constant(limit))
        moved = cut(b, steps, count)
        hi = max(min(steps.hi, limit - 1), moved.hi)
        steps = arith.mux(b, above, moved, steps)
        if steps.constant is None:
            steps = replace(steps, hi=min(steps.hi, hi))
        places.append(Term(above, fraction + place))
    position = arith.total(b, [Term(arith.floor_shift(steps, 2)), *places])
    step = Fraction(format.step)
    if places or any((v / step).denominator > 1 for v in (x.unit, x.offset)):
        up = _increment(b, options.mode, negative, position, steps)
        position = arith.add(b, position, up)
    if options.overflow is Overflow.ERROR and position.hi > format.max_position:
        raise overflow_error(format, "of its exact result")
    infinite = options.overflow is Overflow.INFINITY
    # Infinity, or else the only NaN, comes next to the highest magnitude.
    position = arith.minimum(b, position, constant(format.max_position + infinite))
    if format.kind is Kind.NO_IMPLICIT:
        position = _without_implicit_bit(b, format, position, fraction)
    return sign_magnitude.join(b, negative, position, format.bits - 1)


def _increment(
    b: Builder, mode: RoundingMode, negative: Wire, below: Wire, steps: Wire
) -> Wire:
    """One bit: the position is rounded up, given the two bits below it."""
    half, rest = (arith.bit(b, steps, place) for place in (1, 0))

    def even(half: SSAValue, rest: SSAValue, odd: SSAValue) -> SSAValue:
        return both(b, half, either(b, rest, odd))

    def away_from(side: SSAValue, half: SSAValue, rest: SSAValue) -> SSAValue:
        return both(b, side, either(b, half, rest))

    def invert(bit: SSAValue) -> SSAValue:
        return arith.invert(b, bit)

    positive = sign_magnitude.logic(b, invert, negative)
    match mode:
        case RoundingMode.NEAREST_EVEN:
            odd = arith.bit(b, below, 0)
            return sign_magnitude.logic(b, even, half, rest, odd)
        case RoundingMode.NEAREST_AWAY:
            return half
        case RoundingMode.HALF_UP:
            return sign_magnitude.logic(b, even, half, rest, positive)
        case RoundingMode.FLOOR:
            return sign_magnitude.logic(b, away_from, negative, half, rest)
        case RoundingMode.CEIL:
            return sign_magnitude.logic(b, away_from, positive, half, rest)
        case RoundingMode.ZERO:
            return constant(0)


def _without_implicit_bit(
    b: Builder, format: MiniFloat, position: Wire, fraction: int
) -> Wire:
    """The lowest code of the magnitude at a position, in kind `no_implicit`."""
    if position.hi < 2 << fraction:
        return position
    normal = arith.compare(b, "ge", position, constant(2 << fraction))
    field = arith.sub(b, arith.floor_shift(position, fraction), constant(1))
    width = format.exponent + format.mantissa
    parts = [b.read(field, format.exponent), b.literal(1, 1)]
    if fraction:
        parts.append(b.slice(b.read(position, width), 0, fraction))
    code = arith.select(b, b.read(normal, 1), b.concat(*parts), b.read(position, width))
    depth = depth_of(position, normal, field) + arith.SELECT
    return Wire(code, 0, width, 0, (1 << width) - 1, depth)
