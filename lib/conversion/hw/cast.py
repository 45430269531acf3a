"""`mase.cast`: rounding and overflow."""

from __future__ import annotations

from mase_opt.dialects.mase import elementwise
from mase_opt.lib.conversion.hw.arith import Term
from mase_opt.lib.conversion.hw.builder import Builder
from mase_opt.lib.conversion.hw.registry import Wires, frac_of, round_into, template


@template(elementwise.CastOp)
def cast(op: elementwise.CastOp, b: Builder, x: Wires) -> Wires:
    frac = frac_of(op.input)
    return [round_into(b, op, [Term(w)], frac) for w in x]
