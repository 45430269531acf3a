"""What kernels share: operands to exact integers or floats, and results back."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects.builtin import i1
from xdsl.ir import Attribute, Operation, SSAValue

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import MaseOp, rounding_of
from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.lib.formats.arrays import lowest_bit
from mase_opt.lib.formats.rounding import (
    INT64_SAFE,
    FormatError,
    IntArray,
    Overflow,
    Rounding,
    for_samples,
    integers,
    max_magnitude,
    shift_left,
)
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.floats import (
    codes_to_float,
    odd_float,
    odd_ratio,
    ratio_to_float,
    to_float,
)

# ---- operands ---------------------------------------------------------------------


@dataclass(frozen=True)
class Exact:
    """The numbers `codes * 2**-frac`."""

    codes: IntArray
    frac: int


def exact(array: Array, value: SSAValue) -> Exact | None:
    """
    The exact numbers that `array` holds for `value`.

    None for builtin floats, and where some are infinite or NaN.
    """
    element = element_of(value)
    format = exact_format(element)
    if format is not None:
        return Exact(integers(array), format.frac)
    if is_float(element) or not np.isfinite(array).all():
        return None
    return dyadic(array)


def dyadic(values: Array) -> Exact:
    """Finite float64 numbers in units of the highest power of two they all share."""
    unit = lowest_bit(values)
    scaled = np.ldexp(values, -unit)
    if np.abs(scaled).max(initial=0) < INT64_SAFE:
        return Exact(scaled.astype(np.int64), -unit)
    mantissas, exponents = np.frexp(values)
    whole = np.ldexp(mantissas, 53).astype(np.int64)
    codes = np.empty(values.shape, dtype=object)
    # The mantissa is odd but for what the exponent is above the lowest one.
    pairs = zip(
        whole.ravel().tolist(), (exponents - 53 - unit).ravel().tolist(), strict=True
    )
    codes.ravel()[:] = [w << e if e >= 0 else w >> -e for w, e in pairs]
    return Exact(codes, -unit)


def all_exact(
    arrays: Sequence[Array], values: Sequence[SSAValue]
) -> list[Exact] | None:
    """The exact numbers of several values; None unless all of them are exact."""
    numbers: list[Exact] = []
    for array, value in zip(arrays, values, strict=True):
        number = exact(array, value)
        if number is None:
            return None
        numbers.append(number)
    return numbers


def decode(array: Array, element: Attribute) -> Array:
    """What the interpreter holds for `element` as floating-point numbers."""
    if isinstance(element, ElementType):
        return element.numbers(array)
    return array if is_float(element) else array.astype(np.float64)


def floats(
    arrays: tuple[Array, ...], values: tuple[SSAValue, ...]
) -> tuple[Array, ...]:
    """`decode` for several values."""
    return tuple(decode(a, element_of(v)) for a, v in zip(arrays, values, strict=True))


# ---- results ----------------------------------------------------------------------


def rounding_in(op: Operation) -> tuple[Rounding, Overflow]:
    """How `op` rounds, the same in each sample."""
    attr = rounding_of(op)
    return for_samples(attr.mode, math.prod(shape_of(op.results[0]))), attr.overflow


def _is_bool(element: Attribute) -> bool:
    return element == i1


def from_exact(op: Operation, codes: IntArray, frac: int) -> Array:
    """
    Round the exact numbers `codes * 2**-frac` into the result type of `op`.

    An `i1` says whether the number is not zero. Raises `FormatError` for overflow
    where the op asks for that.
    """
    element = element_of(op.results[0])
    if _is_bool(element):
        return np.asarray(codes != 0, dtype=np.bool_)
    format = exact_format(element)
    if format is not None:
        return format.cast_codes(codes, frac, *rounding_in(op))
    if is_float(element):
        return codes_to_float(codes, frac, element)
    return _into(op, odd_float(codes, frac))


def from_ratio(
    op: Operation, numerator: IntArray, denominator: IntArray, frac: int
) -> Array:
    """
    Round `numerator / denominator * 2**-frac` into the result type of `op`.

    Raises `FormatError` for a zero denominator, and as `from_exact` does.
    """
    element = element_of(op.results[0])
    if np.any(denominator == 0):
        raise FormatError("division by zero")
    if _is_bool(element):
        numerator, _ = np.broadcast_arrays(numerator, denominator)
        return np.asarray(numerator != 0, dtype=np.bool_)
    format = exact_format(element)
    if format is not None:
        return format.cast_ratio(numerator, denominator, frac, *rounding_in(op))
    if is_float(element):
        return ratio_to_float(numerator, denominator, frac, element)
    return _into(op, odd_ratio(numerator, denominator, frac))


def from_float(op: Operation, values: Array) -> Array:
    """
    Round floating-point numbers into the result type of `op`.

    Raises `FormatError` for NaN in a type without it, and as `from_exact` does.
    """
    element = element_of(op.results[0])
    if _is_bool(element):
        return np.asarray(values != 0, dtype=np.bool_)
    format = exact_format(element)
    if format is not None:
        return format.encode(values, *rounding_in(op))
    if is_float(element):
        return to_float(values, element)
    return _into(op, values)


def moved(op: Operation, values: Array) -> Array:
    """
    The result of an op that moves elements.

    Where they share something by position they are rounded among their new neighbours;
    as long as those stay the same, that changes nothing.
    """
    element = element_of(op.results[0])
    if isinstance(element, ElementType) and element.format.positional:
        return _into(op, values)
    return values


def _into(op: Operation, values: Array) -> Array:
    """Numbers, or numbers rounded to odd, as the result's format has them."""
    assert isinstance(op, MaseOp), "only mase ops compute on formats"
    format = op.result_format
    assert format is not None, "builtin types are treated before"
    values = values.astype(np.float64, copy=False)
    return format.cast_samples(values, *rounding_in(op))


