"""The type of channels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

from xdsl.dialects.builtin import DenseArrayBase, IntegerType, TensorType
from xdsl.ir import Attribute, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase.base import int_array, ints, show
from mase_opt.dialects.mase.formats import BlockType
from mase_opt.dialects.mase.types import ElementType, check_type, exact_format
from mase_opt.lib.streams.layout import Layout


@irdl_attr_definition
class ChannelType(ParametrizedAttribute, TypeAttribute):
    """
    A tensor that travels in beats: the element type, the shape, and their order.

    `tile` is the part of the tensor that each beat holds, `order` the dimensions along
    which tiles follow each other, outermost first. Both are row-major within. Where a
    tile does not divide the shape, the last ones along that dimension are ragged: lanes
    beyond the end hold anything. Channels of one type can be connected; between two
    types there is a process that converts. Of block formats, each beat holds one block:
    its elements, and behind them the exponent that they share.

    ```mlir
    !stream.channel<tensor<1x6x8x8x!mase.fixed<8, 4>>, tile [1, 4, 1, 1],
      order [0, 2, 3, 1]>
    ```
    """

    name = "stream.channel"

    tensor: TensorType[Attribute]
    tile: DenseArrayBase[IntegerType]
    order: DenseArrayBase[IntegerType]

    @staticmethod
    def of(element: Attribute, layout: Layout) -> ChannelType:
        """The type of elements in a layout."""
        return ChannelType(
            TensorType(element, layout.shape),
            int_array(layout.tile),
            int_array(layout.order),
        )

    @property
    def layout(self) -> Layout:
        return Layout(self.tensor.get_shape(), ints(self.tile), ints(self.order))

    @property
    def element(self) -> Attribute:
        return self.tensor.element_type

    @property
    def beat(self) -> TensorType[Attribute]:
        """The type of what a beat holds; a block has one dimension."""
        tile = ints(self.tile)
        if isinstance(self.element, BlockType):
            lanes = prod(tile)
            return TensorType(in_blocks(self.element, (lanes,)), (lanes,))
        return TensorType(self.element, tile)

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        def sizes(keyword: str) -> DenseArrayBase[IntegerType]:
            parser.parse_punctuation(",")
            parser.parse_keyword(keyword)
            return int_array(
                parser.parse_comma_separated_list(
                    parser.Delimiter.SQUARE, parser.parse_integer
                )
            )

        with parser.in_angle_brackets():
            return parser.parse_type(), sizes("tile"), sizes("order")

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_attribute(self.tensor)
            printer.print_string(f", tile {list(ints(self.tile))}")
            printer.print_string(f", order {list(ints(self.order))}")

    def verify(self) -> None:
        check_type(self.tensor)
        shape, tile, order = self.tensor.get_shape(), ints(self.tile), ints(self.order)
        if not prod(shape):
            raise VerifyException(f"shape {show(shape)} has no elements")
        if len(tile) != len(shape) or min(tile, default=1) < 1:
            raise VerifyException(
                f"tile is {list(tile)}, expected {len(shape)} positive sizes"
            )
        if sorted(order) != list(range(len(shape))):
            raise VerifyException(
                f"order is {list(order)}, expected each of the {len(shape)} dimensions"
            )
        if isinstance(self.element, BlockType):
            extents = self.element.format.parts(shape).extent
            if any(
                t != e and (n > t or n > e)
                for n, t, e in zip(shape, tile, extents, strict=True)
            ):
                raise VerifyException(
                    f"tile is {list(tile)}, expected a block of {self.element}, "
                    f"{list(extents)}"
                )
        elif exact_format(self.element) is None and (
            not isinstance(self.element, ElementType) or self.element.format.positional
        ):
            raise VerifyException(
                f"elements are {self.element}, expected a format in which a code means "
                "the same in every place"
            )


def in_blocks(element: BlockType, tile: Sequence[int]) -> BlockType:
    """The same format in blocks as large as a tile."""
    sizes = list(tile)
    while len(sizes) > 1 and sizes[0] == 1:
        del sizes[0]
    return BlockType(replace(element.format, shape=tuple(sizes)))


def channel_of(value: SSAValue) -> ChannelType:
    """The type of a value that is a channel."""
    type = value.type
    assert isinstance(type, ChannelType), f"not a channel: {type}"
    return type
