"""Conversion of ops that move elements or make constant tensors."""

from __future__ import annotations

from math import prod

import numpy as np
from xdsl.dialects.builtin import StringAttr, i1, i64
from xdsl.ir import SSAValue

from mase_opt.dialects.mase.elementwise import AddOp, CompareOp, MulOp, SelectOp
from mase_opt.dialects.mase.shape import ConcatOp, GatherOp, PadOp, SliceOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.conversion.convert_torch_to_mase.call import (
    Call,
    Rule,
    Unsupported,
    constant_array,
)


def _reshape(call: Call) -> SSAValue:
    """torch.aten.view(x, size) -> mase.reshape(x)"""
    return call.reshape(call.tensor(0), call.result_type().get_shape())


def _broadcast(call: Call) -> SSAValue:
    """torch.aten.expand(x, size) -> mase.broadcast(x)"""
    return call.broadcast(call.tensor(0), call.result_type().get_shape())


def _permute(call: Call) -> SSAValue:
    """torch.aten.permute(x, dims) -> mase.transpose(x) {permutation}"""
    x = call.tensor(0)
    return call.transpose(x, call.axes(1, len(shape_of(x))))


def _transpose(call: Call) -> SSAValue:
    """torch.aten.transpose(x, a, b) -> mase.transpose(x) {permutation}"""
    x = call.tensor(0)
    rank = len(shape_of(x))
    if rank == 0:
        return x
    a, b = call.axis(1, rank), call.axis(2, rank)
    permutation = list(range(rank))
    permutation[a], permutation[b] = b, a
    return call.transpose(x, permutation)


def _concat(call: Call) -> SSAValue:
    """torch.aten.cat(xs, dim) -> mase.concat(xs) {axis}"""
    shape = call.result_type().get_shape()
    # torch skips empty tensors of any rank.
    values = [v for v in call.tensors(0) if shape_of(v) != (0,) or len(shape) == 1]
    values = [call.cast(value, call.element) for value in values]
    if len(values) == 1:
        return values[0]
    return call.emit(ConcatOp(values, call.axis(1, len(shape))))


def _sliced(
    call: Call, x: SSAValue, axis: int, start: int, stop: int, stride: int = 1
) -> SSAValue:
    """`x[start:stop:stride]` along `axis`; the bounds are within the dimension."""
    shape = shape_of(x)
    if (start, stop, stride) == (0, shape[axis], 1):
        return x
    starts, stops, strides = [0] * len(shape), list(shape), [1] * len(shape)
    starts[axis], stops[axis], strides[axis] = start, stop, stride
    return call.emit(SliceOp(x, starts=starts, stops=stops, strides=strides))


def _slice(call: Call) -> SSAValue:
    """torch.aten.slice(x, dim, start, stop, step) -> mase.slice(x) {…}"""
    x = call.tensor(0)
    axis = call.axis(1, len(shape_of(x)))
    size = shape_of(x)[axis]
    start = None if call.is_none(2) else call.int(2)
    stop = None if call.is_none(3) else call.int(3)
    start, stop, stride = slice(start, stop, call.int(4)).indices(size)
    return _sliced(call, x, axis, start, max(start, stop), stride)


def _slice_scatter(call: Call) -> SSAValue:
    """torch.aten.slice_scatter(x, y, dim, start, stop) -> mase.concat(x, y, x)"""
    x, part = call.tensor(0), call.tensor(1)
    call.expect(5, 1)
    axis = call.axis(2, len(shape_of(x)))
    size = shape_of(x)[axis]
    start = None if call.is_none(3) else call.int(3)
    start, *_ = slice(start, None).indices(size)
    stop = start + shape_of(part)[axis]
    pieces = [part]
    if start > 0:
        pieces.insert(0, _sliced(call, x, axis, 0, start))
    if stop < size:
        pieces.append(_sliced(call, x, axis, stop, size))
    return part if len(pieces) == 1 else call.emit(ConcatOp(pieces, axis))


