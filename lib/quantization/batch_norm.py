"""Batch normalization into the layer before it, or into a product and a sum."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp, f32
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)

from mase_opt.dialects.mase.base import ArithmeticOp
from mase_opt.dialects.mase.elementwise import AddOp, MulOp
from mase_opt.dialects.mase.layers import (
    Conv1dOp,
    Conv2dOp,
    ConvTranspose2dOp,
    LinearOp,
)
from mase_opt.dialects.mase.normalization import BatchNormOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.analysis.calibration import CALIBRATION

Floats = NDArray[np.float64]


class Affine(NamedTuple):
    """A batch norm as `input · scale + shift`, per channel, shape `[C]` each."""

    scale: Floats
    shift: Floats


def _floats(value: SSAValue | None) -> Floats | None:
    """The content of an f32 constant; None for anything else."""
    if (
        value is None
        or not isinstance(value.owner, ConstantOp)
        or element_of(value) != f32
    ):
        return None
    return value.owner.array().astype(np.float64)


def _affine(op: BatchNormOp) -> Affine | None:
    """What `op` computes, or None if that is not known or not in f32."""
    mean, variance, weight, bias = (_floats(v) for v in op.operands[1:])
    if (
        mean is None
        or variance is None
        or weight is None
        or bias is None
        or element_of(op.result) != f32
    ):
        return None
    with np.errstate(invalid="ignore", divide="ignore"):
        scale = weight / np.sqrt(variance + op.eps.value.data)
    return Affine(scale, bias - mean * scale)


def _constant(values: Floats, name: str) -> ConstantOp:
    return ConstantOp.of(values.astype(np.float32), f32, name)


def _label(op: ArithmeticOp, role: str) -> str:
    return role if op.layer is None else f"{op.layer.data}.{role}"


def _erase_unused(values: Sequence[SSAValue], rewriter: PatternRewriter) -> None:
    for value in dict.fromkeys(values):
        if isinstance(value.owner, ConstantOp) and not value.uses:
            rewriter.erase(value.owner)


def _scaled(
    op: LinearOp | Conv1dOp | Conv2dOp | ConvTranspose2dOp,
    weight: Floats,
    scale: Floats,
) -> Floats:
    """The weight of `op` with output channel i multiplied by `scale[i]`."""
    if not isinstance(op, ConvTranspose2dOp):
        return weight * scale.reshape(-1, *(1,) * (weight.ndim - 1))
    # [C, O / groups, KH, KW]: channel c belongs to group c // (C / groups).
    groups = op.groups.value.data
    split = weight.reshape(groups, -1, *weight.shape[1:])
    return (split * scale.reshape(groups, 1, -1, 1, 1)).reshape(weight.shape)


class FoldIntoLayer(RewritePattern):
    """`batch_norm(layer(x, w, b)) -> layer(x, w · scale, b · scale + shift)`"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: BatchNormOp, rewriter: PatternRewriter):
        layer = op.input.owner
        if not isinstance(layer, LinearOp | Conv1dOp | Conv2dOp | ConvTranspose2dOp):
            return
        # A linear layer's channels are its last dimension, a batch norm's the second.
        if isinstance(layer, LinearOp) and len(shape_of(op.input)) != 2:
            return
        weight, bias = _floats(layer.weight), _floats(layer.bias)
        affine = _affine(op)
        if (
            affine is None
            or weight is None
            or (bias is None and layer.bias is not None)
            or not op.input.has_one_use()
            or element_of(op.input) != f32
        ):
            return
        shift = affine.shift if bias is None else bias * affine.scale + affine.shift
        new_weight = _constant(
            _scaled(layer, weight, affine.scale), _label(layer, "weight")
        )
        new_bias = _constant(shift, _label(layer, "bias"))
        folded = type(layer).create(
            operands=[layer.input, new_weight.result, new_bias.result],
            result_types=[layer.result.type],
            properties=layer.properties,
            attributes=_moved(layer.attributes, op),
        )
        folded.result.name_hint = op.result.name_hint or layer.result.name_hint
        old = (*op.operands[1:], *layer.operands[1:])
        rewriter.replace(op, [new_weight, new_bias, folded])
        rewriter.erase(layer)
        _erase_unused(old, rewriter)


class FoldAlone(RewritePattern):
    """`batch_norm(x) -> x · scale + shift`"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: BatchNormOp, rewriter: PatternRewriter):
        affine = _affine(op)
        if affine is None:
            return
        per_channel = (-1, *(1,) * (len(shape_of(op.input)) - 2))
        scale = _constant(affine.scale.reshape(per_channel), _label(op, "scale"))
        shift = _constant(affine.shift.reshape(per_channel), _label(op, "shift"))
        layer = op.layer.data if op.layer is not None else None
        product = MulOp(op.input, scale, element=f32, layer=layer, rounding=op.rounding)
        total = AddOp(product, shift, element=f32, layer=layer, rounding=op.rounding)
        product.attributes = _moved(op.attributes, None)
        total.attributes = dict(op.attributes)
        total.result.name_hint = op.result.name_hint
        old = op.operands[1:]
        rewriter.replace(op, [scale, shift, product, total])
        _erase_unused(old, rewriter)


def _moved(
    attributes: dict[str, Attribute], last: Operation | None
) -> dict[str, Attribute]:
    """`attributes` with the calibration of `last`, whose result takes the place."""
    kept = {k: v for k, v in attributes.items() if k != CALIBRATION}
    if last is not None and CALIBRATION in last.attributes:
        kept[CALIBRATION] = last.attributes[CALIBRATION]
    return kept


def fold_batch_norms(module: ModuleOp) -> None:
    """Replace every f32 batch norm with constant statistics."""
    if not any(isinstance(op, BatchNormOp) for op in module.walk()):
        return
    patterns = GreedyRewritePatternApplier([FoldIntoLayer(), FoldAlone()])
    PatternRewriteWalker(patterns, apply_recursively=False).rewrite_module(module)
