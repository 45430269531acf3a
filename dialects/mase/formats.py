"""
Element types other than fixed point: each wraps its format of `mase_opt.lib.formats`.

An impossible format is an error where it is read.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from contextlib import contextmanager
from enum import StrEnum
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import Data
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import ParseError

from mase_opt.dialects.mase.attrs import DenseAttr
from mase_opt.dialects.mase.types import (
    ElementType,
    fixed_type,
)
from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.block import E8M0, Block, Exponent
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.format import Element, Format
from mase_opt.lib.formats.log import Log
from mase_opt.lib.formats.minifloat import Kind, MiniFloat
from mase_opt.lib.formats.scaled import Scaled, ScaleLayout
from mase_opt.lib.formats.ternary import Ternary


@irdl_attr_definition
class MiniFloatType(Data[MiniFloat], ElementType):
    """
    Small floating point: a sign, then the bits of exponent and mantissa.

    Kinds are `ieee` (the top exponent is infinity and NaN), `fn` (the code of all ones
    is NaN), `finite` (every code is a number) and `no_implicit` (every code is a number
    ±2^(e - bias) · m/2^M, without an implicit bit). The bias follows, if not given, and
    is 2^(E-1) - 1, or 0 without exponent bits.

    ```mlir
    tensor<1x64x!mase.minifloat<4, 3, fn>>
    tensor<1x64x!mase.minifloat<4, 3, finite, 11>>
    ```
    """

    name = "mase.minifloat"

    @property
    def format(self) -> MiniFloat:
        return self.data

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> MiniFloat:
        with _format(parser), parser.in_angle_brackets():
            exponent = _integer(parser)
            parser.parse_punctuation(",")
            mantissa = _integer(parser)
            parser.parse_punctuation(",")
            kind = _member(parser, Kind)
            bias = _integer(parser) if _comma(parser) else None
            return MiniFloat(exponent, mantissa, kind, bias)

    def print_parameter(self, printer: Printer) -> None:
        printer.print_string(str(self.data).removeprefix("minifloat"))


@irdl_attr_definition
class LogType(Data[Log], ElementType):
    """
    Logarithmic: a sign, then the bits of an exponent e, for ±2^(e - bias).

    Exponent 0 stands for zero, unless `no_zero` is given.

    ```mlir
    tensor<1x64x!mase.log<8, 63>>
    tensor<1x64x!mase.log<4, 7, no_zero>>
    ```
    """

    name = "mase.log"

    @property
    def format(self) -> Log:
        return self.data

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Log:
        with _format(parser), parser.in_angle_brackets():
            width = _integer(parser)
            parser.parse_punctuation(",")
            bias = _integer(parser)
            zero = not _comma(parser)
            if not zero:
                parser.parse_keyword("no_zero")
            return Log(width, bias, zero)

    def print_parameter(self, printer: Printer) -> None:
        printer.print_string(str(self.data).removeprefix("log"))


@irdl_attr_definition
class BinaryType(Data[Binary], ElementType):
    """
    One bit: -1 for code 0 and +1 for code 1; 0 and 1 if `unsigned`.

    ```mlir
    tensor<1x64x!mase.binary>
    tensor<1x64x!mase.binary<unsigned>>
    ```
    """

    name = "mase.binary"

    @property
    def format(self) -> Binary:
        return self.data

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Binary:
        unsigned = parser.parse_optional_punctuation("<") is not None
        if unsigned:
            parser.parse_keyword("unsigned")
            parser.parse_punctuation(">")
        return Binary(signed=not unsigned)

    def print_parameter(self, printer: Printer) -> None:
        printer.print_string(str(self.data).removeprefix("binary"))


@irdl_attr_definition
class TernaryType(Data[Ternary], ElementType):
    """
    Two bits: -1, 0 and +1, as codes too.

    ```mlir
    tensor<1x64x!mase.ternary>
    ```
    """

    name = "mase.ternary"

    @property
    def format(self) -> Ternary:
        return self.data

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Ternary:
        return Ternary()

    def print_parameter(self, printer: Printer) -> None:
        pass


@irdl_attr_definition
class BlockType(Data[Block], ElementType):
    """
    Blocks of elements that share a power of two.

    Parameters are the element type, that of the shared exponent (`e8m0` of OCP MX, or
    `exp<bits, bias>`) and the shape of a block, aligned with the last dimensions of the
    tensor, where -1 stands for a whole dimension. With `bump`, a block whose largest
    magnitude would saturate has the next exponent.

    ```mlir
    tensor<1x64x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>
    tensor<1x64x!mase.block<!mase.minifloat<2, 1, finite>, exp<8, 127>, [1, -1], bump>>
    ```
    """

    name = "mase.block"

    @property
    def format(self) -> Block:
        return self.data

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Block:
        with _format(parser), parser.in_angle_brackets():
            element = _element(parser)
            parser.parse_punctuation(",")
            scale = _scale(parser)
            parser.parse_punctuation(",")
            shape = parser.parse_comma_separated_list(
                parser.Delimiter.SQUARE, lambda: _integer(parser)
            )
            bump = _comma(parser)
            if bump:
                parser.parse_keyword("bump")
            return Block(element, scale, tuple(shape), bump)

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_attribute(element_type(self.data.element))
            sizes = ", ".join(str(size) for size in self.data.shape)
            printer.print_string(f", {self.data.scale}, [{sizes}]")
            printer.print_string(", bump" if self.data.bump else "")


def _scale(parser: AttrParser) -> Exponent:
    if parser.parse_optional_keyword("e8m0") is not None:
        return E8M0
    parser.parse_keyword("exp", ": expected e8m0 or exp<bits, bias>")
    with parser.in_angle_brackets():
        bits = _integer(parser)
        parser.parse_punctuation(",")
        return Exponent(bits, _integer(parser))


@irdl_attr_definition
class ScaledType(Data[Scaled], ElementType):
    """
    Elements with constant scales, positive float32 numbers.

    One scale; or one per index of `axis`; or, with `group`, one for so many neighbours
    along `axis`: then `grid` is the shape of the scales, which is that of the tensor
    but for the groups. An integer `zero_point` is subtracted from codes.

    ```mlir
    tensor<1x64x!mase.scaled<!mase.fixed<8, 0>, 0.0125>>
    tensor<1x64x!mase.scaled<!mase.ufixed<8, 0>, 0.0125, zero_point = 128>>
    tensor<2x64x!mase.scaled<!mase.ternary, #mase.dense<f32, [0.5, 0.25]>, axis = 0>>
    ```
    """

    name = "mase.scaled"

    @property
    def format(self) -> Scaled:
        return self.data

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> Scaled:
        with _format(parser), parser.in_angle_brackets():
            element = _element(parser)
            parser.parse_punctuation(",")
            scales = _scales(parser)
            options: dict[str, int] = {}
            grid: list[int] | None = None
            while _comma(parser):
                key = parser.parse_identifier()
                if key in options or key not in ("axis", "group", "grid", "zero_point"):
                    parser.raise_error(
                        f"got '{key}', expected axis, group, grid or zero_point, once"
                    )
                parser.parse_punctuation("=")
                if key == "grid":
                    grid = parser.parse_comma_separated_list(
                        parser.Delimiter.SQUARE, lambda: _integer(parser)
                    )
                else:
                    options[key] = _integer(parser)
            if grid is not None:
                scales = scales.reshape(grid)
            zero_point = options.pop("zero_point", 0)
            return Scaled(
                element, scales, ScaleLayout(**options), zero_point=zero_point
            )

    def print_parameter(self, printer: Printer) -> None:
        scaled = self.data
        with printer.in_angle_brackets():
            printer.print_attribute(element_type(scaled.element))
            printer.print_string(", ")
            single = scaled.scales.astype(np.float32)
            if single.ndim:
                printer.print_attribute(DenseAttr.from_array(single, "scales"))
            else:
                # MLIR's number syntax wants a fraction before an exponent.
                text = str(single[()])
                dot = "e" in text and "." not in text
                printer.print_string(text.replace("e", ".0e") if dot else text)
            printer.print_string(str(scaled.layout))
            if scaled.layout.group is not None:
                printer.print_string(f", grid = {list(single.shape)}")
            if scaled.zero_point:
                printer.print_string(f", zero_point = {scaled.zero_point}")


def _scales(parser: AttrParser) -> NDArray[Any]:
    number = parser.parse_optional_number()
    if number is not None:
        return np.asarray(number, dtype=np.float64)
    dense = parser.parse_attribute()
    if not isinstance(dense, DenseAttr) or dense.data.storage != "f32":
        parser.raise_error("expected a number or #mase.dense<f32, …> as scales")
    return dense.array()


TypeOf = Callable[[Any], ElementType]

_TYPES: dict[type[Format[Any]], TypeOf] = {
    Fixed: fixed_type,
    MiniFloat: MiniFloatType,
    Log: LogType,
    Binary: BinaryType,
    Ternary: TernaryType,
    Block: BlockType,
    Scaled: ScaledType,
}


def add_element_type(format: type[Format[Any]], type_of: TypeOf) -> None:
    """Make `type_of` give the element types of a new class of formats."""
    _TYPES[format] = type_of


def element_type(format: Format[Any]) -> ElementType:
    """The element type of a format; raises `TypeError` if it has none."""
    type_of = _TYPES.get(type(format))
    if type_of is None:
        raise TypeError(f"no element type for {format}")
    return type_of(format)


def _element(parser: AttrParser) -> Element:
    """A type of elements with a code each."""
    position = parser.pos
    type = parser.parse_type()
    if isinstance(type, ElementType) and isinstance(type.format, Element):
        return type.format
    parser.raise_error(
        f"element is {type}, expected a type of mase whose elements have a code each, "
        "such as fixed, minifloat or ternary",
        position,
        parser.pos,
    )


def _integer(parser: AttrParser) -> int:
    return parser.parse_integer(allow_boolean=False)


def _comma(parser: AttrParser) -> bool:
    return parser.parse_optional_punctuation(",") is not None


_Member = TypeVar("_Member", bound=StrEnum)


def _member(parser: AttrParser, members: type[_Member]) -> _Member:
    name = parser.parse_identifier()
    if name not in list(members):
        parser.raise_error(f"got '{name}', expected one of {', '.join(members)}")
    return members(name)


@contextmanager
def _format(parser: AttrParser) -> Generator[None]:
    """Errors of formats become errors at what was read."""
    start = parser.pos
    try:
        yield
    except ParseError:
        raise
    except ValueError as error:
        parser.raise_error(str(error), start, parser.pos)
