"""Elements in another order, and from constants: ops that only move."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
from xdsl.dialects.builtin import i64
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase import shape
from mase_opt.dialects.mase.base import MaseOp, ints, show
from mase_opt.dialects.mase.formats import BlockType
from mase_opt.dialects.mase.types import shape_of
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.processes import Nest, ProcessBuilder
from mase_opt.lib.hardware.number import HardwareError, not_constant
from mase_opt.lib.streams.layout import BEYOND, Index, Layout
from mase_opt.lib.streams.movement import Movement, fastest, movement

MOVES: tuple[type[Operation], ...] = (
    shape.ReshapeOp,
    shape.TransposeOp,
    shape.BroadcastOp,
    shape.SliceOp,
    shape.GatherOp,
)
"""What gives elements of its first operand in another order."""


def indices(size: Sequence[int]) -> Index:
    """The flat place of every element."""
    return np.arange(prod(size)).reshape(tuple(size))


def moved(op: MaseOp, index: Index) -> Index:
    """
    What is in the places of the result, from what is in those of the operand.

    Raises `HardwareError` for indices that are not constant, or outside.
    """
    match op:
        case shape.TransposeOp():
            return index.transpose(ints(op.permutation))
        case shape.BroadcastOp():
            return np.broadcast_to(index, shape_of(op.result))
        case shape.SliceOp():
            spans = zip(ints(op.starts), ints(op.stops), ints(op.strides), strict=True)
            return index[tuple(slice(*span) for span in spans)]
        case shape.GatherOp():
            constant, axis = op.indices.owner, op.axis.value.data
            if not isinstance(constant, shape.ConstantOp):
                raise HardwareError(not_constant("index"))
            places, size = constant.codes().astype(np.int64), index.shape[axis]
            if places.min(initial=0) < -size or places.max(initial=0) >= size:
                raise HardwareError(f"an index is outside of {size} elements")
            return np.take(index, places, axis=axis)
        case _:
            return index.reshape(shape_of(op.results[0]))


def rearranged(
    b: ProcessBuilder,
    channel: SSAValue,
    index: Index,
    axes: Sequence[int | None] = (None,),
) -> SSAValue:
    """
    The channel of a tensor shaped like `index`, which says where its elements lie.

    Beats lie along one of `axes`, None for the channels: where it takes the fewest
    cycles. Raises `HardwareError` if the elements do not follow each other in loops.
    """
    source = channel_of(channel).layout
    if isinstance(channel_of(channel).element, BlockType):
        return _blocks(b, channel, index)
    if (found := _fastest(b, source, index, axes)) is not None:
        return _process(b, channel, found)
    # One element after the other, in the order of the tensor, has both their loops.
    flat = _fastest(b, source, indices([prod(source.shape)]), (0,), 1)
    if flat is not None:
        found = _fastest(b, flat.result, index, axes)
        if found is not None:
            return _process(b, _process(b, channel, flat), found)
    raise HardwareError(
        f"the elements of its operand of shape {show(index.shape)} follow each other "
        "in no loops: take them from regular places, as slices and strides do"
    )


def _blocks(b: ProcessBuilder, channel: SSAValue, index: Index) -> SSAValue:
    """Whole blocks, which are beats. Raises `HardwareError` for parts of them."""
    source = channel_of(channel).layout
    result = source
    if index.ndim == len(source.shape):
        result = replace(source, shape=index.shape)
    found = movement(source, index, result) if result.shape == index.shape else None
    whole = tuple(range(source.lanes))
    used = (result.indices != BEYOND).any(axis=0)
    if found is None or any(
        used[lane] and place != lane for lane, place in enumerate(found.lanes)
    ):
        raise HardwareError(
            f"it moves elements of {channel_of(channel).element} to other blocks: cast "
            "them to fixed point before"
        )
    return _process(b, channel, replace(found, lanes=whole))


def _fastest(
    b: ProcessBuilder,
    source: Layout,
    index: Index,
    axes: Sequence[int | None],
    most: int | None = None,
) -> Movement | None:
    """The movement in the fewest cycles, to beats along one of `axes`."""
    found = [
        fastest(
            source,
            index,
            lambda lanes, axis=axis: b.natural(index.shape, most or lanes, axis),
        )
        for axis in axes
    ]
    return min(
        (one for one in found if one is not None),
        key=lambda one: one.cycles,
        default=None,
    )


def _process(b: ProcessBuilder, channel: SSAValue, move: Movement) -> SSAValue:
    source, result, places = move.source, move.result, move.places
    axis = channel_of(channel).layout.axis
    channel = convert(b, channel, source.lanes, axis)
    if move.is_view:
        return b.view(channel, result)
    nest = Nest()
    position: dict[str, int] = {}
    place: dict[str, int] = {}
    step = result.beats
    for level, size in enumerate(places.sizes):
        loop = nest.add(f"loop{level}", size)
        step //= size
        position[loop], place[loop] = places.steps[level], step
    if not places.sizes:
        nest.add("once", 1)
    row = b.view(channel, rows(source))
    element = channel_of(row).element
    read = [nest.at(places.start, **position), nest.at()]
    write = [nest.at(**place), nest.at()]

    def body(x: SSAValue) -> SSAValue | Operation:
        if move.lanes == tuple(range(source.lanes)):
            return x
        which = shape.ConstantOp.of(np.array(move.lanes), i64)
        return shape.GatherOp(x, which, 1)

    beats = b.add([row], element, nest, [read], write, rows(result), body)
    return b.view(beats, result)


def rows(layout: Layout) -> Layout:
    """Beats as the rows of a matrix."""
    return Layout((layout.beats, layout.lanes), (1, layout.lanes), (0, 1))
