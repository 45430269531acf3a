"""
Rounding, overflow and division by constants on wires.

The same numbers as `Fixed.cast_codes` and `Fixed.cast_ratio`: round once, then fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, lcm

from xdsl.dialects import comb
from xdsl.ir import SSAValue

from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.format import Element
from mase_opt.lib.formats.rounding import Overflow, RoundingMode
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.arith import Term
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.number import HardwareError, Sum, check_bits
from mase_opt.lib.hardware.wire import Wire, bits_for, constant, depth_of


@dataclass(frozen=True)
class Target:
    """How exact numbers become codes: the format, rounding and overflow of a result."""

    format: Fixed
    mode: RoundingMode = RoundingMode.NEAREST_EVEN
    overflow: Overflow = Overflow.SATURATE


def cast(b: Builder, x: Wire, frac: int, target: Target) -> Wire:
    """The code of `x · 2^-frac`."""
    return cast_sum(b, Sum([Term(x)], Fraction(2) ** -frac), target)


def cast_sum(b: Builder, x: Sum, target: Target, zero_point: int = 0) -> Wire:
    """The code of an exact number, with a zero point added to the rounded one."""
    steps = x / (Fraction(2) ** -target.format.frac)
    rounded = round_sum(b, steps, target.mode)
    return fit(b, arith.add(b, rounded, constant(zero_point)), target)


def round_sum(b: Builder, x: Sum, mode: RoundingMode) -> Wire:
    """An exact number, rounded to an integer."""
    divisor = lcm(x.unit.denominator, x.offset.denominator)
    factor, offset = int(x.unit * divisor), int(x.offset * divisor)
    shift = (factor & -factor).bit_length() - 1
    if factor >> shift == 1:
        terms = [replace(t, shift=t.shift + shift) for t in x.terms]
        return _divide(b, terms, offset, divisor, mode)
    whole = arith.total(b, x.terms)
    bias = _bias_of(whole, factor, offset, divisor, mode)
    if bias is None:
        return _divide(b, [arith.term(b, whole, factor)], offset, divisor, mode)
    return _linear_floor(b, whole, factor, offset + bias, divisor)


def _bias_of(
    x: Wire, factor: int, offset: int, divisor: int, mode: RoundingMode
) -> int | None:
    """
    What is added to `x · factor + offset` before flooring, if it is the same for all x.
    """
    match mode:
        case RoundingMode.FLOOR:
            return 0
        case RoundingMode.CEIL:
            return divisor - 1
        case RoundingMode.ZERO:
            return None
        case _:
            half = divisor // 2
            if divisor % 2 == 0 and meets(x, factor, offset + half, divisor):
                return None  # ties, which nearest modes treat differently
            return half


def meets(x: Wire, factor: int, offset: int, divisor: int) -> bool:
    """Whether `x · factor + offset` can be a multiple of `divisor`."""
    common = gcd(factor, divisor)
    if offset % common:
        return False
    period = divisor // common
    first = -offset // common * pow(factor // common, -1, period) % period
    return x.lo + (first - x.lo) % period <= x.hi


def _divide(
    b: Builder, terms: Sequence[Term], offset: int, divisor: int, mode: RoundingMode
) -> Wire:
    """`(Σ terms + offset) / divisor`, rounded to an integer."""
    if divisor == 1:
        return arith.total(b, terms, offset)
    # Rounding is flooring after a bias; of the nearest modes, those that do not round
    # ties up need a correction, and ties need an even divisor.
    half, ties = divisor // 2, divisor % 2 == 0
    match mode:
        case RoundingMode.FLOOR:
            return _floor(b, arith.total(b, terms, offset), divisor)
        case RoundingMode.CEIL:
            return _floor(b, arith.total(b, terms, offset + divisor - 1), divisor)
        case RoundingMode.ZERO:
            x = arith.total(b, terms, offset)
            return _floor(b, _bias(b, x, divisor - 1, 0), divisor)
        case RoundingMode.NEAREST_AWAY if ties:
            x = arith.total(b, terms, offset)
            return _floor(b, _bias(b, x, half - 1, half), divisor)
        case RoundingMode.NEAREST_EVEN if ties:
            x = arith.total(b, terms, offset + half)
            return _clear_odd_tie(b, x, _floor(b, x, divisor), divisor)
        case _:
            return _floor(b, arith.total(b, terms, offset + half), divisor)


def _bias(b: Builder, x: Wire, if_negative: int, otherwise: int) -> Wire:
    """`x` plus a constant that depends on its sign."""
    if x.lo >= 0 or x.hi < 0 or x.constant is not None:
        return arith.add(b, x, constant(otherwise if x.lo >= 0 else if_negative))
    low, high = sorted((if_negative, otherwise))
    negative = arith.sign(b, x)
    bit = negative if if_negative > otherwise else arith.invert(b, negative)
    if high - low == 1:
        step = b.wire(bit, (0, 1), x)
        # The bias itself is a constant that meets x first.
        result = arith.add(b, arith.add(b, x, constant(low)), step)
    else:
        width = bits_for(low, high)
        value = arith.select(b, bit, b.literal(high, width), b.literal(low, width))
        result = arith.add(b, x, b.wire(value, (low, high), x))
    return replace(
        result,
        lo=min(x.lo + if_negative, otherwise),
        hi=max(x.hi + otherwise, if_negative - 1),
    )


def _floor(b: Builder, x: Wire, divisor: int) -> Wire:
    """⌊x / divisor⌋"""
    lo, hi = x.lo // divisor, x.hi // divisor
    if lo == hi:
        return constant(lo)
    shift = (divisor & -divisor).bit_length() - 1
    x = arith.floor_shift(x, shift)
    odd = divisor >> shift
    return x if odd == 1 else _linear_floor(b, x, 1, 0, odd)


def _linear_floor(b: Builder, x: Wire, factor: int, offset: int, divisor: int) -> Wire:
    """⌊(x · factor + offset) / divisor⌋"""
    lo, hi = ((end * factor + offset) // divisor for end in (x.lo, x.hi))
    if lo == hi:
        return constant(lo)
    multiplier, added, bits = linear_floor(factor, offset, divisor, x.lo, x.hi)
    product = arith.total(b, [arith.term(b, x, multiplier)], added)
    check_bits(product.lo, product.hi)
    return replace(arith.floor_shift(product, bits), lo=lo, hi=hi)


def linear_floor(
    factor: int, offset: int, divisor: int, lo: int, hi: int
) -> tuple[int, int, int]:
    """
    The fewest `bits`, with `m` and `c`, that replace a division by a shift.

    ⌊(x · factor + offset) / divisor⌋ = ⌊(x · m + c) / 2^bits⌋ for lo ≤ x ≤ hi: where
    one line is never below the other, the floors are equal if their sums are.
    """
    wanted = floor_sum(factor, offset, divisor, lo, hi)
    bits = 0
    while True:
        scale = 1 << bits
        lower = factor * scale // divisor
        for m in (lower + 1, lower):
            c = max(
                -(-(scale * (x * factor + offset) - m * x * divisor) // divisor)
                for x in (lo, hi)
            )
            if floor_sum(m, c, scale, lo, hi) == wanted:
                return m, c, bits
        bits += 1


def floor_sum(factor: int, offset: int, divisor: int, lo: int, hi: int) -> int:
    """
    Σ ⌊(x · factor + offset) / divisor⌋ for lo ≤ x ≤ hi.

    By counting lattice points below a line, as Euclid's algorithm goes.
    """
    count, offset = hi - lo + 1, offset + lo * factor
    result = 0
    sign = 1
    while True:
        quotient, factor = divmod(factor, divisor)
        result += sign * quotient * (count * (count - 1) // 2)
        quotient, offset = divmod(offset, divisor)
        result += sign * quotient * count
        top = factor * (count - 1) + offset
        if factor == 0 or top < divisor:
            return result
        # The points below the line, by rows: all but those left of it.
        rows = top // divisor
        result += sign * rows * count
        sign = -sign
        # Row y has ⌈(y · divisor - offset) / factor⌉ points left of the line.
        count, offset, factor, divisor = (
            rows,
            divisor - offset + factor - 1,
            divisor,
            factor,
        )


def _clear_odd_tie(b: Builder, x: Wire, quotient: Wire, divisor: int) -> Wire:
    """
    `quotient` = ⌊x / divisor⌋, minus one where it is odd and there is no remainder.

    The biased dividend `x` has no remainder exactly where the unbiased one is a tie.
    """
    hi, lo = (_even(x.hi, divisor), _even(x.lo, divisor))
    if quotient.constant is not None:
        if x.constant is not None:
            return constant(lo)
        if quotient.constant % 2 == 0:
            return quotient
        # One odd quotient, and whether it is a tie depends on x.
        remains = _remains(b, x, quotient, divisor)
        return arith.mux(b, remains, quotient, constant(quotient.lo - 1))
    remains = _remains(b, x, quotient, divisor)
    # -1 may become -2, which takes a bit more.
    width = max(quotient.width, bits_for(lo, hi))
    bits = b.read(quotient, width)
    last = arith.bitwise(b, comb.AndOp, b.slice(bits, 0, 1), b.read(remains, 1))
    value = last if width == 1 else b.concat(b.slice(bits, 1, width - 1), last)
    return Wire(value, 0, width, lo, hi, depth_of(quotient, remains))


def _even(x: int, divisor: int) -> int:
    quotient, remainder = divmod(x, divisor)
    return quotient - (quotient & 1) if remainder == 0 else quotient


def _remains(b: Builder, x: Wire, quotient: Wire, divisor: int) -> Wire:
    """One bit: `x` is not a multiple of `divisor`, `quotient` being ⌊x / divisor⌋."""
    shift = (divisor & -divisor).bit_length() - 1
    odd = divisor >> shift
    found: SSAValue | None = None
    depth = x.depth
    if shift:
        found = arith.is_nonzero(b, b.read(x, shift), shift)
    if odd > 1:
        # The remainder is below `odd`: its low bits tell.
        low = odd.bit_length()
        multiple = arith.total(b, [arith.term(b, quotient, odd)])
        part = arith.floor_shift(x, shift)
        differs = arith.icmp(b, 1, b.read(part, low), b.read(multiple, low))
        depth = depth_of(part, multiple)
        if found is not None:
            differs = arith.bitwise(b, comb.OrOp, differs, found)
        found = differs
    assert found is not None
    return Wire(found, 0, 1, 0, 1, depth + arith.COMPARE)


def fit(b: Builder, x: Wire, target: Target) -> Wire:
    """
    Bring `x` into the range of the format.

    Raises `HardwareError` under overflow `error`, unless it cannot happen.
    """
    format = target.format
    if format.min_code <= x.lo and x.hi <= format.max_code:
        return x
    match target.overflow:
        case Overflow.SATURATE:
            return _saturate(b, x, format)
        case Overflow.WRAP:
            return _wrap(b, x, format)
        case Overflow.INFINITY:
            raise HardwareError(f"{format} has no infinity: use overflow saturate")
        case Overflow.ERROR:
            raise overflow_error(format, f"between {x.lo} and {x.hi} steps")


def overflow_error(format: Element, values: str) -> HardwareError:
    """What to raise under overflow `error`, unless it cannot happen."""
    wrap = " or wrap" if format.wraps else ""
    return HardwareError(
        f"values {values} may overflow {format}, and hardware cannot stop with an "
        f"error: use overflow saturate{wrap}"
    )


def _wrap(b: Builder, x: Wire, format: Fixed) -> Wire:
    turns = (x.lo - format.min_code) >> format.width
    if turns == (x.hi - format.min_code) >> format.width:
        lo, hi = (v - (turns << format.width) for v in (x.lo, x.hi))
    else:
        lo, hi = format.min_code, format.max_code
    if lo == hi:
        return constant(lo)
    return b.wire(b.read(x, format.width), (lo, hi), x)


def _saturate(b: Builder, x: Wire, format: Fixed) -> Wire:
    lowest, highest = format.min_code, format.max_code
    if x.lo >= highest:
        return constant(highest)
    if x.hi <= lowest:
        return constant(lowest)
    lo, hi = max(x.lo, lowest), min(x.hi, highest)
    above = _above(b, x, format) if x.hi > highest else None
    below = _below(b, x, format) if x.lo < lowest else None
    width = bits_for(lo, hi)
    limit = b.literal(highest if above is not None else lowest, width)
    if above is not None and below is not None:
        outside = arith.bitwise(b, comb.OrOp, above, below)
        negative = arith.sign(b, x)
        if format.signed:
            # 100…0 or 011…1
            limit = arith.invert(b, negative)
            if width > 2:
                limit = b.emit(
                    comb.ReplicateOp.create(
                        operands=[limit], result_types=[b.type(width - 1)]
                    )
                )
            limit = b.concat(negative, limit) if width > 1 else negative
        else:
            limit = arith.select(b, negative, b.literal(lowest, width), limit)
    else:
        outside = above if above is not None else below
        assert outside is not None
    value = arith.select(b, outside, limit, b.read(x, width))
    depth = x.depth + arith.COMPARE + arith.SELECT
    return Wire(value, 0, width, lo, hi, depth)


def _above(b: Builder, x: Wire, format: Fixed) -> SSAValue:
    """One bit: `x` exceeds the format; all its codes are below a power of two."""
    assert x.base is not None
    used = format.width - format.signed
    high = x.width - x.signed - used
    any_set = arith.is_nonzero(b, b.slice(x.base, x.low + used, high), high)
    if not x.signed:
        return any_set
    positive = arith.invert(b, arith.sign(b, x))
    return arith.bitwise(b, comb.AndOp, positive, any_set)


def _below(b: Builder, x: Wire, format: Fixed) -> SSAValue:
    """One bit: `x` is below the format."""
    assert x.base is not None
    negative = arith.sign(b, x)
    if not format.signed:
        return negative
    used = format.width - 1
    high = x.width - 1 - used
    any_clear = arith.is_not_ones(b, b.slice(x.base, x.low + used, high), high)
    return arith.bitwise(b, comb.AndOp, negative, any_clear)
