"""
What every number format has: `encode`, `decode`, `cast`, a range and a size.

A format is defined once, by `rounded` and `brought_in`, which take arrays of NumPy
and tensors of torch alike; codes exist in NumPy only.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mase_opt.lib.formats.arrays import Array, lowest_bit, namespace
from mase_opt.lib.formats.multiples import Multiples
from mase_opt.lib.formats.rounding import (
    FormatError,
    IntArray,
    Overflow,
    Rounding,
    RoundingMode,
    for_samples,
)

Values = NDArray[np.float64]
Encoding = TypeVar("Encoding")
"""What `encode` gives: codes, or codes with what they share."""

COUNTED_BITS = 16
"""The widest elements whose values are all looked at."""

DIRECTED = (RoundingMode.FLOOR, RoundingMode.CEIL)


class Format(ABC, Generic[Encoding]):
    """
    A number format; `str` is the spelling of its type without `!mase.`.

    Subclasses are frozen dataclasses. Constructing an impossible one raises
    `ValueError`.
    """

    @property
    @abstractmethod
    def bits_per_element(self) -> float:
        """Storage of one element; what elements share is spread over them."""

    @property
    @abstractmethod
    def min_value(self) -> float:
        """The lowest finite value."""

    @property
    @abstractmethod
    def max_value(self) -> float:
        """The highest finite value."""

    @property
    @abstractmethod
    def step(self) -> float:
        """The smallest distance between neighbouring values."""

    @property
    def has_nan(self) -> bool:
        """Whether NaN has a code."""
        return False

    @property
    def exact_in_float32(self) -> bool:
        """Whether `quantize` computes exactly in float32 for all float32 numbers."""
        return False

    @property
    def positional(self) -> bool:
        """Whether the values that an element may have depend on where it is."""
        return False

    @property
    def for_results(self) -> bool:
        """
        Whether values of any shape can have the format, and keep what they say.

        What depends on where an element is does not survive reshapes.
        """
        return not self.positional

    @property
    def wraps(self) -> bool:
        """Whether overflow `wrap` has a meaning."""
        return False

    @property
    def multiples(self) -> Multiples | None:
        """
        The multiples of a power of two that all finite values are among.

        Sums and products of them are exact where these say so. None if not known, and
        where no power of two divides all values.
        """
        return None

    def bits_of(self, shape: tuple[int, ...]) -> int:
        """The storage of a tensor; raises `FormatError` for a shape that it lacks."""
        return math.ceil(math.prod(shape) * self.bits_per_element)

    @property
    def per_sample(self) -> bool:
        """
        Whether a leading axis for samples would change how values are cast.

        Because axes count from the first one, or something of the whole tensor matters.
        """
        return False

    def check(self, shape: tuple[int, ...]) -> None:
        """Raises `FormatError` unless tensors of `shape` can have the format."""

    def reach(self, values: Array) -> tuple[Array, Array]:
        """Where saturation begins, for each of `values`; numbers, or arrays like it."""
        return self.min_value, self.max_value

    def reject(self, values: Values) -> None:
        """Raises `FormatError` for numbers without a code, however they are rounded."""
        if not self.has_nan and np.isnan(values).any():
            raise FormatError(f"NaN has no code in {self}, unless nan_to_zero is given")

    @abstractmethod
    def quantize(
        self,
        values: Array,
        rounding: Rounding = RoundingMode.NEAREST_EVEN,
        overflow: Overflow = Overflow.SATURATE,
    ) -> Array:
        """
        What `cast` does, on arrays of NumPy or torch, in the dtype of `values`.

        NaN stays NaN. Raises `FormatError` under overflow `error`, and for an
        overflow mode that the format does not have.
        """

    @abstractmethod
    def encode(
        self,
        values: NDArray[np.floating[Any]],
        rounding: Rounding = RoundingMode.NEAREST_EVEN,
        overflow: Overflow = Overflow.SATURATE,
        *,
        nan_to_zero: bool = False,
    ) -> Encoding:
        """
        The codes of `values`: rounded, then brought into range.

        Raises `FormatError` for NaN without a code and for overflow under `error`.
        """

    @abstractmethod
    def decode(self, codes: Encoding) -> Values:
        """The values of `codes`."""

    def cast(
        self,
        values: NDArray[np.floating[Any]],
        rounding: Rounding = RoundingMode.NEAREST_EVEN,
        overflow: Overflow = Overflow.SATURATE,
        *,
        nan_to_zero: bool = False,
    ) -> Values:
        """`values` as the format holds them; raises `FormatError` as `encode` does."""
        return self.decode(
            self.encode(values, rounding, overflow, nan_to_zero=nan_to_zero)
        )

    def cast_samples(
        self,
        values: Values,
        rounding: Rounding = RoundingMode.NEAREST_EVEN,
        overflow: Overflow = Overflow.SATURATE,
    ) -> Values:
        """
        `cast` for each of the samples along the first axis.

        Raises `FormatError` as `cast` does.
        """
        self.reject(values)
        rounding = for_samples(rounding, math.prod(values.shape[1:]))
        with np.errstate(all="ignore"):
            if self.per_sample:
                parts = [
                    np.asarray(self.quantize(v, rounding, overflow)) for v in values
                ]
                return np.stack(parts) if parts else values
            return np.asarray(self.quantize(values, rounding, overflow))


class Element(Format[IntArray]):
    """A format whose elements have a code each and share nothing."""

    @property
    @abstractmethod
    def bits(self) -> int:
        """The width of a code."""

    @property
    def bits_per_element(self) -> float:
        return float(self.bits)

    @property
    @abstractmethod
    def min_code(self) -> int:
        """The lowest code: negative if codes are two's complement."""

    @property
    @abstractmethod
    def max_code(self) -> int:
        """The highest code."""

    @property
    def unit(self) -> float | None:
        """
        The highest power of two that all values are multiples of; None if not known.

        It may be below `step`: neighbours among 0, 0.75, 1.25 and 2 are 0.5 apart or
        more, but only 0.25 divides them all. Found from the values of all codes, up to
        16 bits; wider formats state it.
        """
        if self.bits > COUNTED_BITS:
            return None
        values = self.decode(np.arange(self.min_code, self.max_code + 1))
        return 2.0 ** lowest_bit(values[np.isfinite(values)])

    @property
    def multiples(self) -> Multiples | None:
        if self.unit is None:
            return None
        return Multiples.between(self.unit, self.min_value, self.max_value)

    @property
    def has_zero(self) -> bool:
        """Whether zero has a code."""
        return True

    @property
    def can_share_exponents(self) -> bool:
        """Whether blocks of the format make sense: 2^s times an element (`Block`)."""
        return False

    @property
    def takes_zero_point(self) -> bool:
        """Whether all multiples of `step` in range are values, so they can shift."""
        return False

    @property
    def ignores_scale(self) -> bool:
        """Whether a scale, whatever it is, does not change what a value becomes."""
        return False

    @property
    def rounds_to_steps(self) -> bool:
        """
        Whether every rounding is to a multiple of a power of two near the value.

        Then hardware need not look at bits far below `step`.
        """
        return False

    @abstractmethod
    def rounded(self, values: Array, rounding: Rounding) -> Array:
        """`values` rounded to the format as if its range had no end."""

    def brought_in(self, values: Array, overflow: Overflow) -> Array:
        """What becomes of rounded values outside the range."""
        xp = namespace(values)
        match overflow:
            case Overflow.SATURATE:
                return xp.clip(values, self.min_value, self.max_value)
            case Overflow.ERROR:
                outside = (values < self.min_value) | (values > self.max_value)
                if bool(outside.any()):
                    raise FormatError(f"{values[outside][0].item()} overflows {self}")
                return values
            case Overflow.WRAP:
                raise FormatError(f"{self} does not wrap, only fixed point does")
            case Overflow.INFINITY:
                raise FormatError(f"{self} has no infinity, use overflow saturate")

    def quantize(
        self,
        values: Array,
        rounding: Rounding = RoundingMode.NEAREST_EVEN,
        overflow: Overflow = Overflow.SATURATE,
    ) -> Array:
        return self.brought_in(self.rounded(values, rounding), overflow)

    def encode(
        self,
        values: NDArray[np.floating[Any]],
        rounding: Rounding = RoundingMode.NEAREST_EVEN,
        overflow: Overflow = Overflow.SATURATE,
        *,
        nan_to_zero: bool = False,
    ) -> IntArray:
        values = real_values(values, nan_to_zero=nan_to_zero)
        self.reject(values)
        with np.errstate(all="ignore"):
            # NumPy's arithmetic gives scalars, not arrays, for rank 0.
            flat = self.quantize(values.reshape(-1), rounding, overflow)
        return self.codes_of(flat).reshape(values.shape)

    @abstractmethod
    def codes_of(self, values: Values) -> IntArray:
        """The codes of values that the format has."""


def real_values(values: ArrayLike, *, nan_to_zero: bool) -> Values:
    """`values` as float64, with NaN replaced if told to."""
    array = np.asarray(values, dtype=np.float64)
    return np.where(np.isnan(array), 0.0, array) if nan_to_zero else array


def times_power(values: Array, exponent: int, rounding: Rounding) -> Array:
    """`values * 2**exponent`, such that `rounding` to a step of ≥ 2**-900 is right."""
    return times(values, 2.0**exponent, rounding)


def times(values: Array, powers: Array, rounding: Rounding) -> Array:
    """`values * powers` for powers of two; see `times_power`."""
    products = values * powers
    if rounding not in DIRECTED:
        return products
    # What underflows to zero still has a direction.
    xp = namespace(values)
    lost = (products == 0) & (values != 0)
    least = xp.finfo(values.dtype).tiny
    return xp.where(lost, xp.copysign(xp.full_like(values, least), values), products)
