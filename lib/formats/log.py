"""Logarithmic numbers: a sign and an exponent, so that products are sums."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mase_opt.lib.formats.arrays import Array, exponent, namespace, power_of_two
from mase_opt.lib.formats.format import Element, Values
from mase_opt.lib.formats.rounding import (
    FormatError,
    IntArray,
    Rounding,
    RoundingMode,
    Stochastic,
)

MAX_WIDTH = 9
MAX_BIAS = 300
"""With these limits all values, and products of two, are normal float64 numbers."""

SQRT_TWO = float.fromhex("0x1.6a09e667f3bcdp0")
"""
The first float64 number above the square root of two.

No float is halfway between two powers of two on a logarithmic scale.
"""


@dataclass(frozen=True)
class Log(Element):
    """
    Values ±2^(e - bias) for an exponent field e of `width` - 1 bits below the sign.

    With `zero`, field 0 stands for zero instead, which keeps its sign. The modes to
    nearest round log2 of the magnitude, so what is below 2^(1/2 - bias) becomes zero;
    there are no ties. Without `zero`, zero becomes the smallest positive value (under
    `floor` the largest negative one), and small magnitudes the smallest one of their
    sign (under `floor` the negative one, under `ceil` the positive one).
    """

    width: int
    bias: int | None = None
    """None: 2^(width - 2) - 1, in the middle."""
    zero: bool = True

    def __post_init__(self):
        if not 2 <= self.width <= MAX_WIDTH:
            raise FormatError(
                f"width must be between 2 and {MAX_WIDTH}, got {self.width}"
            )
        if self.bias is None:
            object.__setattr__(self, "bias", (1 << (self.width - 2)) - 1)
        if abs(self.offset) > MAX_BIAS:
            raise FormatError(
                f"bias must be between {-MAX_BIAS} and {MAX_BIAS}, got {self.bias}"
            )

    @property
    def offset(self) -> int:
        """The bias."""
        assert self.bias is not None
        return self.bias

    @property
    def bits(self) -> int:
        return self.width

    @property
    def min_code(self) -> int:
        return 0

    @property
    def max_code(self) -> int:
        return (1 << self.width) - 1

    @property
    def max_value(self) -> float:
        return 2.0 ** (self._top - self.offset)

    @property
    def min_value(self) -> float:
        return -self.max_value

    @property
    def step(self) -> float:
        return self.smallest

    @property
    def unit(self) -> float:
        return self.smallest

    @property
    def has_zero(self) -> bool:
        return self.zero

    @property
    def can_share_exponents(self) -> bool:
        return True

    @property
    def smallest(self) -> float:
        """The smallest positive value."""
        return 2.0 ** (self.zero - self.offset)

    @property
    def _top(self) -> int:
        """The highest exponent field."""
        return (1 << (self.width - 1)) - 1

    def rounded(self, values: Array, rounding: Rounding) -> Array:
        xp = namespace(values)
        magnitudes = xp.abs(values)
        # Two octaves beyond either end, it is all the same.
        octave = xp.clip(
            exponent(values), self.zero - self.offset - 2, self._top - self.offset + 2
        )
        low = power_of_two(octave, values)
        match rounding:
            case RoundingMode.ZERO:
                grows = low < 0  # never
            case RoundingMode.FLOOR:
                grows = (values < 0) & (magnitudes > low)
            case RoundingMode.CEIL:
                grows = (values > 0) & (magnitudes > low)
            case Stochastic():
                grows = magnitudes - low > rounding.chances(values) * low
            case _:
                grows = magnitudes >= SQRT_TWO * low
        result = xp.where(grows, 2 * low, low)
        small = result < self.smallest
        if isinstance(rounding, Stochastic):
            small = magnitudes < self.smallest
        if self.zero:
            away = {RoundingMode.FLOOR: values < 0, RoundingMode.CEIL: values > 0}
            tiny = 0.0
            if isinstance(rounding, Stochastic):
                up = magnitudes > rounding.chances(values) * self.smallest
                tiny = xp.where(up, self.smallest, 0.0)
            elif rounding in away:
                tiny = xp.where(away[rounding], self.smallest, 0.0)
            result = xp.copysign(xp.where(small, tiny, result), values)
        else:
            result = xp.where(small, self.smallest, result)
            negative = values < 0
            if rounding is RoundingMode.FLOOR:
                negative = negative | (magnitudes < self.smallest)
            elif rounding is RoundingMode.CEIL:
                negative = values <= -self.smallest
            elif isinstance(rounding, Stochastic):
                middle = 2 * rounding.chances(values) - 1
                negative = values <= middle * self.smallest
            result = xp.where(negative, -result, result)
        return xp.where(xp.isnan(values), values, result)

    def codes_of(self, values: Values) -> IntArray:
        field = np.where(values == 0, 0, exponent(values) + self.offset)
        return field | np.signbit(values).astype(np.int64) << (self.width - 1)

    def decode(self, codes: IntArray) -> Values:
        codes = codes.astype(np.int64)
        field = codes & self._top
        magnitudes = np.ldexp(1.0, field - self.offset)
        if self.zero:
            magnitudes = np.where(field == 0, 0.0, magnitudes)
        return np.where(codes > self._top, -magnitudes, magnitudes)

    def __str__(self) -> str:
        zero = "" if self.zero else ", no_zero"
        return f"log<{self.width}, {self.bias}{zero}>"
