"""The scales, and zero points, that suit given values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from mase_opt.lib.formats.clipping import (
    Histogram,
    Method,
    best_format,
    percentile_range,
)
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.format import Element, Values
from mase_opt.lib.formats.rounding import FormatError, Overflow, RoundingMode
from mase_opt.lib.formats.scaled import PER_TENSOR, Scaled, ScaleLayout
from mase_opt.lib.formats.ternary import DEFAULT_THRESHOLD, Ternary

STEPS_PER_OCTAVE = 16
"""Scales that `mse` and `kl` try in each octave."""
CHUNK = 1 << 16
"""About how many numbers are searched at a time: as many as a cache holds."""
HISTOGRAMS = 256
"""Rows that `kl` searches at a time."""
SMALLEST = float(np.finfo(np.float32).tiny)
LARGEST = 2.0**127
"""A scale, so that it can be rounded up."""


def choose_scales(
    values: Values,
    element: Element,
    layout: ScaleLayout = PER_TENSOR,
    *,
    affine: bool = False,
    power_of_two: bool = False,
    method: Method = Method.MSE,
    percentile: float = 99.9,
    weights: Values | None = None,
    rounding: RoundingMode = RoundingMode.NEAREST_EVEN,
    overflow: Overflow = Overflow.SATURATE,
) -> Scaled:
    """
    The format whose scales suit `values`; `choose_format` has the parameters.

    `minmax` maps the largest value to the highest one of the element, or the smallest
    to the lowest if that takes a larger scale. `mse` and `kl` try this scale and
    smaller ones by steps of 2^(1/16), or of 2 with `power_of_two`; `mse` also tries up
    to twice as large ones for elements whose values are alike an octave higher.
    `affine`: the codes span the values and zero, up to a magnitude that is searched in
    the same way.

    Signed binary and ternary elements take the mean magnitude of what is not cast to
    zero, which has the smallest squared error, whatever the method. The scale of zeros,
    and of values of a sign that the element lacks, is 1; no scale is below 2^-126.

    Raises `FormatError` for values that are not finite or that only a scale beyond
    float32 reaches, and for `affine` with more than one scale or with elements other
    than fixed point.
    """
    if not np.isfinite(values).all():
        raise FormatError(f"no scale suits values that are not finite, for {element}")
    if overflow is not Overflow.SATURATE:
        method = Method.MINMAX
    search = _Search(element, method, percentile, power_of_two, rounding)
    shape = layout.scales_shape(values.shape)
    if affine:
        if not element.takes_zero_point or layout.axis is not None:
            raise FormatError(
                "zero points are for fixed point with one scale, not for "
                f"scaled<{element}, …{layout}>"
            )
        low, high = (end.item() for end in search.range(*_rows(values, weights)))
        formats = (
            _affine(
                max(low, -limit),
                min(high, limit),
                element,
                power_of_two,
                room=overflow is not Overflow.SATURATE,
            )
            for limit in max(-low, high) * _factors(power_of_two)
        )
        return best_format(formats, values, method, weights=weights, rounding=rounding)
    if layout.axis is None:
        scales = search.scales(*_rows(values, weights))
    elif layout.group is None:
        scales = search.scales(*_rows(values, weights, layout.axis))
    else:
        # The short groups at the end are searched by themselves.
        length = values.shape[layout.axis]
        whole = length - length % layout.group
        pieces = [
            search.scales(*_groups(values, weights, layout.axis, start, stop, size))
            for start, stop, size in (
                (0, whole, layout.group),
                (whole, length, length - whole),
            )
            if start < stop
        ]
        others = np.delete(values.shape, layout.axis)
        grid = [piece.reshape(*others, -1) for piece in pieces]
        scales = np.concatenate([np.empty((*others, 0)), *grid], axis=-1)
        scales = np.moveaxis(scales, -1, layout.axis)
    return Scaled(element, scales.reshape(shape), layout)


def _rows(
    values: Values, weights: Values | None, axis: int | None = None
) -> tuple[Values, Values | None]:
    """One row of all, or one per index of `axis`."""

    def rows(array: Values) -> Values:
        if axis is None:
            return array.reshape(1, -1)
        first = np.moveaxis(array, axis, 0)
        return first.reshape(len(first), math.prod(first.shape[1:]))

    return rows(values), None if weights is None else rows(weights)


def _groups(
    values: Values, weights: Values | None, axis: int, start: int, stop: int, size: int
) -> tuple[Values, Values | None]:
    """Rows of `size` neighbours along `axis`, from `start` to `stop`."""

    def rows(array: Values) -> Values:
        return np.moveaxis(array, axis, -1)[..., start:stop].reshape(-1, size)

    return rows(values), None if weights is None else rows(weights)


@dataclass(frozen=True)
class _Search:
    """How scales are chosen, for rows that have one each: [rows, numbers]."""

    element: Element
    method: Method
    percentile: float
    power_of_two: bool
    rounding: RoundingMode

    def range(self, rows: Values, weights: Values | None) -> tuple[Values, Values]:
        """What is to be reached of each row: zero, and up to all else."""
        if self.method is not Method.PERCENTILE:
            return rows.min(axis=1, initial=0.0), rows.max(axis=1, initial=0.0)
        low, high = percentile_range(rows, self.percentile, weights)
        return np.minimum(low, 0.0), np.maximum(high, 0.0)

    def scales(self, rows: Values, weights: Values | None) -> Values:
        element = self.element
        if element.ignores_scale:
            return _usable(_mean_magnitudes(rows, weights, element), self.power_of_two)
        scales = _reaching(*self.range(rows, weights), element)
        scales = _usable(scales, self.power_of_two)
        if self.method not in (Method.MSE, Method.KL):
            return scales
        repeats = self.method is Method.MSE and not isinstance(element, Fixed)
        factors = _factors(self.power_of_two, repeats=repeats)
        for part in _chunks(rows, self.method):
            part_weights = None if weights is None else weights[part]
            if self.method is Method.MSE:
                scales[part] = _least_error(
                    rows[part],
                    part_weights,
                    scales[part],
                    element,
                    self.rounding,
                    factors,
                )
            else:
                scales[part] = _least_divergence(
                    rows[part], part_weights, scales[part], element, factors
                )
        return _usable(scales, self.power_of_two)


def _reaching(low: Values, high: Values, element: Element) -> Values:
    """The smallest scales with which `low` and `high` do not saturate."""
    scales = np.zeros(len(low))
    for end, reach in ((high, element.max_value), (-low, -element.min_value)):
        if reach > 0:
            scales = np.maximum(scales, end / reach)
    return scales


def _affine(
    low: float, high: float, element: Element, power_of_two: bool, *, room: bool
) -> Scaled:
    """
    Such that the codes span `low` to `high`, but for the rounding of the zero point.

    With `room` for any rounding of both, nothing overflows.
    """
    span = (element.max_code - element.min_code - room) * element.step
    scale = float(_usable(np.array([(high - low) / span]), power_of_two)[0])
    below = low / (scale * element.step)
    zero_point = element.min_code - (math.floor(below) if room else round(below))
    zero_point = min(max(zero_point, element.min_code), element.max_code)
    return Scaled(element, scale, zero_point=zero_point)


def _factors(power_of_two: bool, *, repeats: bool = False) -> Values:
    """
    What to multiply the scale with that reaches all values, falling.

    From 1, or with `repeats` from below 2, over 64 octaves.
    """
    if power_of_two:
        return np.ldexp(1.0, -np.arange(64))
    first = 1 - STEPS_PER_OCTAVE if repeats else 0
    return np.exp2(-np.arange(first, 64 * STEPS_PER_OCTAVE) / STEPS_PER_OCTAVE)


def _chunks(rows: Values, method: Method) -> Iterator[slice]:
    """Rows to search together."""
    step = max(1, CHUNK // max(rows.shape[1], 1))
    if method is Method.KL:
        step = HISTOGRAMS
    for start in range(0, len(rows), step):
        yield slice(start, start + step)


def _least_error(
    rows: Values,
    weights: Values | None,
    scales: Values,
    element: Element,
    rounding: RoundingMode,
    factors: Values,
) -> Values:
    """The scales with the smallest squared error, of `factors` times `scales`."""
    best, least = scales.copy(), np.full(len(rows), np.inf)
    searched = np.arange(len(rows))
    for factor in factors:
        tried = scales[searched, None] * factor
        clipped, error = _errors(rows, weights, tried, element, rounding)
        better = error < least[searched]
        least[searched[better]] = error[better]
        best[searched[better]] = tried[better, 0]
        # With smaller scales, more is cut off: once that part of the error alone is
        # no better, nothing is.
        going = (clipped < least[searched]) & (tried[:, 0] > SMALLEST)
        if not going.any():
            break
        if not going.all():
            searched, rows = searched[going], rows[going]
            weights = None if weights is None else weights[going]
    return best


def _errors(
    rows: Values,
    weights: Values | None,
    scales: Values,
    element: Element,
    rounding: RoundingMode,
) -> tuple[Values, Values]:
    """The squared errors of rows cast with `scales`: of what saturates, and all."""
    low, high = element.min_value * scales, element.max_value * scales
    clipped, total = np.zeros(len(rows)), np.zeros(len(rows))
    step = max(1, CHUNK // len(rows))
    for start in range(0, rows.shape[1], step):
        values = rows[:, start : start + step]
        part = None if weights is None else weights[:, start : start + step]
        clipped += _squares(values - np.clip(values, low, high), part)
        # The quotient is rounded, unlike in `Scaled`: that only matters where two codes
        # are equally near.
        cast = element.quantize(values / scales, rounding) * scales
        total += _squares(cast - values, part)
    return clipped, total


def _squares(errors: Values, weights: Values | None) -> Values:
    if weights is None:
        return np.einsum("ij,ij->i", errors, errors)
    return np.einsum("ij,ij,ij->i", errors, errors, weights)


def _least_divergence(
    rows: Values,
    weights: Values | None,
    scales: Values,
    element: Element,
    factors: Values,
) -> Values:
    """The scales with the least divergence, of `factors` times `scales`."""
    low = min(element.min_value, 0.0)
    histogram = Histogram(rows / scales[:, None], low, element.max_value, weights)
    _, found = histogram.search(Scaled(element, factor) for factor in factors)
    return np.asarray(scales * factors[found])


def _usable(scales: Values, power_of_two: bool) -> Values:
    """Float32 numbers, or powers of two, not below `scales`; 1 for zeros."""
    if scales.max(initial=0.0) > LARGEST:
        raise FormatError(f"a value needs a scale of {scales.max():g}, beyond float32")
    scales = np.where(scales > 0, np.maximum(scales, SMALLEST), 1.0)
    if power_of_two:
        mantissa, exponent = np.frexp(scales)
        return np.ldexp(1.0, exponent - (mantissa == 0.5))
    single = scales.astype(np.float32)
    single = np.where(single < scales, np.nextafter(single, np.float32("inf")), single)
    return single.astype(np.float64)


def _mean_magnitudes(rows: Values, weights: Values | None, element: Element) -> Values:
    """Of what is not cast to zero, for each row; 0 if all is."""
    magnitudes = np.abs(rows)
    weights = np.ones(rows.shape) if weights is None else weights
    if isinstance(element, Ternary):
        threshold = element.threshold
        if threshold is None:
            threshold = DEFAULT_THRESHOLD * _average(magnitudes, weights)[:, None]
        weights = weights * (magnitudes > threshold)
    return _average(magnitudes, weights)


def _average(rows: Values, weights: Values) -> Values:
    total = weights.sum(axis=1)
    return (rows * weights).sum(axis=1) / np.where(total > 0, total, 1.0)
