"""Blocks of elements that share a power of two: MX formats, block floating point."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.formats.arrays import Array, exponent, namespace, power_of_two
from mase_opt.lib.formats.format import (
    Element,
    Format,
    Values,
    real_values,
    times,
)
from mase_opt.lib.formats.parts import Parts
from mase_opt.lib.formats.rounding import (
    FormatError,
    IntArray,
    Overflow,
    Rounding,
    RoundingMode,
)

MAX_EXPONENT = 400
"""Of 2, shared; with it all values are normal float64 numbers."""


@dataclass(frozen=True)
class Exponent:
    """A shared scale 2^(code - bias), of `bits` bits."""

    bits: int
    bias: int
    nan: bool = False
    """Whether the highest code is NaN instead."""

    def __post_init__(self):
        if not 1 <= self.bits <= 9:
            raise FormatError(
                f"a shared exponent must have between 1 and 9 bits, got {self.bits}"
            )
        if self.lowest < -MAX_EXPONENT or self.highest > MAX_EXPONENT:
            raise FormatError(
                f"shared exponents must be between {-MAX_EXPONENT} and {MAX_EXPONENT}, "
                f"but {self} has {self.lowest} to {self.highest}"
            )

    @property
    def lowest(self) -> int:
        return -self.bias

    @property
    def highest(self) -> int:
        return (1 << self.bits) - 1 - self.nan - self.bias

    @property
    def nan_code(self) -> int | None:
        return (1 << self.bits) - 1 if self.nan else None

    def __str__(self) -> str:
        return "e8m0" if self == E8M0 else f"exp<{self.bits}, {self.bias}>"


E8M0 = Exponent(8, 127, nan=True)
"""The scale of OCP MX formats."""


@dataclass(frozen=True)
class Encoded:
    """The codes of a tensor in a block format."""

    codes: IntArray
    """Of the elements, in the shape of the tensor."""
    scales: IntArray
    """Of the shared exponents: one per block, a grid of the rank of the tensor."""


@dataclass(frozen=True)
class Block(Format[Encoded]):
    """
    Values 2^s · element, where a block of elements shares s.

    `shape` is that of a block, aligned with the last dimensions of a tensor; -1 stands
    for a whole dimension, and blocks at the end may be short.

    s is floor(log2(largest magnitude)) - floor(log2(highest element)), within the range
    of `scale`, and the lowest one for blocks of zeros. An element that rounds to beyond
    its range saturates, or with `bump`, s is one higher for its block. Signed fixed
    point elements only use ±`max_code`. An infinity counts as beyond all numbers: its
    block gets the highest s, and it saturates. NaN is an element, where that has it.
    Overflow `error` is about what the highest s cannot reach.
    """

    element: Element
    scale: Exponent
    shape: tuple[int, ...]
    bump: bool = False

    def __post_init__(self):
        if not self.element.can_share_exponents:
            raise FormatError(
                f"no blocks of {self.element}: its elements share no exponents, those "
                "of fixed, ufixed, minifloat and log do"
            )
        if self.element.max_value <= 0:
            raise FormatError(f"no blocks of {self.element}: it has no positive value")
        if self.element.bits > 32:
            raise FormatError(f"no blocks of {self.element}: more than 32 bits")
        for size in self.shape:
            if size < 1 and size != -1:
                raise FormatError(
                    f"block sizes must be positive, or -1 for a whole dimension, got "
                    f"{list(self.shape)}"
                )

    @property
    def bits_per_element(self) -> float:
        """As for whole blocks; those of a whole dimension count as endless."""
        size = math.inf if -1 in self.shape else math.prod(self.shape)
        return self.element.bits + self.scale.bits / size

    def bits_of(self, shape: tuple[int, ...]) -> int:
        """The storage of a tensor; raises `FormatError` for one of lower rank."""
        blocks = math.prod(self.parts(shape).grid)
        return math.prod(shape) * self.element.bits + blocks * self.scale.bits

    @property
    def max_value(self) -> float:
        return self.element.max_value * 2.0**self.scale.highest

    @property
    def min_value(self) -> float:
        lowest = max(self.element.min_value, -self.element.max_value)
        return lowest * 2.0**self.scale.highest

    @property
    def step(self) -> float:
        return self.element.step * 2.0**self.scale.lowest

    @property
    def has_nan(self) -> bool:
        return self.element.has_nan

    @property
    def positional(self) -> bool:
        return True

    def check(self, shape: tuple[int, ...]) -> None:
        self.parts(shape)

    def parts(self, shape: tuple[int, ...]) -> Parts:
        """The blocks of a tensor; raises `FormatError` if it has too few dimensions."""
        free = len(shape) - len(self.shape)
        if free < 0:
            raise FormatError(
                f"the tensor has rank {len(shape)}, which is less than that of a block "
                f"of {self}"
            )
        pairs = zip(shape[free:], self.shape, strict=True)
        sizes = (n if b == -1 else min(b, max(n, 1)) for n, b in pairs)
        return Parts(shape, (*(1,) * free, *sizes))

    def quantize(
        self,
        values: Array,
        rounding: Rounding = RoundingMode.NEAREST_EVEN,
        overflow: Overflow = Overflow.SATURATE,
    ) -> Array:
        parts = self.parts(tuple(values.shape))
        elements, shared = self._split(values, parts, rounding, overflow)
        return elements * parts.spread(power_of_two(shared, values))

    def _split(
        self, values: Array, parts: Parts, rounding: Rounding, overflow: Overflow
    ) -> tuple[Array, Array]:
        """The elements' values, and the shared exponents as a grid."""
        if overflow not in (Overflow.SATURATE, Overflow.ERROR):
            raise FormatError(f"no overflow {overflow} in {self}, use saturate")
        xp = namespace(values)
        magnitudes = xp.where(xp.isnan(values), 0.0, xp.abs(values))
        _, octave = math.frexp(self.element.max_value)
        wanted = exponent(parts.largest(magnitudes)) - (octave - 1)
        shared = xp.clip(wanted, self.scale.lowest, self.scale.highest)
        if overflow is Overflow.ERROR and bool((wanted > self.scale.highest).any()):
            raise FormatError(f"{magnitudes.max().item()} overflows {self}")
        if self.bump:
            high = self._rounded(values, parts, shared, rounding)
            beyond = xp.abs(high) > self.element.max_value
            more = parts.largest(xp.where(beyond, xp.ones_like(values), 0.0)) > 0
            shared = xp.where(more, shared + 1, shared)
            if overflow is Overflow.ERROR and bool((shared > self.scale.highest).any()):
                raise FormatError(f"{magnitudes.max().item()} overflows {self}")
            shared = xp.clip(shared, None, self.scale.highest)
        elements = self._rounded(values, parts, shared, rounding)
        elements = self.element.brought_in(elements, Overflow.SATURATE)
        # The range is symmetric, though two's complement is not.
        return xp.clip(elements, -self.element.max_value, None), shared

    def _rounded(
        self, values: Array, parts: Parts, shared: Array, rounding: Rounding
    ) -> Array:
        powers = parts.spread(power_of_two(-shared, values))
        return self.element.rounded(times(values, powers, rounding), rounding)

    def encode(
        self,
        values: NDArray[np.floating[Any]],
        rounding: Rounding = RoundingMode.NEAREST_EVEN,
        overflow: Overflow = Overflow.SATURATE,
        *,
        nan_to_zero: bool = False,
    ) -> Encoded:
        """
        The codes of `values`, which is of the rank of a block or higher.

        Raises `FormatError` as described in `Format.encode`.
        """
        values = real_values(values, nan_to_zero=nan_to_zero)
        self.reject(values)
        parts = self.parts(values.shape)
        with np.errstate(all="ignore"):
            elements, shared = self._split(values, parts, rounding, overflow)
        codes = self.element.codes_of(np.asarray(elements))
        return Encoded(codes, np.asarray(shared) + self.scale.bias)

    def decode(self, codes: Encoded) -> Values:
        """
        The values of `codes`; NaN for all of a block whose scale is NaN.

        Raises `FormatError` if codes and scales don't belong together.
        """
        parts = self.parts(codes.codes.shape)
        if codes.scales.shape != parts.grid:
            raise FormatError(
                f"scales have shape {list(codes.scales.shape)}, but a tensor of shape "
                f"{list(parts.shape)} has blocks {list(parts.grid)} of {self}"
            )
        scales = np.ldexp(1.0, codes.scales.astype(np.int64) - self.scale.bias)
        if self.scale.nan:
            scales = np.where(codes.scales == self.scale.nan_code, np.nan, scales)
        return self.element.decode(codes.codes) * parts.spread(np.asarray(scales))

    def __str__(self) -> str:
        sizes = ", ".join(str(n) for n in self.shape)
        bump = ", bump" if self.bump else ""
        return f"block<{self.element}, {self.scale}, [{sizes}]{bump}>"
