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
    """
    The numbers of a graph, a row for each adder and for each output.

    `nodes` are `[N, 5]`: a, b, p, q, s for the value `(a << p) + (b << q)`, or the
    difference if s is 1. Values below I are the inputs, value I + n is that of row n.
    `outputs` are `[O, 3]`: v, p, s for `v << p`, negated if s is 1, or zero if v is -1.

    Those of a kernel have two more columns, dy and dx, which may be negative: what is
    b << q or v << p at a position takes b or v from that position plus (dy, dx).
    """

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

    `weights` are a matrix `[I, O]`, or a kernel `[I, O, Y, X]`, of up to 62 bits. The
    graph of a kernel is the same at each position n = (y, x): output o is the sum of
    `weights[i, o, t] * x[i, n + t]` over all inputs i and taps t, from (0, 0) on; what
    several taps have in common is computed once and read at several positions. Strides
    are for the caller to make inputs of their own from.

    `ranges` are `[I, 2]`, the lowest and highest x; `depths` are the adders before each
    input, `max_depth` bounds those before each output. The result depends on the
    arguments alone.

    `effort` is how long to search. 0 is one greedy elimination. 1 to 3 are up to 3, 9
    and 25 of them, which take outputs as differences of others, and then up to 16, 64
    and 256 rounds, each of which takes a tenth of the best one's steps back and goes on
    from there in four other ways. There are fewer the larger the problem is; above
    2^11, 2^14 and 2^17 weights they are the same as 0.

    `progress` is called now and then with how much of the work is done and how much
    there is; what it raises stops the solver. Raises `UserError` for a depth that
    cannot be had, and for numbers and kernels that are too large.
    """
    assert _native is not None, "asked before"
    weights = np.ascontiguousarray(weights, dtype=np.int64)
    is_matrix = weights.ndim == 2
    assert ranges.shape == (len(weights), 2), "a range per input"
    assert effort in range(4), "0 to 3"
    check_bits(weights, ranges)
    before = np.zeros(len(weights), np.int32) if depths is None else depths
    try:
        nodes, outputs = _native.solve(
            weights[:, :, None, None] if is_matrix else weights,
            np.ascontiguousarray(ranges, dtype=np.int64),
            np.ascontiguousarray(before, dtype=np.int32),
            -1 if max_depth is None else max_depth,
            effort,
            os.cpu_count() or 1,
            progress,
        )
    except ValueError as error:
        raise UserError(str(error)) from error
    if is_matrix:
        return AdderGraph(nodes[:, :5], outputs[:, :3])
    return AdderGraph(nodes, outputs)


def check_bits(weights: NDArray[np.int64], ranges: NDArray[np.int64]) -> None:
    """Raises `UserError` for weights and sums of too many bits."""
    if weights.size == 0:
        return
    bits = max(int(weights.max()), -int(weights.min())).bit_length()
    if bits > WEIGHT_BITS:
        raise UserError(f"a weight has {bits} bits, expected up to {WEIGHT_BITS}")
    wide = max(abs(int(ranges.max())), abs(int(ranges.min()))).bit_length()
    summands = weights.size // weights.shape[1]
    total = bits + wide + summands.bit_length() + 2
    if total > RANGE_BITS:
        raise UserError(f"sums have {total} bits, expected up to {RANGE_BITS}")
