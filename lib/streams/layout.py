"""How the elements of a tensor travel through a channel: some of them in each beat."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

Index = NDArray[np.int64]
Scalar = TypeVar("Scalar", bound=np.generic)
BEYOND = -1
"""Stands for a lane beyond the end of the tensor, which may hold anything."""


@dataclass(frozen=True)
class Layout:
    """
    A tensor of `shape`, cut into tiles; each beat holds one.

    Beats go through the grid of tiles in row-major order of the dimensions `order`,
    lanes through a tile in row-major order. Tiles at the end of a dimension that theirs
    does not divide are ragged: they have lanes beyond it.
    """

    shape: tuple[int, ...]
    tile: tuple[int, ...]
    order: tuple[int, ...]
    """The dimensions, outermost first."""

    @cached_property
    def grid(self) -> tuple[int, ...]:
        """Tiles along each dimension."""
        return tuple(-(-n // t) for n, t in zip(self.shape, self.tile, strict=True))

    @property
    def beats(self) -> int:
        return prod(self.grid)

    @property
    def lanes(self) -> int:
        return prod(self.tile)

    @property
    def axis(self) -> int | None:
        """The dimension along which a beat lies; None for single elements."""
        along = [d for d, n in enumerate(self.tile) if n > 1]
        assert len(along) < 2, f"a beat is a matrix: {self.tile}"
        return along[0] if along else None

    @cached_property
    def strides(self) -> tuple[int, ...]:
        """Beats from one tile to the next along each dimension."""
        result = [0] * len(self.shape)
        step = 1
        for axis in reversed(self.order):
            result[axis] = step
            step *= self.grid[axis]
        return tuple(result)

    @cached_property
    def indices(self) -> Index:
        """The flat place in the tensor of every lane of every beat, or `BEYOND`."""
        padded = tuple(g * t for g, t in zip(self.grid, self.tile, strict=True))
        flat = np.full(padded, BEYOND, np.int64)
        inside = tuple(slice(n) for n in self.shape)
        flat[inside] = np.arange(prod(self.shape)).reshape(self.shape)
        rank = len(self.shape)
        pairs = [n for g, t in zip(self.grid, self.tile, strict=True) for n in (g, t)]
        axes = [2 * d for d in self.order] + [2 * d + 1 for d in range(rank)]
        return flat.reshape(pairs).transpose(axes).reshape(self.beats, self.lanes)

    def to_beats(self, tensors: NDArray[Scalar]) -> NDArray[Scalar]:
        """`[samples, *shape]` to `[samples, beats, lanes]`, zeros beyond the end."""
        flat = tensors.reshape(len(tensors), -1)
        ends = np.zeros((len(flat), 1), flat.dtype)
        return np.concatenate([flat, ends], axis=1)[:, self.indices]

    def from_beats(self, beats: NDArray[Scalar]) -> NDArray[Scalar]:
        """The reverse: `[samples, *shape]`."""
        inside = self.indices != BEYOND
        flat = np.empty((len(beats), prod(self.shape)), beats.dtype)
        flat[:, self.indices[inside]] = beats[:, inside]
        return flat.reshape(len(beats), *self.shape)
