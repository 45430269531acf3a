"""Elementwise arithmetic: neg, abs, the relu family, add, sub, mul, div."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import elementwise
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.hw import arith
from mase_opt.lib.conversion.hw.arith import Term
from mase_opt.lib.conversion.hw.builder import Builder
from mase_opt.lib.conversion.hw.linear import align_terms, product
from mase_opt.lib.conversion.hw.registry import (
    Wires,
    common_frac,
    divide_into,
    frac_of,
    round_into,
    template,
)
from mase_opt.lib.conversion.hw.rounding import HardwareError
from mase_opt.lib.conversion.hw.wire import Wire, constant

Unary = Callable[[Builder, Wire], Wire]


def spread(wires: Wires, value: SSAValue, shape: tuple[int, ...]) -> Wires:
    """The elements of `value` broadcast to `shape`."""
    index = np.arange(len(wires)).reshape(shape_of(value))
    return [wires[i] for i in np.broadcast_to(index, shape).ravel().tolist()]


def absolute(b: Builder, x: Wire) -> Wire:
    return arith.maximum(b, x, arith.neg(b, x)) if x.signed else x


def relu(b: Builder, x: Wire) -> Wire:
    return arith.maximum(b, x, constant(0))


_FUNCTIONS: dict[type[elementwise.UnaryOp], Unary] = {
    elementwise.NegOp: arith.neg,
    elementwise.AbsOp: absolute,
    elementwise.ReluOp: relu,
}


@template(*_FUNCTIONS)
def unary(op: elementwise.UnaryOp, b: Builder, x: Wires) -> Wires:
    function, frac = _FUNCTIONS[type(op)], frac_of(op.input)
    return [round_into(b, op, [Term(function(b, w))], frac) for w in x]


@template(elementwise.Relu6Op)
def relu6(op: elementwise.Relu6Op, b: Builder, x: Wires) -> Wires:
    # The code of 6 may need more fraction bits than x has.
    frac = frac_of(op.input)
    shift = max(-frac, 0)
    result: Wires = []
    for w in x:
        clipped = arith.minimum(
            b, relu(b, arith.shift_left(b, w, shift)), constant(6 << (frac + shift))
        )
        result.append(round_into(b, op, [Term(clipped)], frac + shift))
    return result


@template(elementwise.LeakyReluOp)
def leaky_relu(op: elementwise.LeakyReluOp, b: Builder, x: Wires) -> Wires:
    slope, denominator = op.negative_slope.value.data.as_integer_ratio()
    frac, places = frac_of(op.input), denominator.bit_length() - 1
    result: Wires = []
    for w in x:
        # Rounded before the choice, so that only the product is wide.
        above = round_into(b, op, [Term(relu(b, w))], frac)
        negative = arith.minimum(b, w, constant(0))
        below = round_into(b, op, [arith.term(b, negative, slope)], frac + places)
        condition = arith.compare(b, "ge", w, constant(0))
        result.append(arith.mux(b, condition, above, below))
    return result


@template(elementwise.AddOp, elementwise.SubOp)
def add_sub(
    op: elementwise.AddOp | elementwise.SubOp, b: Builder, lhs: Wires, rhs: Wires
) -> Wires:
    shape = shape_of(op.result)
    fracs = [frac_of(op.lhs), frac_of(op.rhs)]
    negative = isinstance(op, elementwise.SubOp)
    result: Wires = []
    for x, y in zip(
        spread(lhs, op.lhs, shape), spread(rhs, op.rhs, shape), strict=True
    ):
        terms, frac = align_terms([Term(x), Term(y, negative=negative)], fracs)
        result.append(round_into(b, op, terms, frac))
    return result


@template(elementwise.MulOp)
def mul(op: elementwise.MulOp, b: Builder, lhs: Wires, rhs: Wires) -> Wires:
    shape = shape_of(op.result)
    frac = frac_of(op.lhs) + frac_of(op.rhs)
    pairs = zip(spread(lhs, op.lhs, shape), spread(rhs, op.rhs, shape), strict=True)
    return [round_into(b, op, [product(b, x, y)], frac) for x, y in pairs]


@template(elementwise.DivOp)
def div(op: elementwise.DivOp, b: Builder, lhs: Wires, rhs: Wires) -> Wires:
    shape = shape_of(op.result)
    frac = frac_of(op.lhs) - frac_of(op.rhs)
    result: Wires = []
    for x, y in zip(
        spread(lhs, op.lhs, shape), spread(rhs, op.rhs, shape), strict=True
    ):
        divisor = y.constant
        if divisor is None:
            raise HardwareError(
                "the divisor is not a constant: multiply by a reciprocal, which can be "
                "a table (mase-lower-to-lookup)"
            )
        if divisor == 0:
            raise HardwareError("the divisor is zero")
        term = Term(x, negative=divisor < 0)
        result.append(divide_into(b, op, [term], abs(divisor), frac))
    return result


@template(elementwise.MaximumOp, elementwise.MinimumOp)
def extreme(
    op: elementwise.MaximumOp | elementwise.MinimumOp,
    b: Builder,
    lhs: Wires,
    rhs: Wires,
) -> Wires:
    function = arith.maximum if isinstance(op, elementwise.MaximumOp) else arith.minimum
    shape = shape_of(op.result)
    (lhs, rhs), frac = common_frac(b, (op.lhs, op.rhs), lhs, rhs)
    pairs = zip(spread(lhs, op.lhs, shape), spread(rhs, op.rhs, shape), strict=True)
    return [round_into(b, op, [Term(function(b, x, y))], frac) for x, y in pairs]
