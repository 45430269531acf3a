"""Where the numbers of a tensor lie, and the arithmetic that is exact for them."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from xdsl.ir import Attribute

from mase_opt.dialects.mase.types import ElementType, exact_format
from mase_opt.lib.formats.multiples import Multiples
from mase_opt.lib.formats.rounding import INT64_SAFE

EXACT = ((torch.float32, 24, 126), (torch.float64, 53, 1022))
"""Floating-point types: digits of the significand, and the lowest exponent."""


def dtype_of(numbers: Multiples) -> torch.dtype | None:
    """The smallest floating-point type that has all of these numbers."""
    for dtype, digits, exponent in EXACT:
        top = numbers.magnitude.bit_length() - numbers.frac
        if (
            numbers.magnitude <= 1 << digits
            and numbers.frac <= exponent
            and top <= exponent
        ):
            return dtype
    return None


def multiples_of(element: Attribute) -> Multiples | None:
    """Where the values of an element type lie; None for floats, blocks and others."""
    fixed = exact_format(element)
    if fixed is not None:
        return fixed.multiples
    return element.format.multiples if isinstance(element, ElementType) else None


Sums = tuple[NDArray[Any], NDArray[Any]]


@dataclass(frozen=True)
class Known:
    """What is known of the numbers in a tensor."""

    numbers: Multiples | None
    codes: NDArray[Any] | None = None
    """Of a constant: they are `codes * 2**-numbers.frac`."""
    _sums: dict[tuple[int, ...], Sums | None] = field(
        default_factory=dict[tuple[int, ...], "Sums | None"], compare=False, repr=False
    )

    def row_sums(self, axes: tuple[int, ...]) -> Sums | None:
        """Sums over `axes` of positive codes, and of the magnitudes of the others."""
        if axes not in self._sums:
            # Modules that share constants share what is known of them.
            self._sums[axes] = self._row_sums(axes)
        return self._sums[axes]

    def _row_sums(self, axes: tuple[int, ...]) -> Sums | None:
        if self.numbers is None or self.codes is None:
            return None
        terms = math.prod(self.codes.shape[a] for a in axes)
        if self.numbers.magnitude * terms >= INT64_SAFE:
            return None
        above = np.maximum(self.codes, 0).sum(axis=axes, dtype=np.int64)
        below = np.minimum(self.codes, 0).sum(axis=axes, dtype=np.int64)
        return above, -below


def products(
    data: Known, weight: Known, axes: tuple[int, ...], terms: int
) -> Multiples | None:
    """
    Where sums of `terms` products lie, partial sums in any order included.

    `axes` are those of the weight that are summed over: constant weights, which rarely
    are at their maximum all together, give a narrower range.
    """
    if data.numbers is None or weight.numbers is None:
        return None
    sums = weight.row_sums(axes)
    if sums is None:
        return (data.numbers * weight.numbers).sum_of(terms)
    above, below = (s.astype(object) for s in sums)
    high = (above * data.numbers.high - below * data.numbers.low).max(initial=0)
    low = (above * data.numbers.low - below * data.numbers.high).min(initial=0)
    return Multiples(data.numbers.frac + weight.numbers.frac, int(low), int(high))
