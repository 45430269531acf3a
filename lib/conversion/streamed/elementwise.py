"""Functions of single elements, of one channel or of some that go together."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import elementwise, layers
from mase_opt.dialects.mase.base import MaseOp, is_constant
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.conversion.streamed.builder import (
    StreamBuilder,
    constant_tiles,
)
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.lanes import EACH
from mase_opt.lib.conversion.streamed.processes import Nest
from mase_opt.lib.conversion.streamed.registry import streamed
from mase_opt.lib.streams.layout import Layout


@streamed(*EACH, layers.LookupOp)
def each(op: MaseOp, b: StreamBuilder) -> SSAValue:
    table = op.operands[1] if isinstance(op, layers.LookupOp) else None
    others = [v for v in op.operands if v is not table]
    moving = [v for v in others if not is_constant(v)] or others
    size = shape_of(op.result)
    whole = [v for v in moving if shape_of(v) == size]
    channels = [b.channel(v) for v in moving]
    layouts = [channel_of(c).layout for c in channels]
    if len(whole) == len(moving) and len({layout.shape for layout in layouts}) == 1:
        source = layouts[0]
    else:
        channels = [
            b.shaped(v, shape=(*[1] * (len(size) - len(shape_of(v))), *shape_of(v)))
            for v in moving
        ]
        source = (
            channel_of(channels[moving.index(whole[0])]).layout
            if whole
            else b.natural(size, max(layout.lanes for layout in layouts))
        )
    channels = [_alike(b, channel, source) for channel in channels]
    nest = Nest()
    loops = [nest.add(f"dim{d}", source.grid[d]) for d in source.order]
    place = [nest.at(**{f"dim{d}": 1}) for d in range(len(source.shape))]
    # What is spread stays where it is.
    reads = [
        [
            place[d] if channel_of(channel).layout.shape[d] > 1 else nest.at()
            for d in range(len(source.shape))
        ]
        for channel in channels
    ]

    def body(*tiles: SSAValue) -> SSAValue:
        found = iter(tiles)
        operands = [
            next(found)
            if v in moving
            else ConstantOp.of(_held(v), element_of(v)).result
            if v is table
            else constant_tiles(v, size, source, nest, loops)
            for v in op.operands
        ]

        def applied(*operands: SSAValue) -> SSAValue:
            return (
                type(op)
                .create(
                    operands=operands,
                    result_types=[TensorType(element_of(op.result), source.tile)],
                    properties=dict(op.properties),
                )
                .results[0]
            )

        if isinstance(op, elementwise.DivOp) and is_constant(op.rhs):
            return _quotient(op, applied, *operands)
        return applied(*operands)

    return b.process(op, channels, nest, reads, place, source, body)


def _quotient(
    op: elementwise.DivOp,
    divide: Callable[[SSAValue, SSAValue], SSAValue],
    dividend: SSAValue,
    divisor: SSAValue,
) -> SSAValue:
    """A circuit divides by a constant: one for each number that there is, to choose."""
    element, tile = element_of(divisor), shape_of(divisor)
    first, *others = np.unique(_held(op.rhs)).tolist()

    def by(number: float) -> SSAValue:
        return ConstantOp.of(np.full(tile, number), element).result

    result = divide(dividend, by(first))
    for number in others:
        value = by(number)
        found = elementwise.CompareOp(divisor, value, "eq").result
        quotient = divide(dividend, value)
        result = elementwise.SelectOp(found, quotient, result).result
    return result


def _alike(b: StreamBuilder, channel: SSAValue, target: Layout) -> SSAValue:
    """The channel in beats as wide as those of `target`, over which it is spread."""
    own, axis = channel_of(channel).layout, target.axis
    if axis is None or own.shape[axis] == 1:
        return convert(b, channel, 1, own.axis)
    return convert(b, channel, target.lanes, axis)


def _held(value: SSAValue) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    op = value.owner
    assert isinstance(op, ConstantOp)
    return op.array()
