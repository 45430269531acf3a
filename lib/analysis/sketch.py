"""The distribution of a stream of numbers, in bounded memory."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from mase_opt.dialects.mase.attrs import quantile_grid

POINTS = 1025
"""Quantiles of a tensor: the outermost ones stand for 10^-6 of the values."""
CHANNEL_POINTS = 65
"""Quantiles of each channel: the outermost ones stand for 3·10^-4 of the values."""
KEPT = 512
"""Places that quantiles of channels are of."""
DROPPED = 17
"""Bits of a float32 number that do not tell its bin: 6 bits of mantissa do."""
BINS = 1 << (32 - DROPPED)
PIECE = 1 << 16
"""Numbers that are counted at a time: as many as a cache holds."""


class Sketch:
    """
    The distribution of float32 numbers, to within 1.6 % of each; its ends are exact.

    Numbers with the same sign, exponent and 6 bits of mantissa are counted together, as
    in the log-linear histograms of HdrHistogram (G. Tene, hdrhistogram.org), and stand
    for their mean. So it does not matter in which order and in which batches numbers
    come, and few different ones stay what they are.
    """

    def __init__(self):
        self._counts = np.zeros(BINS, np.int64)
        self._offsets = np.zeros(BINS, np.int64)
        """Sums of the bits that are dropped: exact, unlike sums of numbers."""
        self._low, self._high = np.inf, -np.inf

    def add(self, values: NDArray[Any]) -> None:
        """Take in finite numbers, any shape."""
        if values.size == 0:
            return
        flat = np.ascontiguousarray(values.reshape(-1), np.float32)
        self._low = min(self._low, float(flat.min()))
        self._high = max(self._high, float(flat.max()))
        for start in range(0, flat.size, PIECE):
            bits = flat[start : start + PIECE].view(np.uint32)
            bins = bits >> DROPPED
            self._counts += np.bincount(bins, minlength=BINS)
            offsets = np.bincount(bins, bits & ((1 << DROPPED) - 1), BINS)
            self._offsets += offsets.astype(np.int64)

    def quantiles(self) -> NDArray[np.float32]:
        """`POINTS` quantiles, ascending, at the places that calibrations have them."""
        filled = np.flatnonzero(self._counts)
        assert filled.size, "quantiles of nothing"
        counts = self._counts[filled]
        first = (filled.astype(np.uint32) << DROPPED).view(np.float32)
        second = ((filled.astype(np.uint32) << DROPPED) + 1).view(np.float32)
        # Numbers of a bin are equally spaced. The first two tell how far.
        step = second.astype(np.float64) - first
        means = first + self._offsets[filled] / counts * step
        order = np.argsort(means)
        ranks = np.cumsum(counts[order])
        wanted = np.ceil(quantile_grid(POINTS) * ranks[-1])
        result = means[order][np.searchsorted(ranks, wanted)]
        result[0], result[-1] = self._low, self._high
        return np.clip(result + 0.0, self._low, self._high).astype(np.float32)


class ChannelSketch:
    """
    The exact minimum and maximum of each channel, and `KEPT` of its numbers.

    The kept numbers are those of all channels at random places, the ones with the
    smallest keys. So they depend on the seed and the order of the samples, not on how
    these come in batches.
    """

    def __init__(self, seed: np.random.SeedSequence):
        self._rng = np.random.default_rng(seed)
        self._keys = np.empty(0)
        self._kept: NDArray[np.float32] | None = None
        self._low: NDArray[np.float32] | None = None
        self._high: NDArray[np.float32] | None = None

    def add(self, values: NDArray[Any]) -> None:
        """Take in finite numbers, [places, channels]."""
        keys = self._rng.random(len(values))
        if self._low is None or self._high is None or self._kept is None:
            self._low, self._high = values.min(axis=0), values.max(axis=0)
            self._kept = np.empty((0, values.shape[1]), np.float32)
        else:
            self._low = np.minimum(self._low, values.min(axis=0))
            self._high = np.maximum(self._high, values.max(axis=0))
        if self._keys.size == KEPT:
            chosen = keys < self._keys.max()
            keys, values = keys[chosen], values[chosen]
        elif keys.size > KEPT:
            chosen = np.argpartition(keys, KEPT)[:KEPT]
            keys, values = keys[chosen], values[chosen]
        keys = np.concatenate([self._keys, keys])
        kept = np.concatenate([self._kept, values.astype(np.float32, copy=False)])
        chosen = np.argsort(keys)[:KEPT]
        self._keys, self._kept = keys[chosen], kept[chosen]

    def quantiles(self) -> NDArray[np.float32]:
        """`CHANNEL_POINTS` ascending quantiles of each channel: [channels, points]."""
        assert self._kept is not None, "quantiles of nothing"
        result = np.quantile(
            self._kept, quantile_grid(CHANNEL_POINTS), axis=0, method="inverted_cdf"
        )
        result[0], result[-1] = self._low, self._high
        return np.ascontiguousarray(result.T, np.float32)
