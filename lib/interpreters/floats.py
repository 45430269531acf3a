"""
Exact numbers and float arrays as builtin floats, rounded once to nearest, ties to even.

Going through float64 to a narrower float would round twice. Where that can matter
the detour is taken with round-to-odd: a float64 whose last bit says that something
was cut off rounds to every float of up to 51 bits as the exact number does
(Boldo and Melquiond, "When double rounding is odd", 2005).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import BFloat16Type, Float16Type, Float32Type, Float64Type
from xdsl.ir import Attribute

from mase_opt.lib.formats.rounding import (
    INT64_SAFE,
    FormatError,
    IntArray,
    max_magnitude,
)
from mase_opt.lib.formats.scaled import quotient

Array = NDArray[Any]


def to_float(values: Array, element: Attribute) -> Array:
    """
    Float32 or float64 numbers rounded to `element`; 16-bit ones are held in float32.

    Raises `FormatError` for an element type that is not a builtin float of 16, 32 or
    64 bits.
    """
    match element:
        case Float64Type():
            return values.astype(np.float64, copy=False)
        case Float32Type():
            return values.astype(np.float32, copy=False)
        case Float16Type():
            return values.astype(np.float16).astype(np.float32)
        case BFloat16Type():
            return _to_bfloat16(values)
        case _:
            raise FormatError(f"{element} has no meaning in the interpreter")


def _to_bfloat16(values: Array) -> Array:
    single = values.astype(np.float32)
    wide = values.astype(np.float64)
    bits = single.view(np.uint32).copy()
    # Round to odd: towards zero, then set the last bit where that was not exact.
    bits -= np.abs(single) > np.abs(wide)
    bits |= (single != wide) & np.isfinite(wide)
    bits += 0x7FFF + ((bits >> 16) & 1)
    rounded = (bits & np.uint32(0xFFFF0000)).view(np.float32)
    return np.where(np.isfinite(wide), rounded, single)


def codes_to_float(codes: IntArray, frac: int, element: Attribute) -> Array:
    """The exact numbers `codes * 2**-frac` as `element`."""
    if not isinstance(element, Float64Type):
        return to_float(odd_float(codes, frac), element)
    if max_magnitude(codes) < HUGE:
        return np.ldexp(codes.astype(np.float64), -frac)
    # Python divides integers of any size, and rounds correctly.
    wide = [c / (1 << max(frac, 0)) for c in codes.ravel().tolist()]
    return np.ldexp(np.array(wide), max(-frac, 0)).reshape(codes.shape)


HUGE = 1 << 1000
"""Integers from here on may be too large for float64."""


def odd_float(codes: IntArray, frac: int) -> Array:
    """
    The exact numbers `codes * 2**-frac` as float64, rounded to odd.

    Rounding that to a format of up to 51 bits is rounding the exact number.
    """
    largest = max_magnitude(codes)
    if largest <= 1 << 53:
        return np.ldexp(codes.astype(np.float64), -frac)
    if largest >= HUGE:
        pairs = (_odd(c) for c in codes.ravel().tolist())
        values = [math.ldexp(m, exponent - frac) for m, exponent in pairs]
        return np.array(values).reshape(codes.shape)
    nearest = codes.astype(np.float64)
    if largest < INT64_SAFE:
        back: Array = nearest.astype(np.int64)
    else:
        back = np.empty(codes.shape, dtype=object)
        back.ravel()[:] = [int(v) for v in nearest.ravel().tolist()]
    return np.ldexp(_made_odd(nearest, np.sign(codes - back)), -frac)


def _made_odd(nearest: Array, side: IntArray) -> Array:
    """
    Rounded to odd what was rounded to nearest.

    The exact number is above (1) or below (-1) of `nearest`, or equal (0).
    """
    bits = nearest.view(np.int64)
    away = np.where(nearest < 0, -side, side).astype(np.int64)
    return (bits + np.where(bits & 1 == 0, away, 0)).view(np.float64)


def odd_ratio(numerator: IntArray, denominator: IntArray, frac: int) -> Array:
    """The exact `numerator / denominator * 2**-frac` as float64, rounded to odd."""
    top, bottom = np.broadcast_arrays(numerator, denominator)
    if max_magnitude(top) <= 1 << 53 and max_magnitude(bottom) < 1 << 24:
        top = np.where(bottom < 0, -top, top)
        wide, scales = top.astype(np.float64), np.abs(bottom).astype(np.float64)
        return np.ldexp(quotient(wide, scales), -frac)
    pairs = zip(top.ravel().tolist(), bottom.ravel().tolist(), strict=True)
    parts = (_odd_ratio(n, d) for n, d in pairs)
    values = [math.ldexp(m, exponent - frac) for m, exponent in parts]
    return np.array(values, dtype=np.float64).reshape(top.shape)


def ratio_to_float(
    numerator: IntArray, denominator: IntArray, frac: int, element: Attribute
) -> Array:
    """The exact numbers `numerator / denominator * 2**-frac` as `element`."""
    if not isinstance(element, Float64Type):
        return to_float(odd_ratio(numerator, denominator, frac), element)
    top, bottom = np.broadcast_arrays(numerator, denominator)
    if max(max_magnitude(top), max_magnitude(bottom)) <= 1 << 53:
        return np.ldexp(top.astype(np.float64) / bottom.astype(np.float64), -frac)
    pairs = zip(top.ravel().tolist(), bottom.ravel().tolist(), strict=True)
    values = [n / d for n, d in pairs]  # Python rounds correctly
    return np.ldexp(np.array(values, dtype=np.float64).reshape(top.shape), -frac)


def _odd(number: int) -> tuple[int, int]:
    """`number` rounded to odd in float64's 53 bits, and their exponent."""
    excess = max(number.bit_length() - 53, 0)
    cut = abs(number) >> excess
    sticky = cut << excess != abs(number)
    return (cut | sticky) * (1 if number > 0 else -1), excess


def _odd_ratio(top: int, bottom: int) -> tuple[int, int]:
    """`top / bottom` rounded to odd in float64's 53 bits, and their exponent."""
    shift = max(64 - (top.bit_length() - bottom.bit_length()), 0)
    whole, rest = divmod(abs(top) << shift, abs(bottom))
    mantissa, exponent = _odd(whole << 1 | (rest != 0))
    sign = 1 if (top < 0) == (bottom < 0) else -1
    return mantissa * sign, exponent - shift - 1
