"""`mase.cast`: rounding and overflow."""

from __future__ import annotations

from mase_opt.dialects.mase import elementwise
from mase_opt.lib.conversion.hw.builder import Builder
from mase_opt.lib.conversion.hw.codec import Wires, decode, encode
from mase_opt.lib.conversion.hw.number import total
from mase_opt.lib.conversion.hw.registry import template


@template(elementwise.CastOp)
def cast(op: elementwise.CastOp, b: Builder, x: Wires) -> Wires:
    return encode(b, op, [total(b, [n]) for n in decode(b, op.input, x)])
