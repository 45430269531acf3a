"""What the kinds of layers share: channels of values, nests and bodies of processes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import reduce
from math import prod

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import DenseArrayBase, TensorType
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue

from mase_opt.dialects.mase.attrs import DenseAttr
from mase_opt.dialects.mase.base import ArithmeticOp, MaseOp, Shape, ints, rounding_of
from mase_opt.dialects.mase.elementwise import AddOp, MulOp
from mase_opt.dialects.mase.formats import BlockType, element_type
from mase_opt.dialects.mase.layers import LinearOp
from mase_opt.dialects.mase.shape import ConstantOp, SliceOp
from mase_opt.dialects.mase.types import (
    ElementType,
    FixedPoint,
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
from mase_opt.dialects.stream.types import ChannelType, channel_of, in_blocks
from mase_opt.lib.analysis.blocks import is_block
from mase_opt.lib.analysis.exact_range import narrowest, range_of, range_of_result
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
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.multiples import Multiples
from mase_opt.lib.formats.rounding import integers
from mase_opt.lib.formats.scaled import Scaled
from mase_opt.lib.hardware.number import LOWER_BLOCKS, HardwareError
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
        if is_block(value):
            raise HardwareError(
                f"input {value.index} has elements {element_of(value)}, which no port "
                "has: let the model cast it to blocks"
            )
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
        if value in self.moves and value in self.channels:
            layout = channel_of(self.channels[value]).layout
            if layout.shape == shape and layout.axis in (None, *axes):
                return self.channels[value]
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


def constant_codes(value: SSAValue, name: str) -> tuple[Codes, Attribute]:
    """
    The codes of a constant operand, shaped, and the elements that they are of.

    Codes that mean different numbers in different places, of blocks and of scales along
    an axis, become fixed point that has all of these numbers. Raises `HardwareError`
    for other operands, and for numbers too far apart for that.
    """
    op, element = constant_of(value, name), element_of(value)
    if not isinstance(element, ElementType) or not element.format.positional:
        return op.codes().astype(np.int64), element
    numbers = range_of(value)
    format = narrowest(numbers) if numbers is not None else None
    if format is None:
        raise HardwareError(
            f"the {name} has elements {element}, whose numbers take more than 64 bits "
            "in fixed point: give it one scale, or powers of two that are closer"
        )
    codes = integers(np.rint(np.ldexp(op.array(), format.frac)))
    return codes.astype(np.int64), fixed_type(format)


def constant_of(value: SSAValue, name: str) -> ConstantOp:
    """
    The constant that gives an operand, or a part of one.

    Raises `HardwareError` for other operands.
    """
    op = value.owner
    if isinstance(op, SliceOp) and not is_block(value):
        whole = constant_of(op.input, name)
        codes = moved(op, whole.codes().astype(np.int64))
        codes = codes.astype(whole.codes().dtype)
        return ConstantOp(
            DenseAttr.from_array(np.ascontiguousarray(codes), whole.value.label),
            TensorType(element_of(value), codes.shape),
        )
    if not isinstance(op, ConstantOp):
        raise HardwareError(
            f"the {name} is computed, expected a constant: a process has it in a ROM"
        )
    return op


@dataclass(frozen=True)
class Weights:
    """A constant: the numbers of its codes, times a scale for each output."""

    codes: Codes
    """Shaped."""
    element: Attribute
    scales: tuple[Codes, FixedPoint] | None = None
    """`[outputs]`, and what these codes are of; None for ones."""
    block: BlockType | None = None
    """Of weights that blocks are multiplied with; `exponents` are those of outputs."""
    exponents: Codes | None = None
    """`[outputs]`"""

    def rom(
        self,
        nest: Nest,
        words: Codes,
        outputs: tuple[int, int],
        loops: Sequence[str],
        name: str,
    ) -> SSAValue:
        """
        A ROM of `words`, `[words, outputs, lanes]`, which are padded codes.

        `outputs` says how many groups there are, and how many outputs of each.
        """
        number, count, lanes = words.shape
        element = self.element
        if self.block is not None and self.exponents is not None:
            element = in_blocks(self.block, (lanes,))
            groups, each = outputs
            folds = -(-each // count)
            # Groups of transposed convolutions have the same ones.
            shared = padded(np.resize(self.exponents, outputs), (groups, folds * count))
            shared = shared.reshape(-1, count).repeat(number // (groups * folds), 0)
            words = np.concatenate([words.reshape(number, -1), shared], axis=1)
        return rom(nest, words, loops, TensorType(element, (count, lanes)), name)


def weights_of(op: ArithmeticOp, axis: int) -> Weights:
    """
    The constant weights of a layer, whose outputs lie along `axis`.

    Scales and exponents are for the sums, since each output has one; those that differ
    among its inputs become part of the codes. Sums of blocks are rounded at once, so
    exponents stay with the weights. Raises `HardwareError` as `constant_codes` does.
    """
    data, value = op.operands[:2]
    constant, element = constant_of(value, "weight"), element_of(value)
    format = element.format if isinstance(element, ElementType) else None
    size = shape_of(value)
    by_output = tuple(n if d == axis else 1 for d, n in enumerate(size))
    if isinstance(element, BlockType) and element.format.parts(size).grid == by_output:
        assert constant.scales is not None, "verified"
        codes = constant.codes().astype(np.int64)
        shared = constant.scales.array().astype(np.int64).reshape(-1)
        own = element_type(element.format.element)
        if is_block(data):
            return Weights(codes, own, block=element, exponents=shared)
        powers = np.ldexp(1.0, shared - element.format.scale.bias)
        # Zeros have any exponent, such as that of others.
        rest = tuple(d for d in range(len(size)) if d != axis)
        used = (constant.array() != 0).any(axis=rest)
        powers = np.where(used, powers, powers[used].min(initial=1.0))
        return Weights(codes, own, _scales(powers, element))
    if is_block(data):
        return Weights(*constant_codes(value, "weight"))
    one = (1,) * len(size)
    if not isinstance(format, Scaled) or (
        format.layout.parts(size).grid not in (by_output, one)
    ):
        return Weights(*constant_codes(value, "weight"))
    codes, own = constant.codes().astype(np.int64), format.element
    if format.zero_point:
        assert isinstance(own, Fixed), "verified"
        codes = codes - format.zero_point
        own = Fixed(own.width + 1, own.frac)
    scales = np.broadcast_to(format.scales.reshape(-1), (size[axis],))
    return Weights(codes, element_type(own), _scales(scales, element))


def _scales(
    scales: NDArray[np.float64], element: Attribute
) -> tuple[Codes, FixedPoint]:
    """Scales as fixed point. Raises `HardwareError` if they are too far apart."""
    found: set[float] = set(scales.tolist())
    format = narrowest(reduce(Multiples.__or__, map(Multiples.of, found)))
    if format is None:
        raise HardwareError(
            f"the weight has elements {element}, whose scales take more than 64 bits "
            "in fixed point: give it scales that are closer to each other"
        )
    return np.ldexp(scales, format.frac).astype(np.int64), fixed_type(format)


def zero_code(element: Attribute) -> int:
    """The code of zero. Raises `HardwareError` for a format without it."""
    if isinstance(element, ElementType) and not element.codes.has_zero:
        raise HardwareError(
            f"elements {element} have no zero to fill up tiles and borders with: "
            "choose a parallelism that divides the channels, and no padding"
        )
    return code_of(0.0, element)


def code_of(value: float, element: Attribute) -> int:
    """The code of a number; in blocks, that of an element."""
    if (format := exact_format(element)) is None:
        assert isinstance(element, ElementType)
        is_scaled = isinstance(element.format, Scaled)
        format = element.format if is_scaled else element.codes
    return int(np.asarray(format.encode(np.full(1, value)))[0])


def padded(
    codes: Codes, shape: Sequence[int], element: Attribute | None = None
) -> Codes:
    """The codes, with zeros of `element` behind up to `shape`; any codes without it."""
    margins = [(0, n - m) for n, m in zip(shape, codes.shape, strict=True)]
    if not any(high for _, high in margins):
        return codes
    zero = 0 if element is None else zero_code(element)
    return np.pad(codes, margins, constant_values=zero)


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
    codes, element = constant_codes(value, "constant")
    flat = np.broadcast_to(codes, tuple(shape)).reshape(-1)
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


def summed(op: ArithmeticOp, x: SSAValue, weight: SSAValue, count: int) -> SSAValue:
    """
    The sum of products of `count` tiles with weights.

    It is exact, or that of a block, rounded as `op` does. Raises `HardwareError` if it
    is too wide, or if blocks are to be added.
    """
    if not is_block(x):
        return accumulated(exactly(LinearOp(x, weight)), count)
    if count > 1:
        raise HardwareError(f"it adds {count} blocks: {LOWER_BLOCKS}")
    return LinearOp(
        x, weight, element=element_of(op.results[0]), rounding=op.rounding
    ).result


def times_scale(total: SSAValue, scale: SSAValue) -> SSAValue:
    """The exact product of sums with scales. Raises `HardwareError` if too wide."""
    return exactly(MulOp(total, scale))


def with_bias(op: Operation, value: SSAValue, bias: SSAValue | None) -> SSAValue:
    """The result of `op`: an exact number and a bias, rounded once."""
    if bias is None:
        return cast_to(op, value)
    element = element_of(op.results[0])
    return AddOp(value, bias, element=element, rounding=rounding_of(op)).result
