"""
Element types of the mase dialect: the format of a tensor is its element type.

The algebra: elements (`fixed`, `ufixed`, …) are types of their own; combinators take
an element as a parameter. Every one wraps a format of `mase_opt.lib.formats`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from typing import Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import (
    DYNAMIC_INDEX,
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    IntAttr,
    IntegerType,
    Signedness,
    TensorType,
)
from xdsl.ir import Attribute, ParametrizedAttribute, SSAValue, TypeAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from mase_opt.lib.formats.block import Block
from mase_opt.lib.formats.fixed import MAX_FRAC, MAX_WIDTH, Fixed
from mase_opt.lib.formats.format import Element, Format
from mase_opt.lib.formats.rounding import FormatError
from mase_opt.lib.formats.scaled import Scaled


class ElementType(TypeAttribute, ABC):
    """A number format as an element type."""

    @property
    @abstractmethod
    def format(self) -> Format[Any]:
        """What the codes mean."""

    @property
    def codes(self) -> Element:
        """The format of the elements, which says what codes there are."""
        format = self.format
        if isinstance(format, Element):
            return format
        assert isinstance(format, Block | Scaled), f"no codes of elements: {format}"
        return format.element

    def held(self, values: NDArray[Any]) -> NDArray[Any]:
        """
        Samples of numbers, cast to the format, as the interpreter holds them.

        Codes of fixed point, else float64 numbers. Raises `FormatError` for NaN in a
        format without it.
        """
        return self.format.cast_samples(values.astype(np.float64))

    def numbers(self, held: NDArray[Any]) -> NDArray[np.float64]:
        """The numbers of what the interpreter holds."""
        return held

    @property
    def storage(self) -> str:
        """The storage type of codes in constants (see `DenseAttr`)."""
        bits = next(b for b in (8, 16, 32, 64) if self.codes.bits <= b)
        return f"{'' if self.codes.min_code < 0 else 'u'}i{bits}"


class FixedPoint(ParametrizedAttribute, ElementType, ABC):
    """Signed or unsigned fixed point: a width and the number of fraction bits."""

    SIGNED: ClassVar[bool]

    width: IntAttr
    frac: IntAttr

    def __init__(self, width: int | IntAttr, frac: int | IntAttr):
        super().__init__(
            IntAttr(width) if isinstance(width, int) else width,
            IntAttr(frac) if isinstance(frac, int) else frac,
        )

    @property
    def format(self) -> Fixed:
        return Fixed(self.width.data, self.frac.data, self.SIGNED)

    def held(self, values: NDArray[Any]) -> NDArray[Any]:
        return self.format.encode(values)

    def numbers(self, held: NDArray[Any]) -> NDArray[np.float64]:
        return self.format.decode(held)

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            width = parser.parse_integer(allow_boolean=False)
            parser.parse_punctuation(",")
            frac = parser.parse_integer(allow_boolean=False)
        return IntAttr(width), IntAttr(frac)

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(f"{self.width.data}, {self.frac.data}")

    def verify(self) -> None:
        if not 1 <= self.width.data <= MAX_WIDTH:
            raise VerifyException(
                f"width must be between 1 and {MAX_WIDTH}, got {self.width.data}"
            )
        if not -MAX_FRAC <= self.frac.data <= MAX_FRAC:
            raise VerifyException(
                f"frac must be between {-MAX_FRAC} and {MAX_FRAC}, got {self.frac.data}"
            )


@irdl_attr_definition
class FixedType(FixedPoint):
    """
    Signed fixed point: two's complement code of `width` bits, value = code · 2^-frac.

    `width` is 1 to 64; `frac` may be negative or larger than it (-256 to 256).

    ```mlir
    tensor<1x64x!mase.fixed<8, 4>>
    ```
    """

    name = "mase.fixed"
    # Again, because xDSL compares the fields of the class itself only.
    width: IntAttr
    frac: IntAttr
    SIGNED: ClassVar[bool] = True

    # Type checkers take the decorator for one that makes an empty constructor.
    def __init__(self, width: int | IntAttr, frac: int | IntAttr):
        super().__init__(width, frac)


@irdl_attr_definition
class UFixedType(FixedPoint):
    """
    Unsigned fixed point: code of `width` bits, value = code · 2^-frac.

    `width` is 1 to 64; `frac` may be negative or larger than it (-256 to 256).

    ```mlir
    tensor<1x64x!mase.ufixed<8, 8>>
    ```
    """

    name = "mase.ufixed"
    # Again, because xDSL compares the fields of the class itself only.
    width: IntAttr
    frac: IntAttr
    SIGNED: ClassVar[bool] = False

    # Type checkers take the decorator for one that makes an empty constructor.
    def __init__(self, width: int | IntAttr, frac: int | IntAttr):
        super().__init__(width, frac)


@cache
def fixed_type(format: Fixed) -> FixedPoint:
    """The element type of a fixed-point format."""
    cls = FixedType if format.signed else UFixedType
    return cls(format.width, format.frac)


def exact_format(element: Attribute) -> Fixed | None:
    """
    The format of an element type whose codes are its values times a power of two.

    A builtin integer is fixed point without fraction bits: unsigned if it says so or
    has one bit, else two's complement. None for floats and other formats.
    """
    match element:
        case FixedPoint():
            return element.format
        case IntegerType():
            width = element.width.data
            unsigned = element.signedness.data is Signedness.UNSIGNED
            return Fixed(width, 0, signed=width > 1 and not unsigned)
        case _:
            return None


def check_type(type: TensorType[Attribute]) -> None:
    """
    Raises `VerifyException` unless shape and element type are ones mase can compute.

    Shapes are static; elements are of a number format that suits the shape, integers of
    up to 64 bits or floats of 16, 32 or 64 bits.
    """
    for index, size in enumerate(type.get_shape()):
        if size == DYNAMIC_INDEX:
            raise VerifyException(f"dimension {index} of {type} is dynamic")
    match element := type.element_type:
        case FixedPoint():
            pass
        case ElementType():
            try:
                element.format.check(type.get_shape())
            except FormatError as error:
                raise VerifyException(f"element type is {element}: {error}") from error
        case Float16Type() | BFloat16Type() | Float32Type() | Float64Type():
            pass
        case IntegerType() if 1 <= element.width.data <= MAX_WIDTH:
            pass
        case _:
            raise VerifyException(
                f"element type is {element}, expected a number format, i1 to i64, "
                "f16, bf16, f32 or f64"
            )


def tensor_of(value: SSAValue) -> TensorType[Attribute]:
    """The tensor type of a value; every mase value has one."""
    type = value.type
    # Not `isa`, which takes 150 µs.
    assert isinstance(type, TensorType), f"not a tensor: {type}"
    return cast(TensorType[Attribute], type)


def shape_of(value: SSAValue) -> tuple[int, ...]:
    return tensor_of(value).get_shape()


def element_of(value: SSAValue) -> Attribute:
    return tensor_of(value).element_type
