"""
Rounding modes and overflow modes, defined once for every number format.

All functions are exact. Integer arrays are `int64` as long as the result provably
fits, and arrays of Python integers (`object`) otherwise.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.formats.arrays import Array, floats, indices, namespace
from mase_opt.lib.suggest import did_you_mean

IntArray = NDArray[Any]
"""An integer array: dtype `int64`, or `object` holding Python integers."""

INT64_SAFE = 1 << 62
"""Magnitudes up to this bound can be added once in `int64` without overflow."""


class RoundingMode(StrEnum):
    """How a real number between two representable ones is rounded."""

    NEAREST_EVEN = "nearest_even"
    """To nearest, ties to the even code (the default)."""
    NEAREST_AWAY = "nearest_away"
    """To nearest, ties away from zero."""
    HALF_UP = "half_up"
    """To nearest, ties towards positive infinity (AP_RND of HLS tools)."""
    FLOOR = "floor"
    """Towards negative infinity (truncation of two's complement bits)."""
    CEIL = "ceil"
    """Towards positive infinity."""
    ZERO = "zero"
    """Towards zero."""


@dataclass(frozen=True)
class Stochastic:
    """
    To one of the two neighbours by chance, such that the mean is the number itself.

    A magnitude is rounded up if its distance from the neighbour below, in units of the
    step, is above a number in (0, 1), an odd multiple of 2^-24, that depends on nothing
    but the seed and the index of the element: everything is reproducible, in any order
    and on any device. What is representable never moves.
    """

    seed: int = 0
    sample: int | None = None
    """After so many elements the numbers repeat; None: never."""

    def __post_init__(self):
        if not 0 <= self.seed < 1 << 32:
            raise FormatError(f"seed must be between 0 and 2^32 - 1, got {self.seed}")

    def chances(self, like: Array) -> Array:
        """The number of every element, in the shape and dtype of `like`."""
        index = indices(like)
        if self.sample is not None:
            index = index % self.sample
        drawn = _mixed(_mixed(index & _WORD) ^ _mixed(self.seed + 1 & _WORD))
        return floats((drawn >> 8) | 1, like) * 2.0**-24

    def __str__(self) -> str:
        return f"stochastic<{self.seed}>"


Rounding = RoundingMode | Stochastic
"""How a real number between two representable ones is rounded."""


def parse_rounding(text: str) -> Rounding:
    """Read a mode, `stochastic` or `stochastic<seed>`; raises `FormatError`."""
    if match := re.fullmatch(r"stochastic(?:\s*<\s*(\d+)\s*>)?", text.strip()):
        return Stochastic(int(match[1] or 0))
    if text in list(RoundingMode):
        return RoundingMode(text)
    names = [*RoundingMode, "stochastic", "stochastic<seed>"]
    raise FormatError(
        f"rounding is '{text}', expected one of {', '.join(names)}"
        f"{did_you_mean(text, names)}"
    )


def for_samples(rounding: Rounding, size: int) -> Rounding:
    """`rounding` such that samples of `size` elements don't depend on each other."""
    if isinstance(rounding, Stochastic):
        return replace(rounding, sample=size)
    return rounding


_WORD = (1 << 32) - 1


def _mixed(words: Any) -> Any:
    """
    A permutation of the words of 32 bits: the finalizer of MurmurHash3.

    By Austin Appleby, in the public domain. The factors are taken in halves, so that
    all products are below 2^48 and the same in every integer arithmetic.
    """
    words = words ^ (words >> 16)
    words = _times(words, 0x85EBCA6B)
    words = words ^ (words >> 13)
    words = _times(words, 0xC2B2AE35)
    return words ^ (words >> 16)


def _times(words: Any, factor: int) -> Any:
    """The product of words, modulo 2^32."""
    high = (words * (factor >> 16) & 0xFFFF) << 16
    return (words * (factor & 0xFFFF) + high) & _WORD


class Overflow(StrEnum):
    """What becomes of a rounded value outside the range of its format."""

    SATURATE = "saturate"
    """The nearest end of the range (the default)."""
    WRAP = "wrap"
    """The low bits (fixed point only)."""
    ERROR = "error"
    """An error at run time; not available in hardware."""
    INFINITY = "infinity"
    """Infinity, else NaN (only formats that have one: ieee and fn minifloats)."""


class FormatError(ValueError):
    """An impossible format, or a value that its format cannot hold."""


def integers(codes: NDArray[Any]) -> IntArray:
    """
    Codes, integers or booleans of any dtype as exact integers.

    `int64` where the dtype has no larger values, else as Python integers need be.
    """
    if codes.dtype == object:
        return codes
    if codes.dtype == np.uint64 and int(codes.max(initial=0)) >= 1 << 63:
        return codes.astype(object)
    return codes.astype(np.int64, copy=False)


def max_magnitude(codes: IntArray) -> int:
    """Largest absolute value in `codes` (0 for an empty array), exact."""
    if codes.size == 0:
        return 0
    return max(abs(int(codes.max())), abs(int(codes.min())))


def compact(codes: IntArray) -> IntArray:
    """`codes` as `int64` where every value fits well, else as Python integers."""
    if codes.dtype == object and max_magnitude(codes) >= INT64_SAFE:
        return codes
    return codes.astype(np.int64, copy=False)


def shift_left(codes: IntArray, shift: int) -> IntArray:
    """`codes * 2**shift` for `shift >= 0`, widening to Python integers if needed."""
    if shift == 0:
        return codes
    if codes.dtype != object:
        if shift < 62 and max_magnitude(codes) < (INT64_SAFE >> shift):
            return np.asarray(codes << np.int64(shift))
        codes = codes.astype(object)
    return np.multiply(codes, 1 << shift, out=np.empty_like(codes))


def round_shift(codes: IntArray, shift: int, mode: Rounding) -> IntArray:
    """
    `codes * 2**-shift`, rounded to an integer.

    Exact for every shift, negative ones included (those multiply).
    """
    codes = integers(codes)
    if shift <= 0:
        return shift_left(codes, -shift)
    if codes.ndim == 0:
        # NumPy's arithmetic gives scalars, not arrays, for rank 0.
        return round_shift(codes[None], shift, mode).reshape(())
    if codes.dtype != object and shift > 62:
        codes = codes.astype(object)
    floor = codes >> shift
    if mode is RoundingMode.FLOOR:
        return floor
    remainder = codes - (floor << shift)
    return floor + _increment(floor, remainder * 2, 1 << shift, mode)


def round_ratio(numerator: IntArray, denominator: IntArray, mode: Rounding) -> IntArray:
    """
    `numerator / denominator`, rounded to an integer; arrays broadcast.

    Raises `FormatError` where the denominator is zero.
    """
    numerator, denominator = integers(numerator), integers(denominator)
    if np.any(denominator == 0):
        raise FormatError("division by zero")
    if numerator.ndim == denominator.ndim == 0:
        return round_ratio(numerator[None], denominator[None], mode).reshape(())
    if (
        object in (numerator.dtype, denominator.dtype)
        or max_magnitude(numerator) >= INT64_SAFE
        or max_magnitude(denominator) >= INT64_SAFE
    ):
        numerator = numerator.astype(object)
        denominator = denominator.astype(object)
    negative = denominator < 0
    if np.any(negative):
        numerator = np.where(negative, -numerator, numerator)
        denominator = np.where(negative, -denominator, denominator)
    floor = numerator // denominator
    remainder = numerator - floor * denominator
    return floor + _increment(floor, remainder * 2, denominator, mode)


def _increment(
    floor: IntArray, twice_remainder: IntArray, one: Any, mode: Rounding
) -> IntArray:
    """1 where the result is `floor + 1`, given the remainder in halves of `one`."""
    match mode:
        case RoundingMode.NEAREST_EVEN:
            odd = (floor & 1) == 1
            up = (twice_remainder > one) | ((twice_remainder == one) & odd)
        case RoundingMode.NEAREST_AWAY:
            up = (twice_remainder > one) | ((twice_remainder == one) & (floor >= 0))
        case RoundingMode.HALF_UP:
            up = twice_remainder >= one
        case RoundingMode.FLOOR:
            up = np.zeros(twice_remainder.shape, dtype=np.bool_)
        case RoundingMode.CEIL:
            up = twice_remainder > 0
        case RoundingMode.ZERO:
            up = (twice_remainder > 0) & (floor < 0)
        case Stochastic():
            up = _increment_by_chance(floor, twice_remainder, one, mode)
    return up.astype(floor.dtype)


def _increment_by_chance(
    floor: IntArray, twice_remainder: IntArray, one: Any, mode: Stochastic
) -> NDArray[np.bool_]:
    """Whether the magnitude is rounded up, for `_increment`, which rounds numbers."""
    chances = mode.chances(np.zeros(twice_remainder.shape))
    drawn = (chances * 2.0**24).astype(np.int64)
    if max_magnitude(np.asarray(one)) >= 1 << 37:
        drawn, twice_remainder = drawn.astype(object), twice_remainder.astype(object)
        one = np.asarray(one, dtype=object)
    above = twice_remainder << 23
    below = (one << 24) - above
    threshold = drawn * one
    negative = floor < 0
    stays = (above == 0) | (below > threshold)
    return np.asarray(np.where(negative, ~stays, above > threshold), dtype=np.bool_)


def round_real(values: Array, mode: Rounding) -> Array:
    """
    `values` rounded to integers, still as floats; NaN and infinities stay.

    For arrays of NumPy and tensors of torch alike.
    """
    xp = namespace(values)
    match mode:
        case RoundingMode.NEAREST_EVEN:
            return xp.round(values)
        case RoundingMode.FLOOR:
            return xp.floor(values)
        case RoundingMode.CEIL:
            return xp.ceil(values)
        case RoundingMode.ZERO:
            return xp.trunc(values)
        case RoundingMode.NEAREST_AWAY | RoundingMode.HALF_UP:
            whole = xp.trunc(values)
            # Exact (unlike the distance to the floor: -0.49999999999999994 + 1 is
            # 0.5 in float64). Infinities have no fraction.
            finite = xp.where(xp.isinf(values), 0.0, values)
            fraction = finite - xp.trunc(finite)
            down = fraction <= -0.5
            if mode is RoundingMode.HALF_UP:
                down = fraction < -0.5
            whole = xp.where(down, whole - 1, whole)
            return xp.where(fraction >= 0.5, whole + 1, whole)
        case Stochastic():
            whole = xp.trunc(values)
            magnitudes = xp.abs(xp.where(xp.isinf(values), 0.0, values))
            up = magnitudes - xp.trunc(magnitudes) > mode.chances(values)
            return xp.copysign(xp.abs(whole) + up, values)
