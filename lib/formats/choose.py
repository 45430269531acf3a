"""Choosing the open parts of a fixed-point format for given values."""

from __future__ import annotations

from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.formats.fixed import MAX_WIDTH, Fixed
from mase_opt.lib.formats.rounding import Overflow, RoundingMode

Values = NDArray[np.float64]


class Method(StrEnum):
    """What the fraction of a format is chosen for."""

    MSE = "mse"
    """The smallest squared error of the cast, saturation included (the default)."""
    MINMAX = "minmax"
    """The finest steps that reach the smallest and the largest value."""
    PERCENTILE = "percentile"
    """As `minmax`, without the values outside a percentile."""


def choose_fraction(
    values: Values,
    width: int,
    *,
    signed: bool = True,
    method: Method = Method.MSE,
    percentile: float = 99.9,
    rounding: RoundingMode = RoundingMode.NEAREST_EVEN,
    overflow: Overflow = Overflow.SATURATE,
    limit: int | None = None,
) -> int:
    """
    The fraction bits with which `width` bits suit `values` best, at most `limit`.

    `values` must be finite. `overflow` ERROR never lets one of them overflow.
    """
    if method is Method.PERCENTILE and values.size:
        values = np.quantile(values, [1 - percentile / 100, percentile / 100])
    first = fitting_fraction(values, width, signed)
    if limit is not None and first >= limit:
        return limit
    if method is not Method.MSE or overflow is Overflow.ERROR:
        return first

    def error(frac: int) -> float:
        return squared_error(values, Fixed(width, frac, signed), rounding, overflow)

    # Without overflow, coarser steps are never better. With finer ones, what is cut
    # off the range only grows: once that part alone is no better, nothing is.
    best, smallest, frac = first, error(first), first
    while limit is None or frac < limit:
        frac += 1
        if _clipped(values, Fixed(width, frac, signed)) >= smallest:
            break
        if (candidate := error(frac)) < smallest:
            best, smallest = frac, candidate
    return best


def fitting_fraction(values: Values, width: int, signed: bool = True) -> int:
    """
    The most fraction bits with which no value overflows.

    Values that no fraction can bring into range (negative ones without a sign, and
    positive ones in a single signed bit) don't count.
    """
    format = Fixed(width, 0, signed)
    fits: list[int] = []
    for extreme, code in (
        (float(values.max(initial=0.0)), format.max_code),
        (-float(values.min(initial=0.0)), -format.min_code),
    ):
        if extreme > 0 and code > 0:
            numerator, denominator = extreme.as_integer_ratio()
            # The largest f with numerator · 2^f ≤ code · denominator, exactly.
            f = (code * denominator).bit_length() - numerator.bit_length()
            scaled = numerator << f if f >= 0 else numerator
            bound = code * denominator << max(-f, 0)
            fits.append(f if scaled <= bound else f - 1)
    return min(fits, default=width - signed)


def fitting_width(values: Values, frac: int, signed: bool = True) -> int:
    """
    The fewest bits that hold all `values` with `frac` fraction bits.

    Raises `FormatError` if that takes more than `MAX_WIDTH`.
    """
    if not signed:
        values = np.maximum(values, 0)
    codes = Fixed(MAX_WIDTH, frac, signed).encode(values, overflow=Overflow.ERROR)
    low, high = int(codes.min(initial=0)), int(codes.max(initial=0))
    formats = (Fixed(width, frac, signed) for width in range(1, MAX_WIDTH + 1))
    return next(f.width for f in formats if f.min_code <= low and high <= f.max_code)


def squared_error(
    values: Values,
    format: Fixed,
    rounding: RoundingMode = RoundingMode.NEAREST_EVEN,
    overflow: Overflow = Overflow.SATURATE,
) -> float:
    """The sum of squared errors of casting `values` to `format`."""
    difference = format.decode(format.encode(values, rounding, overflow)) - values
    return float(np.dot(difference, difference))


def _clipped(values: Values, format: Fixed) -> float:
    """The part of the squared error that comes from the ends of the range."""
    low, high = format.decode(np.array([format.min_code, format.max_code]))
    outside = values - np.clip(values, low, high)
    return float(np.dot(outside, outside))
