"""`mase.cast`: rounding and overflow."""

from __future__ import annotations

from xdsl.dialects.builtin import i1

from mase_opt.dialects.mase import elementwise
from mase_opt.dialects.mase.types import element_of
from mase_opt.lib.conversion.hw import arith
from mase_opt.lib.conversion.hw.arith import Term
from mase_opt.lib.conversion.hw.builder import Builder
from mase_opt.lib.conversion.hw.registry import Wires, frac_of, round_into, template
from mase_opt.lib.conversion.hw.wire import constant


@template(elementwise.CastOp)
def cast(op: elementwise.CastOp, b: Builder, x: Wires) -> Wires:
    if element_of(op.result) == i1:
        # As in torch: everything but zero is true.
        return [arith.compare(b, "ne", w, constant(0)) for w in x]
    frac = frac_of(op.input)
    return [round_into(b, op, [Term(w)], frac) for w in x]
