"""Quantiles of a stream of numbers, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

POINTS = 257
"""Number of quantiles: enough for percentiles of 0.4 %, few enough to print."""
RESERVOIR = 1 << 13


class Sketch:
    """
    Exact minimum and maximum, and a uniform sample of at most `RESERVOIR` numbers.

    The sample keeps the numbers with the smallest of independent random keys, so it
    depends on the seed and the order of the numbers, not on how they come in batches.
    """

    def __init__(self, seed: int | np.random.SeedSequence):
        self.count = 0
        self._rng = np.random.default_rng(seed)
        self._low, self._high = np.inf, -np.inf
        self._keys: NDArray[np.float64] = np.empty(0)
        self._values: NDArray[np.float32] = np.empty(0, np.float32)

    def add(self, values: NDArray[Any]) -> None:
        """Take in finite numbers, any shape."""
        if values.size == 0:
            return
        flat = values.reshape(-1)
        self.count += flat.size
        self._low = min(self._low, float(flat.min()))
        self._high = max(self._high, float(flat.max()))
        keys = self._rng.random(flat.size)
        if self._keys.size == RESERVOIR:
            chosen = keys < self._keys.max()
            keys, flat = keys[chosen], flat[chosen]
        keys = np.concatenate([self._keys, keys])
        flat = np.concatenate([self._values, flat.astype(np.float32)])
        if keys.size > RESERVOIR:
            chosen = np.argpartition(keys, RESERVOIR)[:RESERVOIR]
            keys, flat = keys[chosen], flat[chosen]
        self._keys, self._values = keys, flat

    def quantiles(self) -> NDArray[np.float32]:
        """`POINTS` equally spaced quantiles, the exact extremes first and last."""
        assert self.count, "quantiles of nothing"
        grid = np.linspace(0, 1, POINTS)
        result = np.quantile(self._values.astype(np.float64), grid)
        result[0], result[-1] = self._low, self._high
        return result.astype(np.float32)
