"""Between channels whose beats have other widths."""

from __future__ import annotations

from dataclasses import replace
from math import gcd

from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue

from mase_opt.dialects.stream.ops import JoinOp, SelectOp
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.analysis.parallelism import channel_axis
from mase_opt.lib.conversion.streamed.processes import Nest, ProcessBuilder
from mase_opt.lib.streams.layout import Layout


def convert(
    b: ProcessBuilder, channel: SSAValue, lanes: int | None, axis: int | None = None
) -> SSAValue:
    """
    The same channel with beats of `lanes` elements of a dimension.

    That is `axis`, or the one of the channels. Without `lanes`, beats stay as wide as
    they are; those that go along another dimension become as wide as possible.

    One process cuts beats into parts, one joins parts; where neither width divides the
    other, beats of their greatest common divisor are between the two.
    """
    layout = channel_of(channel).layout
    if axis is None:
        axis = channel_axis(layout.shape)
    size = layout.shape[axis]
    if layout.axis not in (None, axis):
        return _turn(b, channel, axis, min(lanes or size, size))
    if lanes is None:
        return channel
    lanes = min(lanes, size)
    common = gcd(layout.lanes, lanes)
    if layout.lanes != common:
        channel = _resize(b, channel, common, axis)
    return channel if common == lanes else _resize(b, channel, lanes, axis)


def _turn(b: ProcessBuilder, channel: SSAValue, axis: int, lanes: int) -> SSAValue:
    """Beats along another dimension: elements are taken out one by one, and joined."""
    type = channel_of(channel)
    source = type.layout
    before = source.axis
    assert before is not None
    nest = Nest()
    tile = [1] * len(source.shape)
    tile[axis] = lanes
    order = (*(d for d in range(len(tile)) if d != axis), axis)
    target = Layout(source.shape, tuple(tile), order)
    for d in order:
        nest.add(f"dim{d}", source.grid[d] if d == before else target.grid[d])
        if d == before:
            nest.add("part", source.tile[d])
    nest.add("lane", lanes)
    places = [nest.at(**{f"dim{d}": 1}) for d in range(len(tile))]
    read, write = list(places), list(places)
    read[axis] = nest.at(**{f"dim{axis}": lanes, "lane": 1})
    write[before] = nest.at(**{f"dim{before}": source.tile[before], "part": 1})

    def body(x: SSAValue) -> SSAValue:
        one = TensorType(type.element, (1,) * len(tile))
        part = SelectOp(x, nest.names.index("part"), one).result
        return JoinOp(part, TensorType(type.element, tile)).result

    return b.add([channel], type.element, nest, [read], write, target, body)


def _resize(b: ProcessBuilder, channel: SSAValue, lanes: int, axis: int) -> SSAValue:
    """Beats of `lanes` elements, which divide those there are, or the reverse."""
    type = channel_of(channel)
    source = type.layout
    tile = (*source.tile[:axis], lanes, *source.tile[axis + 1 :])
    target = replace(source, tile=tile)
    narrow = lanes < source.lanes
    ratio = source.lanes // lanes if narrow else lanes // source.lanes
    coarse = source if narrow else target
    nest = Nest()
    for d in source.order:
        nest.add(f"dim{d}", coarse.grid[d])
    part = nest.add("part", ratio)
    places = [nest.at(**{f"dim{d}": 1}) for d in range(len(source.shape))]
    fine = list(places)
    fine[axis] = nest.at(**{f"dim{axis}": ratio, part: 1})

    def body(x: SSAValue) -> SSAValue:
        beat = TensorType(type.element, tile)
        if narrow:
            return SelectOp(x, nest.names.index(part), beat).result
        return JoinOp(x, beat).result

    read, write = (places, fine) if narrow else (fine, places)
    return b.add([channel], type.element, nest, [read], write, target, body)
