"""Elements with constant real scales: one, one per channel, or one per group."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mase_opt.lib.formats.arrays import Array, constants, namespace
from mase_opt.lib.formats.format import (
    Element,
    Format,
    Values,
    real_values,
)
from mase_opt.lib.formats.multiples import Multiples
from mase_opt.lib.formats.parts import Parts
from mase_opt.lib.formats.rounding import (
    FormatError,
    IntArray,
    Overflow,
    Rounding,
    RoundingMode,
    Stochastic,
)
from mase_opt.lib.formats.ternary import Ternary


@dataclass(frozen=True)
class ScaleLayout:
    """Which elements of a tensor share a scale."""

    axis: int | None = None
    """One scale per index of it; may count from the last dimension. None: one scale."""
    group: int | None = None
    """Only so many neighbours along `axis` share a scale; the last ones are fewer."""

    def __post_init__(self):
        if self.group is not None and self.axis is None:
            raise FormatError("a group size needs an axis")
        if self.group is not None and self.group < 1:
            raise FormatError(f"group size must be positive, got {self.group}")

    def parts(self, shape: tuple[int, ...]) -> Parts:
        """What shares a scale; raises `FormatError` if there is no such axis."""
        if self.axis is None:
            return Parts.whole(shape)
        if not -len(shape) <= self.axis < len(shape):
            raise FormatError(
                f"the tensor has rank {len(shape)}, so there is no axis {self.axis}"
            )
        extent = [1] * len(shape) if self.group else list(shape)
        extent[self.axis] = min(self.group or 1, max(shape[self.axis], 1))
        return Parts(shape, tuple(extent))

    def scales_shape(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """
        The shape of the scales of a tensor.

        None of one scale; the length of `axis` without groups; else that of the tensor,
        with the groups along `axis`.
        """
        if self.axis is None:
            return ()
        grid = self.parts(shape).grid
        return grid if self.group else (grid[self.axis],)

    def __str__(self) -> str:
        axis = "" if self.axis is None else f", axis = {self.axis}"
        return axis + ("" if self.group is None else f", group = {self.group}")


PER_TENSOR = ScaleLayout()
SCALE_BITS = 32


@dataclass(frozen=True, eq=False)
class Scaled(Format[IntArray]):
    """
    Values scale · (element - zero point · step of the element).

    Scales are positive float32 numbers (others are rounded to that), so that products
    with codes of up to 29 bits are exact in float64. The quotient value / scale is
    rounded once, as if it were exact. With a zero point, an integer for fixed point
    elements, it is added to the rounded quotient. Thresholds of ternary elements are in
    units of the values; by default from the mean of what shares a scale.
    """

    element: Element
    scales: NDArray[np.float64]
    layout: ScaleLayout
    zero_point: int

    def __init__(
        self,
        element: Element,
        scales: ArrayLike,
        layout: ScaleLayout = PER_TENSOR,
        *,
        zero_point: int = 0,
    ):
        with np.errstate(over="ignore"):
            single = np.asarray(scales, dtype=np.float64).astype(np.float32)
        object.__setattr__(self, "element", element)
        object.__setattr__(self, "scales", single.astype(np.float64))
        object.__setattr__(self, "layout", layout)
        object.__setattr__(self, "zero_point", zero_point)
        usable = np.isfinite(single) & (single >= np.finfo(np.float32).tiny)
        if not usable.all():
            raise FormatError(
                f"scales must be positive normal float32 numbers, got "
                f"{np.asarray(scales)[~usable].flat[0]}"
            )
        if layout.group is None and single.ndim != (layout.axis is not None):
            raise FormatError(
                f"expected {'one scale' if layout.axis is None else 'a list of scales'}"
                f", got shape {list(single.shape)}"
            )
        if zero_point and not element.takes_zero_point:
            raise FormatError(f"{element} takes no zero point, fixed point does")
        if element.bits > 32:
            raise FormatError(f"no scaled {element}: more than 32 bits")
        if zero_point and not element.min_code <= zero_point <= element.max_code:
            raise FormatError(f"zero point {zero_point} is not a code of {element}")

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Scaled)
            and self._key == other._key
            and np.array_equal(self.scales, other.scales)
        )

    def __hash__(self) -> int:
        return hash((self._key, self.scales.tobytes()))

    @property
    def _key(self) -> tuple[Any, ...]:
        return (self.element, self.layout, self.zero_point, self.scales.shape)

    def of(self, element: Element) -> Scaled:
        """The same scales with other elements."""
        return Scaled(element, self.scales, self.layout, zero_point=self.zero_point)

    @property
    def power_of_two(self) -> bool:
        """Whether all scales are powers of two, which hardware gets for free."""
        return bool((np.frexp(self.scales)[0] == 0.5).all())

    @property
    def bits_per_element(self) -> float:
        """With the scale of each group; others count as endless."""
        group = self.layout.group
        return self.element.bits + (SCALE_BITS / group if group else 0)

    @property
    def min_value(self) -> float:
        return (self.element.min_value - self.offset) * self._largest

    @property
    def max_value(self) -> float:
        return (self.element.max_value - self.offset) * self._largest

    @property
    def step(self) -> float:
        return self.element.step * float(self.scales.min(initial=math.inf))

    @property
    def has_nan(self) -> bool:
        return self.element.has_nan

    @property
    def _largest(self) -> float:
        return float(self.scales.max(initial=0.0))

    @property
    def offset(self) -> float:
        """What the zero point stands for, in values of elements."""
        return self.zero_point * self.element.step

    @property
    def positional(self) -> bool:
        return self.layout.axis is not None

    @property
    def for_results(self) -> bool:
        return not self.positional and self.element.for_results

    @property
    def multiples(self) -> Multiples | None:
        elements = self.element.multiples
        if elements is None or not self.power_of_two or not self.scales.size:
            return None
        if self.zero_point:
            frac, zero = elements.frac, abs(self.zero_point)
            elements += Multiples(frac, -zero, 0) | Multiples(frac, 0, zero)
        ends = float(self.scales.min()), float(self.scales.max())
        return elements * Multiples.between(ends[0], 0.0, ends[1])

    def bits_of(self, shape: tuple[int, ...]) -> int:
        """With scales of 32 bits each, and the zero point."""
        zero_point = self.element.bits if self.zero_point else 0
        shared = self.scales.size * SCALE_BITS + zero_point
        return math.prod(shape) * self.element.bits + shared

    @property
    def per_sample(self) -> bool:
        return self.positional or self.element.per_sample

    def check(self, shape: tuple[int, ...]) -> None:
        wanted = self.layout.scales_shape(shape)
        if self.scales.shape != wanted:
            raise FormatError(
                f"scales have shape {list(self.scales.shape)}, but a tensor of shape "
                f"{list(shape)} needs {list(wanted)}{self.layout}"
            )

    def spread(self, like: Array) -> tuple[Array, Parts]:
        """
        The scales, to multiply with `like`, and what shares them.

        Raises `FormatError` if they are not for a tensor of its shape.
        """
        shape = tuple(like.shape)
        self.check(shape)
        parts = self.layout.parts(shape)
        return parts.spread(constants(self.scales.reshape(parts.grid), like)), parts

    def quantize(
        self,
        values: Array,
        rounding: Rounding = RoundingMode.NEAREST_EVEN,
        overflow: Overflow = Overflow.SATURATE,
    ) -> Array:
        scales, parts = self.spread(values)
        elements = self.elements(values, scales, parts, rounding, overflow)
        return (elements - self.offset) * scales

    def reach(self, values: Array) -> tuple[Array, Array]:
        scales, _ = self.spread(values)
        low, high = self.element.min_value, self.element.max_value
        return (low - self.offset) * scales, (high - self.offset) * scales

    def elements(
        self,
        values: Array,
        scales: Array,
        parts: Parts,
        rounding: Rounding,
        overflow: Overflow,
    ) -> Array:
        """
        The values of the elements, with the zero point.

        `scales` are spread over `values` by `parts`, and need not be the format's own.
        """
        if overflow is Overflow.WRAP:
            raise FormatError(f"{self} does not wrap, only fixed point does")
        if isinstance(self.element, Ternary):
            thresholds = self.element.thresholds(values, parts)
            if self.element.threshold is None:
                thresholds = parts.spread(thresholds)
            signs = self.element.beyond(values, thresholds)
            return self.element.brought_in(signs, overflow)
        if self.element.ignores_scale and not isinstance(rounding, Stochastic):
            return self.element.quantize(values, rounding, overflow)
        rounded = self.element.rounded(quotient(values, scales), rounding)
        if self.zero_point:
            rounded = rounded + self.offset
        return self.element.brought_in(rounded, overflow)

    def reject(self, values: Values) -> None:
        super().reject(values)
        if isinstance(self.element, Ternary):
            self.element.reject(values)

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
        scales, parts = self.spread(values)
        with np.errstate(all="ignore"):
            elements = self.elements(values, scales, parts, rounding, overflow)
        return self.element.codes_of(np.asarray(elements))

    def decode(self, codes: IntArray) -> Values:
        elements = self.element.decode(codes) - self.offset
        return np.asarray(elements * self.spread(elements)[0])

    def __str__(self) -> str:
        values = [str(np.float32(s)) for s in self.scales.ravel()[:5].tolist()]
        if len(values) > 4:
            values = [*values[:3], "…"]
        scales = f"[{', '.join(values)}]" if self.scales.ndim else values[0]
        zero = f", zero_point = {self.zero_point}" if self.zero_point else ""
        return f"scaled<{self.element}, {scales}{self.layout}{zero}>"


def quotient(values: Array, scales: Array) -> Array:
    """
    `values / scales` rounded to odd: of the two nearest floats, the one that is odd.

    Rounding that to a format of up to 51 bits is the same as rounding the exact
    quotient. In float64; scales have 24 bits.
    """
    xp = namespace(values)
    assert values.dtype == xp.float64, f"expected float64, got {values.dtype}"
    ratio = values / scales
    bits = ratio.view(xp.int64)
    # The product with a scale is exact in two pieces, of 29 and 24 bits.
    high = (bits >> 24 << 24).view(xp.float64)
    rest = (values - high * scales) - (ratio - high) * scales
    rest = xp.where(xp.signbit(values), -rest, rest)
    even = (bits & 1) == 0
    bits = xp.where(even & (rest > 0), bits + 1, bits)
    bits = xp.where(even & (rest < 0), bits - 1, bits)
    return bits.view(xp.float64)
