"""Choosing the open parts of formats for given values."""

from __future__ import annotations

from typing import Any

import numpy as np

from mase_opt.lib.formats.clipping import Method, best_format, percentile_range
from mase_opt.lib.formats.fixed import MAX_FRAC, MAX_WIDTH, Fixed
from mase_opt.lib.formats.format import Format, Values
from mase_opt.lib.formats.rounding import FormatError, Overflow, RoundingMode
from mase_opt.lib.formats.scales import choose_scales
from mase_opt.lib.formats.spec import FormatSpec, ScaledSpec, Spec


def choose_format(
    spec: Spec,
    values: Values,
    *,
    method: Method = Method.MSE,
    percentile: float = 99.9,
    weights: Values | None = None,
    rounding: RoundingMode = RoundingMode.NEAREST_EVEN,
    overflow: Overflow = Overflow.SATURATE,
    unsigned: bool = False,
    limit: int | None = None,
) -> Format[Any]:
    """
    The format that `spec` becomes for `values`: open parts are chosen, others stay.

    `values` is a tensor to be cast, or a sample of one in its layout: along the axis of
    scales it has the length of the tensor. `weights`, of the shape of `values`, say how
    many values each of a sample stands for (calibrations are such samples).
    `percentile` is what `method` PERCENTILE keeps in range at either end. `rounding`
    and `overflow` are those of the casts to come; unless they saturate, no value may
    overflow, and ranges are chosen as by MINMAX (MSE counts what wraps).

    Of fixed point formats, a missing width is the smallest without overflow; a missing
    fraction is at most `limit`, and `unsigned` decides where the sign is open. Zeros,
    and nothing at all, get the highest fraction below 1. Scales are described in
    `choose_scales`. Other formats have no open parts and are returned as they are.

    Raises `FormatError` for values that are not finite, and if no format reaches them.
    """
    match spec:
        case FormatSpec():
            signed = not unsigned if spec.signed is None else spec.signed
            width, frac = spec.width, spec.frac
            if not np.isfinite(values).all():
                raise FormatError(f"no {spec} suits values that are not finite")
            if width is None:
                assert frac is not None, spec
                width = fitting_width(values, frac, signed)
            if frac is None:
                frac = choose_fraction(
                    values,
                    width,
                    signed=signed,
                    method=method,
                    percentile=percentile,
                    weights=weights,
                    rounding=rounding,
                    overflow=overflow,
                    limit=limit,
                )
            return Fixed(width, frac, signed)
        case ScaledSpec():
            return choose_scales(
                values,
                spec.element,
                spec.layout,
                affine=spec.affine,
                power_of_two=spec.power_of_two,
                method=method,
                percentile=percentile,
                weights=weights,
                rounding=rounding,
                overflow=overflow,
            )
        case _:
            return spec


def choose_fraction(
    values: Values,
    width: int,
    *,
    signed: bool = True,
    method: Method = Method.MSE,
    percentile: float = 99.9,
    weights: Values | None = None,
    rounding: RoundingMode = RoundingMode.NEAREST_EVEN,
    overflow: Overflow = Overflow.SATURATE,
    limit: int | None = None,
) -> int:
    """
    The fraction bits with which `width` bits suit `values` best, at most `limit`.

    `values` must be finite; `overflow` ERROR never lets one of them overflow.
    """
    if overflow is Overflow.ERROR or (
        overflow is not Overflow.SATURATE and method is not Method.MSE
    ):
        method = Method.MINMAX
    if method is Method.PERCENTILE:
        row_weights = None if weights is None else weights.reshape(1, -1)
        ends = percentile_range(values.reshape(1, -1), percentile, row_weights)
        first = fitting_fraction(np.concatenate(ends), width, signed)
    else:
        first = fitting_fraction(values, width, signed)
    if first < -MAX_FRAC:
        raise FormatError(f"no fixed<{width}, …> reaches values beyond 2^{MAX_FRAC}")
    last = MAX_FRAC if limit is None else min(limit, MAX_FRAC)
    if first >= last:
        return last
    formats = (Fixed(width, frac, signed) for frac in range(first, last + 1))
    return best_format(
        formats, values, method, weights=weights, rounding=rounding, overflow=overflow
    ).frac


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
