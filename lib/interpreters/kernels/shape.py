"""Constants, lookups and what only moves elements."""

from __future__ import annotations

from typing import Any

import numpy as np

from mase_opt.dialects.mase import layers, shape
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.types import (
    FixedPoint,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.lib.formats.rounding import integers
from mase_opt.lib.interpreters import exact
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.kernels.registry import kernel
from mase_opt.lib.interpreters.kernels.values import (
    check_range,
    moved,
    same_rank,
    take,
)


@kernel(shape.ConstantOp)
def constant(op: shape.ConstantOp) -> Array:
    array = op.array()[None]
    # Weights keep their narrow dtype; NumPy mixes uint64 with int64 to float64.
    return integers(array) if array.dtype == np.uint64 else array


@kernel(layers.LookupOp)
def lookup(op: layers.LookupOp, x: Array, table: Array) -> Array:
    element = element_of(op.input)
    assert isinstance(element, FixedPoint), "verified"
    index = integers(x) & ((1 << element.width.data) - 1)
    entries = take(table, index, 0)
    return moved(op, entries.reshape(len(entries), *shape_of(op.result)))


@kernel(shape.ReshapeOp)
def reshape(op: shape.ReshapeOp, x: Array) -> Array:
    return moved(op, x.reshape(x.shape[0], *shape_of(op.result)))


@kernel(shape.TransposeOp)
def transpose(op: shape.TransposeOp, x: Array) -> Array:
    return moved(op, x.transpose(0, *(p + 1 for p in ints(op.permutation))))


@kernel(shape.BroadcastOp)
def broadcast(op: shape.BroadcastOp, x: Array) -> Array:
    (x,) = same_rank((x,), len(shape_of(op.result)))
    return moved(op, np.broadcast_to(x, (x.shape[0], *shape_of(op.result))))


@kernel(shape.ConcatOp)
def concat(op: shape.ConcatOp, *arrays: Array) -> Array:
    samples = max(a.shape[0] for a in arrays)
    full = [np.broadcast_to(a, (samples, *a.shape[1:])) for a in arrays]
    return moved(op, np.concatenate(full, axis=op.axis.value.data + 1))


@kernel(shape.SliceOp)
def slice_(op: shape.SliceOp, x: Array) -> Array:
    starts, stops, strides = ints(op.starts), ints(op.stops), ints(op.strides)
    spans = zip(starts, stops, strides, strict=True)
    return moved(op, x[(slice(None), *(slice(a, b, c) for a, b, c in spans))])


@kernel(shape.PadOp)
def pad(op: shape.PadOp, x: Array) -> Array:
    margins = list(zip(ints(op.low), ints(op.high), strict=True))
    if exact_format(element_of(op.input)) is not None and x.dtype != np.bool_:
        x = integers(x)
    return moved(op, exact.pad(x, [(0, 0), *margins], pad_code(op)))


def pad_code(op: shape.PadOp) -> Any:
    """The code (or number) that `mase.pad` inserts."""
    value = op.value.value.data
    format = exact_format(element_of(op.result))
    return value if format is None else format.encode(np.array(value)).item()


@kernel(shape.GatherOp)
def gather(op: shape.GatherOp, x: Array, indices: Array) -> Array:
    indices, axis = integers(indices), op.axis.value.data
    size = shape_of(op.input)[axis]
    check_range(indices, -size, size)
    return moved(op, take(x, indices, axis))
