"""Conversion of layers: linear, convolution, norms, attention, pools, reductions."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod, sqrt

import numpy as np
from xdsl.dialects.builtin import BoolAttr
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import layers as mase
from mase_opt.dialects.mase import normalization, pooling
from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.elementwise import (
    AbsOp,
    AddOp,
    ExpOp,
    LogOp,
    MulOp,
    NegOp,
    RsqrtOp,
    SqrtOp,
    SubOp,
)
from mase_opt.dialects.mase.shape import PadOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.conversion.convert_torch_to_mase.call import (
    Call,
    Rule,
    Unsupported,
    constant_array,
    inverted,
)
from mase_opt.lib.conversion.convert_torch_to_mase.shapes import nearest


def _linear(call: Call) -> SSAValue:
    """torch.aten.linear(x, w, b) -> mase.linear(x, w, b)"""
    weight = call.tensor(1)
    if len(shape_of(weight)) != 2:
        raise Unsupported(f"weight has rank {len(shape_of(weight))}, supported: 2")
    return call.emit(mase.LinearOp(call.tensor(0), weight, call.optional_tensor(2)))


def _addmm(call: Call) -> SSAValue:
    """torch.aten.addmm(b, x, w) -> mase.linear(x, wᵀ, b)"""
    bias, x, weight = (call.tensor(i) for i in range(3))
    call.expect(3, 1, 1.0)
    call.expect(4, 1, 1.0)
    if shape_of(bias) == shape_of(weight)[1:]:
        return call.emit(mase.LinearOp(x, call.transpose(weight, [1, 0]), bias))
    return call.emit(AddOp(call.emit(mase.MatmulOp(x, weight)), bias))


def _matmul(call: Call) -> SSAValue:
    """
    torch.aten.matmul(x, y) -> mase.matmul(x, y); vectors become matrices

    If y is a constant matrix: mase.linear(x, yᵀ)
    """
    lhs, rhs = call.tensor(0), call.tensor(1)
    if len(shape_of(lhs)) == 1:
        lhs = call.reshape(lhs, [1, *shape_of(lhs)])
    if len(shape_of(rhs)) == 1:
        rhs = call.reshape(rhs, [*shape_of(rhs), 1])
    if len(shape_of(rhs)) == 2 and constant_array(rhs) is not None:
        result = call.emit(mase.LinearOp(lhs, call.transpose(rhs, [1, 0])))
        return call.reshape(result, call.result_type().get_shape())
    result = call.emit(mase.MatmulOp(lhs, rhs))
    return call.reshape(result, call.result_type().get_shape())


def _convolution(call: Call) -> SSAValue:
    """torch.aten.convolution -> mase.conv1d, mase.conv2d, mase.conv_transpose2d"""
    rank = len(shape_of(call.tensor(1))) - 2
    padding = call.ints(4, rank)
    if not call.bool(6):
        return _conv(call, call.tensor(0), padding, call.int(8))
    if rank != 2:
        raise Unsupported(f"transposed convolution of rank {rank}, supported: 2")
    x = call.tensor(0)
    *batch, channels, height, width = shape_of(x)
    result = call.emit(
        mase.ConvTranspose2dOp(
            call.reshape(x, [*(batch or [1]), channels, height, width]),
            call.tensor(1),
            call.optional_tensor(2),
            strides=call.ints(3, rank),
            padding=padding,
            dilation=call.ints(5, rank),
            output_padding=call.ints(7, rank) or (0, 0),
            groups=call.int(8),
        )
    )
    return result if batch else call.reshape(result, shape_of(result)[1:])


def _conv(call: Call, x: SSAValue, padding: Sequence[int], groups: int) -> SSAValue:
    """A convolution of `x`, with the weight, bias, strides and dilation of `call`."""
    weight, bias = call.tensor(1), call.optional_tensor(2)
    rank = len(shape_of(weight)) - 2
    if rank not in (1, 2):
        raise Unsupported(f"convolution of rank {rank}, supported: 1 and 2")
    batched = len(shape_of(x)) == rank + 2
    op = (mase.Conv1dOp if rank == 1 else mase.Conv2dOp)(
        x if batched else call.reshape(x, [1, *shape_of(x)]),
        weight,
        bias,
        strides=call.ints(3, rank),
        padding=padding,
        dilation=call.ints(5, rank),
        groups=groups,
    )
    result = call.emit(op)
    return result if batched else call.reshape(result, shape_of(result)[1:])


def _conv_padding(call: Call) -> SSAValue:
    """
    torch.aten.conv2d(x, w, b, …, "same") -> mase.conv2d(x, w, b), padding computed

    Where the padding is odd the high side gets one more, by mase.pad.
    """
    x, kernel = call.tensor(0), shape_of(call.tensor(1))[2:]
    rank = len(kernel)
    call.expect(4, "same", "valid")
    if call.str(4) == "valid":
        return _conv(call, x, [0] * rank, call.int(6))
    totals = [d * (k - 1) for d, k in zip(call.ints(5, rank), kernel, strict=True)]
    extra = [total % 2 for total in totals]
    if any(extra):
        lead = [0] * (len(shape_of(x)) - rank)
        x = call.emit(PadOp(x, low=[0] * len(shape_of(x)), high=[*lead, *extra]))
    return _conv(call, x, [total // 2 for total in totals], call.int(6))


def _embedding(call: Call) -> SSAValue:
    """torch.aten.embedding(w, i) -> mase.embedding(w, i)"""
    return call.emit(mase.EmbeddingOp(call.tensor(0), call.tensor(1)))


def _filled(call: Call, value: SSAValue | None, count: int, fill: float) -> SSAValue:
    """`value`, or a vector of `count` times `fill`."""
    if value is not None:
        return value
    return call.constant(np.full(count, fill), call.element)


def _batch_norm_op(
    call: Call, mean: int, variance: int, weight: int, bias: int, eps: float
) -> SSAValue:
    x = call.tensor(0)
    if call.is_none(mean) or call.is_none(variance):
        raise Unsupported("no running statistics: it depends on the batch")
    channels = shape_of(x)[1]
    return call.emit(
        normalization.BatchNormOp(
            x,
            call.tensor(mean),
            call.tensor(variance),
            _filled(call, call.optional_tensor(weight), channels, 1.0),
            _filled(call, call.optional_tensor(bias), channels, 0.0),
            eps=eps,
        )
    )


def _batch_norm(call: Call) -> Sequence[SSAValue | None]:
    """torch.aten.batch_norm(x, w, b, mean, var, false, …) -> mase.batch_norm"""
    if call.bool(5) and not call.is_none(3):
        raise Unsupported("in training mode: call model.eval() before the export")
    result = _batch_norm_op(call, 3, 4, 1, 2, float(call.number(7)))
    return [result, *[None] * (len(call.op.results) - 1)]


def _layer_norm(call: Call) -> Sequence[SSAValue | None]:
    """torch.aten.layer_norm(x, shape, w, b, eps) -> mase.layer_norm(x, w, b)"""
    result = call.emit(
        normalization.LayerNormOp(
            call.tensor(0),
            call.optional_tensor(2),
            call.optional_tensor(3),
            rank=len(call.ints(1)),
            eps=float(call.number(4)),
        )
    )
    return [result, *[None] * (len(call.op.results) - 1)]


def _group_norm(call: Call) -> SSAValue:
    """torch.aten.group_norm(x, groups, w, b, eps) -> mase.group_norm(x, w, b)"""
    return call.emit(
        normalization.GroupNormOp(
            call.tensor(0),
            call.optional_tensor(2),
            call.optional_tensor(3),
            groups=call.int(1),
            eps=float(call.number(4)),
        )
    )


def _instance_norm(call: Call) -> SSAValue:
    """torch.aten.instance_norm(x, w, b, …) -> mase.group_norm, a group per channel"""
    x, eps = call.tensor(0), float(call.number(7))
    if not call.bool(5):
        return _batch_norm_op(call, 3, 4, 1, 2, eps)
    return call.emit(
        normalization.GroupNormOp(
            x,
            call.optional_tensor(1),
            call.optional_tensor(2),
            groups=shape_of(x)[1],
            eps=eps,
        )
    )


def _rms_norm(call: Call) -> SSAValue:
    """torch.aten.rms_norm(x, shape, w, eps) -> x rsqrt(mean(x x) + eps) w"""
    x = call.tensor(0)
    rank, count = len(shape_of(x)), len(call.ints(1))
    eps = float(np.finfo(np.float32).eps) if call.is_none(3) else call.number(3)
    square = call.emit(MulOp(x, x))
    axes = range(rank - count, rank)
    mean = call.emit(pooling.ReduceOp(square, "mean", list(axes), keepdims=True))
    shifted = call.emit(AddOp(mean, call.constant(eps, call.element)))
    result = call.emit(MulOp(x, call.emit(RsqrtOp(shifted))))
    weight = call.optional_tensor(2)
    return result if weight is None else call.emit(MulOp(result, weight))


def _softmax(call: Call) -> SSAValue:
    """torch.aten.softmax(x, dim) -> mase.softmax(x) {axis}"""
    x = call.cast(call.tensor(0), call.element)
    return call.emit(normalization.SoftmaxOp(x, call.axis(1, len(shape_of(x)))))


def _log_softmax(call: Call) -> SSAValue:
    """torch.aten.log_softmax(x, dim) -> y - log(sum(exp(y))), y = x - max(x)"""
    x = call.cast(call.tensor(0), call.element)
    axes = [call.axis(1, len(shape_of(x)))]
    largest = call.emit(pooling.ReduceOp(x, "max", axes, keepdims=True))
    shifted = call.emit(SubOp(x, largest))
    total = call.emit(
        pooling.ReduceOp(call.emit(ExpOp(shifted)), "sum", axes, keepdims=True)
    )
    return call.emit(SubOp(shifted, call.emit(LogOp(total))))


def _attention(call: Call) -> SSAValue:
    """torch.aten.scaled_dot_product_attention(q, k, v, …) -> mase.attention(q, k, v)"""
    query, key, value = (call.tensor(i) for i in range(3))
    call.expect(4, 0, 0.0)
    if call.bool(7):
        heads = shape_of(query)[-3]
        key, value = (_repeat_heads(call, t, heads) for t in (key, value))
    width = shape_of(query)[-1]
    scale = 1 / sqrt(width) if call.is_none(6) else float(call.number(6))
    return call.emit(
        normalization.AttentionOp(
            query,
            key,
            value,
            call.optional_tensor(3),
            scale=scale,
            causal=call.bool(5),
        )
    )


def _repeat_heads(call: Call, value: SSAValue, heads: int) -> SSAValue:
    """Each of the heads of `[…, H, S, E]` several times, `heads` in all."""
    *lead, count, length, width = shape_of(value)
    value = call.reshape(value, [*lead, count, 1, length, width])
    value = call.broadcast(value, [*lead, count, heads // count, length, width])
    return call.reshape(value, [*lead, heads, length, width])


def _max_pool(rank: int) -> Rule:
    """torch.aten.max_pool2d(x, …) -> mase.max_pool(x) {…}"""

    def rule(call: Call) -> Sequence[SSAValue | None]:
        result = call.emit(
            pooling.MaxPoolOp(
                call.tensor(0),
                call.ints(1, rank),
                strides=call.ints(2, rank) or None,
                padding=call.ints(3, rank),
                dilation=call.ints(4, rank),
                ceil_mode=call.bool(5),
            )
        )
        return [result, *[None] * (len(call.op.results) - 1)]

    return rule


def _avg_pool(rank: int) -> Rule:
    """torch.aten.avg_pool2d(x, …) -> mase.avg_pool(x) {…}"""

    def rule(call: Call) -> SSAValue:
        kernel = call.ints(1, rank)
        op = pooling.AvgPoolOp(
            call.tensor(0),
            kernel,
            strides=call.ints(2, rank) or None,
            padding=call.ints(3, rank),
            ceil_mode=call.bool(4),
        )
        divisor = None if rank == 1 or call.is_none(6) else call.int(6)
        op.count_include_pad = BoolAttr.from_bool(call.bool(5) or divisor is not None)
        if divisor is None:
            return call.emit(op)
        if call.bool(4):
            raise Unsupported("divisor_override together with ceil_mode")
        if not is_float(call.element):
            raise Unsupported("divisor_override of integers")
        scale = call.constant(prod(kernel) / divisor, call.element)
        return call.emit(MulOp(call.emit(op), scale))

    return rule


def _adaptive_pool(cls: type[pooling.AdaptivePoolOp], rank: int) -> Rule:
    """torch.aten.adaptive_avg_pool2d(x, size) -> mase.adaptive_avg_pool(x) {size}"""

    def rule(call: Call) -> Sequence[SSAValue | None]:
        result = call.emit(cls(call.tensor(0), call.ints(1, rank)))
        return [result, *[None] * (len(call.op.results) - 1)]

    return rule


def _reduce_all(kind: str) -> Rule:
    """torch.aten.mean(x) -> mase.reduce(x) {kind, axes = all}"""

    def rule(call: Call) -> SSAValue:
        x = call.cast(call.tensor(0), call.element)
        return _reduced(call, x, kind, list(range(len(shape_of(x)))), False)

    return rule


def _reduce(kind: str) -> Rule:
    """torch.aten.mean.dim(x, axes, keepdim) -> mase.reduce(x) {kind, axes}"""

    def rule(call: Call) -> SSAValue:
        x = call.cast(call.tensor(0), call.element)
        axes = call.axes(1, len(shape_of(x)))
        return _reduced(call, x, kind, axes, call.bool(2))

    return rule


def _reduced(
    call: Call, x: SSAValue, kind: str, axes: Sequence[int], keepdims: bool
) -> SSAValue:
    if not axes:
        return x
    return call.emit(pooling.ReduceOp(x, kind, axes, keepdims=keepdims))


def _extreme_dim(kind: str) -> Rule:
    """torch.aten.max.dim(x, dim, keepdim) -> mase.reduce(x) and mase.argmax(x)"""

    def rule(call: Call) -> Sequence[SSAValue | None]:
        x, keepdims = call.tensor(0), call.bool(2)
        axis = call.axis(1, len(shape_of(x)))
        values = indices = None
        if any(call.op.results[0].uses):
            values = call.emit(pooling.ReduceOp(x, kind, [axis], keepdims=keepdims))
        if any(call.op.results[1].uses):
            source = x if kind == "max" else _falling(call, x)
            indices = call.emit(pooling.ArgmaxOp(source, axis, keepdims=keepdims))
        return [values, indices]

    return rule


def _falling(call: Call, x: SSAValue) -> SSAValue:
    """Other numbers, the larger the smaller those of `x` are."""
    # Not all integers have a negative one.
    return call.emit(NegOp(x)) if is_float(element_of(x)) else inverted(call, x)


def _vector_norm(call: Call) -> SSAValue:
    """torch.aten.linalg_vector_norm(x, 2, dims) -> sqrt(sum(x x))"""
    call.expect(1, 1, 1.0, 2, 2.0)
    x = call.cast(call.tensor(0), call.element)
    axes = call.axes(2, len(shape_of(x)))
    if call.number(1) == 1:
        return _reduced(call, call.emit(AbsOp(x)), "sum", axes, call.bool(3))
    total = _reduced(call, call.emit(MulOp(x, x)), "sum", axes, call.bool(3))
    return call.emit(SqrtOp(total))


def _cumsum(call: Call) -> SSAValue:
    """torch.aten.cumsum(x, dim) -> mase.matmul(x, ones on and above the diagonal)"""
    x = call.cast(call.tensor(0), call.element)
    rank = len(shape_of(x))
    if rank == 0:
        return x
    axis = call.axis(1, rank)
    size = shape_of(x)[axis]
    order = [i for i in range(rank) if i != axis] + [axis]
    back = [order.index(i) for i in range(rank)]
    matrix = call.constant(np.triu(np.ones((size, size))), call.element)
    x = call.transpose(x, order)
    rows = call.reshape(x, [prod(shape_of(x)[:-1]), size])
    sums = call.emit(mase.MatmulOp(rows, matrix))
    return call.transpose(call.reshape(sums, shape_of(x)), back)


def _upsample_bilinear(call: Call) -> SSAValue:
    """
    torch.aten.upsample_bilinear2d(x, size) -> mase.matmul(rows, x), and by columns

    Interpolation is linear and separable: one constant matrix per dimension.
    """
    return _bilinear(call, corners=call.bool(2), scaled=not call.is_none(3))


def _bilinear(call: Call, *, corners: bool, scaled: bool) -> SSAValue:
    x = call.tensor(0)
    *_, height, width = shape_of(x)
    *_, rows, columns = call.result_type().get_shape()
    if scaled and rows % height + columns % width:
        raise Unsupported("scale factors that are not whole numbers")
    if columns != width:
        matrix = call.constant(
            bilinear_weights(width, columns, corners).T, call.element
        )
        x = call.emit(mase.MatmulOp(x, matrix))
    if rows != height:
        matrix = call.constant(bilinear_weights(height, rows, corners), call.element)
        x = call.emit(mase.MatmulOp(matrix, x))
    return x


def _interpolate(call: Call) -> SSAValue:
    """torch.aten.__interpolate(x, size, scales, mode) -> as the mode says"""
    call.expect(3, "nearest", "bilinear")
    scaled = not call.is_none(2)
    if call.str(3) == "nearest":
        return nearest(call, scaled=scaled)
    corners = not call.is_none(4) and call.bool(4)
    return _bilinear(call, corners=corners, scaled=scaled)


def bilinear_weights(size: int, result: int, corners: bool) -> np.ndarray:
    """
    The matrix `[result, size]` of linear interpolation.

    `corners`: the outermost samples coincide; else pixels are areas, so that sample i
    lies at (i + 1/2) size / result - 1/2.
    """
    positions = np.arange(result, dtype=np.float64)
    if corners:
        positions *= (size - 1) / (result - 1) if result > 1 else 0
    else:
        positions = np.maximum((positions + 0.5) * size / result - 0.5, 0)
    low = np.floor(positions).astype(np.int64)
    high = np.minimum(low + 1, size - 1)
    fraction = positions - low
    matrix = np.zeros((result, size))
    matrix[np.arange(result), low] += 1 - fraction
    matrix[np.arange(result), high] += fraction
    return matrix


RULES: dict[str, Rule] = {
    "aten.linear": _linear,
    "aten.addmm": _addmm,
    "aten.mm": _matmul,
    "aten.bmm": _matmul,
    "aten.matmul": _matmul,
    "aten.convolution": _convolution,
    "aten.conv1d.padding": _conv_padding,
    "aten.conv2d.padding": _conv_padding,
    "aten.embedding": _embedding,
    # norms
    "aten.batch_norm": _batch_norm,
    "aten.native_batch_norm": _batch_norm,
    "aten.layer_norm": _layer_norm,
    "aten.native_layer_norm": _layer_norm,
    "aten.group_norm": _group_norm,
    "aten.instance_norm": _instance_norm,
    "aten.rms_norm": _rms_norm,
    # attention
    "aten.softmax.int": _softmax,
    "aten._softmax": _softmax,
    "aten.log_softmax.int": _log_softmax,
    "aten.scaled_dot_product_attention": _attention,
    # pools
    "aten.max_pool1d": _max_pool(1),
    "aten.max_pool2d": _max_pool(2),
    "aten.avg_pool1d": _avg_pool(1),
    "aten.avg_pool2d": _avg_pool(2),
    "aten.adaptive_avg_pool1d": _adaptive_pool(pooling.AdaptiveAvgPoolOp, 1),
    "aten.adaptive_avg_pool2d": _adaptive_pool(pooling.AdaptiveAvgPoolOp, 2),
    "aten.adaptive_max_pool2d": _adaptive_pool(pooling.AdaptiveMaxPoolOp, 2),
    "aten.upsample_bilinear2d.vec": _upsample_bilinear,
    "aten.__interpolate.size_list_scale_list": _interpolate,
    # reductions
    "aten.mean": _reduce_all("mean"),
    "aten.mean.dim": _reduce("mean"),
    "aten.sum": _reduce_all("sum"),
    "aten.sum.dim_IntList": _reduce("sum"),
    "aten.amax": _reduce("max"),
    "aten.amin": _reduce("min"),
    "aten.max": _reduce_all("max"),
    "aten.min": _reduce_all("min"),
    "aten.max.dim": _extreme_dim("max"),
    "aten.min.dim": _extreme_dim("min"),
    "aten.linalg_vector_norm": _vector_norm,
    "aten.cumsum": _cumsum,
}
