"""The parts of a contraction within which each operand has one exponent."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import product

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, SSAValue
from xdsl.pattern_rewriter import PatternRewriter
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import DenseAttr, RoundingAttr
from mase_opt.dialects.mase.base import int_array, ints
from mase_opt.dialects.mase.formats import BlockType
from mase_opt.dialects.mase.layers import ContractionOp, ConvOp, MatmulOp
from mase_opt.dialects.mase.shape import ConstantOp, PadOp, SliceOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.analysis.blocks import extents, has_zero, is_block
from mase_opt.lib.model_function import describe

Span = tuple[int, int]
"""First and last but one."""


@dataclass(frozen=True)
class Part:
    """
    Which products of a contraction to add, as spans along the dimensions summed over.

    The weight has zeros between the ends of `inner` and those of `outer`: so blocks of
    the input stay whole where those of the weight are smaller.
    """

    outer: tuple[Span, ...]
    inner: tuple[Span, ...]


def parts_of(op: ContractionOp) -> list[Part]:
    """
    The parts of `op`, in row-major order.

    Raises `PassFailedException` if windows of a convolution cut blocks.
    """
    weight = op.operands[1]
    sizes = [shape_of(weight)[axis] for axis in _weight_axes(op)]
    inner = [
        _cut(size, extents(weight)[axis])
        for size, axis in zip(sizes, _weight_axes(op), strict=True)
    ]
    outer = (
        _windows(op, sizes)
        if isinstance(op, ConvOp)
        else [_cut(sizes[0], extents(op.operands[0])[-1])]
    )
    pairs = [list(_common(x, w)) for x, w in zip(outer, inner, strict=True)]
    return [Part(*zip(*choice, strict=True)) for choice in product(*pairs)]


def _weight_axes(op: ContractionOp) -> tuple[int, ...]:
    """The dimensions of the second operand that are summed over."""
    rank = len(shape_of(op.operands[1]))
    return (rank - 2,) if isinstance(op, MatmulOp) else tuple(range(1, rank))


def _cut(size: int, extent: int) -> list[Span]:
    return [(i, min(i + extent, size)) for i in range(0, size, extent)]


def _common(outer: list[Span], inner: list[Span]) -> Iterator[tuple[Span, Span]]:
    """The spans of `outer`, and where those of `inner` lie in them."""
    for x in outer:
        for y in inner:
            start, stop = max(x[0], y[0]), min(x[1], y[1])
            if start < stop:
                yield x, (start, stop)


def _windows(op: ConvOp, kernel: Sequence[int]) -> list[list[Span]]:
    """
    The blocks of the input in terms of channels of a group and kernel positions.

    All windows must see them alike, so blocks are as large as a dimension, or single
    elements; blocks of channels may also have any size that divides no group.
    """
    shape, blocks = shape_of(op.input)[1:], extents(op.input)[1:]
    result: list[list[Span]] = []
    for axis, (size, block, taps) in enumerate(zip(shape, blocks, kernel, strict=True)):
        if block >= size or (taps == 1 and axis) or (axis == 0 and block % taps == 0):
            result.append([(0, taps)])
        elif axis == 0 and op.groups.value.data == 1:
            result.append(_cut(taps, block))
        elif axis and block == 1:
            result.append(_cut(taps, 1))
        else:
            what = f"{taps} channels of a group" if axis == 0 else f"{taps} elements"
            raise PassFailedException(
                f"{describe(op.result)}: the blocks of its input are {block} long in "
                f"dimension {axis + 1} of {size}, where it adds {what}, which begin "
                "and end within blocks: use blocks of one size along the channels, as "
                "[16, 1, 1], or of whole dimensions, as [-1, -1, -1]"
            )
    return result


class PartBuilder:
    """Makes parts of a contraction ops of their own."""

    def __init__(
        self, op: ContractionOp, parts: Sequence[Part], rewriter: PatternRewriter
    ):
        self.op = op
        self.rewriter = rewriter
        self.input = op.operands[0]
        self.properties = {
            key: value for key, value in op.properties.items() if key != "accumulator"
        }
        self.slices: dict[tuple[Span, ...], SSAValue] = {}
        if isinstance(op, ConvOp):
            self._pad(op, parts)

    def _pad(self, op: ConvOp, parts: Sequence[Part]) -> None:
        """Pad the input where parts take slices of it, instead of each part."""
        kernel = shape_of(op.weight)[2:]
        cut = [parts[0].outer[1 + i] != (0, taps) for i, taps in enumerate(kernel)]
        pairs = list(zip(ints(op.padding), cut, strict=True))
        margins = (0, 0, *(n if is_cut else 0 for n, is_cut in pairs))
        if not any(margins):
            return
        if not has_zero(self.input):
            raise PassFailedException(
                f"{describe(op.result)} pads its input with zeros, which "
                f"{element_of(self.input)} lacks"
            )
        pad = PadOp(self.input, low=margins, high=margins)
        self.input = self.rewriter.insert(pad).result
        self.properties["padding"] = int_array(
            [0 if is_cut else n for n, is_cut in pairs]
        )

    def contract(
        self, part: Part, element: Attribute, rounding: RoundingAttr
    ) -> SSAValue:
        """The sum of the products in `part`, rounded to `element`."""
        op = self.op
        if part.outer not in self.slices:
            spans = _spans(op, part, len(shape_of(self.input)))
            self.slices[part.outer] = _slice(self.input, spans, self.rewriter)
        new = type(op).create(
            operands=[self.slices[part.outer], _weight_part(op, part, self.rewriter)],
            result_types=[TensorType(element, shape_of(op.result))],
            properties={**self.properties, "rounding": rounding},
            attributes=op.attributes,
        )
        return self.rewriter.insert(new).result


def _spans(op: ContractionOp, part: Part, rank: int) -> dict[int, Span]:
    """What `part` takes of the input, by dimension; all of it in others."""
    if not isinstance(op, ConvOp):
        return {rank - 1: part.outer[0]}
    result = {1: part.outer[0]} if op.groups.value.data == 1 else {}
    windows = zip(
        part.outer[1:],
        shape_of(op.weight)[2:],
        shape_of(op.result)[2:],
        ints(op.strides),
        ints(op.dilation),
        strict=True,
    )
    for axis, ((first, end), taps, count, stride, dilation) in enumerate(windows, 2):
        if (first, end) != (0, taps):
            start = first * dilation
            reach = (count - 1) * stride + (end - first - 1) * dilation + 1
            result[axis] = (start, start + reach)
    return result


def _slice(
    value: SSAValue, spans: dict[int, Span], rewriter: PatternRewriter
) -> SSAValue:
    """The elements of `value` in `spans` of some of its dimensions."""
    sizes = list(enumerate(shape_of(value)))
    if all(spans.get(axis, (0, size)) == (0, size) for axis, size in sizes):
        return value
    slice = SliceOp(
        value,
        starts=[spans[axis][0] if axis in spans else 0 for axis, _ in sizes],
        stops=[spans[axis][1] if axis in spans else size for axis, size in sizes],
    )
    return rewriter.insert(slice).result


def _weight_part(op: ContractionOp, part: Part, rewriter: PatternRewriter) -> SSAValue:
    """
    What `part` takes of the second operand of `op`; a new constant if that is one.

    Raises `PassFailedException` where it would need zeros that it cannot have.
    """
    weight, axes = op.operands[1], _weight_axes(op)
    spans = dict(zip(axes, part.outer, strict=True))
    constant = weight.owner
    if not is_block(weight):
        return _slice(weight, spans, rewriter)
    if isinstance(constant, ConstantOp):
        fits = part.inner == part.outer or has_zero(weight)
    else:
        fits = part.inner == part.outer and all(
            span in _cut(shape_of(weight)[axis], extents(weight)[axis])
            for axis, span in spans.items()
        )
    if not fits:
        raise PassFailedException(
            f"{describe(op.result)}: the blocks of its operands end in different "
            "places, and the second operand is not a constant that zeros can be put "
            "in: use blocks of one size along the dimension that it sums over"
        )
    if isinstance(constant, ConstantOp):
        return rewriter.insert(_constant_part(constant, axes, part)).result
    return _slice(weight, spans, rewriter)


def _constant_part(
    constant: ConstantOp, axes: tuple[int, ...], part: Part
) -> ConstantOp:
    """
    A part of a constant, as codes with their exponents, so that nothing is rounded.

    Along `axes`, one block is all of it: that at `part.inner`, with zeros around.
    """
    value, shape = constant.result, shape_of(constant.result)
    element = element_of(value)
    assert isinstance(element, BlockType)
    assert constant.scales is not None
    format, blocks = element.format, extents(value)
    whole = constant.codes()[_box(axes, part.outer, len(shape))]
    inner = [
        (start - first, stop - first)
        for (start, stop), (first, _) in zip(part.inner, part.outer, strict=True)
    ]
    inside = _box(axes, inner, len(shape))
    codes = np.zeros_like(whole)
    codes[inside] = whole[inside]
    scales = constant.scales.array().reshape(format.parts(shape).grid)
    grid = [
        (start // blocks[axis], start // blocks[axis] + 1)
        for axis, (start, _) in zip(axes, part.inner, strict=True)
    ]
    scales = scales[_box(axes, grid, len(shape))]
    sizes = [1] * (len(shape) - len(format.shape)) + list(format.shape)
    for axis in axes:
        sizes[axis] = -1
    first = min(axis for axis, size in enumerate(sizes) if size != 1)
    type = BlockType(replace(format, shape=tuple(sizes[first:])))
    label = constant.value.label
    return ConstantOp(
        DenseAttr.from_array(codes, label),
        TensorType(type, codes.shape),
        DenseAttr.from_array(scales, f"{label}.scales"),
    )


def _box(axes: tuple[int, ...], spans: Sequence[Span], rank: int) -> tuple[slice, ...]:
    box = [slice(None)] * rank
    for axis, (start, stop) in zip(axes, spans, strict=True):
        box[axis] = slice(start, stop)
    return tuple(box)
