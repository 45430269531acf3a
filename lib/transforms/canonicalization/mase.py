"""
Canonicalization patterns of the mase dialect.

They never change a number, so hardware and evaluation agree before and after.
"""

from __future__ import annotations

from math import prod

from xdsl.dialects.builtin import Float32Type, Float64Type
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.pattern_rewriter import (
    PatternRewriter,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase.base import MaseOp, ints
from mase_opt.dialects.mase.cast_elements import CastElementsOp
from mase_opt.dialects.mase.elementwise import CastOp, ReluOp
from mase_opt.dialects.mase.shape import (
    BroadcastOp,
    ConcatOp,
    ConstantOp,
    GatherOp,
    PadOp,
    ReshapeOp,
    SliceOp,
    TransposeOp,
)
from mase_opt.dialects.mase.types import (
    ElementType,
    FixedPoint,
    element_of,
    shape_of,
)
from mase_opt.lib.formats import Block
from mase_opt.lib.interpreters.mase import evaluate_op

FOLD_LIMIT = 1 << 16
"""Constants grow by folding only up to this many elements."""


class DropIdentity(RewritePattern):
    """`op(x) -> x` where `op` changes neither type nor elements"""

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter):
        assert isinstance(op, MaseOp)
        if op.operands[0].type == op.result.type and _is_identity(op):
            rewriter.replace(op, [], [op.operands[0]])


def _is_identity(op: MaseOp) -> bool:
    """Whether `op`, whose result has the type of its operand, gives it back."""
    match op:
        case CastOp():
            # A threshold may be above all magnitudes. And numbers in blocks whose
            # exponents are higher than need be may saturate with lower ones.
            return op.threshold is None and not isinstance(op.result_format, Block)
        case ReshapeOp() | BroadcastOp() | PadOp():
            return True
        case TransposeOp():
            moved = [
                p for p, n in zip(ints(op.permutation), shape_of(op.result)) if n > 1
            ]
            return moved == sorted(moved)
        case SliceOp():
            # Nothing cut off; reversing is no slice.
            return True
        case ConcatOp():
            return len(op.inputs) == 1
        case ReluOp():
            element = element_of(op.result)
            return isinstance(element, ElementType) and element.format.min_value >= 0
        case _:
            return False


class MergeCasts(RewritePattern):
    """`cast(cast(x)) -> cast(x)` where the inner cast is exact for every `x`"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: CastOp, rewriter: PatternRewriter):
        inner = op.input.owner
        if not isinstance(inner, CastOp):
            return
        if not is_lossless(element_of(inner.input), element_of(inner.result)):
            return
        rewriter.replace(
            op,
            CastOp.create(
                operands=[inner.input],
                result_types=[op.result.type],
                properties=op.properties,
                attributes=op.attributes,
            ),
        )


def is_lossless(source: Attribute, target: Attribute) -> bool:
    """Whether `target` represents every number of `source`."""
    if source == target:
        return True
    match source, target:
        case Float32Type(), Float64Type():
            return True
        case FixedPoint(), FixedPoint():
            shift = target.frac.data - source.frac.data
            return (
                shift >= 0
                and target.format.min_code <= source.format.min_code << shift
                and source.format.max_code << shift <= target.format.max_code
            )
        case FixedPoint(), Float32Type() | Float64Type():
            digits, lowest = (
                (24, -126) if isinstance(target, Float32Type) else (53, -1022)
            )
            frac, width = source.frac.data, source.width.data
            # Neither more digits than the significand has nor any outside of the
            # normal range.
            return width <= digits and -frac >= lowest and width - frac < -lowest
        case _:
            return False


def moves_codes(op: MaseOp) -> bool:
    """Whether `op`, which moves elements, leaves alone how they are rounded."""
    element = element_of(op.result)
    return not (isinstance(element, ElementType) and element.format.positional)


class MergeReshapes(RewritePattern):
    """`reshape(reshape(x)) -> reshape(x)`"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: ReshapeOp, rewriter: PatternRewriter):
        if isinstance(inner := op.input.owner, ReshapeOp) and moves_codes(op):
            rewriter.replace(op, ReshapeOp(inner.input, shape_of(op.result)))


class MergeBroadcasts(RewritePattern):
    """`broadcast(broadcast(x)) -> broadcast(x)`"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: BroadcastOp, rewriter: PatternRewriter):
        if isinstance(inner := op.input.owner, BroadcastOp) and moves_codes(op):
            rewriter.replace(op, BroadcastOp(inner.input, shape_of(op.result)))


class MergeTransposes(RewritePattern):
    """`transpose(transpose(x, p), q) -> transpose(x, p[q])`"""

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: TransposeOp, rewriter: PatternRewriter):
        if isinstance(inner := op.input.owner, TransposeOp) and moves_codes(op):
            first = ints(inner.permutation)
            permutation = [first[q] for q in ints(op.permutation)]
            rewriter.replace(op, TransposeOp(inner.input, permutation))


class FoldConstant(RewritePattern):
    """`op(constant) -> constant`"""

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter):
        assert isinstance(op, MaseOp)
        constants = [c for v in op.operands if (c := _constant(v)) is not None]
        if len(constants) != len(op.operands):
            return
        size = prod(shape_of(op.result))
        if size > max(FOLD_LIMIT, *(c.value.array().size for c in constants)):
            return
        try:
            result = evaluate_op(op, [evaluate_op(c, []) for c in constants])
        except InterpretationError:
            # It is an error where the op runs, if it ever does.
            return
        label = constants[0].value.label
        rewriter.replace(op, ConstantOp.of(result[0], element_of(op.result), label))


def _constant(value: SSAValue) -> ConstantOp | None:
    return value.owner if isinstance(value.owner, ConstantOp) else None


PATTERNS: dict[type[Operation], tuple[RewritePattern, ...]] = {
    CastOp: (DropIdentity(), MergeCasts(), FoldConstant()),
    CastElementsOp: (FoldConstant(),),
    ReluOp: (DropIdentity(),),
    ReshapeOp: (DropIdentity(), MergeReshapes(), FoldConstant()),
    TransposeOp: (DropIdentity(), MergeTransposes(), FoldConstant()),
    BroadcastOp: (DropIdentity(), MergeBroadcasts(), FoldConstant()),
    ConcatOp: (DropIdentity(), FoldConstant()),
    SliceOp: (DropIdentity(), FoldConstant()),
    PadOp: (DropIdentity(), FoldConstant()),
    GatherOp: (FoldConstant(),),
}
"""Op class → its patterns."""