# ---- exact arithmetic -------------------------------------------------------------


def align(*numbers: Exact) -> tuple[tuple[IntArray, ...], int]:
    """Bring exact numbers to one fraction; gives the codes and it."""
    common = max(n.frac for n in numbers)
    shifted = tuple(shift_left(n.codes, common - n.frac) for n in numbers)
    if any(a.dtype == object for a in shifted):
        shifted = tuple(a.astype(object) for a in shifted)
    return shifted, common


def exact_add(lhs: IntArray, rhs: IntArray) -> IntArray:
    """`lhs + rhs`, widening to Python integers where the sum might not fit."""
    if object in (lhs.dtype, rhs.dtype) or (
        max_magnitude(lhs) + max_magnitude(rhs) >= INT64_SAFE
    ):
        return lhs.astype(object) + rhs.astype(object)
    return lhs + rhs


def exact_neg(codes: IntArray) -> IntArray:
    """`-codes`; the most negative `int64` has no negative there."""
    if codes.dtype != object and max_magnitude(codes) >= 1 << 63:
        codes = codes.astype(object)
    return -codes


def exact_mul(lhs: IntArray, rhs: IntArray) -> IntArray:
    """`lhs * rhs`, widening to Python integers where the product might not fit."""
    if object in (lhs.dtype, rhs.dtype) or (
        max_magnitude(lhs) * max_magnitude(rhs) >= INT64_SAFE
    ):
        return lhs.astype(object) * rhs.astype(object)
    return lhs * rhs


def exact_sum(array: Array, axes: tuple[int, ...]) -> Array:
    """Sum over `axes`; exact for integers."""
    if array.dtype.kind == "f":
        return array.sum(axis=axes)
    count = math.prod(array.shape[a] for a in axes)
    if max_magnitude(array) * count >= INT64_SAFE:
        array = array.astype(object)
    return np.asarray(array.sum(axis=axes), dtype=array.dtype)


# ---- shapes -----------------------------------------------------------------------


def same_rank(arrays: tuple[Array, ...], rank: int) -> tuple[Array, ...]:
    """Insert dimensions behind the sample axis so that NumPy broadcasting aligns."""
    return tuple(
        a.reshape(a.shape[0], *(1,) * (rank + 1 - a.ndim), *a.shape[1:]) for a in arrays
    )


def take(array: Array, indices: IntArray, axis: int) -> Array:
    """`np.take` per sample; one side may be shared by all samples."""
    indices = indices.astype(np.int64)
    if indices.shape[0] == 1:
        return np.take(array, indices[0], axis=axis + 1)
    if array.shape[0] == 1:
        result = np.take(array[0], indices, axis=axis)
        return np.moveaxis(result, axis, 0)
    pairs = zip(array, indices, strict=True)
    return np.stack([np.take(a, i, axis=axis) for a, i in pairs])


def check_range(indices: IntArray, lowest: int, size: int) -> None:
    """Raises `FormatError` unless all `indices` are in `[lowest, size)`."""
    if indices.size == 0:
        return
    for index in (int(indices.min()), int(indices.max())):
        if not lowest <= index < size:
            raise FormatError(f"index {index}, expected {lowest} to {size - 1}")
