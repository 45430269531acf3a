"""Layers with weights: their parameters as arrays, and the channels these belong to."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DenseArrayBase, f32, i32
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.irdl import AttrSizedOperandSegments
from xdsl.rewriter import InsertPoint, Rewriter

from mase_opt.dialects.mase.layers import (
    ConvOp,
    ConvTranspose2dOp,
    LinearOp,
)
from mase_opt.dialects.mase.normalization import AffineNormOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.model_function import layer_of

Floats = NDArray[np.float64]
Channels = NDArray[np.int64]
Layer = LinearOp | ConvOp | ConvTranspose2dOp
"""A layer that contracts its input with a weight and adds a bias."""


def layers(function: FuncOp) -> list[Layer]:
    """All of them, in order."""
    return [op for op in function.body.block.ops if isinstance(op, Layer)]


def in_float(op: Layer | AffineNormOp) -> bool:
    """Whether `op` computes in f32, with constants as its parameters."""
    parameters = [v for v in (op.weight, op.bias) if v is not None]
    return all(element_of(v) == f32 for v in (*op.operands, op.result)) and all(
        isinstance(v.owner, ConstantOp) for v in parameters
    )


def numbers(value: SSAValue) -> Floats:
    """The content of an f32 constant."""
    assert isinstance(value.owner, ConstantOp), "parameters are constants"
    return value.owner.array().astype(np.float64)


def channel_axis(op: Layer) -> int:
    """The dimension of channels in the input and the result of `op`."""
    return len(shape_of(op.input)) - 1 if isinstance(op, LinearOp) else 1


def weight_channels(op: Layer) -> tuple[Channels, Channels]:
    """The input and the output channel that each `weight[i, j]` connects."""
    rows, columns = shape_of(op.weight)[:2]
    i, j = np.indices((rows, columns))
    if isinstance(op, LinearOp):
        return j, i
    # A channel of a group's own is counted on from those of the groups before.
    own = j + i // (rows // op.groups.value.data) * columns
    return (i, own) if isinstance(op, ConvTranspose2dOp) else (own, i)


def scaled(weight: Floats, channels: Channels, scale: Floats) -> Floats:
    """`weight` with `weight[i, j]` multiplied by the scale of `channels[i, j]`."""
    return weight * _over_kernel(scale[channels], weight)


def largest(weight: Floats, channels: Channels, count: int) -> Floats:
    """The largest magnitude in `weight` for each of `count` channels."""
    found = np.zeros(count)
    np.maximum.at(found, _over_kernel(channels, weight), np.abs(weight))
    return found


def _over_kernel(array: NDArray[Any], weight: Floats) -> NDArray[Any]:
    """`array[i, j]` for all of `weight[i, j]`."""
    wide = array.reshape(*array.shape, *(1,) * (weight.ndim - 2))
    return np.broadcast_to(wide, weight.shape)


def set_parameters(
    op: Layer | AffineNormOp,
    *,
    weight: Floats | None = None,
    bias: Floats | None = None,
) -> None:
    """
    Give `op`, in f32, new constants, also where it had none; None leaves what there is.

    Another user of the old constants keeps them.
    """
    old = (op.weight, op.bias)
    parameters = (
        old[0] if weight is None else _constant(op, "weight", weight),
        old[1] if bias is None else _constant(op, "bias", bias),
    )
    op.operands = [op.input, *(v for v in parameters if v is not None)]
    if isinstance(op, AffineNormOp):
        present = [1, *(int(v is not None) for v in parameters)]
        sizes = DenseArrayBase.from_list(i32, present)
        op.properties[AttrSizedOperandSegments.attribute_name] = sizes
    for value in dict.fromkeys(old):
        if value is not None and not value.uses:
            assert isinstance(value.owner, ConstantOp), "parameters are constants"
            Rewriter.erase_op(value.owner)


def _constant(op: Layer | AffineNormOp, role: str, array: Floats) -> SSAValue:
    """A new constant before `op`, called like the one in its place."""
    old: SSAValue | None = getattr(op, role)
    if old is not None:
        assert isinstance(old.owner, ConstantOp), "parameters are constants"
        name = old.owner.value.label
    else:
        layer = layer_of(op)
        name = role if layer is None else f"{layer}.{role}"
    constant = ConstantOp.of(array.astype(np.float32), f32, name)
    constant.result.name_hint = None if old is None else old.name_hint
    Rewriter.insert_op(constant, InsertPoint.before(op))
    return constant.result
