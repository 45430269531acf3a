"""`mase.adder_graph`: an adder per node."""

from __future__ import annotations

from fractions import Fraction

from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.hw import arith
from mase_opt.lib.conversion.hw.arith import Term
from mase_opt.lib.conversion.hw.builder import Builder
from mase_opt.lib.conversion.hw.codec import Wires, encode
from mase_opt.lib.conversion.hw.number import Sum
from mase_opt.lib.conversion.hw.registry import template
from mase_opt.lib.conversion.hw.wire import Wire, constant


@template(AdderGraphOp)
def adder_graph(op: AdderGraphOp, b: Builder, x: Wires) -> Wires:
    products: list[list[int]] = op.product_table.tolist()
    nodes: list[list[int]] = op.node_table.tolist()
    outputs: list[list[int]] = op.output_table.tolist()
    offsets: list[int] = op.offset_table.tolist()
    scales = [(Fraction(s), Fraction(t)) for s, t in op.scale_table.tolist()]
    unit = Fraction(2) ** -op.frac.value.data
    inputs = shape_of(op.input)[-1]
    sums: list[Sum] = []
    for start in range(0, len(x), inputs):
        values: list[Wire] = list(x[start : start + inputs])
        values += [arith.mul(b, values[i], constant(w)) for i, w in products]
        for left, right, p, q, subtract in nodes:
            terms = [Term(values[left], p), Term(values[right], q, bool(subtract))]
            values.append(arith.total(b, terms))
        for (value, shift, negative), offset, (scale, bias) in zip(
            outputs, offsets, scales, strict=True
        ):
            terms = [Term(values[value], shift, bool(negative))] if value >= 0 else []
            sums.append(Sum(terms, unit * scale, offset * unit * scale + bias))
    return encode(b, op, sums)
