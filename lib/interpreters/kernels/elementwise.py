"""Casts and elementwise ops."""

from __future__ import annotations

import math
from fractions import Fraction

import numpy as np
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import elementwise
from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import UnaryOp
from mase_opt.dialects.mase.cast_elements import CastElementsOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.formats.rounding import (
    FormatError,
    integers,
    max_magnitude,
    shift_left,
)
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.kernels.registry import kernel
from mase_opt.lib.interpreters.kernels.values import (
    Exact,
    align,
    all_exact,
    decode,
    exact,
    exact_add,
    exact_mul,
    exact_neg,
    floats,
    from_exact,
    from_float,
    from_ratio,
    rounding_in,
    same_rank,
)


@kernel(elementwise.CastOp)
def cast(op: elementwise.CastOp, x: Array) -> Array:
    number = exact(x, op.input)
    if number is not None:
        return from_exact(op, number.codes, number.frac)
    return from_float(op, x)


@kernel(CastElementsOp)
def cast_elements(op: CastElementsOp, x: Array) -> Array:
    number = exact(x, op.input)
    if number is not None:
        return op.elements.cast_codes(number.codes, number.frac, *rounding_in(op))
    return op.elements.encode(x, *rounding_in(op))


# ---- functions of one element -------------------------------------------------------


def _erf(x: Array) -> Array:
    values = [math.erf(v) for v in x.ravel().tolist()]
    return np.array(values, dtype=x.dtype).reshape(x.shape)


def _sigmoid(x: Array) -> Array:
    # exp of a non-positive number never overflows.
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _gelu(x: Array, approximate: str) -> Array:
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
        return 0.5 * x * (1 + np.tanh(inner))
    return 0.5 * x * (1 + _erf(x / math.sqrt(2)))


def _hard(x: Array) -> Array:
    return np.clip(x + 3, 0, 6)


def apply_function(op: UnaryOp, x: Array) -> Array:
    """The real function of a unary op in floating point."""
    match op:
        case elementwise.SigmoidOp():
            return _sigmoid(x)
        case elementwise.HardsigmoidOp():
            return _hard(x) / 6
        case elementwise.TanhOp():
            return np.tanh(x)
        case elementwise.GeluOp():
            return _gelu(x, op.approximate.data)
        case elementwise.SiluOp():
            return x * _sigmoid(x)
        case elementwise.HardswishOp():
            return x * _hard(x) / 6
        case elementwise.SoftplusOp():
            return np.maximum(x, 0) + np.log1p(np.exp(-np.abs(x)))
        case elementwise.EluOp():
            return np.where(x >= 0, x, op.alpha.value.data * np.expm1(np.minimum(x, 0)))
        case elementwise.ExpOp():
            return np.exp(x)
        case elementwise.LogOp():
            return np.log(x)
        case elementwise.SqrtOp():
            return np.sqrt(x)
        case elementwise.RsqrtOp():
            return 1 / np.sqrt(x)
        case elementwise.ReciprocalOp():
            return 1 / x
        case elementwise.ErfOp():
            return _erf(x)
        case elementwise.SinOp():
            return np.sin(x)
        case elementwise.CosOp():
            return np.cos(x)
        case elementwise.FloorOp():
            return np.floor(x)
        case _:
            raise NotImplementedError(op.name)


FUNCTIONS: tuple[type[UnaryOp], ...] = (
    elementwise.SigmoidOp,
    elementwise.HardsigmoidOp,
    elementwise.TanhOp,
    elementwise.GeluOp,
    elementwise.SiluOp,
    elementwise.HardswishOp,
    elementwise.SoftplusOp,
    elementwise.EluOp,
    elementwise.ExpOp,
    elementwise.LogOp,
    elementwise.SqrtOp,
    elementwise.RsqrtOp,
    elementwise.ReciprocalOp,
    elementwise.ErfOp,
    elementwise.SinOp,
    elementwise.CosOp,
    elementwise.FloorOp,
)
"""Unary ops evaluated in floating point, whatever the format of their input."""


@kernel(*FUNCTIONS)
def function(op: UnaryOp, x: Array) -> Array:
    return from_float(op, apply_function(op, decode(x, element_of(op.input))))


@kernel(
    elementwise.NegOp,
    elementwise.AbsOp,
    elementwise.ReluOp,
    elementwise.Relu6Op,
    elementwise.LeakyReluOp,
)
def piecewise_linear(op: UnaryOp, x: Array) -> Array:
    number = exact(x, op.input)
    if number is not None:
        return _exact_piecewise_linear(op, number)
    x = decode(x, element_of(op.input))
    match op:
        case elementwise.NegOp():
            y = -x
        case elementwise.AbsOp():
            y = np.abs(x)
        case elementwise.ReluOp():
            y = np.maximum(x, 0)
        case elementwise.Relu6Op():
            y = np.clip(x, 0, 6)
        case elementwise.LeakyReluOp():
            y = np.where(x >= 0, x, x * x.dtype.type(op.negative_slope.value.data))
        case _:
            raise NotImplementedError(op.name)
    return from_float(op, y)


