"""Pools: the maximum or the mean of every window."""

from __future__ import annotations

from math import prod

import numpy as np

from mase_opt.dialects.mase import pooling
from mase_opt.dialects.mase.base import UnaryOp, ints
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.unrolled.reduce import extreme
from mase_opt.lib.conversion.unrolled.registry import template
from mase_opt.lib.conversion.unrolled.windows import BEYOND, window_indices
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.codec import Wires, decode, encode
from mase_opt.lib.hardware.number import total


def windows(op: pooling.PoolOp) -> list[list[int]]:
    """The elements of every window, as `window_indices` numbers them."""
    kernel = ints(op.kernel)
    index = window_indices(
        shape_of(op.input),
        shape_of(op.result)[-len(kernel) :],
        kernel,
        strides=ints(op.strides),
        padding=ints(op.padding),
        dilation=ints(op.dilation),
    )
    return index.reshape(-1, prod(kernel)).tolist()


def adaptive_windows(op: pooling.AdaptivePoolOp) -> list[list[int]]:
    """The elements of every window, whose sizes differ."""
    shape, output = shape_of(op.input), ints(op.output_size)
    lead = shape[: -len(output)]
    index = np.arange(prod(shape)).reshape(shape)
    result: list[list[int]] = []
    for place in np.ndindex(*lead, *output):
        spans = tuple(
            slice(i * size // count, -(-(i + 1) * size // count))
            for i, size, count in zip(
                place[len(lead) :], shape[len(lead) :], output, strict=True
            )
        )
        result.append(index[(*place[: len(lead)], *spans)].ravel().tolist())
    return result


@template(pooling.MaxPoolOp)
def max_pool(op: pooling.MaxPoolOp, b: Builder, x: Wires) -> Wires:
    return _maxima(op, b, x, windows(op))


@template(pooling.AdaptiveMaxPoolOp)
def adaptive_max_pool(op: pooling.AdaptiveMaxPoolOp, b: Builder, x: Wires) -> Wires:
    return _maxima(op, b, x, adaptive_windows(op))


@template(pooling.AvgPoolOp)
def avg_pool(op: pooling.AvgPoolOp, b: Builder, x: Wires) -> Wires:
    rows = windows(op)
    lowest = BEYOND if op.count_include_pad else -1
    counts = [sum(i > lowest for i in row) for row in rows]
    return _means(op, b, x, rows, counts)


@template(pooling.AdaptiveAvgPoolOp)
def adaptive_avg_pool(op: pooling.AdaptiveAvgPoolOp, b: Builder, x: Wires) -> Wires:
    rows = adaptive_windows(op)
    return _means(op, b, x, rows, [len(row) for row in rows])


def _maxima(op: UnaryOp, b: Builder, x: Wires, rows: list[list[int]]) -> Wires:
    numbers = decode(b, op.input, x)
    inside = ([numbers[i] for i in row if i >= 0] for row in rows)
    return encode(b, op, [extreme(b, arith.maximum, group) for group in inside])


def _means(
    op: UnaryOp,
    b: Builder,
    x: Wires,
    rows: list[list[int]],
    counts: list[int],
) -> Wires:
    numbers = decode(b, op.input, x)
    sums = [
        total(b, [numbers[i] for i in row if i >= 0]) / count
        for row, count in zip(rows, counts, strict=True)
    ]
    return encode(b, op, sums)
