"""Softmax, attention and norms become the functions that they are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.builder import Builder, ImplicitBuilder
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, i1
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.rewriter import InsertPoint

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import ArithmeticOp, MaseOp
from mase_opt.dialects.mase.elementwise import (
    AddOp,
    ExpOp,
    MulOp,
    ReciprocalOp,
    RsqrtOp,
    SelectOp,
    SubOp,
)
from mase_opt.dialects.mase.layers import MatmulOp
from mase_opt.dialects.mase.normalization import (
    AffineNormOp,
    AttentionOp,
    GroupNormOp,
    LayerNormOp,
    SoftmaxOp,
)
from mase_opt.dialects.mase.pooling import ReduceOp
from mase_opt.dialects.mase.shape import (
    BroadcastOp,
    ConstantOp,
    ReshapeOp,
    TransposeOp,
)
from mase_opt.dialects.mase.types import element_of, shape_of

Mask = NDArray[np.bool_]
"""Which scores count; at least one of each row."""

MASKED = -1e3
"""Constants that are added to scores and lie below mask them out: exp(-1000) is 0."""


class _Parts:
    """Adds ops before the one that they are parts of, and belong to its layer."""

    def __init__(self, op: ArithmeticOp):
        self.op = op
        self.layer = op.layer.data if op.layer is not None else None
        self.element = element_of(op.result)

    def constant(self, values: Any, role: str) -> SSAValue:
        name = role if self.layer is None else f"{self.layer}.{role}"
        return ConstantOp.of(np.asarray(values, np.float32), self.element, name).result

    def reduce(self, kind: str, x: SSAValue, axes: Sequence[int]) -> SSAValue:
        return ReduceOp(x, kind, axes, keepdims=True, layer=self.layer).result

    def times(self, x: SSAValue, y: SSAValue) -> SSAValue:
        return MulOp(x, y, layer=self.layer).result

    def weights(self, scores: SSAValue, axis: int, mask: Mask | None) -> SSAValue:
        """
        exp(s - max s) · 1 / Σ exp(s - max s)

        A score that is masked out counts as the least of its row, so that no other one
        becomes harder to represent, and has weight 0.
        """
        layer, keep = self.layer, None
        if mask is not None:
            name = "mask" if layer is None else f"{layer}.mask"
            keep = ConstantOp.of(mask, i1, name).result
            least = self.reduce("min", scores, [axis])
            scores = SelectOp(keep, scores, least, layer=layer).result
        most = self.reduce("max", scores, [axis])
        terms = ExpOp(SubOp(scores, most, layer=layer), layer=layer).result
        if keep is not None:
            none = self.constant(0, "none")
            terms = SelectOp(keep, terms, none, layer=layer).result
        total = self.reduce("sum", terms, [axis])
        return self.times(terms, ReciprocalOp(total, layer=layer).result)

    def centred(self, x: SSAValue, mean: SSAValue) -> SSAValue:
        return SubOp(x, mean, layer=self.layer).result

    def deviation(self, variance: SSAValue, eps: float) -> SSAValue:
        """1 / √(variance + eps)"""
        shifted = AddOp(variance, self.constant(eps, "eps"), layer=self.layer)
        return RsqrtOp(shifted, layer=self.layer).result

    def affine(self, op: AffineNormOp, x: SSAValue, trailing: int) -> SSAValue:
        """x · weight + bias, with `trailing` dimensions behind those of the two."""

        def spread(value: SSAValue) -> SSAValue:
            shape = (*shape_of(value), *[1] * trailing)
            return ReshapeOp(value, shape).result if trailing else value

        if op.weight is not None:
            x = self.times(x, spread(op.weight))
        if op.bias is not None:
            x = AddOp(x, spread(op.bias), layer=self.layer).result
        return x


def _replace(op: ArithmeticOp, result: SSAValue, rewriter: PatternRewriter) -> None:
    result.name_hint = op.result.name_hint
    waiting = list(op.operands)
    rewriter.replace(op, [], [result])
    # A mask that has become a selection.
    while waiting:
        owner = waiting.pop().owner
        if isinstance(owner, MaseOp) and not owner.result.uses:
            waiting += owner.operands
            rewriter.erase(owner)


class DecomposeSoftmax(RewritePattern):
    """`softmax(x) -> exp(x - max(x)) · reciprocal(sum(exp(x - max(x))))`"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: SoftmaxOp, rewriter: PatternRewriter):
        if not is_float(element_of(op.result)):
            return
        found = _unmasked(op.input)
        if found is None:
            return
        scores, mask = found
        parts = _Parts(op)
        with ImplicitBuilder(Builder(InsertPoint.before(op))):
            result = parts.weights(scores, op.axis.value.data, mask)
        _replace(op, result, rewriter)


def _unmasked(value: SSAValue) -> tuple[SSAValue, Mask | None] | None:
    """
    The scores to which a constant mask is added, and which of them count.

    None for rows of which none does.
    """
    op = value.owner
    if not isinstance(op, AddOp):
        return value, None
    for scores, addend in ((op.lhs, op.rhs), (op.rhs, op.lhs)):
        numbers = _numbers(addend)
        if numbers is None or shape_of(scores) != shape_of(value):
            continue
        mask: Mask = numbers > MASKED
        if mask.all() or not (numbers[mask] == 0).all():
            continue
        return (scores, mask) if mask.any(axis=-1).all() else None
    return value, None


def _numbers(value: SSAValue | None) -> NDArray[Any] | None:
    """What a constant holds."""
    op = value.owner if value is not None else None
    match op:
        case ConstantOp():
            return op.array()
        case BroadcastOp():
            numbers = _numbers(op.input)
            return (
                None
                if numbers is None
                else np.broadcast_to(numbers, shape_of(op.result))
            )
        case _:
            return None


