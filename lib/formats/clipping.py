"""What is lost where the range of a format ends: percentiles, divergence, error."""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from itertools import chain
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.formats.format import Format, Values
from mase_opt.lib.formats.rounding import Overflow, RoundingMode

FormatT = TypeVar("FormatT", bound=Format[Any])

BINS = 4096
"""At most, of a histogram: 16 for each of 256 levels, as TensorRT has."""


class Method(StrEnum):
    """What the range of a format is chosen for."""

    MSE = "mse"
    """The smallest squared error of the cast, saturation included (the default)."""
    MINMAX = "minmax"
    """The finest steps that reach the smallest and the largest value."""
    PERCENTILE = "percentile"
    """As `minmax`, without the values outside a percentile."""
    KL = "kl"
    """The smallest divergence between the values' distribution and that of the cast."""


def percentile_range(
    rows: Values, percentile: float, weights: Values | None = None
) -> tuple[Values, Values]:
    """
    The range that `percentile` percent of each row do not exceed, at either end.

    The ends are numbers of the row (the inverse of the distribution, not interpolated);
    0 for rows without any. `rows` is [rows, numbers], and so are the weights.
    """
    if rows.shape[1] == 0:
        return np.zeros(len(rows)), np.zeros(len(rows))

    def exceeded(rows: Values) -> Values:
        return np.quantile(
            rows, percentile / 100, axis=1, method="inverted_cdf", weights=weights
        )

    return -exceeded(-rows), exceeded(rows)


class Histogram:
    """
    Histograms of the rows of `values` over one range, to compare with casts of them.

    There are not more bins than numbers in a row, unless they have weights: those are
    of a sample, and spread evenly between its numbers. Zeros are left out: nearly all
    formats have them, so no range suits them better, and in the results of a relu they
    would outweigh all else. Numbers outside the range count as its ends. `values` is
    [rows, numbers], and so are the weights.
    """

    def __init__(
        self, values: Values, low: float, high: float, weights: Values | None = None
    ):
        bins = BINS if weights is not None else min(BINS, max(values.shape[1], 1))
        edges = np.linspace(low, high, bins + 1)
        self.centres = (edges[:-1] + edges[1:]) / 2
        if weights is None:
            self.counts = _counts(values, low, high, bins)
        else:
            self.counts = _spread(values, weights, edges)
        # Sums up to each bin make the sum over any cell a difference.
        self._mass = _running_sum(self.counts)
        self._occupied = _running_sum((self.counts > 0).astype(np.float64))
        self._information = _running_sum(_times_log(self.counts))

    def search(
        self, formats: Iterable[FormatT]
    ) -> tuple[list[FormatT], NDArray[np.intp]]:
        """
        The formats that were tried, and the position of the best one for each row.

        The ranges of `formats` get narrower; they may have no end, since the search has
        one where each bin is a level of its own.
        """
        tried: list[FormatT] = []
        divergences: list[Values] = []
        for format in formats:
            tried.append(format)
            bounds = self._cells(format)
            divergences.append(self._divergence(bounds))
            if len(bounds) - 1 == bounds[-1] - bounds[0]:
                break
        return tried, np.argmin(divergences, axis=0)

    def divergence(self, format: Format[Any]) -> Values:
        """
        The Kullback-Leibler divergence of the cast to `format` from each row.

        As S. Migacz, "8-bit inference with TensorRT", GTC 2017: from the distribution P
        with what saturates added to its outermost bins, to Q, which has what does not
        saturate, spread evenly over the bins of P that are occupied and cast to the
        same value. Infinite where nothing is cast to an end that something saturates
        to, and where more than half saturates; 0 for rows of zeros.
        """
        return self._divergence(self._cells(format))

    def _cells(self, format: Format[Any]) -> NDArray[np.intp]:
        """The bounds of the bins that are cast to the same value and don't saturate."""
        low, high = format.reach(self.centres)
        inside = np.flatnonzero((self.centres >= low) & (self.centres <= high))
        if inside.size == 0:
            return np.zeros(1, np.intp)
        levels = format.quantize(self.centres[inside])
        starts = np.flatnonzero(np.diff(levels)) + 1
        return np.concatenate([[0], starts, [inside.size]]) + inside[0]

    def _divergence(self, bounds: NDArray[np.intp]) -> Values:
        first, end = int(bounds[0]), int(bounds[-1])
        if first == end:
            return np.where(self._mass[:, -1] > 0, np.inf, 0.0)
        occupied = np.diff(self._occupied[:, bounds], axis=1)
        # Differences of sums of weights can be off zero.
        kept = np.maximum(np.diff(self._mass[:, bounds], axis=1), 0.0)
        kept = np.where(occupied > 0, kept, 0.0)
        reference = kept.copy()
        information = self._information[:, end] - self._information[:, first]
        below, above = self._mass[:, first], self._mass[:, -1] - self._mass[:, end]
        ends = [(0, first, below), (-1, end - 1, above)]
        if end - first == 1:
            ends = [(0, first, below + above)]
        for cell, bin, saturated in ends:
            inner = self.counts[:, bin]
            occupied[:, cell] += (inner == 0) & (saturated > 0)
            reference[:, cell] += saturated
            information += _times_log(inner + saturated) - _times_log(inner)

        whole, inner = reference.sum(axis=1), kept.sum(axis=1)
        with np.errstate(divide="ignore", invalid="ignore"):
            cross = np.where(reference > 0, reference * np.log(kept / occupied), 0.0)
            result = (information - cross.sum(axis=1)) / whole - np.log(whole / inner)
        # Where most saturates, few bins are left: one alone would be no loss at all.
        result = np.where(below + above > whole / 2, np.inf, result)
        # Without loss is without loss, whatever the sums say.
        return np.where(whole == 0, 0.0, np.round(result, 9))


