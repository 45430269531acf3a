"""Which values are never negative, whatever the input."""

from __future__ import annotations

from collections.abc import Iterable

from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase import elementwise, layers, normalization, pooling, shape
from mase_opt.dialects.mase.base import SameElementOp
from mase_opt.dialects.mase.types import ElementType, element_of

ALWAYS = (
    elementwise.AbsOp,
    elementwise.ReluOp,
    elementwise.Relu6Op,
    elementwise.SigmoidOp,
    elementwise.HardsigmoidOp,
    elementwise.SoftplusOp,
    elementwise.ExpOp,
    elementwise.SqrtOp,
    elementwise.RsqrtOp,
    normalization.SoftmaxOp,
)
"""Ops whose result is never negative."""

IF_ALL = (
    # functions that keep the sign
    elementwise.CastOp,
    elementwise.LeakyReluOp,
    elementwise.EluOp,
    elementwise.TanhOp,
    elementwise.GeluOp,
    elementwise.SiluOp,
    elementwise.HardswishOp,
    elementwise.ReciprocalOp,
    elementwise.ErfOp,
    elementwise.FloorOp,
    pooling.MaxPoolOp,
    pooling.AvgPoolOp,
    pooling.AdaptiveAvgPoolOp,
    pooling.AdaptiveMaxPoolOp,
    pooling.ReduceOp,
    # sums and products
    elementwise.AddOp,
    elementwise.MulOp,
    elementwise.DivOp,
    elementwise.MinimumOp,
    layers.LinearOp,
    layers.MatmulOp,
    layers.Conv1dOp,
    layers.Conv2dOp,
    layers.ConvTranspose2dOp,
)
"""Ops whose result is not negative if no operand is."""


def non_negative(function: FuncOp, assumed: Iterable[SSAValue]) -> set[SSAValue]:
    """The values that cannot be negative, given that those in `assumed` are not."""
    known = set(assumed)
    for op in function.body.block.ops:
        if len(op.results) == 1 and _result_is_non_negative(op, known):
            known.add(op.results[0])
    return known


def _result_is_non_negative(op: Operation, known: set[SSAValue]) -> bool:
    element = element_of(op.results[0])
    if isinstance(element, ElementType) and element.format.min_value >= 0:
        return True
    if isinstance(op, ALWAYS):
        return True
    match op:
        case shape.ConstantOp():
            return float(op.array().min(initial=0)) >= 0
        case elementwise.MulOp() if op.lhs is op.rhs:
            return True
        case elementwise.MaximumOp():
            return op.lhs in known or op.rhs in known
        case elementwise.PowOp():
            return op.lhs in known
        case elementwise.SelectOp():
            return op.on_true in known and op.on_false in known
        case layers.EmbeddingOp():
            return op.weight in known
        case normalization.AttentionOp():
            # A weighted mean of the values.
            return op.value in known
        case shape.PadOp():
            return op.input in known and op.value.value.data >= 0
        case SameElementOp():
            return all(v in known for v in op.operands if op.moves(v))
        case _ if isinstance(op, IF_ALL):
            return all(v in known for v in op.operands)
        case _:
            return False
