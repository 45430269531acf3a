"""Comparisons and what follows from them: select, Boolean logic, argmax."""

from __future__ import annotations

import numpy as np
from xdsl.dialects import comb

from mase_opt.dialects.mase import elementwise, pooling
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.hw import arith
from mase_opt.lib.conversion.hw.arith import Term
from mase_opt.lib.conversion.hw.builder import Builder
from mase_opt.lib.conversion.hw.elementwise import spread
from mase_opt.lib.conversion.hw.registry import (
    Wires,
    common_frac,
    fixed_of,
    round_into,
    template,
)
from mase_opt.lib.conversion.hw.wire import Wire, constant


@template(elementwise.CompareOp)
def compare(op: elementwise.CompareOp, b: Builder, lhs: Wires, rhs: Wires) -> Wires:
    shape = shape_of(op.result)
    (lhs, rhs), _ = common_frac(b, (op.lhs, op.rhs), lhs, rhs)
    pairs = zip(spread(lhs, op.lhs, shape), spread(rhs, op.rhs, shape), strict=True)
    return [arith.compare(b, op.predicate.data, x, y) for x, y in pairs]


@template(elementwise.SelectOp)
def select(
    op: elementwise.SelectOp,
    b: Builder,
    condition: Wires,
    on_true: Wires,
    on_false: Wires,
) -> Wires:
    shape = shape_of(op.result)
    values = (op.on_true, op.on_false)
    (on_true, on_false), frac = common_frac(b, values, on_true, on_false)
    rows = zip(
        spread(condition, op.condition, shape),
        spread(on_true, op.on_true, shape),
        spread(on_false, op.on_false, shape),
        strict=True,
    )
    return [round_into(b, op, [Term(arith.mux(b, c, x, y))], frac) for c, x, y in rows]


_BITWISE: dict[
    type[elementwise.BitwiseOp],
    type[comb.AndOp | comb.OrOp | comb.XorOp],
] = {
    elementwise.AndOp: comb.AndOp,
    elementwise.OrOp: comb.OrOp,
    elementwise.XorOp: comb.XorOp,
}


@template(*_BITWISE)
def bitwise(op: elementwise.BitwiseOp, b: Builder, lhs: Wires, rhs: Wires) -> Wires:
    shape, format = shape_of(op.result), fixed_of(op.result)
    span, width = (format.min_code, format.max_code), format.width
    result: Wires = []
    for x, y in zip(
        spread(lhs, op.lhs, shape), spread(rhs, op.rhs, shape), strict=True
    ):
        (x, y), stage, depth = b.align((x, y), 0)
        value = arith.bitwise(b, _BITWISE[type(op)], b.read(x, width), b.read(y, width))
        result.append(Wire(value, 0, width, *span, stage, depth))
    return result


@template(pooling.ArgmaxOp)
def argmax(op: pooling.ArgmaxOp, b: Builder, x: Wires) -> Wires:
    shape, axis = shape_of(op.input), op.axis.value.data
    index = np.moveaxis(np.arange(len(x)).reshape(shape), axis, -1)
    result: Wires = []
    for row in index.reshape(-1, shape[axis]).tolist():
        level: list[tuple[Wire, Wire]] = [
            (x[i], constant(place)) for place, i in enumerate(row)
        ]
        while len(level) > 1:
            pairs = zip(level[::2], level[1::2], strict=False)
            rest = level[-1:] if len(level) % 2 else []
            level = [*(_larger(b, p, q) for p, q in pairs), *rest]
        result.append(level[0][1])
    return result


def _larger(
    b: Builder, left: tuple[Wire, Wire], right: tuple[Wire, Wire]
) -> tuple[Wire, Wire]:
    """The larger value with its index; the left one if they are equal."""
    wires, _, _ = b.align((*left, *right), arith.COMPARE + arith.SELECT)
    x, i, y, j = wires
    later = arith.compare(b, "lt", x, y)
    if later.constant is not None:
        return (y, j) if later.constant else (x, i)
    return arith.mux(b, later, y, x), arith.mux(b, later, j, i)