class DecomposeAttention(RewritePattern):
    """`attention(q, k, v) -> matmul(softmax(matmul(q, transpose(k)) · scale), v)`"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: AttentionOp, rewriter: PatternRewriter):
        if not is_float(element_of(op.result)):
            return
        *lead, source, _ = range(len(shape_of(op.key)))
        size = shape_of(op.query)[-2], shape_of(op.key)[-2]
        mask: Mask = np.tri(*size, dtype=bool) if op.causal else np.ones(size, bool)
        addend = op.mask
        if (numbers := _numbers(op.mask)) is not None:
            mask = mask & (numbers if numbers.dtype == bool else numbers > MASKED)
            if numbers.dtype == bool or not np.where(mask, numbers, 0).any():
                addend = None
        if not mask.any(axis=-1).all() or (
            addend is not None and element_of(addend) == i1
        ):
            return
        parts = _Parts(op)
        with ImplicitBuilder(Builder(InsertPoint.before(op))):
            turned = TransposeOp(op.key, [*lead, source + 1, source])
            scores = MatmulOp(op.query, turned, layer=parts.layer).result
            scores = parts.times(scores, parts.constant(op.scale.value.data, "scale"))
            if addend is not None:
                scores = AddOp(scores, addend, layer=parts.layer).result
            axis = len(shape_of(scores)) - 1
            weights = parts.weights(scores, axis, None if mask.all() else mask)
            result = MatmulOp(weights, op.value, layer=parts.layer).result
        _replace(op, result, rewriter)


class DecomposeLayerNorm(RewritePattern):
    """`layer_norm(x) -> c · rsqrt(mean(c · c) + eps) · w + b, c = x - mean(x)`"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: LayerNormOp, rewriter: PatternRewriter):
        if not is_float(element_of(op.result)):
            return
        rank = len(shape_of(op.input))
        axes = range(rank - op.rank.value.data, rank)
        parts = _Parts(op)
        with ImplicitBuilder(Builder(InsertPoint.before(op))):
            x = parts.centred(op.input, parts.reduce("mean", op.input, axes))
            variance = parts.reduce("mean", parts.times(x, x), axes)
            x = parts.times(x, parts.deviation(variance, op.eps.value.data))
            result = parts.affine(op, x, 0)
        _replace(op, result, rewriter)


class DecomposeGroupNorm(RewritePattern):
    """The same over groups of channels: means of the means of their channels."""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: GroupNormOp, rewriter: PatternRewriter):
        if not is_float(element_of(op.result)):
            return
        batch, channels, *spatial = shape_of(op.input)
        groups, axes = op.groups.value.data, range(2, 2 + len(spatial))
        parts = _Parts(op)

        def mean(x: SSAValue) -> SSAValue:
            if spatial:
                x = parts.reduce("mean", x, axes)
            if groups == channels:
                return x
            rows = ReshapeOp(x, [batch, groups, channels // groups]).result
            rows = parts.reduce("mean", rows, [2])
            return rows

        def of_channels(x: SSAValue) -> SSAValue:
            """What groups have, for each of their channels."""
            if groups == channels:
                return x
            each = BroadcastOp(x, [batch, groups, channels // groups])
            return ReshapeOp(each, [batch, channels, *[1] * len(spatial)]).result

        with ImplicitBuilder(Builder(InsertPoint.before(op))):
            x = parts.centred(op.input, of_channels(mean(op.input)))
            deviation = parts.deviation(mean(parts.times(x, x)), op.eps.value.data)
            x = parts.times(x, of_channels(deviation))
            result = parts.affine(op, x, len(spatial))
        _replace(op, result, rewriter)


@dataclass(frozen=True)
class MaseDecomposeNormalizationsPass(ModulePass):
    """
    Make softmax, attention and norms explicit in functions that have circuits.

    They become sums, means and maxima of rows, products, and `exp`, `reciprocal` or
    `rsqrt` of single numbers, which `mase-lower-to-lookup` makes tables of. Belongs
    before `mase-calibrate` and `mase-quantize`, which then give a format to everything
    in between: what is computed stays the same but for float rounding until they do.
    Causal and constant masks become selections. Stays as it is: what is quantized
    already, attention with a computed mask of `i1`, and rows with all masked out.

    ```mlir
    %1 = mase.softmax %0 {axis = 1 : i64} : (tensor<1x10xf32>) -> tensor<1x10xf32>
    ```
    becomes
    ```mlir
    %1 = mase.reduce %0 {kind = "max", axes = array<i64: 1>, keepdims = true}
      : (tensor<1x10xf32>) -> tensor<1x1xf32>
    %2 = mase.sub %0, %1 : (tensor<1x10xf32>, tensor<1x1xf32>) -> tensor<1x10xf32>
    %3 = mase.exp %2 : (tensor<1x10xf32>) -> tensor<1x10xf32>
    %4 = mase.reduce %3 {kind = "sum", axes = array<i64: 1>, keepdims = true}
      : (tensor<1x10xf32>) -> tensor<1x1xf32>
    %5 = mase.reciprocal %4 : (tensor<1x1xf32>) -> tensor<1x1xf32>
    %6 = mase.mul %3, %5 : (tensor<1x10xf32>, tensor<1x1xf32>) -> tensor<1x10xf32>
    ```
    """

    name = "mase-decompose-normalizations"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        patterns = GreedyRewritePatternApplier(
            [
                DecomposeSoftmax(),
                DecomposeAttention(),
                DecomposeLayerNorm(),
                DecomposeGroupNorm(),
            ]
        )
        PatternRewriteWalker(patterns, apply_recursively=False).rewrite_module(op)
