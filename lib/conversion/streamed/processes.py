"""Processes: nests of loops around bodies, and the channels between them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from xdsl.builder import ImplicitBuilder
from xdsl.ir import Attribute, Block, Operation, SSAValue

from mase_opt.dialects.mase.base import rounding_of
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.shape import ReshapeOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.dialects.stream.ops import ProcessOp, ViewOp, YieldOp
from mase_opt.dialects.stream.types import ChannelType, channel_of
from mase_opt.lib.analysis.parallelism import channel_axis
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.model_function import layer_of
from mase_opt.lib.streams.layout import Layout
from mase_opt.lib.streams.schedule import (
    Access,
    Affine,
    Read,
    Schedule,
    ScheduleError,
)

Body = Callable[..., SSAValue | Operation]
"""The datapath, from the tiles that an iteration reads to the tile that it writes."""


@dataclass
class Nest:
    """The loops of a process, by their names."""

    names: list[str] = field(default_factory=list[str])
    sizes: list[int] = field(default_factory=list[int])

    def add(self, name: str, size: int) -> str:
        """A loop inside of those there are; gives its name."""
        self.names.append(name)
        self.sizes.append(size)
        return name

    def at(self, offset: int = 0, **factors: int) -> Affine:
        """`offset + Σ factor · counter`; names that are no loops count as 0."""
        return Affine(offset, tuple(factors.get(name, 0) for name in self.names))


class ProcessBuilder:
    """Adds processes to a block."""

    def __init__(self) -> None:
        self.block = Block()

    @staticmethod
    def natural(
        shape: Sequence[int], lanes: int | None, axis: int | None = None
    ) -> Layout:
        """
        Positions one after the other, at each of them its channels, or `axis`.

        A scalar travels as a vector of one element.
        """
        shape = tuple(shape) or (1,)
        if axis is None:
            axis = channel_axis(shape)
        tile = [1] * len(shape)
        tile[axis] = min(lanes or shape[axis], shape[axis])
        order = *(d for d in range(len(shape)) if d != axis), axis
        return Layout(shape, tuple(tile), order)

    def view(self, channel: SSAValue, layout: Layout) -> SSAValue:
        """The same beats as those of another layout."""
        type = channel_of(channel)
        if type.layout == layout:
            return channel
        result = ViewOp(channel, ChannelType.of(type.element, layout))
        self.block.add_op(result)
        result.result.name_hint = channel.name_hint
        return result.result

    def process(
        self,
        op: Operation,
        inputs: Sequence[SSAValue],
        nest: Nest,
        reads: Sequence[Sequence[Affine]],
        write: Sequence[Affine],
        layout: Layout,
        body: Body,
        fill: Sequence[int] | None = None,
    ) -> SSAValue:
        """
        Add the process of `op`; the channel that it writes.

        `body` gets the tiles, and is called where its ops go; what it gives is rounded
        as `op` does.
        """

        def rounded(*tiles: SSAValue) -> SSAValue:
            result = cast_to(op, body(*tiles))
            if shape_of(result) != layout.tile:
                result = ReshapeOp(result, layout.tile).result
            return result

        (value,) = op.results
        fill = fill or [0] * len(inputs)
        type = ChannelType.of(element_of(value), layout)
        result = self._add(
            inputs, type, nest, reads, write, rounded, fill, layer_of(op)
        )
        result.name_hint = value.name_hint
        return result

    def add(
        self,
        inputs: Sequence[SSAValue],
        element: Attribute,
        nest: Nest,
        reads: Sequence[Sequence[Affine]],
        write: Sequence[Affine],
        layout: Layout,
        body: Body,
    ) -> SSAValue:
        """Add a process that belongs to no op; the channel that it writes."""
        type = ChannelType.of(element, layout)
        fill = [0] * len(inputs)
        result = self._add(inputs, type, nest, reads, write, body, fill, None)
        result.name_hint = "beats"
        return result

    def _add(
        self,
        inputs: Sequence[SSAValue],
        type: ChannelType,
        nest: Nest,
        reads: Sequence[Sequence[Affine]],
        write: Sequence[Affine],
        body: Body,
        fill: Sequence[int],
        layer: str | None,
    ) -> SSAValue:
        """Add a process whose buffers hold beats as short as the nest allows."""
        found = [
            self._read(nest, channel_of(channel).layout, tiles)
            for channel, tiles in zip(inputs, reads, strict=True)
        ]
        access = Access(type.layout, tuple(write))
        schedule = Schedule(tuple(nest.sizes), tuple(found), access, 0)
        block = Block(arg_types=[channel_of(c).beat for c in inputs])
        with ImplicitBuilder(block):
            YieldOp(body(*block.args))
        for index, read in enumerate(found):
            if not schedule.inside(read).any():
                raise HardwareError(
                    f"nothing of its operand {index} is read, only what lies around "
                    "it: a constant takes its place"
                )
        process = ProcessOp(inputs, type, schedule, fill, block, layer)
        self.block.add_op(process)
        return process.result

    @staticmethod
    def _read(nest: Nest, layout: Layout, tiles: Sequence[Affine]) -> Read:
        """The read that drops beats as early as possible."""
        for held in range(len(nest.sizes), -1, -1):
            read = Read(layout, tuple(tiles), held)
            nothing = Access(layout, tuple(nest.at() for _ in tiles))
            schedule = Schedule(tuple(nest.sizes), (read,), nothing, 0)
            try:
                schedule.check_read(0, read)
            except ScheduleError:
                continue
            return read
        raise AssertionError("beats that are held to the end are there")


def cast_to(op: Operation, value: SSAValue | Operation) -> SSAValue:
    """`value` as elements of the result of `op`, rounded as that does."""
    value = SSAValue.get(value)
    element = element_of(op.results[0])
    if element_of(value) == element:
        return value
    return CastOp(value, element=element, rounding=rounding_of(op)).result
