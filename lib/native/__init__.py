"""
What is compiled: the solver of adder graphs, in C++.

Without a C++ compiler the package installs without it; then `AVAILABLE` is false.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.errors import UserError

try:
    from mase_opt.lib.native import _native
except ImportError:
    _native = None

AVAILABLE = _native is not None
WEIGHT_BITS = 62
RANGE_BITS = 126
"""Bits of the widest sum."""


@dataclass(frozen=True)
class AdderGraph:
    """The numbers of `mase.adder_graph`: `[N, 5]` nodes and `[O, 3]` outputs."""

    nodes: NDArray[np.int32]
    outputs: NDArray[np.int32]


def solve(
    weights: NDArray[np.int64],
    ranges: NDArray[np.int64],
    *,
    depths: NDArray[np.int32] | None = None,
    max_depth: int | None = None,
    effort: int = 1,
    progress: Callable[[int, int], None] = lambda done, total: None,
) -> AdderGraph:
    """
    A graph of few lookup tables for `x · weights`.

    `weights` are `[I, O]`, of up to 62 bits; `ranges` are `[I, 2]`, the lowest and
    highest x; `depths` are the adders before each input, `max_depth` bounds those
    before each output. The result depends on the arguments alone. `progress` is called
    with the number of attempts done and of all. Raises `UserError` for a depth that
    cannot be had, and for numbers that are too large.
    """
    assert _native is not None, "asked before"
    weights = np.ascontiguousarray(weights, dtype=np.int64)
    inputs, _ = weights.shape
    _check_bits(weights, ranges)
    before = np.zeros(inputs, np.int32) if depths is None else depths
    try:
        nodes, outputs, _ = _native.solve(
            weights,
            np.ascontiguousarray(ranges, dtype=np.int64),
            np.ascontiguousarray(before, dtype=np.int32),
            -1 if max_depth is None else max_depth,
            effort,
            os.cpu_count() or 1,
            progress,
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    return AdderGraph(nodes, outputs)


def _check_bits(weights: NDArray[np.int64], ranges: NDArray[np.int64]) -> None:
    if weights.size == 0:
        return
    bits = max(int(weights.max()), -int(weights.min())).bit_length()
    if bits > WEIGHT_BITS:
        raise UserError(f"a weight has {bits} bits, expected up to {WEIGHT_BITS}")
    wide = max(abs(int(ranges.max())), abs(int(ranges.min()))).bit_length()
    total = bits + wide + len(weights).bit_length() + 1
    if total > RANGE_BITS:
        raise UserError(f"sums have {total} bits, expected up to {RANGE_BITS}")
