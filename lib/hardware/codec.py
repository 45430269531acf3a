"""
Between codes and exact numbers on wires.

Values in a circuit are codes; a template decodes its operands to exact numbers and
encodes the exact sums that its result consists of: everything is rounded once, here.
A format of one's own takes part with a decoder and an encoder:

```python
@decoder(Ternary)
def decode(b: Builder, format: Ternary, code: Wire) -> Number:
    return Number(code)
```
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import isfinite, prod
from typing import Any

import numpy as np
from xdsl.dialects.builtin import IntegerType, i1
from xdsl.ir import Attribute, Operation, SSAValue

from mase_opt.dialects.mase.base import ArithmeticOp, MaseOp, rounding_of
from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.lib.formats.block import Block
from mase_opt.lib.formats.fixed import MAX_WIDTH, Fixed
from mase_opt.lib.formats.format import Element, Format
from mase_opt.lib.formats.rounding import FormatError, Overflow, RoundingMode
from mase_opt.lib.formats.scaled import Scaled
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.block import alone, to_blocks, with_exponents
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.number import (
    HardwareError,
    Number,
    Sum,
    literal,
    scaled,
)
from mase_opt.lib.hardware.wire import Wire, constant

Wires = list[Wire]
"""The elements of a tensor, row-major."""


@dataclass(frozen=True)
class Rounding:
    """What an op says of how its exact result becomes codes."""

    mode: RoundingMode = RoundingMode.NEAREST_EVEN
    overflow: Overflow = Overflow.SATURATE
    zero_point: int = 0
    """Added to the rounded number, of fixed point only."""


Decoder = Callable[[Builder, Any, Wire], Number]
"""`(builder, format, code) -> the number`"""

Encoder = Callable[[Builder, Any, Sum, Rounding], Wire]
"""`(builder, format, exact number, rounding) -> code`; raises `HardwareError`."""

DECODERS: dict[type[Element], Decoder] = {}
ENCODERS: dict[type[Element], Encoder] = {}


def decoder(format: type[Element]) -> Callable[[Decoder], Decoder]:
    """Register the decorated function for elements of `format`."""

    def register(function: Decoder) -> Decoder:
        DECODERS[format] = function
        return function

    return register


def encoder(format: type[Element]) -> Callable[[Encoder], Encoder]:
    """Register the decorated function for elements of `format`."""

    def register(function: Encoder) -> Encoder:
        ENCODERS[format] = function
        return function

    return register


def format_of(element: Attribute) -> Format[Any] | None:
    """The format of an element type; `None` if hardware has no way to hold it."""
    match element:
        case ElementType():
            return element.format
        case IntegerType() if element.width.data > MAX_WIDTH:
            return None
        case _:
            return exact_format(element)


def codes_of(value: SSAValue) -> Element:
    """The codes of the elements of a value that passed the legality check."""
    return element_codes(element_of(value))


def element_codes(element: Attribute) -> Element:
    """The codes of an element type that passed the legality check."""
    format = exact_format(element)
    if format is not None:
        return format
    assert isinstance(element, ElementType)
    return element.codes


def has_codec(format: Format[Any]) -> bool:
    """Whether hardware can compute with a format."""
    element = format.element if isinstance(format, Scaled | Block) else format
    return type(element) in DECODERS and type(element) in ENCODERS


def len_of(value: SSAValue) -> int:
    """The number of elements of a value."""
    return prod(shape_of(value))


@dataclass(frozen=True)
class Lane:
    """Wires of a value that are of one width."""

    suffix: str
    """Of the name of the port."""
    codes: Element
    shape: tuple[int, ...]
    type: str
    """As text: CIRCT does not know our types."""

    @property
    def size(self) -> int:
        return prod(self.shape)

    @property
    def spans(self) -> list[tuple[int, int]]:
        """What each wire can be."""
        return [(self.codes.min_code, self.codes.max_code)] * self.size


def lanes_of(value: SSAValue) -> list[Lane]:
    """The codes of elements and, behind these, those of exponents that blocks share."""
    shape, element = shape_of(value), element_of(value)
    lanes = [Lane("", codes_of(value), shape, str(element))]
    format = format_of(element)
    if isinstance(format, Block):
        scale = Fixed(format.scale.bits, 0, signed=False)
        grid = format.parts(shape).grid
        lanes.append(Lane("_scales", scale, grid, str(format.scale)))
    return lanes


def split(value: SSAValue, wires: Wires) -> list[tuple[Lane, Wires]]:
    """The lanes of `value`, and their wires."""
    result: list[tuple[Lane, Wires]] = []
    for lane in lanes_of(value):
        result.append((lane, wires[: lane.size]))
        wires = wires[lane.size :]
    assert not wires, "more wires than elements and exponents"
    return result


def decode(b: Builder, value: SSAValue, codes: Wires) -> list[Number]:
    """The numbers that the elements of `value` are."""
    format = format_of(element_of(value))
    element = codes_of(value)
    count = len_of(value)
    codes, scales = codes[:count], codes[count:]
    function = DECODERS[type(element)]
    constants = {code.lo for code in codes if code.constant is not None}
    known = {code: literal(_value(element, code)) for code in constants}
    numbers = [
        function(b, element, code) if code.constant is None else known[code.lo]
        for code in codes
    ]
    if isinstance(format, Block):
        return with_exponents(format, shape_of(value), numbers, scales)
    if not isinstance(format, Scaled):
        return numbers
    if format.zero_point:
        zero = format.zero_point * Fraction(element.step)
        numbers = [replace(x, offset=x.offset - zero) for x in numbers]
    scales = scales_of(format, shape_of(value))
    return [scaled(x, scale) for x, scale in zip(numbers, scales, strict=True)]


def _value(element: Element, code: int) -> Fraction:
    """The number of a code. Raises `HardwareError` for infinities and NaN."""
    if isinstance(element, Fixed):
        return Fraction(code) / Fraction(2) ** element.frac
    value = element.decode(np.array([code])).item()
    if not isfinite(value):
        raise HardwareError(f"a constant operand of {element} holds {value}")
    return Fraction(value)


def scales_of(format: Scaled, shape: tuple[int, ...]) -> list[Fraction]:
    """The scale of every element of a tensor, row-major."""
    scales, _ = format.spread(np.zeros(shape))
    flat: list[float] = np.broadcast_to(scales, shape).ravel().tolist()
    known = {scale: Fraction(scale) for scale in set(flat)}
    return [known[scale] for scale in flat]


def encode(
    b: Builder, op: Operation, sums: Sequence[Sum], places: Iterable[int] | None = None
) -> Wires:
    """
    The codes of the result of `op`, or of those at `places`, from the exact numbers.

    As `i1` every number but zero is true. Raises `HardwareError` where the format
    cannot round or overflow as the op says.
    """
    (value,) = op.results
    element = element_of(value)
    if element == i1:
        return [is_nonzero(b, x) for x in sums]
    assert isinstance(op, MaseOp), "checked for legality"
    format = op.result_format or format_of(element)
    assert format is not None, "checked for legality"
    mode = rounding_of(op).mode
    assert isinstance(mode, RoundingMode), "checked for legality"
    rounding = Rounding(mode, rounding_of(op).overflow)
    _check_overflow(format, rounding.overflow)
    if isinstance(format, Block):
        return _encode_blocks(b, format, shape_of(value), sums, rounding)
    if not isinstance(format, Scaled):
        assert isinstance(format, Element)
        return _encode_elements(b, format, sums, rounding)
    element = format.element
    if not element.ignores_scale:
        scales = scales_of(format, shape_of(value))
        if places is not None:
            scales = [scales[place] for place in places]
        sums = [x / scale for x, scale in zip(sums, scales, strict=True)]
    rounding = Rounding(rounding.mode, rounding.overflow, format.zero_point)
    return _encode_elements(b, element, sums, rounding)


def encode_element(b: Builder, op: ArithmeticOp, format: Fixed, x: Sum) -> Wire:
    """The code of a number in `format`, rounded as `op` says."""
    mode = op.rounding.mode
    assert isinstance(mode, RoundingMode), "checked for legality"
    _check_overflow(format, op.rounding.overflow)
    rounding = Rounding(mode, op.rounding.overflow)
    (code,) = _encode_elements(b, format, [x], rounding)
    return code


def _encode_elements(
    b: Builder, element: Element, sums: Sequence[Sum], rounding: Rounding
) -> Wires:
    try:
        element.rounded(np.zeros(1), rounding.mode)
    except FormatError as error:
        raise HardwareError(str(error)) from error
    function = ENCODERS[type(element)]
    return [function(b, element, alone(b, x, element), rounding) for x in sums]


def _encode_blocks(
    b: Builder,
    format: Block,
    shape: tuple[int, ...],
    sums: Sequence[Sum],
    rounding: Rounding,
) -> Wires:
    """The codes of elements, which saturate, then those of what blocks share."""
    quotients, scales = to_blocks(b, format, shape, sums)
    element = format.element
    codes = _encode_elements(b, element, quotients, Rounding(rounding.mode))
    if isinstance(element, Fixed):
        # The range is symmetric, though two's complement is not.
        codes = [arith.maximum(b, w, constant(-element.max_code)) for w in codes]
    return [*codes, *scales]


def _check_overflow(format: Format[Any], overflow: Overflow) -> None:
    """Raises `HardwareError` for an overflow mode that the format does not have."""
    if overflow is Overflow.WRAP and not format.wraps:
        raise HardwareError(f"{format} does not wrap: use overflow saturate")
    if isinstance(format, Block) and overflow is not Overflow.SATURATE:
        raise HardwareError(f"{format} has no overflow {overflow}: use saturate")
    if overflow is Overflow.INFINITY and not format.has_nan:
        raise HardwareError(f"{format} has no infinity: use overflow saturate")


def is_nonzero(b: Builder, x: Sum) -> Wire:
    """One bit: x ≠ 0."""
    wire = arith.total(b, x.terms)
    zero = -x.offset / x.unit
    if zero.denominator > 1:
        return constant(1)
    if zero == 0 and (wire.lo, wire.hi) == (0, 1):
        return wire
    return arith.compare(b, "ne", wire, constant(zero.numerator))


def exact(x: Number) -> Sum:
    """A number without exponent as a sum, to be encoded."""
    assert x.exponent is None
    return Sum([arith.Term(x.wire)], x.unit * x.scale, x.offset * x.scale)
