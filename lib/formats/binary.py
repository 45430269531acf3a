"""One bit: -1 and +1, or 0 and 1."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mase_opt.lib.formats.arrays import Array, namespace
from mase_opt.lib.formats.format import Element, Values
from mase_opt.lib.formats.rounding import IntArray, Rounding, Stochastic, round_real


@dataclass(frozen=True)
class Binary(Element):
    """
    Code 1 is +1, code 0 is -1, or 0 if not `signed`.

    Signed, the cast is the sign in every rounding mode, with +1 for zeros, and nothing
    overflows. But stochastic rounding gives +1 with probability (x + 1) / 2, as in
    Courbariaux et al., BinaryConnect, 2015. Unsigned, it rounds and saturates, as
    `ufixed<1, 0>` does.
    """

    signed: bool = True

    @property
    def bits(self) -> int:
        return 1

    @property
    def min_code(self) -> int:
        return 0

    @property
    def max_code(self) -> int:
        return 1

    @property
    def min_value(self) -> float:
        return -1.0 if self.signed else 0.0

    @property
    def max_value(self) -> float:
        return 1.0

    @property
    def step(self) -> float:
        return 2.0 if self.signed else 1.0

    @property
    def exact_in_float32(self) -> bool:
        return True

    @property
    def has_zero(self) -> bool:
        return not self.signed

    @property
    def for_results(self) -> bool:
        """Results are no factors."""
        return False

    @property
    def ignores_scale(self) -> bool:
        return self.signed

    @property
    def rounds_to_steps(self) -> bool:
        return True

    def rounded(self, values: Array, rounding: Rounding) -> Array:
        if not self.signed:
            # No codes for negative zero.
            return round_real(values, rounding) + 0.0
        xp = namespace(values)
        threshold = 0.0
        if isinstance(rounding, Stochastic):
            threshold = 2 * rounding.chances(values) - 1
        ones = xp.ones_like(values)
        signs = xp.where(values < threshold, -ones, ones)
        return xp.where(xp.isnan(values), values, signs)

    def codes_of(self, values: Values) -> IntArray:
        return (values > 0).astype(np.int64)

    def decode(self, codes: IntArray) -> Values:
        values = codes.astype(np.float64)
        return 2 * values - 1 if self.signed else values

    def __str__(self) -> str:
        return "binary" if self.signed else "binary<unsigned>"
