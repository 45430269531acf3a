"""
Fixed point: `value = code * 2**-frac`, two's complement or unsigned codes.

`frac` may be negative or larger than the width (-256 to 256); the width is 1 to 64
bits.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.formats.arrays import Array, namespace
from mase_opt.lib.formats.format import Element, real_values, times_power
from mase_opt.lib.formats.multiples import Multiples
from mase_opt.lib.formats.rounding import (
    FormatError,
    IntArray,
    Overflow,
    Rounding,
    RoundingMode,
    compact,
    integers,
    round_ratio,
    round_real,
    round_shift,
    shift_left,
)

MAX_WIDTH = 64
MAX_FRAC = 256
"""
Largest magnitude of `frac`: values and products of two are normal float64 numbers.
"""


@dataclass(frozen=True)
class Fixed(Element):
    """A fixed-point format of `width` bits, `frac` of them behind the point."""

    width: int
    frac: int
    signed: bool = True

    def __post_init__(self):
        if not 1 <= self.width <= MAX_WIDTH:
            raise ValueError(
                f"width must be between 1 and {MAX_WIDTH}, got {self.width}"
            )
        if not -MAX_FRAC <= self.frac <= MAX_FRAC:
            raise ValueError(
                f"frac must be between {-MAX_FRAC} and {MAX_FRAC}, got {self.frac}"
            )

    @property
    def min_code(self) -> int:
        return -(1 << (self.width - 1)) if self.signed else 0

    @property
    def max_code(self) -> int:
        return (1 << (self.width - self.signed)) - 1

    @property
    def step(self) -> float:
        """The distance between neighbouring values."""
        return float(np.ldexp(1.0, -self.frac))

    @property
    def unit(self) -> float:
        return self.step

    @property
    def multiples(self) -> Multiples:
        return Multiples(self.frac, self.min_code, self.max_code)

    @property
    def wraps(self) -> bool:
        return True

    @property
    def can_share_exponents(self) -> bool:
        return True

    @property
    def takes_zero_point(self) -> bool:
        return True

    @property
    def rounds_to_steps(self) -> bool:
        return True

    @property
    def bits(self) -> int:
        return self.width

    @property
    def min_value(self) -> float:
        return float(np.ldexp(float(self.min_code), -self.frac))

    @property
    def max_value(self) -> float:
        return float(np.ldexp(float(self.max_code), -self.frac))

    def decode(self, codes: IntArray) -> NDArray[np.float64]:
        """The values of `codes`; correctly rounded to float64 beyond 53 bits."""
        return np.asarray(np.ldexp(codes.astype(np.float64), -self.frac))

    def encode(
        self,
        values: NDArray[np.floating],
        rounding: Rounding = RoundingMode.NEAREST_EVEN,
        overflow: Overflow = Overflow.SATURATE,
        *,
        nan_to_zero: bool = False,
    ) -> IntArray:
        """
        The codes nearest to `values`.

        Raises `FormatError` for NaN, and for infinities unless they saturate.
        """
        values = real_values(values, nan_to_zero=nan_to_zero)
        if np.isnan(values).any():
            raise FormatError(f"NaN has no code in {self}")
        if overflow is not Overflow.SATURATE and np.isinf(values).any():
            raise FormatError(f"infinity has no code in {self}")
        if values.ndim == 0:
            # NumPy's arithmetic gives scalars, not arrays, for rank 0.
            return self.encode(values[None], rounding, overflow).reshape(())
        with np.errstate(over="ignore", under="ignore"):
            scaled = np.ldexp(values, self.frac)
        # ldexp may underflow to zero or a rounded subnormal; the sign of what was
        # lost still matters to the directed modes.
        lost = (np.abs(scaled) < np.finfo(np.float64).tiny) & (values != 0)
        if lost.any():
            least = np.finfo(np.float64).tiny
            scaled = np.where(lost, np.copysign(least, values), scaled)
        rounded = round_real(scaled, rounding)
        if overflow is Overflow.SATURATE:
            # Far outside every format, and still exact in float64.
            rounded = np.clip(rounded, -(2.0**64), 2.0**64)
            if self.width <= 62:
                rounded = np.clip(rounded, -(2.0**62), 2.0**62)
        infinite = np.isinf(rounded)
        if infinite.any():
            # Finite numbers whose code is beyond float64: a multiple of 2**64.
            if overflow is Overflow.ERROR:
                raise FormatError(f"{values[infinite][0]} overflows {self}")
            rounded = np.where(infinite, 0.0, rounded)
        if np.abs(rounded).max(initial=0.0) <= 2.0**62:
            codes: IntArray = rounded.astype(np.int64)
        else:
            codes = np.empty(rounded.shape, dtype=object)
            codes.ravel()[:] = [int(v) for v in rounded.ravel().tolist()]
        return self.fit(codes, overflow)

    def fit(self, codes: IntArray, overflow: Overflow) -> IntArray:
        """Bring integers into the range of the format."""
        codes = integers(codes)
        if codes.ndim == 0:
            return self.fit(codes[None], overflow).reshape(())
        match overflow:
            case Overflow.SATURATE:
                if codes.dtype != object and self.max_code >= 2**63:
                    codes = np.maximum(codes, 0)
                else:
                    codes = np.minimum(np.maximum(codes, self.min_code), self.max_code)
            case Overflow.WRAP:
                if codes.dtype != object and self.width > 62:
                    codes = codes.astype(object)
                codes = codes & ((1 << self.width) - 1)
                if self.signed:
                    half = 1 << (self.width - 1)
                    codes = codes - ((codes & half) << 1)
            case Overflow.ERROR:
                if codes.size and (
                    int(codes.max()) > self.max_code or int(codes.min()) < self.min_code
                ):
                    raise FormatError(
                        f"a value between {codes.min()} and {codes.max()} steps "
                        f"overflows {self}"
                    )
            case Overflow.INFINITY:
                raise FormatError(f"{self} has no infinity, use overflow saturate")
        return compact(codes)

    def rounded(self, values: Array, rounding: Rounding) -> Array:
        steps = round_real(times_power(values, self.frac, rounding), rounding)
        # No codes for negative zero.
        return steps * 2.0**-self.frac + 0.0

    def brought_in(self, values: Array, overflow: Overflow) -> Array:
        if overflow is not Overflow.WRAP:
            return super().brought_in(values, overflow)
        if self.width > 53:
            raise FormatError(f"no wrapping of floats to {self}: at most 53 bits")
        values = namespace(values).remainder(values, self._span)
        if not self.signed:
            return values
        return values - self._span * (values > self.max_value)

    def quantize(
        self,
        values: Array,
        rounding: Rounding = RoundingMode.NEAREST_EVEN,
        overflow: Overflow = Overflow.SATURATE,
    ) -> Array:
        if (rounding, overflow) == (RoundingMode.NEAREST_EVEN, Overflow.SATURATE):
            digits = self._digits(values)
            if self.width <= digits - 2:
                return self._nearest(values, digits)
        if overflow is Overflow.WRAP:
            # Large values would overflow when scaled. The sign stays, and so does
            # the parity of the code, so that rounding is the same.
            values = namespace(values).fmod(values, self._span)
        return super().quantize(values, rounding, overflow)

    def _digits(self, values: Array) -> int:
        """Of the dtype of `values`; 0 if it lacks the exponents of the format."""
        if values.dtype == namespace(values).float64:
            return 53
        return 24 if self.exact_in_float32 else 0

    def _nearest(self, values: Array, digits: int) -> Array:
        """
        `quantize` to nearest even, saturating, in three passes over memory.

        Next to `shift` floats are one step apart, so that adding it rounds.
        """
        result = namespace(values).clip(values, self.min_value, self.max_value)
        shift = 1.5 * 2.0 ** (digits - 1) * self.step
        result += shift
        result -= shift
        return result

    @property
    def _span(self) -> float:
        return self.step * 2.0**self.width

    def codes_of(self, values: NDArray[np.float64]) -> IntArray:
        return self.encode(values)

    @property
    def exact_in_float32(self) -> bool:
        return self.width <= 24 and abs(self.frac) <= 100

    def cast_codes(
        self,
        codes: IntArray,
        frac: int,
        rounding: Rounding = RoundingMode.NEAREST_EVEN,
        overflow: Overflow = Overflow.SATURATE,
    ) -> IntArray:
        """The codes of the exact numbers `codes * 2**-frac`, rounded once."""
        return self.fit(round_shift(codes, frac - self.frac, rounding), overflow)

    def cast_ratio(
        self,
        numerator: IntArray,
        denominator: IntArray,
        frac: int,
        rounding: Rounding = RoundingMode.NEAREST_EVEN,
        overflow: Overflow = Overflow.SATURATE,
    ) -> IntArray:
        """The codes of `numerator / denominator * 2**-frac`, rounded once."""
        numerator, denominator = integers(numerator), integers(denominator)
        shift = self.frac - frac
        if shift >= 0:
            numerator = shift_left(numerator, shift)
        else:
            denominator = shift_left(denominator, -shift)
        return self.fit(round_ratio(numerator, denominator, rounding), overflow)

    def __str__(self) -> str:
        return f"{'' if self.signed else 'u'}fixed<{self.width}, {self.frac}>"
