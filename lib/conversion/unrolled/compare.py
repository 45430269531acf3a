"""Comparisons and what follows from them: select, Boolean logic, argmax."""

from __future__ import annotations

import numpy as np
from xdsl.dialects import comb

from mase_opt.dialects.mase import elementwise, pooling
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.unrolled.elementwise import choice, pairs
from mase_opt.lib.conversion.unrolled.registry import template
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.codec import Wires, codes_of, decode, encode
from mase_opt.lib.hardware.number import fixed, integers, total
from mase_opt.lib.hardware.wire import Wire, constant, depth_of


@template(elementwise.CompareOp)
def compare(op: elementwise.CompareOp, b: Builder, lhs: Wires, rhs: Wires) -> Wires:
    result: Wires = []
    for x, y in pairs(
        op.result, (op.lhs, decode(b, op.lhs, lhs)), (op.rhs, decode(b, op.rhs, rhs))
    ):
        (left, right), _ = integers(b, (x, y))
        result.append(arith.compare(b, op.predicate.data, left, right))
    return result


@template(elementwise.SelectOp)
def select(
    op: elementwise.SelectOp,
    b: Builder,
    condition: Wires,
    on_true: Wires,
    on_false: Wires,
) -> Wires:
    rows = pairs(
        op.result,
        (op.condition, decode(b, op.condition, condition)),
        (op.on_true, decode(b, op.on_true, on_true)),
        (op.on_false, decode(b, op.on_false, on_false)),
    )
    return encode(b, op, [total(b, [choice(b, c.wire, x, y)]) for c, x, y in rows])


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
    format = codes_of(op.result)
    span, width = (format.min_code, format.max_code), format.bits
    result: Wires = []
    for x, y in pairs(op.result, (op.lhs, lhs), (op.rhs, rhs)):
        value = arith.bitwise(b, _BITWISE[type(op)], b.read(x, width), b.read(y, width))
        result.append(Wire(value, 0, width, *span, depth_of(x, y) + arith.BITWISE))
    return result


@template(pooling.ArgmaxOp)
def argmax(op: pooling.ArgmaxOp, b: Builder, x: Wires) -> Wires:
    shape, axis = shape_of(op.input), op.axis.value.data
    numbers = decode(b, op.input, x)
    index = np.moveaxis(np.arange(len(x)).reshape(shape), axis, -1)
    result: list[Wire] = []
    for row in index.reshape(-1, shape[axis]).tolist():
        wires, _ = integers(b, [numbers[i] for i in row])
        level: list[tuple[Wire, Wire]] = [
            (wire, constant(place)) for place, wire in enumerate(wires)
        ]
        while len(level) > 1:
            couples = zip(level[::2], level[1::2], strict=False)
            rest = level[-1:] if len(level) % 2 else []
            level = [*(_larger(b, p, q) for p, q in couples), *rest]
        result.append(level[0][1])
    return encode(b, op, [total(b, [fixed(wire)]) for wire in result])


def _larger(
    b: Builder, left: tuple[Wire, Wire], right: tuple[Wire, Wire]
) -> tuple[Wire, Wire]:
    """The larger value with its index; the left one if they are equal."""
    (x, i), (y, j) = left, right
    later = arith.compare(b, "lt", x, y)
    if later.constant is not None:
        return (y, j) if later.constant else (x, i)
    return arith.mux(b, later, y, x), arith.mux(b, later, j, i)
