"""What `mase-quantize` is about: ops in floating point, and roles of their operands."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeGuard

from xdsl.dialects.func import FuncOp
from xdsl.ir import BlockArgument, Operation, SSAValue

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import MaseOp
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import ElementType, element_of


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


def concerned(op: Operation) -> TypeGuard[MaseOp]:
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
