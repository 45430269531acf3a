"""Elements around a tensor: places outside of it that are read."""

from __future__ import annotations

from math import gcd

import numpy as np
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase import shape
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.types import shape_of
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.analysis.parallelism import channel_axis
from mase_opt.lib.conversion.streamed.builder import StreamBuilder
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.processes import Nest
from mase_opt.lib.conversion.streamed.registry import streamed
from mase_opt.lib.hardware.codec import codes_of


@streamed(shape.PadOp)
def pad(op: shape.PadOp, b: StreamBuilder) -> SSAValue:
    channel = convert(b, b.shaped(op.input), None)
    source = channel_of(channel).layout
    size, low, high = shape_of(op.result), list(ints(op.low)), list(ints(op.high))
    axis = channel_axis(size)
    within = source.lanes == source.shape[axis] and low[axis] + high[axis] > 0
    if within:
        # Beats have all channels, and get what is around them.
        layout = b.natural(size, None)
        low[axis] = 0
    else:
        width = gcd(source.lanes, low[axis], source.shape[axis] if high[axis] else 0)
        channel = convert(b, channel, width)
        layout = b.natural(size, width)
    nest = Nest()
    for d in layout.order:
        nest.add(f"dim{d}", layout.grid[d])
    place = [nest.at(**{f"dim{d}": 1}) for d in range(len(size))]
    read = [
        nest.at(-before // layout.tile[d], **{f"dim{d}": 1})
        for d, before in enumerate(low)
    ]
    value = op.value.value.data
    (code,) = codes_of(op.result).encode(np.full(1, value)).tolist()

    def body(x: SSAValue) -> SSAValue | Operation:
        if not within:
            return x
        around = [(n if d == axis else 0) for d, n in enumerate(ints(op.low))]
        behind = [(n if d == axis else 0) for d, n in enumerate(ints(op.high))]
        return shape.PadOp(x, low=around, high=behind, value=value)

    return b.process(op, [channel], nest, [read], place, layout, body, [int(code)])
