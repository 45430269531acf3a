"""Blocks of elements that share an exponent: a beat is one block."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import elementwise
from mase_opt.dialects.mase.formats import BlockType
from mase_opt.dialects.mase.shape import ReshapeOp
from mase_opt.dialects.mase.types import UFixedType, element_of, exact_format, shape_of
from mase_opt.dialects.stream.types import channel_of, in_blocks
from mase_opt.lib.conversion.streamed.builder import (
    StreamBuilder,
    exactly,
    rom,
)
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.processes import Nest
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.streams.layout import BEYOND, Layout


def block_axis(value: SSAValue) -> int:
    """
    The dimension along which the blocks of `value` lie.

    Raises `HardwareError` for blocks of several dimensions.
    """
    element, shape = element_of(value), shape_of(value)
    assert isinstance(element, BlockType)
    extents = element.format.parts(shape).extent
    along = [d for d, n in enumerate(extents) if n > 1]
    if len(along) > 1:
        raise HardwareError(
            f"a block of {element} lies along {len(along)} dimensions of "
            f"{list(shape)}, a beat along one: use blocks of one size, such as [32]"
        )
    # Of single elements, along those dimensions that the format names first.
    return along[0] if along else len(shape) - len(element.format.shape)


def to_blocks(op: elementwise.CastOp, b: StreamBuilder) -> SSAValue:
    """Each iteration looks at a whole block, and finds its exponent."""
    element, shape = element_of(op.result), shape_of(op.result)
    assert isinstance(element, BlockType)
    axis = block_axis(op.result)
    lanes = element.format.parts(shape).extent[axis]
    channel = convert(b, b.along(op.input, (axis,), lanes), lanes, axis)
    source = channel_of(channel).layout
    nest = Nest()
    loops = {d: nest.add(f"dim{d}", source.grid[d]) for d in source.order}
    place = [nest.at(**{f"dim{d}": 1}) for d in range(len(shape))]

    def body(x: SSAValue) -> SSAValue:
        x = ReshapeOp(x, (lanes,)).result
        ends = Layout((shape[axis],), (lanes,), (0,)).indices != BEYOND
        if not ends.all():
            # What lies beyond the end must not be the largest of its block.
            if exact_format(element_of(x)) is None:
                raise HardwareError(
                    f"a block of {lanes} elements goes beyond the end of "
                    f"{shape[axis]}: cast {element_of(x)} to fixed point before"
                )
            type = TensorType(UFixedType(1, 0), (lanes,))
            words = ends.astype(np.int64)
            x = exactly(
                elementwise.MulOp(x, rom(nest, words, [loops[axis]], type, "inside"))
            )
        return elementwise.CastOp(
            x, element=in_blocks(element, (lanes,)), rounding=op.rounding
        ).result

    return b.process(op, [channel], nest, [place], place, source, body)


def from_blocks(op: elementwise.CastOp, b: StreamBuilder) -> SSAValue:
    """The numbers of a block, in beats as wide."""
    channel = b.channel(op.input)
    layout = channel_of(channel).layout
    nest = Nest()
    for d in layout.order:
        nest.add(f"dim{d}", layout.grid[d])
    place = [nest.at(**{f"dim{d}": 1}) for d in range(len(layout.shape))]
    element = element_of(op.result)

    def body(x: SSAValue) -> SSAValue:
        return elementwise.CastOp(x, element=element, rounding=op.rounding).result

    return b.process(op, [channel], nest, [place], place, layout, body)
