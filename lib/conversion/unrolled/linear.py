"""Dot products: `mase.linear` and `mase.matmul`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.unrolled.registry import template
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.codec import Wires, decode, encode, len_of
from mase_opt.lib.hardware.number import Number, Sum, product, total


def dot(
    b: Builder, xs: Sequence[Number], ys: Sequence[Number], bias: Number | None = None
) -> Sum:
    """Σ x · y + bias"""
    terms = [product(b, x, y) for x, y in zip(xs, ys, strict=True)]
    return total(b, terms if bias is None else [*terms, bias])


@template(layers.LinearOp)
def linear(
    op: layers.LinearOp, b: Builder, x: Wires, weight: Wires, bias: Wires | None = None
) -> Wires:
    outputs, features = shape_of(op.weight)
    inputs, weights = decode(b, op.input, x), decode(b, op.weight, weight)
    biases = None
    if bias is not None and op.bias is not None:
        biases = decode(b, op.bias, bias)
    sums: list[Sum] = []
    for start in range(0, len(inputs), features):
        row = inputs[start : start + features]
        for o in range(outputs):
            own = weights[o * features : (o + 1) * features]
            sums.append(dot(b, row, own, biases[o] if biases else None))
    return encode(b, op, sums)


@template(layers.MatmulOp)
def matmul(op: layers.MatmulOp, b: Builder, lhs: Wires, rhs: Wires) -> Wires:
    shape = shape_of(op.result)
    rows, columns = (
        np.broadcast_to(
            np.arange(len_of(value)).reshape(shape_of(value)),
            (*shape[:-2], *shape_of(value)[-2:]),
        )
        for value in (op.lhs, op.rhs)
    )
    xs, ys = decode(b, op.lhs, lhs), decode(b, op.rhs, rhs)
    sums: list[Sum] = []
    for *batch, i, j in np.ndindex(*shape):
        left: list[int] = rows[(*batch, i)].tolist()
        right: list[int] = columns[(*batch, slice(None), j)].tolist()
        sums.append(dot(b, [xs[k] for k in left], [ys[k] for k in right]))
    return encode(b, op, sums)
