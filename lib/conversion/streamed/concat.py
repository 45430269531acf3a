"""Tensors joined: beats of one behind those of the other, or side by side."""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd

import numpy as np
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase import shape
from mase_opt.dialects.mase.types import shape_of
from mase_opt.dialects.stream.ops import MergeOp
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.analysis.parallelism import channel_axis
from mase_opt.lib.conversion.streamed.builder import StreamBuilder
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.processes import Nest
from mase_opt.lib.conversion.streamed.registry import streamed


@streamed(shape.ConcatOp)
def concat(op: shape.ConcatOp, b: StreamBuilder) -> SSAValue:
    channels = [convert(b, b.shaped(v), None) for v in op.inputs]
    size, axis = shape_of(op.result), op.axis.value.data
    sizes = [shape_of(v)[axis] for v in op.inputs]
    starts = [0, *np.cumsum(sizes[:-1]).tolist()]
    lanes = [channel_of(c).layout.lanes for c in channels]
    if axis != channel_axis(size):
        width = max(lanes)
    elif lanes == sizes:
        return _side_by_side(op, b, channels)
    else:
        width = gcd(*lanes, *starts)
    channels = [convert(b, channel, width) for channel in channels]
    layout = b.natural(size, width)
    nest = Nest()
    for d in layout.order:
        nest.add(f"dim{d}", layout.grid[d])
    place = [nest.at(**{f"dim{d}": 1}) for d in range(len(size))]
    reads = [list(place) for _ in channels]
    for read, start in zip(reads, starts, strict=True):
        read[axis] = nest.at(-start // layout.tile[axis], **{f"dim{axis}": 1})

    def body(*tiles: SSAValue) -> SSAValue | Operation:
        return MergeOp(tiles)

    return b.process(op, channels, nest, reads, place, layout, body)


def _side_by_side(
    op: shape.ConcatOp, b: StreamBuilder, channels: Sequence[SSAValue]
) -> SSAValue:
    """Beats that have all channels of a position become one."""
    size, axis = shape_of(op.result), op.axis.value.data
    layout = b.natural(size, None)
    nest = Nest()
    for d in layout.order:
        nest.add(f"dim{d}", layout.grid[d])
    place = [nest.at(**{f"dim{d}": 1}) for d in range(len(size))]

    def body(*tiles: SSAValue) -> SSAValue | Operation:
        return shape.ConcatOp(tiles, axis)

    return b.process(op, channels, nest, [place for _ in channels], place, layout, body)
