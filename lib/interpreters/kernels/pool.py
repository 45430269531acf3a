"""Pools, reductions and argmax."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np

from mase_opt.dialects.mase import pooling
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.formats.rounding import (
    INT64_SAFE,
    IntArray,
    max_magnitude,
)
from mase_opt.lib.interpreters.exact import Array, pad_spatial
from mase_opt.lib.interpreters.kernels.registry import kernel
from mase_opt.lib.interpreters.kernels.values import (
    decode,
    exact,
    exact_sum,
    from_exact,
    from_float,
    from_ratio,
)

Combine = Callable[[Array, Array], Array]


def _pooled(op: pooling.PoolOp, x: Array, combine: Combine, outside: Any) -> Array:
    """
    `combine` over the elements of each window: `[…, *spatial]` → `[…, *positions]`.

    `outside` stands for what lies beyond `x`: padding, and what `ceil_mode` adds.
    """
    kernel_size, strides = ints(op.kernel), ints(op.strides)
    padding, dilation = ints(op.padding), ints(op.dilation)
    rank = len(kernel_size)
    positions = shape_of(op.result)[-rank:]
    reach = [
        (n - 1) * s + d * (k - 1) + 1
        for n, s, d, k in zip(positions, strides, dilation, kernel_size, strict=True)
    ]
    extra = tuple(
        max(r - size - 2 * p, 0)
        for r, size, p in zip(reach, x.shape[-rank:], padding, strict=True)
    )
    x = pad_spatial(x, padding, extra, outside)
    result: Array | None = None
    for offsets in product(*(range(k) for k in kernel_size)):
        spans = tuple(
            slice(o * d, o * d + (n - 1) * s + 1, s)
            for o, d, n, s in zip(offsets, dilation, positions, strides, strict=True)
        )
        element = x[(..., *spans)]
        result = element if result is None else combine(result, element)
    assert result is not None, "a window has an element"
    return result


@kernel(pooling.MaxPoolOp)
def max_pool(op: pooling.MaxPoolOp, x: Array) -> Array:
    number = exact(x, op.input)
    if number is not None:
        codes = number.codes
        best = _pooled(op, codes, np.maximum, codes.min(initial=0))
        return from_exact(op, best, number.frac)
    return from_float(op, _pooled(op, x, np.maximum, -np.inf))


@kernel(pooling.AvgPoolOp)
def avg_pool(op: pooling.AvgPoolOp, x: Array) -> Array:
    counts = pool_counts(op)
    number = exact(x, op.input)
    if number is None:
        total = _pooled(op, decode(x, element_of(op.input)), np.add, 0)
        return from_float(op, total / counts.astype(total.dtype))
    codes = _summable(number.codes, math.prod(ints(op.kernel)))
    total = _pooled(op, codes, np.add, 0)
    return from_ratio(op, total, counts, number.frac)


def _summable(codes: IntArray, count: int) -> IntArray:
    """`codes` in a dtype that holds the sum of any `count` of them."""
    if max_magnitude(codes) * count >= INT64_SAFE:
        return codes.astype(object)
    return codes


def pool_counts(op: pooling.AvgPoolOp) -> IntArray:
    """The divisor of each window of an average pool, shaped like the positions."""
    spatial = shape_of(op.input)[-len(op.kernel) :]
    padding = ints(op.padding)
    positions = shape_of(op.result)[-len(op.kernel) :]
    counts = np.ones(positions, dtype=np.int64)
    for axis, (size, p, n, k, s, d) in enumerate(
        zip(
            spatial,
            padding,
            positions,
            ints(op.kernel),
            ints(op.strides),
            ints(op.dilation),
            strict=True,
        )
    ):
        starts = s * np.arange(n, dtype=np.int64).reshape(-1, 1)
        at = starts + d * np.arange(k, dtype=np.int64) - p
        # Only what ceil_mode adds beyond the padding never counts.
        margin = p if op.count_include_pad else 0
        along: IntArray = np.sum((at >= -margin) & (at < size + margin), axis=1)
        counts *= along.reshape(-1, *(1,) * (len(spatial) - axis - 1))
    return counts


def adaptive_bounds(size: int, count: int) -> list[tuple[int, int]]:
    """First and last-plus-one element of each window of an adaptive pool."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def _adaptive(
    op: pooling.AdaptivePoolOp, x: Array, reduce: Callable[[Array], Array]
) -> Array:
    """Apply `reduce` (over the last, flattened axis) to every adaptive window."""
    output = ints(op.output_size)
    rank = len(output)
    lead = x.shape[:-rank]
    result = np.empty((*lead, *output), dtype=x.dtype)
    bounds = [
        adaptive_bounds(n, m) for n, m in zip(x.shape[-rank:], output, strict=True)
    ]
    for position in product(*(range(n) for n in output)):
        spans = tuple(slice(*bounds[d][i]) for d, i in enumerate(position))
        result[(..., *position)] = reduce(x[(..., *spans)].reshape(*lead, -1))
    return result


def _largest(windows: Array) -> Array:
    return windows.max(axis=-1)


def _sum(windows: Array) -> Array:
    return windows.sum(axis=-1)


@kernel(pooling.AdaptiveMaxPoolOp)
def adaptive_max_pool(op: pooling.AdaptiveMaxPoolOp, x: Array) -> Array:
    number = exact(x, op.input)
    if number is not None:
        best = _adaptive(op, number.codes, _largest)
        return from_exact(op, best, number.frac)
    return from_float(op, _adaptive(op, x, _largest))


@kernel(pooling.AdaptiveAvgPoolOp)
def adaptive_avg_pool(op: pooling.AdaptiveAvgPoolOp, x: Array) -> Array:
    spatial = shape_of(op.input)[-len(op.output_size) :]
    counts = _adaptive(op, np.ones((1, *spatial), dtype=np.int64), _sum)[0]
    number = exact(x, op.input)
    if number is None:
        total = _adaptive(op, decode(x, element_of(op.input)), _sum)
        return from_float(op, total / counts.astype(total.dtype))
    total = _adaptive(op, _summable(number.codes, math.prod(spatial)), _sum)
    return from_ratio(op, total, counts, number.frac)


@kernel(pooling.ReduceOp)
def reduce(op: pooling.ReduceOp, x: Array) -> Array:
    axes = tuple(a + 1 for a in ints(op.axes))
    number = exact(x, op.input)
    x = decode(x, element_of(op.input)) if number is None else number.codes
    count = math.prod(x.shape[a] for a in axes)
    match op.kind.data:
        case "max":
            total = np.asarray(x.max(axis=axes))
        case "min":
            total = np.asarray(x.min(axis=axes))
        case _:
            total = exact_sum(x, axes)
    total = total.reshape(x.shape[0], *shape_of(op.result))
    if op.kind.data != "mean":
        if number is not None:
            return from_exact(op, total, number.frac)
        return from_float(op, total)
    if number is not None:
        return from_ratio(op, total, np.array(count), number.frac)
    return from_float(op, total / total.dtype.type(count))


@kernel(pooling.ArgmaxOp)
def argmax(op: pooling.ArgmaxOp, x: Array) -> Array:
    # NaN counts as the largest, as in torch.
    index = np.argmax(x, axis=op.axis.value.data + 1)
    return index.astype(np.int64).reshape(x.shape[0], *shape_of(op.result))
