"""Dividing a tensor into equal parts that share something: a scale, an exponent."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from mase_opt.lib.formats.arrays import (
    Array,
    exponent,
    floats,
    integers,
    namespace,
    pad_right,
    power_of_two,
    repeat,
)


@dataclass(frozen=True)
class Parts:
    """
    The parts of `extent` in a tensor of `shape`, which has the same rank.

    They start at the origin; the last ones along a dimension may be short. There is a
    grid of them, of the rank of the tensor. A whole dimension is one part even if it is
    empty.
    """

    shape: tuple[int, ...]
    extent: tuple[int, ...]

    @classmethod
    def whole(cls, shape: tuple[int, ...]) -> Parts:
        """A single part."""
        return cls(shape, shape)

    @property
    def grid(self) -> tuple[int, ...]:
        """The number of parts along each dimension."""
        pairs = zip(self.shape, self.extent, strict=True)
        return tuple(-(-n // e) if e else 1 for n, e in pairs)

    @property
    def _sizes(self) -> tuple[int, ...]:
        """The extent, with room for one element at least."""
        return tuple(max(1, e) for e in self.extent)

    @property
    def _padded(self) -> tuple[int, ...]:
        return tuple(n * e for n, e in zip(self.grid, self._sizes, strict=True))

    @property
    def _split(self) -> tuple[int, ...]:
        pairs = zip(self.grid, self._sizes, strict=True)
        return tuple(n for pair in pairs for n in pair)

    def largest(self, values: Array) -> Array:
        """The largest of each part of non-negative `values`, as a grid."""
        return self._reduce(values, namespace(values).amax)

    def total(self, values: Array) -> Array:
        """The sum of each part, as a grid."""
        return self._reduce(values, namespace(values).sum)

    def _reduce(
        self, values: Array, by: Callable[[Array, tuple[int, ...]], Array]
    ) -> Array:
        widths = [n - m for n, m in zip(self._padded, self.shape, strict=True)]
        split = pad_right(values, widths).reshape(self._split)
        axes = tuple(range(1, len(self._split), 2))
        # Torch takes no axes for all of them.
        return by(split, axes) if axes else split

    def spread(self, grid: Array) -> Array:
        """A tensor of `shape` with the entry of `grid` for its part everywhere."""
        if math.prod(self.grid) == 1:
            return grid  # broadcasts
        for axis, (size, extent) in enumerate(
            zip(self.shape, self.extent, strict=True)
        ):
            if extent > 1:
                grid = repeat(grid, axis, extent, size)
        return grid

    def mean_magnitude(self, values: Array) -> Array:
        """
        The mean of |x| of each part, to 40 bits or more, as a grid.

        Summed in integers, so the same in every order and on every device. NaN for
        parts with infinities; magnitudes below 2**-960 count as zero.
        """
        xp = namespace(values)
        magnitudes = xp.abs(values)
        infinite = xp.isinf(values)
        finite = xp.where(magnitudes < math.inf, magnitudes, 0.0)
        # Below 2**(62 - bits of the count), so that the sum stays below 2**62.
        octave = xp.clip(exponent(self.largest(finite)), -900, 1023)
        shift = 61 - math.prod(self._sizes).bit_length() - octave
        steps = xp.round(finite * self.spread(power_of_two(shift, values)))
        total = floats(self.total(integers(steps)), values)
        count = self.total(xp.ones_like(values))
        mean = total / count * power_of_two(-shift, values)
        return xp.where(self.total(integers(infinite)) > 0, math.nan, mean)