def _select(call: Call) -> SSAValue:
    """torch.aten.select(x, dim, i) -> mase.reshape(mase.slice(x)), i known"""
    x = call.tensor(0)
    axis = call.axis(1, len(shape_of(x)))
    index = call.int(2) % shape_of(x)[axis]
    part = _sliced(call, x, axis, index, index + 1)
    return call.reshape(part, call.result_type().get_shape())


def _pad(call: Call) -> SSAValue:
    """torch.aten.constant_pad_nd(x, pads, value) -> mase.pad(mase.slice(x)) {…}"""
    x, pads = call.tensor(0), call.ints(1)
    rank = len(shape_of(x))
    low, high = [0] * rank, [0] * rank
    for index, (before, behind) in enumerate(zip(pads[::2], pads[1::2], strict=True)):
        axis = rank - 1 - index
        # Negative padding cuts off.
        start, stop = max(-before, 0), shape_of(x)[axis] - max(-behind, 0)
        x = _sliced(call, x, axis, start, stop)
        low[axis], high[axis] = max(before, 0), max(behind, 0)
    if not any([*low, *high]):
        return x
    return call.emit(PadOp(x, low=low, high=high, value=float(call.number(2))))


def _take(call: Call, x: SSAValue, indices: SSAValue, axis: int) -> SSAValue:
    op = GatherOp(x, indices, axis)
    if call.layer is not None:
        op.layer = StringAttr(call.layer)
    return call.emit(op)


def _index_select(call: Call) -> SSAValue:
    """torch.aten.index_select(x, dim, i) -> mase.gather(x, i) {axis}"""
    x, indices = call.tensor(0), call.tensor(2)
    axis = call.axis(1, len(shape_of(x)))
    taken = _take(call, x, indices, axis)
    return call.reshape(taken, call.result_type().get_shape())


def _flip(call: Call) -> SSAValue:
    """torch.aten.flip(x, dims) -> mase.gather(x, last to first) {axis}"""
    x = call.tensor(0)
    for axis in call.axes(1, len(shape_of(x))) if call.ints(1) else []:
        order = np.arange(shape_of(x)[axis])[::-1]
        x = _take(call, x, call.constant(order, i64), axis)
    return x


def _roll(call: Call) -> SSAValue:
    """torch.aten.roll(x, shifts, dims) -> mase.concat(mase.slice(x), mase.slice(x))"""
    x, shifts, axes = call.tensor(0), call.ints(1), call.ints(2)
    shape = shape_of(x)
    if not axes:
        x, axes = call.reshape(x, [prod(shape)]), [0]
    for shift, axis in zip(shifts, axes, strict=True):
        axis %= len(shape_of(x))
        size = shape_of(x)[axis]
        if cut := -shift % size:
            back = _sliced(call, x, axis, cut, size)
            front = _sliced(call, x, axis, 0, cut)
            x = call.emit(ConcatOp([back, front], axis))
    return call.reshape(x, shape)


def _positive(call: Call, indices: SSAValue, size: int) -> SSAValue:
    """Indices with `size` added to negative ones."""
    known = constant_array(indices)
    if known is not None and (known.size == 0 or known.min() >= 0):
        return indices
    zero, count = call.constant(0, i64), call.constant(size, i64)
    negative = call.emit(CompareOp(indices, zero, "lt"))
    return call.emit(SelectOp(negative, call.emit(AddOp(indices, count)), indices))


