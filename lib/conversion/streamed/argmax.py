"""
The place of the largest channel: the maximum of numbers that end in their places.

Below its last bit each element gets how many channels come behind it. So the largest of
these numbers is the first one of the largest elements, and says where it was.
"""

from __future__ import annotations

from math import gcd

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import elementwise, pooling
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.base import show
from mase_opt.dialects.mase.shape import ConstantOp, ReshapeOp
from mase_opt.dialects.mase.types import (
    FixedType,
    UFixedType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.dialects.stream.ops import AccumulateOp, Kind
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.analysis.parallelism import channel_axis
from mase_opt.lib.conversion.streamed.builder import StreamBuilder, exactly, rom
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.processes import Nest
from mase_opt.lib.conversion.streamed.registry import streamed
from mase_opt.lib.formats.rounding import Overflow, RoundingMode
from mase_opt.lib.hardware.number import HardwareError

DOWN = RoundingAttr((RoundingMode.FLOOR, Overflow.SATURATE))


@streamed(pooling.ArgmaxOp)
def argmax(op: pooling.ArgmaxOp, b: StreamBuilder) -> SSAValue:
    size, axis = shape_of(op.input), op.axis.value.data
    element = element_of(op.input)
    format = exact_format(element)
    if format is None:
        raise HardwareError(
            f"it compares {element}, expected fixed point: cast its input first"
        )
    if axis != channel_axis(size):
        raise HardwareError(
            f"it compares along axis {axis} of {show(size)}: only the channels, axis "
            f"{channel_axis(size)}, can be; transpose its input"
        )
    channel = b.shaped(op.input)
    lanes = gcd(channel_of(channel).layout.lanes, size[axis])
    channel = convert(b, channel, lanes)
    source = channel_of(channel).layout
    layout = b.natural(shape_of(op.result), 1)
    nest = Nest()
    for d in source.order:
        nest.add(f"dim{d}", source.grid[d])
    read = [nest.at(**{f"dim{d}": 1}) for d in range(len(size))]
    write = [read[d] for d in range(len(size)) if d != axis]
    if op.keepdims:
        write.insert(axis, nest.at())
    last = size[axis] - 1
    bits = max(last.bit_length(), 1)
    behind = np.arange(last, -1, -1).reshape(source.grid[axis], *source.tile)
    one = [1] * len(size)

    def body(x: SSAValue) -> SSAValue:
        places = TensorType(UFixedType(bits, format.frac + bits), source.tile)
        place = rom(nest, behind, [f"dim{axis}"], places, "place")
        best = exactly(elementwise.AddOp(x, place))
        if lanes > 1:
            best = exactly(pooling.ReduceOp(best, "max", [axis], keepdims=True))
        if source.grid[axis] > 1:
            best = AccumulateOp(Kind.MAX, best, element_of(best)).result
        value = elementwise.CastOp(best, element=element, rounding=DOWN)
        rest = exactly(elementwise.SubOp(best, value))
        unit = ConstantOp.of(np.ones(one, np.int64), FixedType(2, -format.frac - bits))
        count = exactly(elementwise.MulOp(rest, unit))
        number = ConstantOp.of(np.full(one, last), UFixedType(bits, 0))
        index = elementwise.SubOp(number, count, element=element_of(op.result))
        return ReshapeOp(index, layout.tile).result

    return b.process(op, [channel], nest, [read], write, layout, body)
