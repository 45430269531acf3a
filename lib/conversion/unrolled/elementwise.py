"""Elementwise arithmetic: neg, abs, the relu family, add, sub, mul, div."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from fractions import Fraction
from typing import Any

import numpy as np
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import elementwise
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.unrolled.registry import template
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.codec import Wires, decode, encode
from mase_opt.lib.hardware.number import (
    HardwareError,
    Number,
    Sum,
    integers,
    literal,
    negative,
    not_constant,
    product,
    total,
)
from mase_opt.lib.hardware.wire import Wire, constant

Unary = Callable[[Builder, Number], Number]
Binary = Callable[[Builder, Wire, Wire], Wire]


def pairs(
    result: SSAValue, *operands: tuple[SSAValue, list[Any]]
) -> Iterable[tuple[Any, ...]]:
    """What the operands hold for every element of the result, broadcast to it."""
    shape = shape_of(result)
    columns: list[list[Any]] = []
    for value, items in operands:
        index = np.arange(len(items)).reshape(shape_of(value))
        spread: list[int] = np.broadcast_to(index, shape).ravel().tolist()
        columns.append([items[i] for i in spread])
    return zip(*columns, strict=True)


def combined(b: Builder, function: Binary, x: Number, y: Number) -> Number:
    """A function of two integers in the unit that both share."""
    (left, right), unit = integers(b, (x, y))
    return Number(function(b, left, right), unit)


def choice(b: Builder, condition: Wire, x: Number, y: Number) -> Number:
    """x if condition else y"""
    return combined(b, lambda b, x, y: arith.mux(b, condition, x, y), x, y)


def absolute(b: Builder, x: Number) -> Number:
    (wire,), unit = integers(b, [x])
    if wire.signed:
        wire = arith.maximum(b, wire, arith.neg(b, wire))
    return Number(wire, unit)


def relu(b: Builder, x: Number) -> Number:
    return combined(b, arith.maximum, x, literal(0))


def relu6(b: Builder, x: Number) -> Number:
    return combined(b, arith.minimum, relu(b, x), literal(6))


_FUNCTIONS: dict[type[elementwise.UnaryOp], Unary] = {
    elementwise.NegOp: lambda _, x: negative(x),
    elementwise.AbsOp: absolute,
    elementwise.ReluOp: relu,
    elementwise.Relu6Op: relu6,
}


@template(*_FUNCTIONS)
def unary(op: elementwise.UnaryOp, b: Builder, x: Wires) -> Wires:
    function = _FUNCTIONS[type(op)]
    numbers = decode(b, op.input, x)
    return encode(b, op, [total(b, [function(b, n)]) for n in numbers])


@template(elementwise.LeakyReluOp)
def leaky_relu(op: elementwise.LeakyReluOp, b: Builder, x: Wires) -> Wires:
    slope = literal(Fraction(op.negative_slope.value.data))
    above: list[Sum] = []
    below: list[Sum] = []
    conditions: Wires = []
    for n in decode(b, op.input, x):
        (wire,), _ = integers(b, [n])
        conditions.append(arith.compare(b, "ge", wire, constant(0)))
        # Rounded before the choice, so that only the product is wide.
        above.append(total(b, [relu(b, n)]))
        low = combined(b, arith.minimum, n, literal(0))
        below.append(total(b, [product(b, low, slope)]))
    rows = zip(conditions, encode(b, op, above), encode(b, op, below), strict=True)
    return [arith.mux(b, c, p, q) for c, p, q in rows]


@template(elementwise.AddOp, elementwise.SubOp, elementwise.MulOp)
def add_sub_mul(op: elementwise.BinaryOp, b: Builder, lhs: Wires, rhs: Wires) -> Wires:
    sums: list[Sum] = []
    for x, y in _numbers(op, b, lhs, rhs):
        match op:
            case elementwise.AddOp():
                terms = [x, y]
            case elementwise.SubOp():
                terms = [x, negative(y)]
            case _:
                terms = [product(b, x, y)]
        sums.append(total(b, terms))
    return encode(b, op, sums)


def _numbers(
    op: elementwise.BinaryOp, b: Builder, lhs: Wires, rhs: Wires
) -> Iterable[tuple[Number, Number]]:
    left, right = decode(b, op.lhs, lhs), decode(b, op.rhs, rhs)
    return ((x, y) for x, y in pairs(op.result, (op.lhs, left), (op.rhs, right)))


@template(elementwise.DivOp)
def div(op: elementwise.DivOp, b: Builder, lhs: Wires, rhs: Wires) -> Wires:
    sums: list[Sum] = []
    for x, y in _numbers(op, b, lhs, rhs):
        divisor = y.constant
        if divisor is None:
            raise HardwareError(not_constant("divisor"))
        if divisor == 0:
            raise HardwareError("the divisor is zero")
        dividend = x if divisor > 0 else negative(x)
        sums.append(total(b, [dividend]) / abs(divisor))
    return encode(b, op, sums)


@template(elementwise.MaximumOp, elementwise.MinimumOp)
def extreme(
    op: elementwise.MaximumOp | elementwise.MinimumOp,
    b: Builder,
    lhs: Wires,
    rhs: Wires,
) -> Wires:
    function = arith.maximum if isinstance(op, elementwise.MaximumOp) else arith.minimum
    numbers = _numbers(op, b, lhs, rhs)
    return encode(b, op, [total(b, [combined(b, function, *n)]) for n in numbers])
