"""Attributes of the mase dialect: constant data, rounding, calibration."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, TypeVar, get_args

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import (
    AnyFloat,
    BFloat16Type,
    Float16Type,
    Float32Type,
    Float64Type,
    IntAttr,
    IntegerType,
    NoneAttr,
    Signedness,
)
from xdsl.ir import Attribute, Data, ParametrizedAttribute
from xdsl.irdl import irdl_attr_definition
from xdsl.parser import AttrParser
from xdsl.printer import Printer
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase.resources import RESOURCES, Blob, Derived
from mase_opt.lib.formats.rounding import (
    FormatError,
    Overflow,
    Rounding,
    RoundingMode,
    Stochastic,
)

INLINE_LIMIT = 16
"""Constants of up to this many elements are printed in place."""

DTYPES = {
    "i1": "?",
    "i8": "<i1",
    "i16": "<i2",
    "i32": "<i4",
    "i64": "<i8",
    "ui8": "<u1",
    "ui16": "<u2",
    "ui32": "<u4",
    "ui64": "<u8",
    "f32": "<f4",
    "f64": "<f8",
}
_NAMES = {np.dtype(code): name for name, code in DTYPES.items()}


@dataclass(frozen=True)
class DenseData:
    """A flat array: its storage type (a key of MLIR's scalar types) and its blob."""

    storage: str
    blob: Blob

    @property
    def dtype(self) -> np.dtype[np.generic]:
        return np.dtype(DTYPES[self.storage])


@irdl_attr_definition
class DenseAttr(Data[DenseData]):
    """
    Constant data, row-major: codes of a quantized tensor, or plain numbers.

    The first parameter is the storage type. Up to 16 elements are printed in place,
    more travel as a resource.

    ```mlir
    #mase.dense<i8, [1, -2, 3]>
    #mase.dense<f32, fc1.weight_0123456789ab>
    ```
    """

    name = "mase.dense"

    @staticmethod
    def from_array(values: NDArray[np.generic], name: str = "data") -> DenseAttr:
        """
        Wrap `values` (any shape); no copy if contiguous and little-endian.

        The array must not change afterwards. Raises `ValueError` for a dtype without
        a storage type, and for Python integers that no storage type holds.
        """
        if values.dtype == object:
            dtype = np.int64 if values.min(initial=0) < 0 else np.uint64
            try:
                values = values.astype(dtype)
            except OverflowError as error:
                raise ValueError(f"no storage type for a value: {error}") from error
        storage = _NAMES.get(values.dtype.newbyteorder("<"))
        if storage is None:
            raise ValueError(
                f"no storage type for {values.dtype}, expected one of "
                f"{', '.join(DTYPES)}"
            )
        flat = np.ascontiguousarray(values, dtype=DTYPES[storage]).reshape(-1).view()
        flat.flags.writeable = False
        return DenseAttr(DenseData(storage, Blob(name, flat)))

    def array(self) -> NDArray[np.generic]:
        """
        The content, flat.

        Raises `ValueError` if a parsed text held no or malformed data for it.
        """
        return self.data.blob.array(self.data.dtype)

    def derived(self, key: Hashable, compute: Callable[[], Derived]) -> Derived:
        """`compute()`, which `key` and the content decide; see `Blob.derived`."""
        return self.data.blob.derived((self.data.storage, key), compute)

    @property
    def label(self) -> str:
        """The name of the data, such as `fc1.weight`."""
        return self.data.blob.name

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> DenseData:
        with parser.in_angle_brackets():
            storage = parser.parse_identifier(" for a storage type")
            if storage not in DTYPES:
                parser.raise_error(
                    f"unknown storage type '{storage}', expected one of "
                    f"{', '.join(DTYPES)}"
                )
            parser.parse_punctuation(",")
            values = parser.parse_optional_comma_separated_list(
                parser.Delimiter.SQUARE,
                lambda: _parse_number(parser, storage),
            )
            if values is None:
                key = parser._parse_dialect_resource_handle(  # pyright: ignore[reportPrivateUsage]
                    "mase", RESOURCES
                )
                try:
                    return DenseData(storage, RESOURCES.awaited(key))
                except ValueError as error:
                    parser.raise_error(str(error))
            array = np.array(values, dtype=DTYPES[storage])
            array.flags.writeable = False
            return DenseData(storage, Blob("data", array))

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(self.data.storage)
            printer.print_string(", ")
            blob = self.data.blob
            items, rest = divmod(blob.nbytes, self.data.dtype.itemsize)
            # Malformed data occurs in error messages about it.
            if blob.loaded and items <= INLINE_LIMIT and rest == 0:
                values = self.array()
                with printer.in_square_brackets():
                    storage = self.data.storage
                    printer.print_string(
                        ", ".join(_format_number(v, storage) for v in values)
                    )
            else:
                printer.print_resource_handle("mase", RESOURCES.printed(blob))

    def verify(self) -> None:
        if self.data.storage not in DTYPES:
            raise VerifyException(f"unknown storage type '{self.data.storage}'")


def _parse_number(parser: AttrParser, storage: str) -> int | float:
    if storage.startswith("f"):
        negative = parser.parse_optional_punctuation("-") is not None
        for word, value in (("nan", np.nan), ("inf", np.inf)):
            if parser.parse_optional_keyword(word) is not None:
                return -value if negative else value
        value = float(parser.parse_number(allow_boolean=False))
        with np.errstate(over="ignore"):
            if np.isinf(np.dtype(DTYPES[storage]).type(value)):
                parser.raise_error(f"{value} is out of range for {storage}")
        return -value if negative else value
    value = parser.parse_integer(allow_boolean=storage == "i1")
    lowest, highest = 0, 1
    if storage != "i1":
        limits = np.iinfo(DTYPES[storage])
        lowest, highest = int(limits.min), int(limits.max)
    if not lowest <= value <= highest:
        parser.raise_error(
            f"{value} is out of range for {storage}, expected {lowest} to {highest}"
        )
    return value


def _format_number(value: Any, storage: str) -> str:
    """A short text that parses to the NumPy scalar `value` again."""
    if storage == "i1":
        return "true" if value else "false"
    if not storage.startswith("f"):
        return str(value)
    text = repr(float(value))
    if storage == "f32" and np.isfinite(value):
        # Nine digits tell all float32 numbers apart.
        texts = (f"{value:.{digits}g}" for digits in range(6, 10))
        text = next(t for t in texts if np.float32(float(t)) == value)
        if not {".", "e"} & set(text):
            text += ".0"
    # MLIR's number syntax wants a fraction before an exponent.
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return text


def storage_of(element: Attribute) -> str:
    """
    The storage type for constants of a builtin `element` type.

    Floats of 16 bits are stored in 32, as the interpreter holds them. Raises
    `ValueError` for other types.
    """
    match element:
        case Float32Type() | Float16Type() | BFloat16Type():
            return "f32"
        case Float64Type():
            return "f64"
        case IntegerType() if str(element) in DTYPES:
            return str(element)
        case IntegerType() if (
            element.signedness.data is Signedness.SIGNLESS and element.width.data <= 64
        ):
            return "i64"
        case _:
            raise ValueError(f"no constants of element type {element}")


_FLOATS = frozenset(get_args(AnyFloat))


def is_float(element: Attribute) -> bool:
    """Whether `element` is a builtin floating-point type."""
    # Not `isinstance`, which asks 18 classes one after the other.
    return type(element) in _FLOATS


@irdl_attr_definition
class RoundingAttr(Data[tuple[Rounding, Overflow]]):
    """
    How an op's exact real result becomes a value of its result type.

    Stochastic rounding has a seed: the same one gives the same numbers at every level,
    element by element, whatever else is in the batch.

    ```mlir
    #mase.rounding<nearest_even, saturate>
    #mase.rounding<stochastic<7>, saturate>
    ```
    """

    name = "mase.rounding"

    DEFAULT: ClassVar[RoundingAttr]

    @property
    def mode(self) -> Rounding:
        return self.data[0]

    @property
    def overflow(self) -> Overflow:
        return self.data[1]

    @classmethod
    def parse_parameter(cls, parser: AttrParser) -> tuple[Rounding, Overflow]:
        with parser.in_angle_brackets():
            mode = _parse_mode(parser)
            parser.parse_punctuation(",")
            return mode, _parse_member(parser, Overflow)

    def print_parameter(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_string(f"{self.mode}, {self.overflow}")


def _parse_mode(parser: AttrParser) -> Rounding:
    if parser.parse_optional_keyword("stochastic") is None:
        return _parse_member(parser, RoundingMode)
    with parser.in_angle_brackets():
        seed = parser.parse_integer(allow_boolean=False)
    try:
        return Stochastic(seed)
    except FormatError as error:
        parser.raise_error(str(error))


_Member = TypeVar("_Member", bound=StrEnum)


def _parse_member(parser: AttrParser, members: type[_Member]) -> _Member:
    # xDSL's parse_str_enum knows only its own StrEnum class.
    name = parser.parse_identifier()
    if name not in list(members):
        parser.raise_error(f"got '{name}', expected one of {', '.join(members)}")
    return members(name)


RoundingAttr.DEFAULT = RoundingAttr((RoundingMode.NEAREST_EVEN, Overflow.SATURATE))


def quantile_grid(points: int) -> NDArray[np.float64]:
    """
    The probabilities that a calibration has quantiles for: 0 to 1.

    They are (1 - cos(πt)) / 2 for equally spaced t: the closer to the ends the denser,
    since what to cut off is decided there.
    """
    return (1 - np.cos(np.linspace(0, np.pi, points))) / 2


@irdl_attr_definition
class CalibrationAttr(ParametrizedAttribute):
    """
    What calibration saw at one value: quantiles, ascending.

    An odd number of float32 values, at the probabilities of `quantile_grid`; the first
    and last are the exact minimum and maximum, those in between are within 1.6 % of
    numbers that occurred. Optionally the same for each channel along an axis: as many
    quantiles for each, one channel after the other, of a uniform sample.

    ```mlir
    #mase.calibration<#mase.dense<f32, [-1.0, 0.0, 2.5]>>
    #mase.calibration<#mase.dense<f32, [-1.0, 0.0, 2.5]>, axis = 1,
      #mase.dense<f32, [-1.0, 0.0, 0.5, 1.0, 2.0, 2.5]>>
    ```
    """

    name = "mase.calibration"

    quantiles: DenseAttr
    axis: IntAttr | NoneAttr
    channels: DenseAttr | NoneAttr

    def __init__(
        self,
        quantiles: DenseAttr,
        axis: int | None = None,
        channels: DenseAttr | None = None,
    ):
        super().__init__(
            quantiles,
            NoneAttr() if axis is None else IntAttr(axis),
            channels or NoneAttr(),
        )

    @classmethod
    def parse_parameters(cls, parser: AttrParser) -> Sequence[Attribute]:
        with parser.in_angle_brackets():
            quantiles = parser.parse_attribute()
            if parser.parse_optional_punctuation(",") is None:
                return quantiles, NoneAttr(), NoneAttr()
            parser.parse_keyword("axis")
            parser.parse_punctuation("=")
            axis = IntAttr(parser.parse_integer(allow_boolean=False))
            parser.parse_punctuation(",")
            return quantiles, axis, parser.parse_attribute()

    def print_parameters(self, printer: Printer) -> None:
        with printer.in_angle_brackets():
            printer.print_attribute(self.quantiles)
            if isinstance(self.axis, IntAttr):
                printer.print_string(f", axis = {self.axis.data}, ")
                printer.print_attribute(self.channels)

    def array(self) -> NDArray[np.float64]:
        """
        The quantiles, ascending, as float64.

        Raises `VerifyException` if a parsed text held no or malformed data for it.
        """
        return _numbers(self.quantiles)

    def channel_array(self, channels: int) -> NDArray[np.float64] | None:
        """
        The quantiles of each channel, [channels, quantiles]; None if not recorded.

        Raises `VerifyException` as `array` does, and for another number of channels.
        """
        if isinstance(self.channels, NoneAttr):
            return None
        flat = _numbers(self.channels)
        if flat.size == 0 or flat.size % channels or (flat.size // channels) % 2 == 0:
            raise VerifyException(
                f"{flat.size} quantiles of {channels} channels, expected an odd number "
                "for each"
            )
        return flat.reshape(channels, -1)

    def verify(self) -> None:
        if isinstance(self.axis, NoneAttr) != isinstance(self.channels, NoneAttr):
            raise VerifyException("quantiles of channels need an axis")
        for data in (self.quantiles, self.channels):
            if isinstance(data, DenseAttr) and data.data.storage != "f32":
                raise VerifyException(
                    f"quantiles are {data.data.storage}, expected f32"
                )
        if not self.quantiles.data.blob.loaded:
            return  # the data comes at the end of the text that is being parsed
        values = self.array()
        if values.size % 2 == 0:
            raise VerifyException(f"{values.size} quantiles, expected an odd number")
        if not np.all(values[:-1] <= values[1:]):
            raise VerifyException("quantiles are not ascending")


def _numbers(data: DenseAttr) -> NDArray[np.float64]:
    try:
        return data.array().astype(np.float64)
    except ValueError as error:
        raise VerifyException(f"calibration: {error}") from error
