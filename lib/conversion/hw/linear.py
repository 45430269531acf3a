"""Dot products: `mase.linear` and `mase.matmul`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.hw import arith
from mase_opt.lib.conversion.hw.arith import Term
from mase_opt.lib.conversion.hw.builder import Builder
from mase_opt.lib.conversion.hw.registry import Wires, frac_of, round_into, template
from mase_opt.lib.conversion.hw.wire import Wire


def product(b: Builder, x: Wire, y: Wire) -> Term:
    """x · y as a term of a sum."""
    if y.constant is not None:
        return arith.term(b, x, y.constant)
    if x.constant is not None:
        return arith.term(b, y, x.constant)
    return Term(arith.mul(b, x, y))


def dot(
    b: Builder,
    xs: Sequence[Wire],
    ys: Sequence[Wire],
    bias: tuple[Wire, int] | None,
    frac: int,
) -> tuple[list[Term], int]:
    """
    The terms of Σ x · y + bias, and their fraction bits.

    `frac` belongs to the products; the bias has its own.
    """
    terms = [product(b, x, y) for x, y in zip(xs, ys, strict=True)]
    if bias is None:
        return terms, frac
    wire, own = bias
    terms.append(Term(wire))
    return align_terms(terms, [frac] * (len(terms) - 1) + [own])


def align_terms(terms: Sequence[Term], fracs: Sequence[int]) -> tuple[list[Term], int]:
    """Terms with fraction bits of their own, shifted to the largest number of them."""
    frac = max(fracs)
    return [
        Term(t.wire, t.shift + frac - own, t.negative)
        for t, own in zip(terms, fracs, strict=True)
    ], frac


@template(layers.LinearOp)
def linear(
    op: layers.LinearOp, b: Builder, x: Wires, weight: Wires, bias: Wires | None = None
) -> Wires:
    outputs, features = shape_of(op.weight)
    frac = frac_of(op.input) + frac_of(op.weight)
    result: Wires = []
    for start in range(0, len(x), features):
        row = x[start : start + features]
        for o in range(outputs):
            terms, places = dot(
                b,
                row,
                weight[o * features : (o + 1) * features],
                (bias[o], frac_of(op.bias)) if bias and op.bias is not None else None,
                frac,
            )
            result.append(round_into(b, op, terms, places))
    return result


@template(layers.MatmulOp)
def matmul(op: layers.MatmulOp, b: Builder, lhs: Wires, rhs: Wires) -> Wires:
    shape = shape_of(op.result)
    rows, columns = (
        np.broadcast_to(
            np.arange(len(wires)).reshape(shape_of(value)),
            (*shape[:-2], *shape_of(value)[-2:]),
        )
        for wires, value in ((lhs, op.lhs), (rhs, op.rhs))
    )
    frac = frac_of(op.lhs) + frac_of(op.rhs)
    result: Wires = []
    for *batch, i, j in np.ndindex(*shape):
        left: list[int] = rows[(*batch, i)].tolist()
        right: list[int] = columns[(*batch, slice(None), j)].tolist()
        xs, ys = [lhs[k] for k in left], [rhs[k] for k in right]
        terms, places = dot(b, xs, ys, None, frac)
        result.append(round_into(b, op, terms, places))
    return result
