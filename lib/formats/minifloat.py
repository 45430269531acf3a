"""
Small floating point: a sign, `exponent` bits and `mantissa` bits.

The magnitudes of a minifloat, in order, are counted by their *position*: 0 is zero, and
with an implicit bit the position is the code without its sign.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.formats.arrays import Array, exponent, namespace, power_of_two
from mase_opt.lib.formats.format import Element, Values, times
from mase_opt.lib.formats.rounding import (
    FormatError,
    IntArray,
    Overflow,
    Rounding,
    RoundingMode,
    round_real,
)

MAX_EXPONENT = 8
MAX_MANTISSA = 23
MAX_BIAS = 300
"""With these limits all values, and products of two, are normal float64 numbers."""


class Kind(StrEnum):
    """What the codes of a minifloat stand for."""

    IEEE = "ieee"
    """The top exponent is infinity and NaN (IEEE 754, OCP E5M2)."""
    FN = "fn"
    """No infinity, and only the code of all ones is NaN (OCP E4M3)."""
    FINITE = "finite"
    """Every code is a number (OCP E2M3, E3M2 and E2M1)."""
    NO_IMPLICIT = "no_implicit"
    """Every code is a number ±m·2^(e - M): no implicit bit, no subnormals."""


@dataclass(frozen=True)
class MiniFloat(Element):
    """
    A floating-point format of 1 + `exponent` + `mantissa` bits.

    With exponent field e and mantissa field m the value is 2^(e - bias) · (1 + m/2^M),
    for e = 0 it is 2^(1 - bias) · m/2^M; in kind `no_implicit` always 2^(e - bias) ·
    m/2^M. There, several codes have the same value; `encode` gives the lowest. Without
    exponent bits that is sign and magnitude, as elements of block floating point are.

    Zero keeps its sign. Ties under `nearest_even` go to the even position, which is the
    even code wherever codes are unique. NaN is encoded as quiet, with its sign.
    """

    exponent: int
    mantissa: int
    kind: Kind = Kind.IEEE
    bias: int | None = None
    """None: 2^(exponent - 1) - 1, or 0 without exponent bits."""

    def __post_init__(self):
        if self.bias is not None and self.bias == self.default_bias:
            object.__setattr__(self, "bias", None)
        lowest = 0 if self.kind is Kind.NO_IMPLICIT else 1
        if not lowest <= self.exponent <= MAX_EXPONENT:
            raise FormatError(
                f"exponent must have between {lowest} and {MAX_EXPONENT} bits in kind "
                f"{self.kind}, got {self.exponent}"
            )
        lowest = 0 if self.kind is Kind.FINITE else 1
        if not lowest <= self.mantissa <= MAX_MANTISSA:
            raise FormatError(
                f"mantissa must have between {lowest} and {MAX_MANTISSA} bits in kind "
                f"{self.kind}, got {self.mantissa}"
            )
        if abs(self.offset) > MAX_BIAS:
            raise FormatError(
                f"bias must be between {-MAX_BIAS} and {MAX_BIAS}, got {self.bias}"
            )

    @property
    def default_bias(self) -> int:
        return (1 << (self.exponent - 1)) - 1 if self.exponent else 0

    @property
    def offset(self) -> int:
        """The bias that applies."""
        return self.default_bias if self.bias is None else self.bias

    @property
    def bits(self) -> int:
        return 1 + self.exponent + self.mantissa

    @property
    def min_code(self) -> int:
        return 0

    @property
    def max_code(self) -> int:
        return (1 << self.bits) - 1

    @property
    def has_nan(self) -> bool:
        return self.kind in (Kind.IEEE, Kind.FN)

    @property
    def max_position(self) -> int:
        """The position of the highest value."""
        top = 1 << self.exponent
        match self.kind:
            case Kind.IEEE:
                return ((top - 1) << self.mantissa) - 1
            case Kind.FN:
                return (top << self.mantissa) - 2
            case Kind.FINITE:
                return (top << self.mantissa) - 1
            case Kind.NO_IMPLICIT:
                return ((top + 1) << self._fraction) - 1

    @property
    def max_value(self) -> float:
        return float(self._value_at(np.array(self.max_position)))

    @property
    def min_value(self) -> float:
        return -self.max_value

    @property
    def step(self) -> float:
        return 2.0 ** (self._lowest - self._fraction)

    @property
    def unit(self) -> float:
        return self.step

    @property
    def can_share_exponents(self) -> bool:
        return True

    @property
    def rounds_to_steps(self) -> bool:
        return True

    @property
    def exact_in_float32(self) -> bool:
        highest = self._lowest + (1 << self.exponent)
        return self._lowest - self._fraction >= -100 and highest <= 100

    @property
    def _fraction(self) -> int:
        """Bits of a normalized magnitude behind its first."""
        return self.mantissa - (self.kind is Kind.NO_IMPLICIT)

    @property
    def _lowest(self) -> int:
        """The exponent of the lowest normalized magnitude: below, steps stay equal."""
        return -self.offset + (-1 if self.kind is Kind.NO_IMPLICIT else 1)

    def rounded(self, values: Array, rounding: Rounding) -> Array:
        xp = namespace(values)
        # Magnitudes beyond the range need no finer step than the highest ones: there,
        # whether they overflow is all that matters.
        octave = xp.clip(
            exponent(values), self._lowest, self._lowest + (1 << self.exponent) + 1
        )
        steps = times(values, power_of_two(self._fraction - octave, values), rounding)
        whole = round_real(steps, rounding)
        if self._fraction == 0 and rounding is RoundingMode.NEAREST_EVEN:
            # One bit says nothing of the position's parity, the exponent does.
            below = xp.floor(xp.abs(steps))
            odd = (below + (octave - self._lowest)) % 2 == 1
            tie = xp.abs(steps) - below == 0.5
            whole = xp.where(tie, xp.copysign(below + odd, values), whole)
        result = whole * power_of_two(octave - self._fraction, values)
        return xp.copysign(result, values)

    def brought_in(self, values: Array, overflow: Overflow) -> Array:
        xp = namespace(values)
        if self.kind is Kind.IEEE and overflow is Overflow.ERROR:
            finite = xp.where(xp.isinf(values), 0.0, values)
            super().brought_in(finite, overflow)
            return values
        if not self.has_nan or overflow is not Overflow.INFINITY:
            return super().brought_in(values, overflow)
        beyond = float("inf" if self.kind is Kind.IEEE else "nan")
        outside = xp.abs(values) > self.max_value
        return xp.where(
            outside, xp.copysign(xp.full_like(values, beyond), values), values
        )

    def codes_of(self, values: Values) -> IntArray:
        finite = np.isfinite(values)
        magnitudes = np.where(finite, np.abs(values), 0.0)
        octave = np.maximum(exponent(magnitudes), self._lowest)
        steps = magnitudes * power_of_two(self._fraction - octave, magnitudes)
        position: IntArray = steps.astype(np.int64) + (
            (octave - self._lowest) << self._fraction
        )
        if self.kind is Kind.NO_IMPLICIT:
            field = np.maximum((position >> self._fraction) - 1, 0)
            normal = (position & ((1 << self._fraction) - 1)) | (1 << self._fraction)
            codes = (field << self.mantissa) | np.where(field > 0, normal, position)
        else:
            codes = position
        sign = np.signbit(values).astype(np.int64)
        codes = codes | (sign << (self.bits - 1))
        if not finite.all():
            infinity = ((1 << self.exponent) - 1) << self.mantissa
            special = np.where(np.isnan(values), self.nan_code, infinity)
            codes = np.where(finite, codes, special | (sign << (self.bits - 1)))
        return codes

    @property
    def nan_code(self) -> int:
        """The positive code that NaN gets; only for formats that have one."""
        magnitude = (1 << (self.bits - 1)) - 1
        if self.kind is Kind.FN:
            return magnitude
        return magnitude & ~((1 << (self.mantissa - 1)) - 1)

    def decode(self, codes: IntArray) -> Values:
        codes = codes.astype(np.int64)
        magnitude = codes & ((1 << (self.bits - 1)) - 1)
        values = np.asarray(self._magnitude(magnitude))
        if self.kind is Kind.FN:
            values = np.where(magnitude == self.nan_code, np.nan, values)
        elif self.kind is Kind.IEEE:
            infinity = ((1 << self.exponent) - 1) << self.mantissa
            values = np.where(magnitude == infinity, np.inf, values)
            values = np.where(magnitude > infinity, np.nan, values)
        return np.where(codes >> (self.bits - 1) & 1 == 1, -values, values)

    def _magnitude(self, codes: NDArray[np.int64]) -> Values:
        """The magnitudes of codes without their sign, of numbers."""
        if self.kind is not Kind.NO_IMPLICIT:
            return self._value_at(codes)
        mantissa = (codes & ((1 << self.mantissa) - 1)).astype(np.float64)
        return np.ldexp(
            mantissa, (codes >> self.mantissa) - self.offset - self.mantissa
        )

    def _value_at(self, positions: NDArray[np.int64]) -> Values:
        field = positions >> self._fraction
        implicit = (field > 0).astype(np.int64)
        steps = (positions & ((1 << self._fraction) - 1)) + (implicit << self._fraction)
        octave = self._lowest + field - implicit
        return np.ldexp(steps.astype(np.float64), octave - self._fraction)

    def __str__(self) -> str:
        bias = "" if self.bias is None else f", {self.bias}"
        return f"minifloat<{self.exponent}, {self.mantissa}, {self.kind}{bias}>"
