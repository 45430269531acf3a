"""What the kinds of layers share: channels of values, nests and bodies of processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DenseArrayBase, TensorType
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue

from mase_opt.dialects.mase.attrs import DenseAttr
from mase_opt.dialects.mase.base import MaseOp, Shape, ints, rounding_of
from mase_opt.dialects.mase.elementwise import AddOp
from mase_opt.dialects.mase.shape import ConstantOp
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
    RomOp,
)
from mase_opt.dialects.stream.types import ChannelType, channel_of
from mase_opt.lib.analysis.exact_range import narrowest, range_of_result
from mase_opt.lib.analysis.parallelism import (
    PARALLELISM,
)
from mase_opt.lib.conversion.streamed.movement import (
    indices,
    moved,
    rearranged,
)
from mase_opt.lib.conversion.streamed.processes import (
    Nest,
    ProcessBuilder,
    cast_to,
)
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.streams.layout import BEYOND, Index, Layout

Codes = NDArray[np.integer]


class StreamBuilder(ProcessBuilder):
    """Builds the processes of one function."""

    def __init__(self) -> None:
        super().__init__()
        self.inputs: list[BlockArgument] = []
        """The inputs of the function that have channels, in their order."""
        self.channels: dict[SSAValue, SSAValue] = {}
        """The channels of values, whose elements are in the same flat order."""
        self.moves: dict[SSAValue, tuple[SSAValue, Index]] = {}
        """Values that are moved from others: where in these each element lies."""
        self.shapes: dict[tuple[SSAValue, Shape], SSAValue] = {}
        """The channels of values whose own have another shape."""
        self.directions: dict[tuple[SSAValue, tuple[int, ...]], SSAValue] = {}
        """The channels of values that are moved to lie along one of some dimensions."""

    # ---- channels -----------------------------------------------------------------

    def channel(self, value: SSAValue, lanes: int | None = None) -> SSAValue:
        """
        A channel with the elements of `value` in their order, maybe of another shape.

        That of an input of the function is made when it is first asked for: its beats
        have `lanes` channels of the tensor, or as many as there are. Raises
        `HardwareError` for elements that no process brings into their order.
        """
        if value in self.channels:
            return self.channels[value]
        if value in self.moves:
            root, index = self.moves[value]
            if np.array_equal(index.ravel(), np.arange(prod(shape_of(root)))):
                if isinstance(root, BlockArgument) and root not in self.channels:
                    self._argument(root, shape_of(value), lanes)
                return self.channel(root)
            channel = rearranged(self, self.channel(root), index)
            channel.name_hint = value.name_hint
            self.channels[value] = channel
        elif isinstance(value.owner, ConstantOp):
            self.channels[value] = self._constant(value, lanes)
        else:
            assert isinstance(value, BlockArgument)
            self._argument(value, shape_of(value), lanes)
        return self.channels[value]

    def _argument(
        self,
        value: BlockArgument,
        shape: Shape,
        lanes: int | None,
        axis: int | None = None,
    ) -> None:
        layout = self.natural(shape, lanes, axis)
        type = ChannelType.of(element_of(value), layout)
        # The one that is read first need not be the first one of the function.
        self.inputs.append(value)
        self.inputs.sort(key=lambda input: input.index)
        place = self.inputs.index(value)
        self.channels[value] = self.block.insert_arg(type, place)
        self.channels[value].name_hint = value.name_hint

    def _constant(self, value: SSAValue, lanes: int | None) -> SSAValue:
        """A process that reads nothing, and writes what a ROM holds."""
        layout = self.natural(shape_of(value), lanes)
        nest = Nest()
        loops = [nest.add(f"dim{d}", layout.grid[d]) for d in layout.order]
        place = [nest.at(**{f"dim{d}": 1}) for d in range(len(layout.shape))]

        def body() -> SSAValue:
            return constant_tiles(value, layout.shape, layout, nest, loops)

        return self.add([], element_of(value), nest, [], place, layout, body)

    def move(self, op: MaseOp) -> None:
        """
        The result has elements of the first operand in another order.

        What moves them is made once the result is read. Raises `HardwareError` if the
        order is not known.
        """
        value = op.operands[0]
        root, index = self.moves.get(value, (value, indices(shape_of(value))))
        self.moves[op.results[0]] = root, moved(op, index)

    def shaped(
        self,
        value: SSAValue,
        lanes: int | None = None,
        shape: Shape | None = None,
    ) -> SSAValue:
        """
        The channel of `value` in its own shape, or in another one with its elements.

        Raises `HardwareError` for elements that no process brings into their order.
        """
        channel = self.channel(value, lanes)
        shape = (shape_of(value) if shape is None else shape) or (1,)
        if channel_of(channel).layout.shape == shape:
            return channel
        if (value, shape) not in self.shapes:
            result = rearranged(self, channel, indices(shape))
            result.name_hint = value.name_hint
            self.shapes[value, shape] = result
        return self.shapes[value, shape]

    def along(
        self, value: SSAValue, axes: tuple[int, ...], lanes: int | None = None
    ) -> SSAValue:
        """
        The channel of `value` in its own shape.

        Its beats lie along one of `axes` if it is moved anyway, or an input of the
        function; these have `lanes` elements, or as many as there are. Raises
        `HardwareError` for elements that no process brings into their order.
        """
        if (value, axes) in self.directions:
            return self.directions[value, axes]
        shape = shape_of(value)
        root, index = self.moves.get(value, (value, indices(shape)))
        flat = np.array_equal(index.ravel(), np.arange(prod(shape_of(root))))
        if isinstance(root, BlockArgument) and root not in self.channels:
            own = shape if flat else shape_of(root)
            self._argument(root, own, lanes, axes[0] if flat else None)
        channel = self.channel(root, lanes)
        if not flat or channel_of(channel).layout.shape != shape:
            channel = rearranged(self, channel, index, axes)
            channel.name_hint = value.name_hint
        self.directions[value, axes] = channel
        return channel


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
    assert len(words) == prod(nest.sizes[level] for level in levels)
    result = RomOp(rom_data(words, name), levels, type).result
    result.name_hint = name.rpartition(".")[2]
    return result


def rom_data(words: Codes, name: str) -> DenseAttr:
    """Codes in the narrowest type that holds them."""
    dtype = np.min_scalar_type(-int(np.abs(words).max(initial=1)) - 1)
    if words.min(initial=0) >= 0:
        dtype = np.min_scalar_type(int(words.max(initial=0)))
    return DenseAttr.from_array(np.ascontiguousarray(words.astype(dtype)), name)


def constant_tiles(
    value: SSAValue,
    shape: Sequence[int],
    layout: Layout,
    nest: Nest,
    loops: Sequence[str],
) -> SSAValue:
    """
    The tiles of a constant that is spread over `shape`; one if all are the same.

    `layout` has its elements in their order.
    """
    codes = constant_codes(value, "constant")
    flat = np.broadcast_to(codes, tuple(shape)).reshape(-1)
    element = element_of(value)
    # Beyond the end, anything will do that is a code: the last one.
    words = flat[np.where(layout.indices == BEYOND, -1, layout.indices)]
    type = TensorType(element, layout.tile)
    if (words == words[0]).all():
        return rom(nest, words[:1], [], type, "constant")
    return rom(nest, words, loops, type, "constant")


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


def with_bias(op: Operation, value: SSAValue, bias: SSAValue | None) -> SSAValue:
    """The result of `op`: an exact number and a bias, rounded once."""
    if bias is None:
        return cast_to(op, value)
    element = element_of(op.results[0])
    return AddOp(value, bias, element=element, rounding=rounding_of(op)).result
