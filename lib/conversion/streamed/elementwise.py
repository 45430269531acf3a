"""Functions of single elements, of one channel or of two that are alike."""

from __future__ import annotations

from math import prod

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import elementwise, layers
from mase_opt.dialects.mase.base import MaseOp, is_constant
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.conversion.streamed.builder import (
    Nest,
    StreamBuilder,
    constant_codes,
    rom,
)
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.registry import streamed
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.streams.layout import BEYOND, Layout


@streamed(
    elementwise.CastOp,
    elementwise.NegOp,
    elementwise.AbsOp,
    elementwise.ReluOp,
    elementwise.Relu6Op,
    elementwise.LeakyReluOp,
    layers.LookupOp,
    elementwise.AddOp,
    elementwise.SubOp,
    elementwise.MulOp,
    elementwise.DivOp,
    elementwise.MaximumOp,
    elementwise.MinimumOp,
)
def each(op: MaseOp, b: StreamBuilder) -> SSAValue:
    table = op.operands[1] if isinstance(op, layers.LookupOp) else None
    moving = [v for v in op.operands if v is not table and not is_constant(v)]
    for value in moving:
        if shape_of(value) != shape_of(op.result):
            raise HardwareError(
                f"its operand of shape {'x'.join(map(str, shape_of(value)))} is spread "
                "over the result: only constants are"
            )
    first = b.channel(moving[0])
    source = channel_of(first).layout
    inputs = [first]
    for value in moving[1:]:
        other = convert(b, b.channel(value, source.lanes), source.lanes)
        if channel_of(other).layout != source:
            raise HardwareError("its operands arrive in different orders")
        inputs.append(other)
    nest = Nest()
    loops = [nest.add(f"dim{d}", source.grid[d]) for d in source.order]
    place = [nest.at(**{f"dim{d}": 1}) for d in range(len(source.shape))]

    def body(*tiles: SSAValue) -> SSAValue:
        found = iter(tiles)
        operands = [
            next(found)
            if v in moving
            else ConstantOp.of(_held(v), element_of(v)).result
            if v is table
            else _tile(v, source, nest, loops, shape_of(op.result))
            for v in op.operands
        ]
        new = type(op).create(
            operands=operands,
            result_types=[TensorType(element_of(op.result), source.tile)],
            properties=dict(op.properties),
        )
        return new.results[0]

    reads = [place for _ in inputs]
    return b.process(op, inputs, nest, reads, place, source, body)


def _held(value: SSAValue) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    op = value.owner
    assert isinstance(op, ConstantOp)
    return op.array()


def _tile(
    value: SSAValue,
    layout: Layout,
    nest: Nest,
    loops: list[str],
    shape: tuple[int, ...],
) -> SSAValue:
    """The tiles of a constant, spread over the result; one if all are the same."""
    codes = constant_codes(value, "constant")
    flat = np.broadcast_to(codes, shape).reshape(-1)
    element = element_of(value)
    # Beyond the end, anything will do that is a code: the last one.
    words = flat[np.where(layout.indices == BEYOND, prod(shape) - 1, layout.indices)]
    type = TensorType(element, layout.tile)
    if (words == words[0]).all():
        return rom(nest, words[:1], [], type, "constant")
    return rom(nest, words, loops, type, "constant")
