"""Layers that contract: linear, matmul, convolutions; and embedding."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.formats.rounding import integers
from mase_opt.lib.interpreters import exact
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.kernels import values
from mase_opt.lib.interpreters.kernels.registry import kernel
from mase_opt.lib.interpreters.kernels.values import (
    Exact,
    align,
    all_exact,
    check_range,
    decode,
    exact_add,
    floats,
    from_exact,
    from_float,
    same_rank,
    take,
)

Product = Callable[[Array, Array], Array]
"""A contraction of input and weight, both float or both integer."""


def _contract(
    op: layers.LinearOp | layers.ConvOp | layers.ConvTranspose2dOp,
    arrays: tuple[Array, ...],
    product: Product,
    bias_rank: int,
) -> Array:
    """`product(input, weight) + bias`; the bias gets `bias_rank` trailing axes."""
    numbers = all_exact(arrays, op.operands)
    if numbers is not None:
        x, weight, *rest = numbers
        total = Exact(product(x.codes, weight.codes), x.frac + weight.frac)
        if rest:
            rank = total.codes.ndim
            bias = Exact(_spread_bias(rest[0].codes, rank, bias_rank), rest[0].frac)
            (codes, bias), frac = align(total, bias)
            total = Exact(exact_add(codes, bias), frac)
        return from_exact(op, total.codes, total.frac)
    x, weight = floats(arrays[:2], (op.input, op.weight))
    if x.dtype != weight.dtype:
        x, weight = x.astype(np.float64), weight.astype(np.float64)
    total = product(x, weight)
    if op.bias is not None:
        bias = decode(arrays[2], element_of(op.bias))
        total = total + _spread_bias(bias, total.ndim, bias_rank)
    return from_float(op, total)


def _spread_bias(bias: Array, rank: int, trailing: int) -> Array:
    """`[S, O]` to rank `rank` with `trailing` axes behind the channels."""
    lead = (1,) * (rank - bias.ndim - trailing)
    return bias.reshape(bias.shape[0], *lead, bias.shape[1], *(1,) * trailing)


@kernel(layers.LinearOp)
def linear(op: layers.LinearOp, *arrays: Array) -> Array:
    def product(x: Array, weight: Array) -> Array:
        features, outputs = x.shape[-1], weight.shape[1]
        rows = prod(x.shape[1:-1])
        if weight.shape[0] == 1:
            result = exact.matmul(x.reshape(len(x) * rows, features), weight[0].T)
            return result.reshape(*x.shape[:-1], outputs)
        flat = x.reshape(len(x), rows, features)
        result = exact.matmul(flat, weight.swapaxes(1, 2))
        return result.reshape(result.shape[0], *x.shape[1:-1], outputs)

    return _contract(op, arrays, product, 0)


def _per_sample(product: Product, x: Array, weight: Array) -> Array:
    """Apply `product` with one weight for all samples, or one for each."""
    if weight.shape[0] == 1:
        flat = x.reshape(x.shape[0] * x.shape[1], *x.shape[2:])
        result = product(flat, weight[0])
        return result.reshape(*x.shape[:2], *result.shape[1:])
    x = np.broadcast_to(x, (weight.shape[0], *x.shape[1:]))
    return np.stack([product(a, w) for a, w in zip(x, weight, strict=True)])


@kernel(layers.Conv1dOp, layers.Conv2dOp)
def conv(op: layers.ConvOp, *arrays: Array) -> Array:
    def one(image: Array, weight: Array) -> Array:
        return exact.conv(
            image,
            weight,
            strides=ints(op.strides),
            padding=ints(op.padding),
            dilation=ints(op.dilation),
            groups=op.groups.value.data,
        )

    return _contract(op, arrays, lambda x, w: _per_sample(one, x, w), op.SPATIAL)


@kernel(layers.ConvTranspose2dOp)
def conv_transpose(op: layers.ConvTranspose2dOp, *arrays: Array) -> Array:
    def one(image: Array, weight: Array) -> Array:
        return exact.conv_transpose(
            image,
            weight,
            strides=ints(op.strides),
            padding=ints(op.padding),
            output_padding=ints(op.output_padding),
            dilation=ints(op.dilation),
            groups=op.groups.value.data,
        )

    return _contract(op, arrays, lambda x, w: _per_sample(one, x, w), 2)


@kernel(layers.MatmulOp)
def matmul(op: layers.MatmulOp, lhs: Array, rhs: Array) -> Array:
    lhs, rhs = same_rank((lhs, rhs), max(lhs.ndim, rhs.ndim) - 1)
    numbers = all_exact((lhs, rhs), op.operands)
    if numbers is not None:
        left, right = numbers
        product = exact.matmul(left.codes, right.codes)
        return from_exact(op, product, left.frac + right.frac)
    lhs, rhs = floats((lhs, rhs), (op.lhs, op.rhs))
    return from_float(op, lhs @ rhs)


@kernel(layers.EmbeddingOp)
def embedding(op: layers.EmbeddingOp, weight: Array, indices: Array) -> Array:
    indices = integers(indices)
    check_range(indices, 0, shape_of(op.weight)[0])
    rows = take(weight, indices, 0)
    number = values.exact(rows, op.weight)
    if number is not None:
        return from_exact(op, number.codes, number.frac)
    return from_float(op, decode(rows, element_of(op.weight)))
