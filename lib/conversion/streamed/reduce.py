"""Reductions over any dimensions: what is reduced takes turns, or lies in a beat."""

from __future__ import annotations

from math import gcd, prod

from xdsl.ir import SSAValue

from mase_opt.dialects.mase import pooling
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.types import element_of, exact_format, shape_of
from mase_opt.dialects.stream.ops import AccumulateOp, Kind
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.conversion.streamed.builder import (
    StreamBuilder,
    accumulated,
    exactly,
)
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.pool import mean_of
from mase_opt.lib.conversion.streamed.processes import Nest, cast_to
from mase_opt.lib.conversion.streamed.registry import streamed
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.streams.layout import Layout


@streamed(pooling.ReduceOp)
def reduce(op: pooling.ReduceOp, b: StreamBuilder) -> SSAValue:
    name = op.kind.data
    kind = Kind.SUM if name == "mean" else Kind(name)
    if exact_format(element_of(op.input)) is None:
        raise HardwareError(
            f"it compares or adds {element_of(op.input)}, expected fixed point: cast "
            "its input first"
        )
    axes, channel = ints(op.axes), b.shaped(op.input)
    source = channel_of(channel).layout
    for axis in axes:
        if source.tile[axis] > 1:
            # Lanes beyond the end hold anything, which no result may depend on.
            lanes = gcd(source.tile[axis], source.shape[axis])
            channel = convert(b, channel, lanes, axis)
    source = channel_of(channel).layout
    kept = [d for d in source.order if d not in axes]
    nest = Nest()
    for d in (*kept, *(d for d in source.order if d in axes)):
        nest.add(f"dim{d}", source.grid[d])
    places = [nest.at(**{f"dim{d}": 1}) for d in range(len(source.shape))]
    layout, write = source, [p for d, p in enumerate(places) if d not in axes]
    tile = tuple(1 if d in axes else n for d, n in enumerate(source.tile))
    if op.keepdims:
        write = [nest.at() if d in axes else p for d, p in enumerate(places)]
        order = (*kept, *sorted(axes))
        layout = Layout(shape_of(op.result), tile, order)
    else:
        left = sorted(kept)
        layout = Layout(
            shape_of(op.result),
            tuple(tile[d] for d in left),
            tuple(left.index(d) for d in kept),
        )
    if not layout.shape:
        layout = b.natural((), 1)
    count = prod(source.shape[axis] for axis in axes)
    beats = prod(source.grid[axis] for axis in axes)

    def body(x: SSAValue) -> SSAValue:
        if count > beats:
            x = exactly(pooling.ReduceOp(x, kind, axes, keepdims=True))
        if kind is not Kind.SUM:
            found = AccumulateOp(kind, x, element_of(x)) if beats > 1 else x
            return cast_to(op, found)
        total = accumulated(x, beats)
        if name == "sum":
            return cast_to(op, total)
        return mean_of(op, total, count)

    return b.process(op, [channel], nest, [places], write, layout, body)