def best_format(
    formats: Iterable[FormatT],
    values: Values,
    method: Method,
    *,
    weights: Values | None = None,
    rounding: RoundingMode = RoundingMode.NEAREST_EVEN,
    overflow: Overflow = Overflow.SATURATE,
) -> FormatT:
    """
    The first of `formats` if `method` is about ranges, else the best by `mse` or `kl`.

    The first reaches all `values`, and from one to the next ranges and steps get
    smaller; they may have no end.
    """
    formats = iter(formats)
    best = next(formats)
    if method is Method.KL and values.any():
        rows = values.reshape(1, -1)
        low, high = float(rows.min()), float(rows.max())
        histogram = Histogram(
            rows,
            min(low, 0.0),
            max(high, 0.0),
            None if weights is None else weights.reshape(1, -1),
        )
        tried, found = histogram.search(chain([best], formats))
        return tried[int(found[0])]
    if method is not Method.MSE:
        return best
    # Without overflow, coarser steps are never better. With finer ones, what is cut
    # off the range only grows: once that part alone is no better, nothing is.
    smallest = squared_error(values, best, rounding, overflow, weights)
    for format in formats:
        if _clipped(values, format, weights) >= smallest:
            break
        error = squared_error(values, format, rounding, overflow, weights)
        if error < smallest:
            best, smallest = format, error
    return best


def squared_error(
    values: Values,
    format: Format[Any],
    rounding: RoundingMode = RoundingMode.NEAREST_EVEN,
    overflow: Overflow = Overflow.SATURATE,
    weights: Values | None = None,
) -> float:
    """The sum of squared errors of casting `values` to `format`."""
    return _square(format.cast(values, rounding, overflow) - values, weights)


def _clipped(values: Values, format: Format[Any], weights: Values | None) -> float:
    """The part of the squared error that comes from the ends of the range."""
    low, high = format.reach(values)
    return _square(values - np.clip(values, low, high), weights)


def _square(errors: Values, weights: Values | None) -> float:
    weighted = errors if weights is None else errors * weights
    return float(np.vdot(weighted, errors))


def _counts(values: Values, low: float, high: float, bins: int) -> Values:
    places = np.floor((values - low) * (bins / (high - low)))
    places = np.clip(places, 0, bins - 1).astype(np.int64)
    places += np.arange(len(values))[:, None] * bins
    counts = np.bincount(places[values != 0], minlength=len(values) * bins)
    return counts.reshape(len(values), bins).astype(np.float64)


def _spread(values: Values, weights: Values, edges: Values) -> Values:
    bounds = np.empty((len(values), edges.size))
    for row, numbers, shares in zip(bounds, values, weights, strict=True):
        distinct, places = np.unique(numbers, return_inverse=True)
        masses = np.bincount(places, shares * (numbers != 0))
        # Each number has half of its mass on either side of it.
        row[:] = np.interp(edges, distinct, np.cumsum(masses) - masses / 2)
        row[0], row[-1] = 0.0, masses.sum()
    return np.diff(bounds, axis=1)


def _running_sum(numbers: Values) -> Values:
    return np.pad(np.cumsum(numbers, axis=1), ((0, 0), (1, 0)))


def _times_log(numbers: Values) -> Values:
    return numbers * np.log(np.where(numbers > 0, numbers, 1.0))
