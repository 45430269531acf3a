"""
Which op becomes which circuit.

A template computes the codes of an op's result inside the op's own module:

```python
@template(elementwise.NegOp)
def neg(op: elementwise.NegOp, b: Builder, x: Wires) -> Wires:
    return encode(b, op, [total(b, [negative(n)]) for n in decode(b, op.input, x)])
```
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xdsl.ir import Operation

from mase_opt.lib.hardware.codec import Wires

Template = Callable[..., Wires]
"""`(op, builder, *operands) -> result`; raises `HardwareError` if it cannot."""

Wiring = Callable[..., list[Any]]
"""`(op, *operands) -> result` for ops that only move elements, whatever these are."""

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
