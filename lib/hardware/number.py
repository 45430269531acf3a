"""Exact numbers on wires: what the codes of any format stand for, and sums of them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import gcd, lcm

from xdsl.dialects import comb

from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.arith import Term
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.wire import Wire, bits_for, constant, depth_of

MAX_BITS = 256
"""Widest integer that an exact result may take."""

ZERO, ONE = Fraction(0), Fraction(1)

LOWER_BLOCKS = "run mase-lower-block-arithmetic first"


class HardwareError(Exception):
    """An op that has no circuit; the message says why and what would help."""


_REMEDIES = {
    "divisor": "multiply by a reciprocal, which can be a table (mase-lower-to-lookup)",
    "index": "only constant ones are wiring",
}


def not_constant(operand: str) -> str:
    """Why an op with a computed `operand` has no circuit."""
    remedy = _REMEDIES.get(operand, "compute it before the export")
    return f"the {operand} is not a constant: {remedy}"


@dataclass(frozen=True, slots=True)
class Number:
    """
    The exact number `(wire · 2^exponent · unit + offset) · scale`.

    What is constant stays apart from the wire: a sum is multiplied by a scale once, not
    every element, and -1 or +1 takes one bit, as `2 · bit - 1`.
    """

    wire: Wire
    unit: Fraction = ONE
    offset: Fraction = ZERO
    exponent: Wire | None = None
    """Never negative; only without an offset."""
    scale: Fraction = ONE
    """Positive; powers of two belong into unit and offset."""
    shared: Wire | None = None
    """What a block shares: all is times 2^shared. Sums are multiplied by that once."""

    @property
    def constant(self) -> Fraction | None:
        """The number, if it is always the same."""
        if self.shared is not None:
            return None
        shift = self.exponent.constant if self.exponent is not None else 0
        if self.wire.constant is None or (shift is None and self.wire.constant):
            return None
        return ((self.wire.constant << (shift or 0)) * self.unit + self.offset) * (
            self.scale
        )


@dataclass(frozen=True, slots=True)
class Sum:
    """The exact number `(Σ terms · unit + offset) · 2^shared`."""

    terms: Sequence[Term]
    unit: Fraction
    """Positive."""
    offset: Fraction = ZERO
    shared: Wire | None = None

    def __truediv__(self, divisor: Fraction | int) -> Sum:
        """The sum divided by a positive number."""
        return replace(self, unit=self.unit / divisor, offset=self.offset / divisor)


def fixed(wire: Wire, frac: int = 0) -> Number:
    """`wire · 2^-frac`"""
    return Number(wire, Fraction(2) ** -frac)


def literal(value: Fraction | int) -> Number:
    """The same number always."""
    value = Fraction(value)
    return Number(constant(value.numerator), Fraction(1, value.denominator))


def scaled(x: Number, scale: Fraction) -> Number:
    """x · scale, for a positive scale."""
    power = Fraction(2) ** (_twos(scale.numerator) - _twos(scale.denominator))
    return replace(
        x, unit=x.unit * power, offset=x.offset * power, scale=x.scale * scale / power
    )


def _twos(n: int) -> int:
    """How often 2 divides a positive integer."""
    return (n & -n).bit_length() - 1


# ---- one unit ---------------------------------------------------------------------


def aligned(b: Builder, numbers: Sequence[Number]) -> list[Number]:
    """
    The same numbers, of which nothing but the wires differs, without exponents.

    Raises `HardwareError` if one is too wide, or shares an exponent.
    """
    if shared_by(numbers) is not None:
        raise HardwareError(f"it computes on blocks: {LOWER_BLOCKS}")
    first = numbers[0]
    if first.exponent is None and all(
        (x.unit, x.offset, x.exponent, x.scale)
        == (first.unit, first.offset, None, first.scale)
        for x in numbers
    ):
        return list(numbers)
    scales = {x.scale for x in numbers if x.constant != 0}
    scale = scales.pop() if len(scales) == 1 else None
    plain = [x if scale else _without_scale(x) for x in numbers]
    unit = _common_unit(u for x in plain for u in _units(x))
    return [Number(_in_unit(b, x, unit), unit, scale=scale or ONE) for x in plain]


def integers(b: Builder, numbers: Sequence[Number]) -> tuple[list[Wire], Fraction]:
    """
    Numbers as wires, and the unit in which they all are integers.

    Raises `HardwareError` as `aligned` does.
    """
    result = aligned(b, numbers)
    if result[0].offset or result[0].unit < 0:
        # Apart from the same zero point, which stays.
        result = aligned(b, [*numbers, literal(0)])[:-1]
    return [x.wire for x in result], result[0].unit * result[0].scale


def shared_by(numbers: Sequence[Number]) -> Wire | None:
    """
    The exponent that numbers share; zeros share all of them.

    Raises `HardwareError` if there is more than one.
    """
    found = {x.shared for x in numbers if x.constant != 0}
    if len(found) > 1:
        raise HardwareError(
            f"it adds numbers of blocks with exponents of their own: {LOWER_BLOCKS}"
        )
    return found.pop() if found else None


def _without_scale(x: Number) -> Number:
    return replace(x, unit=x.unit * x.scale, offset=x.offset * x.scale, scale=ONE)


def _units(x: Number) -> tuple[Fraction, ...]:
    """What must be a multiple of the unit for `x` to be one."""
    return (x.constant / x.scale,) if x.constant is not None else (x.unit, x.offset)


def _common_unit(values: Iterable[Fraction]) -> Fraction:
    """The largest number that all `values` are multiples of; 1 for zeros."""
    found = [v for v in values if v]
    if not found:
        return ONE
    denominator = lcm(*(v.denominator for v in found))
    return Fraction(gcd(*(int(v * denominator) for v in found)), denominator)


def _in_unit(b: Builder, x: Number, unit: Fraction) -> Wire:
    """The integer x / unit, without the scale."""
    if x.constant is not None:
        return constant(_whole(x.constant / x.scale / unit))
    factor, offset = _whole(x.unit / unit), _whole(x.offset / unit)
    wire = arith.total(b, [arith.term(b, shifted(b, x), factor)], offset)
    check_bits(wire.lo, wire.hi)
    return wire


def _whole(value: Fraction) -> int:
    assert value.denominator == 1, f"{value} is no multiple of the unit"
    return value.numerator


def shifted(b: Builder, x: Number) -> Wire:
    """`wire · 2^exponent` of a number."""
    return x.wire if x.exponent is None else arith.shift_by(b, x.wire, x.exponent)


def check_bits(lo: int, hi: int) -> None:
    """Raises `HardwareError` if integers from `lo` to `hi` take too many bits."""
    bits = bits_for(lo, hi)
    if bits > MAX_BITS:
        raise HardwareError(
            f"an exact result takes {bits} bits, at most {MAX_BITS} are possible: cast "
            "the operands to fixed point, or to a format with fewer exponents"
        )


# ---- arithmetic -------------------------------------------------------------------


def total(b: Builder, numbers: Sequence[Number]) -> Sum:
    """
    The sum of numbers.

    Those of one scale are added before they are multiplied with it. Of signs, bits are
    added and subtracted: sums of two are then shared by all that differ in sign only,
    which takes 23 % fewer LUTs than counting bits and complements (64 by 32 constants,
    Yosys 0.23, synth_xilinx).

    Raises `HardwareError` if it is too wide, or if exponents of blocks differ.
    """
    shared = shared_by(numbers)
    offset = ZERO
    groups: dict[Fraction, list[Number]] = {}
    for x in numbers:
        if x.constant is not None:
            offset += x.constant
            continue
        offset += x.offset * x.scale
        groups.setdefault(x.scale, []).append(x)
    sums = [(scale, *_terms(b, group)) for scale, group in groups.items()]
    if not sums:
        return Sum([], ONE, offset)
    if len(sums) == 1:
        ((scale, terms, unit),) = sums
        return Sum(terms, unit * scale, offset, shared)
    common = _common_unit(unit * scale for scale, _, unit in sums)
    return Sum(
        [
            arith.term(b, arith.total(b, terms), _whole(unit * scale / common))
            for scale, terms, unit in sums
        ],
        common,
        offset,
        shared,
    )


def _terms(b: Builder, numbers: Sequence[Number]) -> tuple[list[Term], Fraction]:
    """Numbers of one scale as terms in the unit that they share, without offsets."""
    unit = _common_unit(x.unit for x in numbers)
    lo = hi = 0
    factors: list[int] = []
    for x in numbers:
        factor = _whole(x.unit / unit)
        shift = x.exponent.hi if x.exponent is not None else 0
        ends = sorted(((x.wire.lo * factor) << shift, (x.wire.hi * factor) << shift))
        lo, hi = lo + min(ends[0], 0), hi + max(ends[1], 0)
        factors.append(factor)
    check_bits(lo, hi)
    pairs = zip(numbers, factors, strict=True)
    return [arith.term(b, shifted(b, x), factor) for x, factor in pairs], unit


def negative(x: Number) -> Number:
    """-x"""
    return replace(x, unit=-x.unit, offset=-x.offset)


def product(b: Builder, x: Number, y: Number) -> Number:
    """x · y"""
    if x.constant is not None:
        x, y = y, x
    if y.constant is not None:
        return _times(b, x, y)
    if not is_sign(x):
        x, y = y, x
    if is_sign(x):
        return _xnor(b, x, y) if is_sign(y) else _negated_unless(b, x, y)
    left, right = _significand(b, x), _significand(b, y)
    exponents = [n.exponent for n in (x, y) if n.exponent is not None]
    return Number(
        arith.mul(b, left.wire, right.wire),
        left.unit * right.unit,
        exponent=arith.total(b, [Term(e) for e in exponents]) if exponents else None,
        scale=left.scale * right.scale,
        shared=_shared_by_product(b, x, y),
    )


def _shared_by_product(b: Builder, x: Number, y: Number) -> Wire | None:
    """The sum of what two numbers share, one wire for all products of their blocks."""
    if x.shared is None or y.shared is None:
        return x.shared or y.shared
    key = (x.shared, y.shared)
    if key not in b.exponents:
        b.exponents[key] = arith.add(b, x.shared, y.shared)
    return b.exponents[key]


def _significand(b: Builder, x: Number) -> Number:
    """`x` without exponents and offset, as an integer."""
    (wire,), unit = integers(b, [replace(x, exponent=None, scale=ONE, shared=None)])
    return Number(wire, unit, scale=x.scale)


def _times(b: Builder, x: Number, y: Number) -> Number:
    """x · y for a constant y, which becomes part of the unit."""
    assert y.constant is not None
    if x.constant is not None or y.constant == 0:
        return literal((x.constant or 0) * y.constant)
    factor = y.constant / y.scale
    return replace(
        x, unit=x.unit * factor, offset=x.offset * factor, scale=x.scale * y.scale
    )


def is_sign(x: Number) -> bool:
    """Whether one bit chooses between numbers that differ in their sign only."""
    return (x.wire.lo, x.wire.hi) == (0, 1) and 2 * x.offset == -x.unit


def _xnor(b: Builder, x: Number, y: Number) -> Number:
    """The product of two signs."""
    value = arith.bitwise(b, comb.XorOp, b.read(x.wire, 1), b.read(y.wire, 1))
    wire = Wire(arith.invert(b, value), 0, 1, 0, 1, depth_of(x.wire, y.wire))
    unit = x.unit * y.unit / 2
    return Number(wire, unit, -unit / 2, scale=x.scale * y.scale)


def _negated_unless(b: Builder, sign: Number, x: Number) -> Number:
    """The product of a sign and another number."""
    significand = _significand(b, x)
    wire = arith.mux(b, sign.wire, significand.wire, arith.neg(b, significand.wire))
    return Number(
        wire,
        significand.unit * sign.unit / 2,
        exponent=x.exponent,
        scale=significand.scale * sign.scale,
        shared=x.shared,
    )
