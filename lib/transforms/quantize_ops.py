"""What `mase-quantize` is about: ops, roles of operands, where parts of formats lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

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
from mase_opt.dialects.mase.types import ElementType, element_of, shape_of
from mase_opt.lib.analysis.calibration import SPATIAL
from mase_opt.lib.formats import Block, Layout, ScaledSpec, Spec

# ---- ops and their operands -------------------------------------------------------


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


# ---- where parts of formats lie ---------------------------------------------------


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


def for_operand(spec: Spec, op: Operation, index: int) -> Spec:
    """
    `spec` as operand `index` of `op` has it.

    Blocks with one size, and groups along the last dimension, lie along the one that
    is summed over; scales along dimension 0, along that of the results' channels.
    """
    spec = _along(spec, _summed(op, index, len(shape_of(op.operands[index]))))
    if isinstance(spec, ScaledSpec) and spec.layout == Layout(axis=0):
        match op:
            case ConvTranspose2dOp() if index == 1:
                return replace(spec, layout=Layout(axis=1))
            case MatmulOp() if index == 1:
                return replace(spec, layout=Layout(axis=-1))
            case _:
                pass
    return spec


def for_result(spec: Spec, op: Operation) -> Spec:
    """`spec` as the result of `op` has it: blocks along channels or last dimension."""
    return _along(spec, _channels(op, len(shape_of(op.results[0]))))


def _along(spec: Spec, axis: int) -> Spec:
    """`spec` with its blocks or groups along `axis`, counted from the end."""
    match spec:
        case Block(shape=(size,)):
            return replace(spec, shape=(size, *(1,) * (-1 - axis)))
        case ScaledSpec(layout=Layout(axis=-1, group=int() as group)):
            return replace(spec, layout=Layout(axis, group))
        case _:
            return spec


def _summed(op: Operation, index: int, rank: int) -> int:
    match op:
        case MatmulOp() if index == 1:
            return -2
        case AttentionOp() if index == 2:
            return -2
        case ConvTranspose2dOp() if index == 1:
            return -rank
        case _:
            return _channels(op, rank)


def _channels(op: Operation, rank: int) -> int:
    return 1 - rank if isinstance(op, SPATIAL) and rank > 2 else -1