def _exact_piecewise_linear(op: UnaryOp, number: Exact) -> Array:
    x, frac = number.codes, number.frac
    match op:
        case elementwise.NegOp():
            y = exact_neg(x)
        case elementwise.AbsOp():
            y = np.maximum(x, exact_neg(x))
        case elementwise.ReluOp():
            y = np.maximum(x, 0)
        case elementwise.Relu6Op():
            # With a negative fraction 6 may lie between two codes.
            x = shift_left(x, max(-frac, 0))
            frac = max(frac, 0)
            y = np.clip(x, 0, min(6 << frac, max_magnitude(x)))
        case elementwise.LeakyReluOp():
            slope, places = dyadic(op.negative_slope.value.data)
            below = exact_mul(np.minimum(x, 0), integers(np.array([slope])))
            above = shift_left(np.maximum(x, 0), places)
            y, frac = exact_add(above, below), frac + places
        case _:
            raise NotImplementedError(op.name)
    return from_exact(op, y, frac)


def dyadic(value: float) -> tuple[int, int]:
    """A float as `numerator * 2**-places`, exactly, with `places >= 0`."""
    numerator, denominator = value.as_integer_ratio()
    return numerator, denominator.bit_length() - 1


# ---- functions of two or three elements ---------------------------------------------


@kernel(
    elementwise.AddOp,
    elementwise.SubOp,
    elementwise.MulOp,
    elementwise.DivOp,
    elementwise.MaximumOp,
    elementwise.MinimumOp,
)
def binary(op: elementwise.BinaryOp, *arrays: Array) -> Array:
    values = (op.lhs, op.rhs)
    arrays = same_rank(arrays, len(shape_of(op.result)))
    numbers = all_exact(arrays, values)
    if numbers is not None:
        return _exact_binary(op, *numbers)
    lhs, rhs = floats(arrays, values)
    match op:
        case elementwise.AddOp():
            y = lhs + rhs
        case elementwise.SubOp():
            y = lhs - rhs
        case elementwise.MulOp():
            y = lhs * rhs
        case elementwise.DivOp():
            if not any(is_float(element_of(v)) for v in values) and np.any(rhs == 0):
                # Some numbers are infinite or NaN: an error all the same.
                raise FormatError("division by zero")
            y = lhs / rhs
        case elementwise.MaximumOp():
            y = np.maximum(lhs, rhs)
        case elementwise.MinimumOp():
            y = np.minimum(lhs, rhs)
        case _:
            raise NotImplementedError(op.name)
    return from_float(op, y)


def _exact_binary(op: elementwise.BinaryOp, left: Exact, right: Exact) -> Array:
    if isinstance(op, elementwise.MulOp):
        product = exact_mul(left.codes, right.codes)
        return from_exact(op, product, left.frac + right.frac)
    (lhs, rhs), frac = align(left, right)
    match op:
        case elementwise.AddOp():
            y = exact_add(lhs, rhs)
        case elementwise.SubOp():
            y = exact_add(lhs, exact_neg(rhs))
        case elementwise.DivOp():
            return from_ratio(op, lhs, rhs, 0)
        case elementwise.MaximumOp():
            y = np.maximum(lhs, rhs)
        case elementwise.MinimumOp():
            y = np.minimum(lhs, rhs)
        case _:
            raise NotImplementedError(op.name)
    return from_exact(op, y, frac)


@kernel(elementwise.PowOp)
def power(op: elementwise.PowOp, *arrays: Array) -> Array:
    arrays = same_rank(arrays, len(shape_of(op.result)))
    return from_float(op, np.power(*floats(arrays, (op.lhs, op.rhs))))


@kernel(elementwise.CompareOp)
def compare(op: elementwise.CompareOp, *arrays: Array) -> Array:
    values = (op.lhs, op.rhs)
    arrays = same_rank(arrays, len(shape_of(op.result)))
    numbers = all_exact(arrays, values)
    if numbers is not None:
        (lhs, rhs), _ = align(*numbers)
    else:
        lhs, rhs = (_reals(a, v) for a, v in zip(arrays, values, strict=True))
    match op.predicate.data:
        case "eq":
            y = lhs == rhs
        case "ne":
            y = lhs != rhs
        case "lt":
            y = lhs < rhs
        case "le":
            y = lhs <= rhs
        case "gt":
            y = lhs > rhs
        case _:
            y = lhs >= rhs
    return np.asarray(y, dtype=np.bool_)


def _reals(array: Array, value: SSAValue) -> Array:
    """Floats, or fractions of Python where float64 is too narrow; they compare."""
    number = exact(array, value)
    if number is None or max_magnitude(number.codes) <= 1 << 53:
        return decode(array, element_of(value))
    scale = Fraction(2) ** -number.frac
    result = np.empty(number.codes.shape, dtype=object)
    result.ravel()[:] = [c * scale for c in number.codes.ravel().tolist()]
    return result


@kernel(elementwise.SelectOp)
def select(op: elementwise.SelectOp, *arrays: Array) -> Array:
    condition, *choices = same_rank(arrays, len(shape_of(op.result)))
    condition = condition.astype(np.bool_, copy=False)
    values = (op.on_true, op.on_false)
    numbers = all_exact(choices, values)
    if numbers is not None:
        (lhs, rhs), frac = align(*numbers)
        return from_exact(op, np.where(condition, lhs, rhs), frac)
    lhs, rhs = floats(tuple(choices), values)
    return from_float(op, np.where(condition, lhs, rhs))


@kernel(elementwise.AndOp, elementwise.OrOp, elementwise.XorOp)
def bitwise(op: elementwise.BitwiseOp, *arrays: Array) -> Array:
    lhs, rhs = (
        a if a.dtype == np.bool_ else integers(a)
        for a in same_rank(arrays, len(shape_of(op.result)))
    )
    match op:
        case elementwise.AndOp():
            return lhs & rhs
        case elementwise.OrOp():
            return lhs | rhs
        case _:
            return lhs ^ rhs
