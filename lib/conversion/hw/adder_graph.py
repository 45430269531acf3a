"""`mase.adder_graph`: an adder per node."""

from __future__ import annotations

from fractions import Fraction

from mase_opt.dialects.mase.adder_graph import NODE, OUTPUT, AdderGraphOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.hw import arith
from mase_opt.lib.conversion.hw.arith import Term
from mase_opt.lib.conversion.hw.builder import Builder
from mase_opt.lib.conversion.hw.codec import Wires, encode
from mase_opt.lib.conversion.hw.number import Sum
from mase_opt.lib.conversion.hw.registry import template
from mase_opt.lib.conversion.hw.wire import Wire


@template(AdderGraphOp)
def adder_graph(op: AdderGraphOp, b: Builder, x: Wires) -> Wires:
    nodes: list[list[int]] = op.table(op.nodes, NODE, "nodes").tolist()
    outputs: list[list[int]] = op.table(op.outputs, OUTPUT, "outputs").tolist()
    offsets: list[int] = op.table(op.offsets, 1, "offsets").ravel().tolist()
    unit = Fraction(2) ** -op.frac.value.data
    inputs = shape_of(op.input)[-1]
    sums: list[Sum] = []
    for start in range(0, len(x), inputs):
        values: list[Wire] = list(x[start : start + inputs])
        for left, right, p, q, subtract in nodes:
            terms = [Term(values[left], p), Term(values[right], q, bool(subtract))]
            values.append(arith.total(b, terms))
        for (value, shift, negative), offset in zip(outputs, offsets, strict=True):
            terms = [Term(values[value], shift, bool(negative))] if value >= 0 else []
            sums.append(Sum(terms, unit, offset * unit))
    return encode(b, op, sums)
