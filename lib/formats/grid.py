"""The values that each element of a tensor may take, once what is shared is decided."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.block import Block
from mase_opt.lib.formats.format import Element, Format, Values
from mase_opt.lib.formats.parts import Parts
from mase_opt.lib.formats.rounding import FormatError, RoundingMode
from mase_opt.lib.formats.scaled import Scaled
from mase_opt.lib.formats.ternary import Ternary


@dataclass(frozen=True)
class Grid:
    """Element i may have the values of `element` from `low` on, times `scales[i]`."""

    element: Element
    low: float
    scales: Values
    """In the shape of the tensor."""
    fixed: Values
    """
    What elements must be where it matters, NaN elsewhere.

    That is the element of each part with a scale or exponent of its own that decides
    what it is: every tensor of the grid that has it would get the same.
    """

    def nearest(self, values: Values, where: Any) -> Values:
        """The nearest of the values that the elements at `where` may take."""
        scales, fixed = self.scales[where], self.fixed[where]
        elements = self.element.rounded(values / scales, RoundingMode.NEAREST_EVEN)
        elements = np.clip(elements, self.low, self.element.max_value)
        return np.where(np.isnan(fixed), elements * scales, fixed)


def grid_of(format: Format[Any], values: Values) -> Grid:
    """
    The grid of `format`, with what elements share as it is for `values`.

    Raises `FormatError` where elements depend on each other in another way.
    """
    free = np.full(values.shape, np.nan)
    match format:
        case Element():
            ones = np.ones(values.shape)
            return Grid(_alone(format), format.min_value, ones, free)
        case Scaled(element=element) if format.zero_point == 0:
            scales, parts = format.spread(values)
            scales = np.broadcast_to(scales, values.shape)
            fixed = free
            # The other scales are means, which stay what they are.
            if not isinstance(element, Binary | Ternary):
                reached = _reached(values, element.min_value, element.max_value)
                fixed = _at_largest(reached, parts, format.cast(values))
            return Grid(_alone(element), element.min_value, scales, fixed)
        case Block(element=element):
            parts = format.parts(values.shape)
            encoded = format.encode(values)
            exponents = encoded.scales.astype(np.int64) - format.scale.bias
            scales = np.broadcast_to(
                parts.spread(np.ldexp(1.0, exponents)), values.shape
            )
            fixed = _at_largest(np.abs(values), parts, format.decode(encoded))
            low = max(element.min_value, -element.max_value)
            return Grid(element, low, scales, fixed)
        case _:
            raise FormatError(
                f"values of {format} do not lie on a grid of their own; use fixed, "
                "ufixed, minifloat, log, binary, ternary, scaled without zero point, "
                "or block"
            )


def _alone(element: Element) -> Element:
    """`element` such that values next to it do not matter."""
    return Ternary(0.5) if isinstance(element, Ternary) else element


def _reached(values: Values, low: float, high: float) -> Values:
    """The part of the way from zero to `low` or `high` at which each of `values` is."""
    ends = [np.maximum(values / end, 0.0) for end in (low, high) if end]
    return np.maximum.reduce(ends)


def _at_largest(numbers: Values, parts: Parts, chosen: Values) -> Values:
    """`chosen` at the first of the largest `numbers` of each part, NaN elsewhere."""
    # Places that fall along the tensor, to tell equal numbers apart.
    places = np.arange(numbers.size, 0, -1, dtype=np.float64).reshape(numbers.shape)
    places[numbers != parts.spread(parts.largest(numbers))] = 0
    return np.where(places == parts.spread(parts.largest(places)), chosen, np.nan)
