"""
Which op becomes which circuit.

A template computes the wires of an op's result inside the op's own module:

```python
@template(elementwise.NegOp)
def neg(op: elementwise.NegOp, b: Builder, x: Wires) -> Wires:
    return [round_into(b, op, [Term(w, negative=True)], frac_of(op.input)) for w in x]
```
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xdsl.dialects.builtin import IntegerType, Signedness, i1
from xdsl.ir import Attribute, Operation, SSAValue

from mase_opt.dialects.mase.base import ArithmeticOp
from mase_opt.dialects.mase.types import FixedPoint, element_of
from mase_opt.lib.conversion.hw.arith import Term, compare, shift_left, total
from mase_opt.lib.conversion.hw.builder import Builder
from mase_opt.lib.conversion.hw.rounding import Target, cast_ratio, cast_sum
from mase_opt.lib.conversion.hw.wire import Wire, constant
from mase_opt.lib.formats.fixed import MAX_WIDTH, Fixed

Wires = list[Wire]
"""The elements of a tensor, row-major."""

Template = Callable[..., Wires]
"""`(op, builder, *operands) -> result`; raises `HardwareError` if it cannot."""

Wiring = Callable[..., Wires]
"""`(op, *operands) -> result` for ops that only move elements."""

TEMPLATES: dict[type[Operation], Template] = {}
WIRINGS: dict[type[Operation], Wiring] = {}


def template(*ops: type[Operation]) -> Callable[[Template], Template]:
    """Register the decorated function as the circuit of `ops`."""

    def register(function: Template) -> Template:
        TEMPLATES.update(dict.fromkeys(ops, function))
        return function

    return register


def wiring(*ops: type[Operation]) -> Callable[[Wiring], Wiring]:
    """Register the decorated function as the wiring of `ops`."""

    def register(function: Wiring) -> Wiring:
        WIRINGS.update(dict.fromkeys(ops, function))
        return function

    return register


def format_of(element: Attribute) -> Fixed | None:
    """How hardware holds an element type; `None` if it has no way to."""
    match element:
        case FixedPoint():
            return element.format
        case IntegerType() if element.width.data == 1:
            return Fixed(1, 0, signed=False)
        case IntegerType() if element.width.data <= MAX_WIDTH:
            signed = element.signedness.data is not Signedness.UNSIGNED
            return Fixed(element.width.data, 0, signed)
        case _:
            return None


def fixed_of(value: SSAValue) -> Fixed:
    """The format of a value that passed the legality check."""
    format = format_of(element_of(value))
    assert format is not None
    return format


def frac_of(value: SSAValue) -> int:
    """The fraction bits of a value."""
    return fixed_of(value).frac


def target_of(op: Operation) -> Target:
    """How exact numbers become the result of `op`."""
    format = fixed_of(op.results[0])
    if not isinstance(op, ArithmeticOp):
        return Target(format)
    return Target(format, op.rounding.mode, op.rounding.overflow)


def round_into(
    b: Builder, op: Operation, terms: Sequence[Term], frac: int, offset: int = 0
) -> Wire:
    """
    The exact sum `(Σ terms + offset) · 2^-frac` as an element of the result.

    As `i1` every number but zero is true.
    """
    if element_of(op.results[0]) == i1:
        return compare(b, "ne", total(b, terms, offset), constant(0))
    return cast_sum(b, terms, offset, frac, target_of(op))


def divide_into(
    b: Builder, op: Operation, terms: Sequence[Term], divisor: int, frac: int
) -> Wire:
    """The exact quotient `Σ terms / divisor · 2^-frac` as an element of the result."""
    if element_of(op.results[0]) == i1:
        return round_into(b, op, terms, frac)
    return cast_ratio(b, terms, 0, divisor, frac, target_of(op))


def common_frac(
    b: Builder, operands: Sequence[SSAValue], *arrays: Wires
) -> tuple[list[Wires], int]:
    """The arrays shifted left to the largest number of fraction bits."""
    fracs = [frac_of(v) for v in operands]
    frac = max(fracs)
    shifted = [
        [shift_left(b, w, frac - own) for w in array]
        for own, array in zip(fracs, arrays, strict=True)
    ]
    return shifted, frac


Op = Any
"""An op of the class that its template is registered for."""
