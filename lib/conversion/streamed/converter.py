"""Between channels whose beats have other widths."""

from __future__ import annotations

from dataclasses import replace
from math import gcd

from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue

from mase_opt.dialects.stream.ops import JoinOp, SelectOp
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.analysis.parallelism import channel_axis, channels_in
from mase_opt.lib.conversion.streamed.processes import Nest, ProcessBuilder


def convert(b: ProcessBuilder, channel: SSAValue, lanes: int | None) -> SSAValue:
    """
    The same channel with beats of `lanes` channels, if that is given.

    One process cuts beats into parts, one joins parts; where neither width divides the
    other, beats of their greatest common divisor are between the two.
    """
    layout = channel_of(channel).layout
    if lanes is None:
        return channel
    lanes = min(lanes, channels_in(layout.shape))
    common = gcd(layout.lanes, lanes)
    if layout.lanes != common:
        channel = _resize(b, channel, common)
    return channel if common == lanes else _resize(b, channel, lanes)


def _resize(b: ProcessBuilder, channel: SSAValue, lanes: int) -> SSAValue:
    """Beats of `lanes` channels, which divide those there are, or the reverse."""
    type = channel_of(channel)
    source = type.layout
    axis = channel_axis(source.shape)
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
