"""The loops of processes that read windows: convolutions, pools, interpolation."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import TensorType, i1
from xdsl.ir import SSAValue

from mase_opt.lib.conversion.streamed.builder import rom
from mase_opt.lib.conversion.streamed.processes import Nest
from mase_opt.lib.streams.schedule import Affine
from mase_opt.lib.streams.windows import Windows

Mask = NDArray[np.bool_]


def add_positions(
    nest: Nest, windows: Sequence[Windows], sizes: Sequence[int]
) -> list[list[str]]:
    """Add loops through the places of a result; their names, by dimension."""
    names: list[list[str]] = []
    for d, (window, size) in enumerate(zip(windows, sizes, strict=True)):
        names.append([nest.add(f"position{d}", window.rounds(size))])
        if window.period > 1:
            names[-1].append(nest.add(f"phase{d}", window.period))
    return names


def add_taps(nest: Nest, windows: Sequence[Windows]) -> list[str]:
    """Add loops through the places of a window; their names, by dimension."""
    return [nest.add(f"tap{d}", window.taps) for d, window in enumerate(windows)]


def places_read(nest: Nest, windows: Sequence[Windows]) -> list[Affine]:
    """The places in the input."""
    return [
        nest.at(
            w.start,
            **{f"position{d}": w.outer, f"phase{d}": w.inner, f"tap{d}": w.step},
        )
        for d, w in enumerate(windows)
    ]


def places_written(nest: Nest, windows: Sequence[Windows]) -> list[Affine]:
    """The places in the result."""
    return [
        nest.at(**{f"position{d}": w.period, f"phase{d}": 1})
        for d, w in enumerate(windows)
    ]


def mask(
    nest: Nest, loops: Sequence[Sequence[str]], values: Mask, rank: int
) -> SSAValue:
    """
    A bit in each iteration: `values` has a dimension for each group of `loops`.

    Behind the end of a dimension, where the loops go on, its last entry is repeated.
    """
    levels = [[nest.names.index(name) for name in names] for names in loops]
    for axis, group in enumerate(levels):
        rounds = int(np.prod([nest.sizes[level] for level in group]))
        places = np.minimum(np.arange(rounds), values.shape[axis] - 1)
        values = values.take(places, axis)
    names = [name for group in loops for name in group]
    words = values.reshape(-1, *[1] * rank).astype(np.int64)
    return rom(nest, words, names, TensorType(i1, [1] * rank), "inside")
