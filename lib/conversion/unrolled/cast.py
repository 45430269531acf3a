"""`mase.cast`: rounding and overflow."""

from __future__ import annotations

from mase_opt.dialects.mase import elementwise
from mase_opt.lib.conversion.unrolled.registry import template
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.codec import Wires, decode, encode
from mase_opt.lib.hardware.number import total


@template(elementwise.CastOp)
def cast(op: elementwise.CastOp, b: Builder, x: Wires) -> Wires:
    return encode(b, op, [total(b, [n]) for n in decode(b, op.input, x)])
