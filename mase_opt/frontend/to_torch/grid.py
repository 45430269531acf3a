"""Where the numbers of a tensor lie, and the arithmetic that is exact for them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from xdsl.ir import Attribute

from mase_opt.dialects.mase.types import ElementType, exact_format
from mase_opt.lib.formats import Binary, Fixed, Format, Log, MiniFloat, Scaled, Ternary
from mase_opt.lib.formats.rounding import INT64_SAFE, Overflow

EXACT = ((torch.float32, 24, 126), (torch.float64, 53, 1022))
"""Floating-point types: digits of the significand, and the lowest exponent."""


@dataclass(frozen=True)
class Grid:
    """Numbers code · 2^-frac with an integer low ≤ code ≤ high; low ≤ 0 ≤ high."""

    frac: int
    low: int
    high: int

    @property
    def magnitude(self) -> int:
        return max(-self.low, self.high)

    @property
    def dtype(self) -> torch.dtype | None:
        """The smallest floating-point type that has all of these numbers."""
        for dtype, digits, exponent in EXACT:
            top = self.magnitude.bit_length() - self.frac
            if (
                self.magnitude <= 1 << digits
                and self.frac <= exponent
                and top <= exponent
            ):
                return dtype
        return None

    @property
    def fits_int64(self) -> bool:
        """Whether codes, and those scaled to them in float64, are exact in `int64`."""
        return self.magnitude < INT64_SAFE and abs(self.frac) <= 900

    def at(self, frac: int) -> Grid:
        """The same numbers with at least as many fraction bits."""
        shift = frac - self.frac
        return Grid(frac, self.low << shift, self.high << shift)

    def __neg__(self) -> Grid:
        return Grid(self.frac, -self.high, -self.low)

    def __add__(self, other: Grid) -> Grid:
        frac = max(self.frac, other.frac)
        a, b = self.at(frac), other.at(frac)
        return Grid(frac, a.low + b.low, a.high + b.high)

    def __or__(self, other: Grid) -> Grid:
        """The numbers of both."""
        frac = max(self.frac, other.frac)
        a, b = self.at(frac), other.at(frac)
        return Grid(frac, min(a.low, b.low), max(a.high, b.high))

    def __mul__(self, other: Grid) -> Grid:
        ends = (
            self.low * other.low,
            self.low * other.high,
            self.high * other.low,
            self.high * other.high,
        )
        return Grid(self.frac + other.frac, min(ends), max(ends))

    def sum_of(self, count: int) -> Grid:
        """Sums of up to `count` numbers."""
        return Grid(self.frac, self.low * count, self.high * count)

    def inside(self, other: Grid) -> bool:
        """Whether all these numbers are among the others."""
        if self.low == self.high == 0:
            return True
        if self.frac > other.frac:
            return False
        moved = self.at(other.frac)
        return other.low <= moved.low and moved.high <= other.high

    def rounded(self, into: Grid, overflow: Overflow) -> Grid:
        """Where these numbers lie once rounded to fixed point, in any mode."""
        if self.inside(into):
            return self.at(into.frac) if self.frac <= into.frac else into
        if overflow is Overflow.WRAP:
            return into
        shift = self.frac - into.frac
        low = self.low << -shift if shift < 0 else self.low >> shift
        high = self.high << -shift if shift < 0 else -(-self.high >> shift)
        return Grid(into.frac, max(into.low, low), min(into.high, high))


def grid_of(element: Attribute) -> Grid | None:
    """Where the values of an element type lie; None for floats, blocks and others."""
    fixed = exact_format(element)
    if fixed is not None:
        return _format_grid(fixed)
    return _format_grid(element.format) if isinstance(element, ElementType) else None


def _format_grid(format: Format[Any]) -> Grid | None:
    match format:
        case Fixed():
            return Grid(format.frac, format.min_code, format.max_code)
        case Binary() | Ternary():
            return Grid(0, -1, 1)
        case MiniFloat() | Log():
            return _between(format.unit, format.min_value, format.max_value)
        case Scaled() if format.power_of_two and format.scales.size:
            inner = _format_grid(format.element)
            if inner is None:
                return None
            if format.zero_point:
                inner += Grid(inner.frac, -abs(format.zero_point), 0) | Grid(
                    inner.frac, 0, abs(format.zero_point)
                )
            scales = _between(
                float(format.scales.min()), 0.0, float(format.scales.max())
            )
            return inner * scales
        case _:
            return None


def _between(unit: float, low: float, high: float) -> Grid:
    """Multiples of a power of two."""
    frac = 1 - math.frexp(unit)[1]
    numerator, denominator = unit.as_integer_ratio()

    def code(value: float) -> int:
        top, bottom = value.as_integer_ratio()
        return top * denominator // (bottom * numerator)

    return Grid(frac, code(low), code(high))


@dataclass(frozen=True)
class Known:
    """What is known of the numbers in a tensor."""

    grid: Grid | None
    codes: NDArray[Any] | None = None
    """Of a constant: the numbers are `codes * 2**-grid.frac`."""

    def row_sums(
        self, axes: tuple[int, ...]
    ) -> tuple[NDArray[Any], NDArray[Any]] | None:
        """Sums over `axes` of positive codes, and of the magnitudes of the others."""
        if self.grid is None or self.codes is None:
            return None
        terms = math.prod(self.codes.shape[a] for a in axes)
        if self.grid.magnitude * terms >= INT64_SAFE:
            return None
        above = np.maximum(self.codes, 0).sum(axis=axes, dtype=np.int64)
        below = np.minimum(self.codes, 0).sum(axis=axes, dtype=np.int64)
        return above, -below


def products(
    data: Known, weight: Known, axes: tuple[int, ...], terms: int
) -> Grid | None:
    """
    Where sums of `terms` products lie, partial sums in any order included.

    `axes` are those of the weight that are summed over: constant weights, which rarely
    are at their maximum all together, give a narrower range.
    """
    if data.grid is None or weight.grid is None:
        return None
    sums = weight.row_sums(axes)
    if sums is None:
        return (data.grid * weight.grid).sum_of(terms)
    above, below = (s.astype(object) for s in sums)
    high = (above * data.grid.high - below * data.grid.low).max(initial=0)
    low = (above * data.grid.low - below * data.grid.high).min(initial=0)
    return Grid(data.grid.frac + weight.grid.frac, int(low), int(high))
