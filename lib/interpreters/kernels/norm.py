"""Normalizations, softmax and attention: in floating point for every format."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import i1

from mase_opt.dialects.mase import normalization
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.kernels.registry import kernel
from mase_opt.lib.interpreters.kernels.values import (
    decode,
    floats,
    from_float,
    same_rank,
)


@kernel(normalization.BatchNormOp)
def batch_norm(op: normalization.BatchNormOp, *arrays: Array) -> Array:
    x, *rest = floats(arrays, tuple(op.operands))
    # [S, N, C, …] against [S, 1, C, 1…]
    mean, variance, weight, bias = (
        a.reshape(a.shape[0], 1, a.shape[1], *(1,) * (x.ndim - 3)) for a in rest
    )
    scale = weight / np.sqrt(variance + variance.dtype.type(op.eps.value.data))
    return from_float(op, (x - mean) * scale + bias)


def _normalize(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    mean = x.mean(axis=axes, keepdims=True)
    centred = x - mean
    variance = (centred * centred).mean(axis=axes, keepdims=True)
    return centred / np.sqrt(variance + x.dtype.type(eps))


def _affine(
    op: normalization.AffineNormOp, x: Array, rest: tuple[Array, ...], trailing: int
) -> Array:
    values = iter(rest)
    if op.weight is not None:
        x = x * _spread(decode(next(values), element_of(op.weight)), x.ndim, trailing)
    if op.bias is not None:
        x = x + _spread(decode(next(values), element_of(op.bias)), x.ndim, trailing)
    return x


def _spread(parameter: Array, rank: int, trailing: int) -> Array:
    """Insert axes behind the sample axis, and `trailing` ones at the end."""
    lead = (1,) * (rank - parameter.ndim - trailing)
    return parameter.reshape(
        parameter.shape[0], *lead, *parameter.shape[1:], *(1,) * trailing
    )


@kernel(normalization.LayerNormOp)
def layer_norm(op: normalization.LayerNormOp, x: Array, *rest: Array) -> Array:
    x = decode(x, element_of(op.input))
    axes = tuple(range(x.ndim - op.rank.value.data, x.ndim))
    x = _normalize(x, axes, op.eps.value.data)
    return from_float(op, _affine(op, x, rest, 0))


@kernel(normalization.GroupNormOp)
def group_norm(op: normalization.GroupNormOp, x: Array, *rest: Array) -> Array:
    x = decode(x, element_of(op.input))
    groups = op.groups.value.data
    split = x.reshape(*x.shape[:2], groups, -1)
    x = _normalize(split, (3,), op.eps.value.data).reshape(x.shape)
    return from_float(op, _affine(op, x, rest, x.ndim - 3))


def _exponentials(x: Array, axis: int) -> tuple[Array, Array]:
    """The terms of a softmax up to a common factor, and their sum."""
    top = x.max(axis=axis, keepdims=True)
    # A row that is masked out completely has no finite maximum.
    terms = np.exp(x - np.where(top == -np.inf, 0, top))
    return terms, terms.sum(axis=axis, keepdims=True)


@kernel(normalization.SoftmaxOp)
def softmax(op: normalization.SoftmaxOp, x: Array) -> Array:
    x = decode(x, element_of(op.input))
    terms, total = _exponentials(x, op.axis.value.data + 1)
    return from_float(op, terms / total)


@kernel(normalization.AttentionOp)
def attention(op: normalization.AttentionOp, *arrays: Array) -> Array:
    rank = max(len(shape_of(v)) for v in (op.query, op.key, op.value))
    q, k, v = same_rank(floats(arrays[:3], (op.query, op.key, op.value)), rank)
    scores = q @ k.swapaxes(-1, -2)
    scores = scores * scores.dtype.type(op.scale.value.data)
    if op.mask is not None:
        (mask,) = same_rank((arrays[3],), rank)
        if element_of(op.mask) == i1:
            scores = np.where(mask, scores, -np.inf)
        else:
            scores = scores + decode(mask, element_of(op.mask))
    if op.causal:
        length, source = shape_of(op.query)[-2], shape_of(op.key)[-2]
        rows = np.arange(length, dtype=np.int64).reshape(-1, 1)
        allowed: Array = np.less_equal(np.arange(source, dtype=np.int64), rows)
        scores = np.where(allowed, scores, -np.inf)
    terms, total = _exponentials(scores, -1)
    # Where everything is masked out, the result is zero.
    return from_float(op, (terms / np.where(total == 0, 1, total)) @ v)
