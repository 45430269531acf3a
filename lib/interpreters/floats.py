"""
Exact numbers and float arrays as builtin floats, rounded once to nearest, ties to even.

Going through float64 to a narrower float would round twice. Where that can matter
the detour is taken with round-to-odd: a float64 whose last bit says that something
was cut off rounds to every float of up to 51 bits as the exact number does
(Boldo and Melquiond, "When double rounding is odd", 2005).
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import BFloat16Type, Float16Type, Float32Type, Float64Type
from xdsl.ir import Attribute

from mase_opt.lib.formats.rounding import FormatError, IntArray, max_magnitude

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
    if isinstance(element, Float64Type):
        return np.ldexp(codes.astype(np.float64), -frac)
    return to_float(odd_float(codes, frac), element)


def odd_float(codes: IntArray, frac: int) -> Array:
    """
    The exact numbers `codes * 2**-frac` as float64, rounded to odd.

    Rounding that to a format of up to 51 bits is rounding the exact number.
    """
    if max_magnitude(codes) <= 1 << 53:
        wide = codes.astype(np.float64)
    else:
        wide = np.array([_odd(int(c)) for c in codes.ravel().tolist()])
    return np.ldexp(wide.reshape(codes.shape), -frac)


def odd_ratio(numerator: IntArray, denominator: IntArray, frac: int) -> Array:
    """The exact `numerator / denominator * 2**-frac` as float64, rounded to odd."""
    top, bottom = np.broadcast_arrays(numerator, denominator)
    pairs = zip(top.ravel().tolist(), bottom.ravel().tolist(), strict=True)
    values = np.array([_odd_ratio(n, d) for n, d in pairs], dtype=np.float64)
    return np.ldexp(values.reshape(top.shape), -frac)


def ratio_to_float(
    numerator: IntArray, denominator: IntArray, frac: int, element: Attribute
) -> Array:
    """The exact numbers `numerator / denominator * 2**-frac` as `element`."""
    small = max(max_magnitude(numerator), max_magnitude(denominator)) <= 1 << 53
    top, bottom = np.broadcast_arrays(numerator, denominator)
    if not small:
        return to_float(np.ldexp(_ratios(top, bottom, element), -frac), element)
    wide = top.astype(np.float64) / bottom.astype(np.float64)
    if not isinstance(element, Float64Type):
        # The quotient was rounded to 53 bits: a second rounding goes astray only from
        # what looks like a tie (or where the narrow type is subnormal).
        ties = (wide.view(np.int64) & ((1 << 29) - 1)) == 1 << 28
        doubtful = ties | (np.abs(np.ldexp(wide, -frac)) < 2.0**-100)
        if not isinstance(element, Float32Type):
            doubtful = np.ones_like(ties)
        wide[doubtful] = _ratios(top[doubtful], bottom[doubtful], element)
    return to_float(np.ldexp(wide, -frac), element)


def _ratios(top: IntArray, bottom: IntArray, element: Attribute) -> Array:
    if isinstance(element, Float64Type):
        pairs = zip(top.ravel().tolist(), bottom.ravel().tolist(), strict=True)
        values = [n / d for n, d in pairs]  # Python rounds correctly
        return np.array(values, dtype=np.float64).reshape(top.shape)
    return odd_ratio(top, bottom, 0)


def _odd(number: int) -> float:
    """`number` rounded to odd in float64's 53 bits."""
    excess = number.bit_length() - 53
    if excess <= 0:
        return float(number)
    cut = abs(number) >> excess
    sticky = cut << excess != abs(number)
    return float((cut | sticky) << excess) * (1 if number > 0 else -1)


def _odd_ratio(top: int, bottom: int) -> float:
    """`top / bottom` rounded to odd in float64's 53 bits."""
    shift = max(64 - (top.bit_length() - bottom.bit_length()), 0)
    quotient, rest = divmod(abs(top) << shift, abs(bottom))
    value = np.ldexp(_odd(quotient << 1 | (rest != 0)), -shift - 1)
    return float(value if (top < 0) == (bottom < 0) else -value)
