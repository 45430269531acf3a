"""
The place of the largest element: the maximum of numbers that end in their places.

Below its last bit each element gets how many others come behind it. So the largest of
these numbers is the first one of the largest elements, and says where it was.
"""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import elementwise, pooling
from mase_opt.dialects.mase.attrs import RoundingAttr
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
from mase_opt.lib.conversion.streamed.builder import StreamBuilder, exactly, rom
from mase_opt.lib.conversion.streamed.reduce import one_each, rows_in_turn
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
    channel, nest = rows_in_turn(b, op.input, (axis,))
    source = channel_of(channel).layout
    read = [nest.at(**{f"dim{d}": 1}) for d in range(len(size))]
    write, layout = one_each(b, op, nest, source, (axis,))
    last = size[axis] - 1
    bits = max(last.bit_length(), 1)
    along = [n if d == axis else 1 for d, n in enumerate(source.tile)]
    behind = np.arange(last, -1, -1).reshape(source.grid[axis], *along)
    behind = np.broadcast_to(behind, (source.grid[axis], *source.tile))
    one = [1] * len(size)

    def body(x: SSAValue) -> SSAValue:
        places = TensorType(UFixedType(bits, format.frac + bits), source.tile)
        place = rom(nest, behind, [f"dim{axis}"], places, "place")
        best = exactly(elementwise.AddOp(x, place))
        if source.tile[axis] > 1:
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
