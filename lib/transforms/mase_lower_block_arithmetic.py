"""Arithmetic on blocks becomes sums over blocks in an accumulator."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeGuard

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    GreedyRewritePatternApplier,
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
)
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.base import MaseOp, SameElementOp
from mase_opt.dialects.mase.elementwise import AddOp, CastOp
from mase_opt.dialects.mase.layers import ContractionOp, ConvOp
from mase_opt.dialects.mase.shape import ConstantOp, ReshapeOp
from mase_opt.dialects.mase.types import (
    FixedPoint,
    element_of,
    fixed_type,
    shape_of,
)
from mase_opt.lib.analysis.blocks import is_block, keeps_blocks, touches_blocks
from mase_opt.lib.analysis.exact_range import narrowest, range_of, range_of_result
from mase_opt.lib.block_parts import PartBuilder, parts_of
from mase_opt.lib.formats.multiples import Multiples
from mase_opt.lib.formats.rounding import Overflow, RoundingMode
from mase_opt.lib.model_function import describe, layer_of

EXACT = RoundingAttr((RoundingMode.FLOOR, Overflow.WRAP))
"""For casts that change no number; in hardware this is the cheapest."""


def added_in_accumulator(op: Operation) -> TypeGuard[ContractionOp]:
    """
    Whether `op` becomes sums in an accumulator, which round where it is narrow.

    Raises `PassFailedException` if windows of a convolution cut blocks.
    """
    if not isinstance(op, ContractionOp) or not any(map(is_block, op.operands[:2])):
        return False
    alone = len(parts_of(op)) == 1 and not op.operands[2:]
    return not (alone and isinstance(element_of(op.result), FixedPoint))


class LowerContraction(RewritePattern):
    """`x · w + c -> cast(Σ (x_part · w_part) + c)`, every term in the accumulator."""

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter):
        if not added_in_accumulator(op):
            return
        parts = parts_of(op)
        element, biases = element_of(op.result), op.operands[2:]
        if not isinstance(op.accumulator, FixedPoint):
            raise PassFailedException(
                f"{describe(op.result)} adds what {len(parts)} blocks contribute "
                "exactly, whatever their exponents: say in which format hardware adds "
                'it, such as accumulator = "fixed<24, 12>" in the settings of the '
                "layer"
            )
        rounding = _for_fixed(op.rounding)
        sums = _Sums(op, op.accumulator, rounding, rewriter)
        builder = PartBuilder(op, parts, rewriter)
        terms = [builder.contract(part, op.accumulator, rounding) for part in parts]
        total = sums.tree(terms)
        for bias in biases:
            total = sums.add(total, sums.spread(bias))
        if element != op.accumulator:
            cast = CastOp(
                total, element=element, layer=layer_of(op), rounding=op.rounding
            )
            total = rewriter.insert(cast).result
        total.name_hint = op.result.name_hint
        weight = op.operands[1].owner
        rewriter.replace(op, [], [total])
        if isinstance(weight, ConstantOp) and not weight.result.uses:
            rewriter.erase(weight)


def _for_fixed(rounding: RoundingAttr) -> RoundingAttr:
    """`rounding`, without an infinity to overflow to."""
    if rounding.overflow is Overflow.INFINITY:
        return RoundingAttr((rounding.mode, Overflow.SATURATE))
    return rounding


@dataclass(frozen=True)
class _Sums:
    """Sums in the accumulator of a layer."""

    op: ContractionOp
    element: FixedPoint
    rounding: RoundingAttr
    rewriter: PatternRewriter

    def add(self, x: SSAValue, y: SSAValue) -> SSAValue:
        add = AddOp(
            x,
            y,
            element=self.element,
            layer=layer_of(self.op),
            rounding=self.rounding,
        )
        return self.rewriter.insert(add).result

    def tree(self, terms: list[SSAValue]) -> SSAValue:
        """Neighbours are added, then neighbours among their sums, until one is left."""
        while len(terms) > 1:
            pairs = zip(terms[::2], terms[1::2], strict=False)
            odd = terms[-1:] if len(terms) % 2 else []
            terms = [*(self.add(x, y) for x, y in pairs), *odd]
        return terms[0]

    def spread(self, bias: SSAValue) -> SSAValue:
        """A bias as an operand of `add`."""
        if is_block(bias):
            cast = CastOp(
                bias,
                element=self.element,
                layer=layer_of(self.op),
                rounding=self.rounding,
            )
            bias = self.rewriter.insert(cast).result
        if isinstance(self.op, ConvOp):
            shape = (*shape_of(bias), *(1,) * self.op.SPATIAL)
            bias = self.rewriter.insert(ReshapeOp(bias, shape)).result
        return bias


@dataclass
class LowerOther(RewritePattern):
    """`f(x) -> cast(f(cast(x)))`, where only the last cast rounds."""

    casts: dict[tuple[SSAValue, Attribute], SSAValue] = field(
        default_factory=dict[tuple[SSAValue, Attribute], SSAValue]
    )

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter):
        if (
            not isinstance(op, MaseOp)
            or not touches_blocks(op)
            or isinstance(op, ConstantOp | CastOp)
            or (isinstance(op, ContractionOp) and any(map(is_block, op.operands[:2])))
            or keeps_blocks(op)
        ):
            return
        element = element_of(op.result)
        result: Attribute = element
        if is_block(op.result):
            result = _exact(op.result, range_of_result(op))
        ranges = {v: range_of(v) for v in op.operands if is_block(v)}
        if isinstance(op, SameElementOp):
            ranges = dict.fromkeys(ranges, range_of_result(op))
        operands = [
            self._cast(v, _exact(op.result, ranges[v]), rewriter) if v in ranges else v
            for v in op.operands
        ]
        new = type(op).create(
            operands=operands,
            result_types=[TensorType(result, shape_of(op.result))],
            properties=op.properties,
            attributes=op.attributes,
        )
        new.results[0].name_hint = op.result.name_hint
        if result == element:
            rewriter.replace(op, new)
            return
        rounding = op.properties.get("rounding")
        assert isinstance(rounding, RoundingAttr | None)
        cast = CastOp(
            rewriter.insert(new).results[0],
            element=element,
            layer=layer_of(op),
            rounding=rounding or RoundingAttr.DEFAULT,
        )
        cast.result.name_hint = op.result.name_hint
        rewriter.replace(op, cast)

    def _cast(
        self, value: SSAValue, element: Attribute, rewriter: PatternRewriter
    ) -> SSAValue:
        if (value, element) not in self.casts:
            cast = CastOp(value, element=element, rounding=EXACT)
            self.casts[value, element] = rewriter.insert(cast).result
        return self.casts[value, element]


def _exact(of: SSAValue, numbers: Multiples | None) -> FixedPoint:
    """The fixed-point type of `numbers`; raises `PassFailedException` if none has."""
    format = narrowest(numbers) if numbers is not None else None
    if format is None:
        raise PassFailedException(
            f"{describe(of)} computes on blocks, and its operands or its exact result "
            'are in no fixed-point format: give it data_in = "fixed<…>" and '
            'data_out = "fixed<…>", such as fixed<16, 8>'
        )
    return fixed_type(format)


@dataclass(frozen=True)
class MaseLowerBlockArithmeticPass(ModulePass):
    """
    Make sums over blocks explicit: `lower-block-arithmetic`.

    A layer over block formats is the exact sum of its products, rounded once. The
    exponents of blocks differ, so that this may take hundreds of bits. Here it becomes
    what hardware does: where both operands have one exponent each, products are added
    exactly and rounded to the layer's `accumulator`; that is added up, in a tree of
    neighbours, then the bias; at last it is rounded to the result. All of it rounds
    and overflows as the layer says.

    Other ops compute on fixed point, between a cast that loses nothing and one back to
    blocks. What is left for blocks are constants, casts, sums of products under one
    exponent, and slices and paddings of whole blocks. Weights are cut as codes; where
    their blocks are smaller than those of the input, zeros stand for the other blocks.

    Fails for a layer that needs an accumulator but has none, and for blocks that
    windows of a convolution cut.

    ```mlir
    %1 = mase.linear %0, %w, %b {accumulator = !mase.fixed<24, 12>, layer = "fc"}
      : (tensor<1x64x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>,
         tensor<8x64x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>,
         tensor<8x!mase.fixed<16, 12>>) -> tensor<1x8x!mase.fixed<16, 8>>
    ```
    becomes
    ```mlir
    %2 = mase.slice %0 {starts = array<i64: 0, 0>, stops = array<i64: 1, 32>, …} : …
    %w0 = mase.constant <i8, fc.weight> {scales = …}
      : tensor<8x32x!mase.block<!mase.fixed<8, 6>, e8m0, [-1]>>
    %3 = mase.linear %2, %w0 {layer = "fc"} : … -> tensor<1x8x!mase.fixed<24, 12>>
    %4 = mase.slice %0 {starts = array<i64: 0, 32>, stops = array<i64: 1, 64>, …} : …
    %w1 = mase.constant …
    %5 = mase.linear %4, %w1 {layer = "fc"} : … -> tensor<1x8x!mase.fixed<24, 12>>
    %6 = mase.add %3, %5 {layer = "fc"} : … -> tensor<1x8x!mase.fixed<24, 12>>
    %7 = mase.add %6, %b {layer = "fc"} : … -> tensor<1x8x!mase.fixed<24, 12>>
    %1 = mase.cast %7 {layer = "fc"} : … -> tensor<1x8x!mase.fixed<16, 8>>
    ```
    """

    name = "mase-lower-block-arithmetic"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        patterns = GreedyRewritePatternApplier([LowerContraction(), LowerOther()])
        PatternRewriteWalker(patterns, apply_recursively=False).rewrite_module(op)
