"""Two bits: -1, 0 and +1."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from mase_opt.lib.formats.arrays import Array, namespace
from mase_opt.lib.formats.format import Element, Values
from mase_opt.lib.formats.parts import Parts
from mase_opt.lib.formats.rounding import (
    FormatError,
    IntArray,
    Rounding,
)

DEFAULT_THRESHOLD = 0.7
"""Of the mean magnitude; from Li et al., Ternary Weight Networks, 2016."""


@dataclass(frozen=True)
class Ternary(Element):
    """
    Codes are -1, 0 and +1, as their values.

    The cast is the sign of magnitudes above a threshold, else 0, in every rounding
    mode; nothing overflows. The threshold belongs to the cast, not to the type: two
    ternary formats are equal whatever theirs.
    """

    threshold: float | None = field(default=None, compare=False)
    """None: 0.7 times the mean magnitude of what is cast."""

    def __post_init__(self):
        if self.threshold is not None and not 0 <= self.threshold < math.inf:
            raise FormatError(
                f"threshold must be a number and not negative, got {self.threshold}"
            )

    @property
    def bits(self) -> int:
        return 2

    @property
    def min_code(self) -> int:
        return -1

    @property
    def max_code(self) -> int:
        return 1

    @property
    def min_value(self) -> float:
        return -1.0

    @property
    def max_value(self) -> float:
        return 1.0

    @property
    def step(self) -> float:
        return 1.0

    @property
    def for_results(self) -> bool:
        """Results are no factors."""
        return False

    @property
    def ignores_scale(self) -> bool:
        return True

    @property
    def per_sample(self) -> bool:
        return self.threshold is None

    def thresholds(self, values: Array, parts: Parts) -> Array | float:
        """The threshold, or one for each of `parts`, as a grid."""
        if self.threshold is not None:
            return self.threshold
        return DEFAULT_THRESHOLD * parts.mean_magnitude(values)

    def beyond(self, values: Array, thresholds: Array | float) -> Array:
        """The signs of magnitudes above thresholds, else 0; NaN if not comparable."""
        xp = namespace(values)
        magnitudes = xp.abs(values)
        signs = xp.where(values < 0, -xp.ones_like(values), xp.ones_like(values))
        result = xp.where(magnitudes > thresholds, signs, xp.zeros_like(values))
        comparable = (magnitudes >= 0) & (magnitudes + thresholds >= 0)
        return xp.where(comparable, result, math.nan)

    def rounded(self, values: Array, rounding: Rounding) -> Array:
        parts = Parts.whole(tuple(values.shape))
        return self.beyond(values, self.thresholds(values, parts))

    def reject(self, values: Values) -> None:
        super().reject(values)
        if self.threshold is None and np.isinf(values).any():
            raise FormatError(
                "the mean magnitude is infinite: give a threshold to cast to ternary"
            )

    def codes_of(self, values: Values) -> IntArray:
        return values.astype(np.int64)

    def decode(self, codes: IntArray) -> Values:
        return codes.astype(np.float64)

    def __str__(self) -> str:
        return "ternary"
