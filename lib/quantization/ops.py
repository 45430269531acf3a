"""What `mase-quantize` is about: ops in floating point, and roles of their operands."""

from __future__ import annotations

from collections.abc import Iterator

from xdsl.dialects.func import FuncOp
from xdsl.ir import BlockArgument, Operation, SSAValue

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import MaseOp, SameElementOp
from mase_opt.dialects.mase.elementwise import CastOp, Relu6Op, ReluOp
from mase_opt.dialects.mase.layers import (
    ConvOp,
    ConvTranspose2dOp,
    EmbeddingOp,
    LinearOp,
    MatmulOp,
)
from mase_opt.dialects.mase.normalization import AttentionOp
from mase_opt.dialects.mase.pooling import AdaptiveMaxPoolOp, MaxPoolOp, ReduceOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import ElementType, element_of


def keeps_format(op: Operation) -> bool:
    """Whether the numbers in the result of `op` are numbers of its operand."""
    return isinstance(
        op, SameElementOp | MaxPoolOp | AdaptiveMaxPoolOp | ReluOp | Relu6Op
    ) or (isinstance(op, ReduceOp) and op.kind.data in ("max", "min"))


def is_boundary(op: Operation) -> bool:
    """Whether `op` is a cast from or to a number format: explicit, so it stays."""
    return isinstance(op, CastOp) and any(
        isinstance(element_of(v), ElementType) for v in (op.input, op.result)
    )


def float_operands(op: Operation) -> Iterator[tuple[int, SSAValue]]:
    """The floating-point operands of `op` with their positions."""
    for index, value in enumerate(op.operands):
        if is_float(element_of(value)):
            yield index, value


def role_of(op: Operation, value: SSAValue) -> str:
    """Which setting of `op` is for its operand: `data_in`, `weight` or `bias`."""
    for role in ("weight", "bias"):
        if getattr(op, role, None) is value:
            return role
    return "weight" if isinstance(value.owner, ConstantOp) else "data_in"


def concerned(op: Operation) -> bool:
    """Whether `op` is an op that computes in floating point."""
    return (
        isinstance(op, MaseOp)
        and not isinstance(op, ConstantOp)
        and not is_boundary(op)
        and (is_float(element_of(op.result)) or any(True for _ in float_operands(op)))
    )


def returned_as_is(function: FuncOp) -> Iterator[tuple[int, SSAValue]]:
    """Floating-point arguments and constants that are results, with positions."""
    returned = function.get_return_op()
    for index, value in enumerate(returned.operands if returned is not None else ()):
        if is_float(element_of(value)) and (
            isinstance(value, BlockArgument) or isinstance(value.owner, ConstantOp)
        ):
            yield index, value


def is_factor(op: Operation, index: int) -> bool:
    """Whether operand `index` goes into sums of products, or is a table's rows."""
    match op:
        case LinearOp() | ConvOp() | ConvTranspose2dOp() | MatmulOp():
            return index < 2
        case AttentionOp():
            return index < 3
        case EmbeddingOp():
            return index == 0
        case _:
            return False
