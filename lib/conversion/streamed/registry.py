"""
Which op becomes which processes.

A kind gives the channel of an op's result, made of those of its operands:

```python
@streamed(elementwise.NegOp)
def neg(op: elementwise.NegOp, b: StreamBuilder) -> SSAValue:
    return b.process(op, [b.channel(op.input)], …)
```
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from xdsl.ir import Operation, SSAValue

if TYPE_CHECKING:
    from mase_opt.lib.conversion.streamed.builder import StreamBuilder

Kind = Callable[[Any, "StreamBuilder"], SSAValue]
"""`(op, builder) -> channel`; raises `HardwareError` if it cannot."""

KINDS: dict[type[Operation], Kind] = {}


def streamed(*ops: type[Operation]) -> Callable[[Kind], Kind]:
    """Register the decorated function as the processes of `ops`."""

    def register(function: Kind) -> Kind:
        KINDS.update(dict.fromkeys(ops, function))
        return function

    return register
