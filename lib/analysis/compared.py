"""Values of which all that matters is how they compare with constants."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase.base import SameElementOp
from mase_opt.dialects.mase.elementwise import (
    AddOp,
    CompareOp,
    MulOp,
    NegOp,
    Relu6Op,
    ReluOp,
    SubOp,
)
from mase_opt.dialects.mase.pooling import AdaptiveMaxPoolOp, MaxPoolOp, ReduceOp
from mase_opt.dialects.mase.shape import ConcatOp, ConstantOp, PadOp


def is_only_compared(value: SSAValue, exact: Callable[[Operation], bool]) -> bool:
    """
    Whether `value` is read by comparisons with constants only.

    At once, or through ops whose results can be exact, and are for those that `exact`
    says so of.
    """
    readers = [use.operation for use in value.uses]
    return bool(readers) and all(_compares(op, exact) for op in readers)


def _compares(op: Operation, exact: Callable[[Operation], bool]) -> bool:
    match op:
        case CompareOp():
            return _has_constant(op)
        case ConcatOp() | PadOp():
            return False
        case AddOp() | SubOp() | MulOp() if not _has_constant(op):
            return False
        case ReduceOp() if op.kind.data not in ("max", "min"):
            return False
        case (
            SameElementOp()
            | AddOp()
            | SubOp()
            | MulOp()
            | NegOp()
            | ReluOp()
            | Relu6Op()
            | MaxPoolOp()
            | AdaptiveMaxPoolOp()
            | ReduceOp()
        ):
            return exact(op) and is_only_compared(op.result, exact)
        case _:
            return False


def _has_constant(op: Operation) -> bool:
    return any(isinstance(v.owner, ConstantOp) for v in op.operands)
