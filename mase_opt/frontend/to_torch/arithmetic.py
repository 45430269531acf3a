"""
Exact results in tensors, and their one rounding.

A kernel computes the exact result where it can. Where a float64 number is not wide
enough, what it lacks is kept in its last bit (round-to-odd), so that rounding it to a
format of up to 51 bits is the same as rounding the exact number; see
`mase_opt.lib.interpreters.floats`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import torch
from torch import Tensor
from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    Float64Type,
    IntegerType,
    i1,
)
from xdsl.ir import Attribute, Operation, SSAValue

from mase_opt.dialects.mase.attrs import RoundingAttr, is_float
from mase_opt.dialects.mase.base import (
    ArithmeticOp,
    MaseOp,
    SameElementOp,
    rounding_of,
)
from mase_opt.dialects.mase.layers import LookupOp
from mase_opt.dialects.mase.types import ElementType, element_of, exact_format
from mase_opt.frontend.to_torch.known import dtype_of, multiples_of
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import Fixed, Format, MiniFloat, Overflow, RoundingMode
from mase_opt.lib.formats.multiples import Multiples
from mase_opt.lib.formats.torch_cast import cast_samples

Function = Callable[..., Tensor]

HALVES: dict[type[Attribute], Format[Any]] = {
    Float16Type: MiniFloat(5, 10),
    BFloat16Type: MiniFloat(8, 7),
}
"""Builtin floats that torch does not round to in one step."""


def carrier(element: Attribute) -> torch.dtype:
    """
    What holds the numbers of an element type.

    Raises `UserError` for `ui64`, which torch does not compute with.
    """
    match element:
        case IntegerType() if str(element) == "ui64":
            raise UserError("torch does not compute with ui64, use i64")
        case IntegerType():
            return torch.bool if element == i1 else torch.int64
        case Float64Type():
            return torch.float64
        case ElementType() if not element.format.exact_in_float32:
            return torch.float64
        case _:
            return torch.float32


def working_dtype(
    values: Sequence[SSAValue], numbers: Multiples | None
) -> torch.dtype | None:
    """
    What an op on `values` with the result `numbers` is computed in.

    None where no floating-point type is exact. With builtin floats among the operands,
    the widest of them: the result is what that gives.
    """
    elements = [element_of(v) for v in values]
    if all(is_float(e) for e in elements):
        wide = any(carrier(e) == torch.float64 for e in elements)
        return torch.float64 if wide else torch.float32
    if any(is_float(e) for e in elements):
        return torch.float64
    return None if numbers is None else dtype_of(numbers)


def wraps_integers(op: Operation, dtype: torch.dtype | None) -> bool:
    """
    Whether `op` is to be computed in `int64`: modulo 2^64, which is what is wanted.

    Integers become integers that wrap around, and `dtype`, as `working_dtype` gives it,
    says that no floating-point type has the results before.
    """
    return (
        dtype is None
        and isinstance(op, ArithmeticOp)
        and op.rounding.overflow is Overflow.WRAP
        and all(
            isinstance(element_of(value), IntegerType)
            for value in (*op.operands, *op.results)
        )
    )


# ---- more than 53 bits --------------------------------------------------------------


class _Replace(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, values: Tensor, exact: Tensor) -> Tensor:
        return exact.view_as(exact)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        return gradients[0], None


def replace(values: Tensor, exact: Tensor) -> Tensor:
    """`exact`, with the gradient of `values`."""
    return _Replace.apply(values, exact)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def odd(values: Tensor, rest: Tensor) -> Tensor:
    """
    `values + rest` rounded to odd: `values` is the float64 number nearest to the sum.

    Only the sign of `rest` matters; NaN counts as zero.
    """
    with torch.no_grad():
        inexact = (rest > 0) | (rest < 0)
        shrinks = inexact & ((rest > 0) != (values > 0))
        bits = values.view(torch.int64) - shrinks.to(torch.int64)
        bits = bits | inexact.to(torch.int64)
    return replace(values, bits.view(torch.float64))


def add(a: Tensor, b: Tensor) -> Tensor:
    """a + b in float64, rounded to odd (2Sum: Knuth, TAOCP vol. 2, 4.2.2)."""
    total = a + b
    part = total - a
    return odd(total, (a - (total - part)) + (b - part))


SPLITTER = 2.0**27 + 1


def _split(x: Tensor) -> tuple[Tensor, Tensor]:
    high = x * SPLITTER
    high = high - (high - x)
    return high, x - high


def product_rest(a: Tensor, b: Tensor, product: Tensor) -> Tensor:
    """a · b - product, exactly, for `product` the nearest float64 (Dekker, 1971)."""
    (a1, a2), (b1, b2) = _split(a), _split(b)
    return a2 * b2 - (((product - a1 * b1) - a2 * b1) - a1 * b2)


def multiply(a: Tensor, b: Tensor) -> Tensor:
    """a · b in float64, rounded to odd."""
    product = a * b
    return odd(product, product_rest(a, b, product))


def divide(a: Tensor, b: Tensor) -> Tensor:
    """a / b in float64, rounded to odd; NaN where b is zero."""
    quotient = a / b
    # The remainder of a correctly rounded quotient is a float64 number.
    product = quotient * b
    rest = (a - product) - product_rest(quotient, b, product)
    rest = torch.where(b < 0, -rest, rest)
    return torch.where(b == 0, torch.nan, odd(quotient, rest))


def from_codes(codes: Tensor, frac: int) -> Tensor:
    """`codes * 2**-frac` of `int64` codes below 2^62, rounded to odd."""
    values = codes.to(torch.float64)
    rest = (codes - values.to(torch.int64)).to(torch.float64)
    return odd(values, rest) * 2.0**-frac


# ---- results ------------------------------------------------------------------------


def into(
    op: MaseOp, numbers: Multiples | None
) -> tuple[Function | None, Multiples | None]:
    """
    The rounding of an op's exact result, and where the rounded numbers lie.

    `numbers` says where the exact result lies. No rounding where elements are moved
    only: unless they share something by position, they stay what they are.
    """
    element, format = element_of(op.result), op.result_format
    if isinstance(op, SameElementOp | LookupOp) and not (format and format.positional):
        return None, numbers or multiples_of(element)
    return rounded_into(element, numbers, rounding_of(op), format)


def rounded_into(
    element: Attribute,
    numbers: Multiples | None = None,
    rounding: RoundingAttr = RoundingAttr.DEFAULT,
    format: Format[Any] | None = None,
) -> tuple[Function, Multiples | None]:
    """
    The rounding into an element type, and where the rounded numbers lie.

    `format` stands for that of the type where a cast has a threshold.
    """
    dtype, grid = carrier(element), multiples_of(element)
    if element == i1:
        return _is_true, grid
    if exact_format(element) is not None and grid is not None and numbers is not None:
        rounded = numbers.rounded(grid, rounding.overflow)
        if numbers.inside(grid):
            return partial(_converted, dtype=dtype), rounded
        grid = rounded
    if is_float(element):
        rounding = TO_FLOAT
    format = format or _format(element)
    if format is None:
        return partial(_converted, dtype=dtype), grid
    return partial(_rounded, format=format, rounding=rounding, dtype=dtype), grid


TO_FLOAT = RoundingAttr((RoundingMode.NEAREST_EVEN, Overflow.INFINITY))


def _format(element: Attribute) -> Format[Any] | None:
    """What numbers are rounded to; None for float32 and float64."""
    if isinstance(element, ElementType):
        return element.format
    return exact_format(element) or HALVES.get(type(element))


def _is_true(values: Tensor) -> Tensor:
    return values != 0


def _converted(values: Tensor, dtype: torch.dtype) -> Tensor:
    return values.to(dtype)


def _rounded(
    values: Tensor, format: Format[Any], rounding: RoundingAttr, dtype: torch.dtype
) -> Tensor:
    floats = values.is_floating_point()
    if not floats and isinstance(format, Fixed) and format.frac == 0:
        values = values.to(torch.int64)
        if rounding.overflow is Overflow.SATURATE:
            return values.clamp(format.min_code, format.max_code).to(dtype)
        if rounding.overflow is Overflow.WRAP:
            return _wrapped(values, format).to(dtype)
    if dtype != torch.float32 or not floats:
        values = values.to(torch.float64)
    values = cast_samples(values, format, rounding.mode, rounding.overflow)
    if dtype == torch.int64:
        # The highest code of 64 bits is 2^63 as a float64 number.
        values, top = values.to(dtype), values >= 2.0**63
        return torch.where(top, torch.iinfo(dtype).max, values)
    return values.to(dtype)


def _wrapped(values: Tensor, format: Fixed) -> Tensor:
    """The low bits of integers."""
    if format.width == 64:
        return values
    low = values & ((1 << format.width) - 1)
    return low - (low >> (format.width - 1) << format.width) if format.signed else low