def _index(call: Call) -> SSAValue:
    """
    torch.aten.index(x, [i, j, …]) -> mase.gather(mase.reshape(x), i · stride + …)

    The indices of several leading dimensions become one index into them, flattened.
    """
    x, indices = call.tensor(0), call.arguments[1]
    if not isinstance(indices, list) or None in indices:
        raise Unsupported("indices that leave out a dimension")
    shape = shape_of(x)
    flat: SSAValue | None = None
    for axis, index in enumerate(call.tensors(1)):
        if element_of(index) == i1:
            raise Unsupported("a mask as index: the shape depends on the data")
        index = call.cast(index, i64)
        if len(indices) > 1:
            index = _positive(call, index, shape[axis])
        stride = prod(shape[axis + 1 : len(indices)])
        if stride != 1:
            index = call.emit(MulOp(index, call.constant(stride, i64)))
        flat = index if flat is None else call.emit(AddOp(flat, index))
    if flat is None:
        return x
    count = len(indices)
    x = call.reshape(x, [prod(shape[:count]), *shape[count:]])
    return _take(call, x, flat, 0)


def _gather(call: Call) -> SSAValue:
    """torch.aten.gather(x, dim, i) -> mase.gather(mase.reshape(x), flat position)"""
    x, index = call.tensor(0), call.cast(call.tensor(2), i64)
    shape = shape_of(x)
    if not shape:
        return call.reshape(x, call.result_type().get_shape())
    axis = call.axis(1, len(shape))
    strides = [prod(shape[i + 1 :]) for i in range(len(shape))]
    grid = np.indices(shape_of(index))
    base = sum(
        (grid[i] * strides[i] for i in range(len(shape)) if i != axis),
        np.zeros(shape_of(index), np.int64),
    )
    if strides[axis] != 1:
        index = call.emit(MulOp(index, call.constant(strides[axis], i64)))
    flat = call.emit(AddOp(index, call.constant(base, i64)))
    return _take(call, call.reshape(x, [prod(shape)]), flat, 0)


def _triangle(upper: bool) -> Rule:
    """torch.aten.tril(x, k) -> mase.select(constant triangle, x, 0)"""

    def rule(call: Call) -> SSAValue:
        x, offset = call.tensor(0), call.int(1)
        rows, columns = shape_of(x)[-2:]
        ones = np.ones((rows, columns), bool)
        kept = np.triu(ones, offset) if upper else np.tril(ones, offset)
        zero = call.constant(0, call.element)
        return call.emit(SelectOp(call.constant(kept, i1), x, zero))

    return rule


def _arange(call: Call) -> SSAValue:
    """torch.aten.arange(start, end, step) -> mase.constant"""
    start, step = call.number(0), call.number(2)
    (count,) = call.result_type().get_shape()
    return call.constant(start + step * np.arange(count), call.element)


def nearest(call: Call, *, scaled: bool) -> SSAValue:
    """torch.aten.__interpolate(x, size, "nearest") -> mase.gather(x, positions)"""
    x = call.tensor(0)
    result = call.result_type().get_shape()
    for axis in (-2, -1):
        size, wanted = shape_of(x)[axis], result[axis]
        if scaled and wanted % size:
            raise Unsupported("scale factors that are not whole numbers")
        if size != wanted:
            indices = np.arange(wanted) * size // wanted
            rank = len(shape_of(x))
            x = _take(call, x, call.constant(indices, i64), rank + axis)
    return x


RULES: dict[str, Rule] = {
    "aten.view": _reshape,
    "aten.squeeze": _reshape,
    "aten.squeeze.dim": _reshape,
    "aten.unsqueeze": _reshape,
    "aten.broadcast_to": _broadcast,
    "prims.collapse": _reshape,
    "prims.split_dim": _reshape,
    "aten.permute": _permute,
    "aten.transpose.int": _transpose,
    "aten.cat": _concat,
    "aten.slice.Tensor": _slice,
    "aten.slice_scatter": _slice_scatter,
    "aten.select.int": _select,
    "aten.constant_pad_nd": _pad,
    "aten.index_select": _index_select,
    "aten.index.Tensor_hacked_twin": _index,
    "aten.gather": _gather,
    "aten.flip": _flip,
    "aten.roll": _roll,
    "aten.tril": _triangle(upper=False),
    "aten.triu": _triangle(upper=True),
    "aten.arange.start_step": _arange,
}
