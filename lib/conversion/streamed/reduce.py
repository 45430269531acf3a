"""Reductions over any dimensions: what is reduced takes turns, or lies in a beat."""

from __future__ import annotations

from collections.abc import Sequence
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
from mase_opt.lib.streams.schedule import Affine


@streamed(pooling.ReduceOp)
def reduce(op: pooling.ReduceOp, b: StreamBuilder) -> SSAValue:
    name = op.kind.data
    kind = Kind.SUM if name == "mean" else Kind(name)
    if exact_format(element_of(op.input)) is None:
        raise HardwareError(
            f"it compares or adds {element_of(op.input)}, expected fixed point: cast "
            "its input first"
        )
    axes = ints(op.axes)
    channel, nest = rows_in_turn(b, op.input, axes)
    source = channel_of(channel).layout
    places = [nest.at(**{f"dim{d}": 1}) for d in range(len(source.shape))]
    write, layout = one_each(b, op, nest, source, axes)
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


def rows_in_turn(
    b: StreamBuilder, value: SSAValue, axes: Sequence[int]
) -> tuple[SSAValue, Nest]:
    """The channel of `value`, and a nest that goes through `axes` innermost."""
    channel = b.shaped(value)
    source = channel_of(channel).layout
    for axis in axes:
        if source.tile[axis] > 1:
            # Lanes beyond the end hold anything, which no result may depend on.
            lanes = gcd(source.tile[axis], source.shape[axis])
            channel = convert(b, channel, lanes, axis)
    source = channel_of(channel).layout
    nest = Nest()
    for d in sorted(source.order, key=lambda d: d in axes):
        nest.add(f"dim{d}", source.grid[d])
    return channel, nest


def one_each(
    b: StreamBuilder,
    op: pooling.ReduceOp | pooling.ArgmaxOp,
    nest: Nest,
    source: Layout,
    axes: Sequence[int],
) -> tuple[list[Affine], Layout]:
    """Where one element for all those along `axes` is written, and its layout."""
    kept = [d for d in source.order if d not in axes]
    places = [nest.at(**{f"dim{d}": 1}) for d in range(len(source.shape))]
    tile = tuple(1 if d in axes else n for d, n in enumerate(source.tile))
    if op.keepdims:
        write = [nest.at() if d in axes else p for d, p in enumerate(places)]
        return write, Layout(shape_of(op.result), tile, (*kept, *sorted(axes)))
    left = sorted(kept)
    if not left:
        return [nest.at()], b.natural((), 1)
    layout = Layout(
        shape_of(op.result),
        tuple(tile[d] for d in left),
        tuple(left.index(d) for d in kept),
    )
    return [places[d] for d in left], layout
