"""What the kinds of layers share: channels of values, nests and bodies of processes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.builder import ImplicitBuilder
from xdsl.dialects.builtin import DenseArrayBase, TensorType
from xdsl.ir import Attribute, Block, BlockArgument, Operation, SSAValue

from mase_opt.dialects.mase.attrs import DenseAttr
from mase_opt.dialects.mase.base import ints, rounding_of, show
from mase_opt.dialects.mase.elementwise import AddOp, CastOp
from mase_opt.dialects.mase.shape import ConstantOp, ReshapeOp
from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    fixed_type,
    shape_of,
)
from mase_opt.dialects.stream.ops import (
    AccumulateOp,
    Kind,
    ProcessOp,
    RomOp,
    YieldOp,
)
from mase_opt.dialects.stream.types import ChannelType, channel_of
from mase_opt.lib.analysis.exact_range import narrowest, range_of_result
from mase_opt.lib.analysis.parallelism import (
    PARALLELISM,
    channel_axis,
)
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

Codes = NDArray[np.integer]
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


class StreamBuilder:
    """Builds the processes of one function."""

    def __init__(self) -> None:
        self.block = Block()
        self.channels: dict[SSAValue, SSAValue] = {}
        """The channels of values that are not reshaped from others."""
        self.roots: dict[SSAValue, SSAValue] = {}
        """What reshaped values were at first."""

    # ---- channels -----------------------------------------------------------------

    def channel(self, value: SSAValue, lanes: int | None = None) -> SSAValue:
        """
        The channel of `value`.

        That of an input of the function is made when it is first asked for: its beats
        have `lanes` channels of the tensor, or as many as there are.
        """
        root = self.roots.get(value, value)
        if root not in self.channels:
            assert isinstance(root, BlockArgument)
            layout = self.natural(shape_of(value), lanes)
            type = ChannelType.of(element_of(value), layout)
            self.channels[root] = self.block.insert_arg(type, root.index)
            self.channels[root].name_hint = root.name_hint
        return self.channels[root]

    def reshape(self, op: ReshapeOp) -> None:
        """Nothing but the name of what travels changes."""
        self.roots[op.result] = self.roots.get(op.input, op.input)

    @staticmethod
    def natural(
        shape: Sequence[int], lanes: int | None, axis: int | None = None
    ) -> Layout:
        """Positions one after the other, at each of them its channels, or `axis`."""
        if axis is None:
            axis = channel_axis(shape)
        tile = [1] * len(shape)
        if shape:
            tile[axis] = min(lanes or shape[axis], shape[axis])
        rest = [d for d in range(len(shape)) if d != axis]
        order = [*rest, axis] if shape else []
        return Layout(tuple(shape), tuple(tile), tuple(order))

    def shaped(self, value: SSAValue, lanes: int | None = None) -> SSAValue:
        """
        The channel of `value`, in its own shape.

        Raises `HardwareError` where it has been reshaped on the way.
        """
        channel = self.channel(value, lanes)
        shape = channel_of(channel).layout.shape
        if shape != shape_of(value):
            raise HardwareError(
                f"its operand of shape {show(shape_of(value))} arrives as {show(shape)}"
                ": between processes, only what goes into mase.linear is reshaped"
            )
        return channel

    # ---- processes ----------------------------------------------------------------

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
        channel: SSAValue,
        element: Attribute,
        nest: Nest,
        read: Sequence[Affine],
        write: Sequence[Affine],
        layout: Layout,
        body: Body,
    ) -> SSAValue:
        """Add a process that belongs to no op; the channel that it writes."""
        type = ChannelType.of(element, layout)
        result = self._add([channel], type, nest, [read], write, body, [0], None)
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


def parallelism(op: Operation) -> tuple[int, int] | None:
    """What the attribute of a layer says, if it has one."""
    attr = op.attributes.get(PARALLELISM)
    if attr is None:
        return None
    values = ints(attr) if isinstance(attr, DenseArrayBase) else ()  # pyright: ignore[reportUnknownArgumentType]
    if len(values) != 2 or min(values) < 1:
        raise HardwareError(
            f"{PARALLELISM} is {attr}, expected array<i64: outputs, inputs>"
        )
    return values[0], values[1]


# ---- constants ----------------------------------------------------------------------


def constant_codes(value: SSAValue, name: str) -> Codes:
    """
    The codes of a constant operand, shaped.

    Raises `HardwareError` for other operands, and for codes that mean different numbers
    in different places.
    """
    op = value.owner
    if not isinstance(op, ConstantOp):
        raise HardwareError(
            f"the {name} is computed, expected a constant: a process has it in a ROM"
        )
    element = element_of(value)
    if isinstance(element, ElementType) and element.format.positional:
        raise HardwareError(
            f"the {name} has elements {element}, whose codes mean other numbers in "
            "other places: quantize it to one format for the whole tensor"
        )
    codes: Any = op.codes()
    return codes.astype(np.int64)


def zero_code(element: Attribute) -> int:
    """The code of zero. Raises `HardwareError` for a format without it."""
    if exact_format(element) is not None:
        return 0
    assert isinstance(element, ElementType)
    if not element.codes.has_zero:
        raise HardwareError(
            f"elements {element} have no zero to fill up tiles and borders with: "
            "choose a parallelism that divides the channels, and no padding"
        )
    return int(np.asarray(element.codes.encode(np.zeros(1)))[0])


def padded(codes: Codes, shape: Sequence[int], element: Attribute) -> Codes:
    """The codes, with zeros behind up to `shape`."""
    margins = [(0, n - m) for n, m in zip(shape, codes.shape, strict=True)]
    if not any(high for _, high in margins):
        return codes
    return np.pad(codes, margins, constant_values=zero_code(element))


def rom(
    nest: Nest,
    words: Codes,
    loops: Sequence[str],
    type: TensorType[Attribute],
    name: str,
) -> SSAValue:
    """A `stream.rom` of `[words, …]`, one for each iteration of the named loops."""
    levels = [nest.names.index(loop) for loop in loops]
    dtype = np.min_scalar_type(-int(np.abs(words).max(initial=1)) - 1)
    if words.min(initial=0) >= 0:
        dtype = np.min_scalar_type(int(words.max(initial=0)))
    assert len(words) == prod(nest.sizes[level] for level in levels)
    data = DenseAttr.from_array(np.ascontiguousarray(words.astype(dtype)), name)
    result = RomOp(data, levels, type).result
    result.name_hint = name.rpartition(".")[2]
    return result


# ---- bodies -------------------------------------------------------------------------


def exactly(op: Operation) -> SSAValue:
    """
    The result of `op`, of a type that holds it exactly.

    Raises `HardwareError` if there is none.
    """
    numbers = range_of_result(op)
    format = narrowest(numbers) if numbers is not None else None
    (result,) = op.results
    if format is None:
        raise HardwareError(
            f"{op.name} of {', '.join(str(element_of(v)) for v in op.operands)} has no "
            "exact result of at most 64 bits in fixed point: quantize to fixed point, "
            "or to narrower formats"
        )
    result._type = TensorType(fixed_type(format), shape_of(result))  # pyright: ignore[reportPrivateUsage]
    return result


def accumulated(value: SSAValue, count: int, bound: int | None = None) -> SSAValue:
    """
    The exact sum of `count` tiles; at most `bound` in magnitude if that is given.

    Raises `HardwareError` if it takes more than 64 bits.
    """
    if count == 1:
        return value
    format = exact_format(element_of(value))
    assert format is not None
    numbers = format.multiples.sum_of(count)
    if bound is not None:
        low, high = max(numbers.low, -bound), min(numbers.high, bound)
        numbers = replace(numbers, low=low, high=high)
    wide = narrowest(numbers)
    if wide is None:
        raise HardwareError(
            f"a sum of {count} numbers of {element_of(value)} takes more than 64 bits"
        )
    return AccumulateOp(Kind.SUM, value, fixed_type(wide)).result


def cast_to(op: Operation, value: SSAValue | Operation) -> SSAValue:
    """`value` as elements of the result of `op`, rounded as that does."""
    value = SSAValue.get(value)
    element = element_of(op.results[0])
    if element_of(value) == element:
        return value
    return CastOp(value, element=element, rounding=rounding_of(op)).result


def with_bias(op: Operation, value: SSAValue, bias: SSAValue | None) -> SSAValue:
    """The result of `op`: an exact number and a bias, rounded once."""
    if bias is None:
        return cast_to(op, value)
    element = element_of(op.results[0])
    return AddOp(value, bias, element=element, rounding=rounding_of(op)).result
