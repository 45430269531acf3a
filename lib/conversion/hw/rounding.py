"""
Rounding, overflow and division by constants on wires.

The same numbers as `Fixed.cast_codes` and `Fixed.cast_ratio`: round once, then fit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from xdsl.dialects import comb
from xdsl.ir import SSAValue

from mase_opt.lib.conversion.hw import arith
from mase_opt.lib.conversion.hw.arith import Term
from mase_opt.lib.conversion.hw.builder import Builder
from mase_opt.lib.conversion.hw.wire import Wire, bits_for, constant
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.rounding import Overflow, RoundingMode


class HardwareError(Exception):
    """An op that has no circuit; the message says why and what would help."""


@dataclass(frozen=True)
class Target:
    """How exact numbers become codes: the format, rounding and overflow of a result."""

    format: Fixed
    mode: RoundingMode = RoundingMode.NEAREST_EVEN
    overflow: Overflow = Overflow.SATURATE


def cast(b: Builder, x: Wire, frac: int, target: Target) -> Wire:
    """The code of `x · 2^-frac`."""
    return cast_sum(b, [Term(x)], 0, frac, target)


def cast_sum(
    b: Builder, terms: Sequence[Term], offset: int, frac: int, target: Target
) -> Wire:
    """The code of `(Σ terms + offset) · 2^-frac`."""
    shift = frac - target.format.frac
    if shift <= 0:
        x = arith.shift_left(b, arith.total(b, terms, offset), -shift)
        return fit(b, x, target)
    return fit(b, _divide(b, terms, offset, 1 << shift, target.mode), target)


def cast_ratio(
    b: Builder,
    terms: Sequence[Term],
    offset: int,
    divisor: int,
    frac: int,
    target: Target,
) -> Wire:
    """The code of `(Σ terms + offset) / divisor · 2^-frac`, for `divisor > 0`."""
    shift = target.format.frac - frac
    if shift < 0:
        divisor <<= -shift
    elif shift > 0:
        terms = [replace(t, shift=t.shift + shift) for t in terms]
        offset <<= shift
    return fit(b, _divide(b, terms, offset, divisor, target.mode), target)


def _divide(
    b: Builder, terms: Sequence[Term], offset: int, divisor: int, mode: RoundingMode
) -> Wire:
    """`(Σ terms + offset) / divisor`, rounded to an integer."""
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
            # Quotient and remainder are bits of the same register.
            (x,), _, _ = b.align((x,), arith.COMPARE)
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
    if odd == 1:
        return x
    factor, offset, bits = reciprocal(odd, x.lo, x.hi)
    product = arith.total(b, [arith.term(b, x, factor)], offset)
    return replace(arith.floor_shift(product, bits), lo=lo, hi=hi)


def reciprocal(divisor: int, lo: int, hi: int) -> tuple[int, int, int]:
    """
    Numbers with ⌊x / divisor⌋ = ⌊(x · factor + offset) / 2^bits⌋ for lo ≤ x ≤ hi.

    With x = q · divisor + r and factor · divisor = 2^bits + e, the right side is q as
    long as 0 ≤ r · 2^bits / divisor + x · e / divisor + offset < 2^bits. The left
    inequality is tightest at r = 0, x = lo, the right one at r = divisor - 1, x = hi.
    """
    bits = 0
    while True:
        factor = -((-1 << bits) // divisor)
        error = factor * divisor - (1 << bits)
        offset = -((lo * error) // divisor) if lo < 0 else 0
        if hi * error + offset * divisor < 1 << bits:
            return factor, offset, bits
        bits += 1


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
    (quotient, remains), stage, depth = b.align((quotient, remains), 0)
    # -1 may become -2, which takes a bit more.
    width = max(quotient.width, bits_for(lo, hi))
    bits = b.read(quotient, width)
    last = arith.bitwise(b, comb.AndOp, b.slice(bits, 0, 1), b.read(remains, 1))
    value = last if width == 1 else b.concat(b.slice(bits, 1, width - 1), last)
    return Wire(value, 0, width, lo, hi, stage, depth)


def _even(x: int, divisor: int) -> int:
    quotient, remainder = divmod(x, divisor)
    return quotient - (quotient & 1) if remainder == 0 else quotient


def _remains(b: Builder, x: Wire, quotient: Wire, divisor: int) -> Wire:
    """One bit: `x` is not a multiple of `divisor`, `quotient` being ⌊x / divisor⌋."""
    shift = (divisor & -divisor).bit_length() - 1
    odd = divisor >> shift
    found: SSAValue | None = None
    (x,), stage, depth = b.align((x,), arith.COMPARE)
    if shift:
        found = arith.is_nonzero(b, b.read(x, shift), shift)
    if odd > 1:
        # The remainder is below `odd`: its low bits tell.
        low = odd.bit_length()
        multiple = arith.total(b, [arith.term(b, quotient, odd)])
        part = arith.floor_shift(x, shift)
        (part, multiple), later, levels = b.align((part, multiple), arith.COMPARE)
        differs = arith.icmp(b, 1, b.read(part, low), b.read(multiple, low))
        if found is not None:
            first = b.delay(Wire(found, 0, 1, 0, 1, stage, depth), later)
            differs = arith.bitwise(b, comb.OrOp, differs, b.read(first, 1))
            levels = max(levels, first.depth if first.stage == later else 0)
        return Wire(differs, 0, 1, 0, 1, later, levels)
    assert found is not None
    return Wire(found, 0, 1, 0, 1, stage, depth)


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
            raise HardwareError(
                f"values between {x.lo} and {x.hi} steps may overflow {format}, and "
                "hardware cannot stop with an error: use overflow saturate or wrap"
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
    (x,), stage, depth = b.align((x,), arith.COMPARE + arith.SELECT)
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
    return Wire(value, 0, width, lo, hi, stage, depth)


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
