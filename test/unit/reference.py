"""Fixed point and the exact ops of mase in rational arithmetic, written naively."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from itertools import product
from math import ceil, floor, prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import IntegerType, Signedness, TensorType, i1
from xdsl.ir import Attribute, Operation, OpResult
from xdsl.utils.test_value import create_ssa_value

from mase_opt.dialects.mase.types import FixedPoint
from mase_opt.lib.formats import Fixed, Overflow, RoundingMode

Array = NDArray[Any]
Shape = tuple[int, ...]


# ---- fixed point ------------------------------------------------------------------


def rounded(x: Fraction, mode: RoundingMode) -> int:
    """`x` rounded to an integer, by the definition of the mode."""
    below, above = floor(x), ceil(x)
    match mode:
        case RoundingMode.FLOOR:
            return below
        case RoundingMode.CEIL:
            return above
        case RoundingMode.ZERO:
            return below if x > 0 else above
        case RoundingMode.HALF_UP:
            tie = above
        case RoundingMode.NEAREST_AWAY:
            tie = above if x > 0 else below
        case RoundingMode.NEAREST_EVEN:
            tie = below if below % 2 == 0 else above
    distance = x - below
    if distance == Fraction(1, 2):
        return tie
    return below if distance < Fraction(1, 2) else above


def brought_in(code: int, format: Fixed, overflow: Overflow) -> int | None:
    """`code` in the range of the format; None: an error."""
    low, high = 0, 2**format.width - 1
    if format.signed:
        low, high = -(2 ** (format.width - 1)), 2 ** (format.width - 1) - 1
    if low <= code <= high:
        return code
    if overflow is Overflow.SATURATE:
        return low if code < low else high
    if overflow is Overflow.WRAP:
        code %= 2**format.width
        return code - 2**format.width if code > high else code
    return None


def encoded(
    x: Fraction, format: Fixed, mode: RoundingMode, overflow: Overflow
) -> int | None:
    """The code of the real number `x`; None: an error."""
    return brought_in(rounded(x * Fraction(2) ** format.frac, mode), format, overflow)


# ---- builtin floats ---------------------------------------------------------------


def nearest_float(x: Fraction, precision: int, lowest: int) -> Fraction:
    """`x` rounded to `precision` bits, but no finer than `2**lowest`."""
    if x == 0:
        return x
    exponent = -400
    while abs(x) >= Fraction(2) ** exponent:
        exponent += 1
    step = Fraction(2) ** max(exponent - precision, lowest)
    return rounded(x / step, RoundingMode.NEAREST_EVEN) * step


# ---- tensors ----------------------------------------------------------------------


def value_of(element: Attribute, shape: Sequence[int]) -> OpResult:
    """A value to make ops from."""
    return create_ssa_value(TensorType(element, shape))


def format_of(element: Attribute) -> Fixed:
    if isinstance(element, FixedPoint):
        return Fixed(element.width.data, element.frac.data, element.SIGNED)
    assert isinstance(element, IntegerType)
    unsigned = element.signedness.data is Signedness.UNSIGNED
    return Fixed(element.width.data, 0, signed=not unsigned and element != i1)


def codes_array(codes: Sequence[int], shape: Shape) -> Array:
    """`int64` where it fits, else Python integers."""
    fits = all(-(2**63) <= c < 2**63 for c in codes)
    return np.array(codes, dtype=np.int64 if fits else object).reshape(shape)


def reals(codes: Array, element: Attribute) -> Array:
    """The numbers that codes stand for, as an array of fractions."""
    scale = Fraction(2) ** -format_of(element).frac
    result = np.empty(codes.shape, dtype=object)
    for index in np.ndindex(codes.shape):
        result[index] = int(codes[index]) * scale
    return result


def stored(values: Array, op: Operation) -> list[int | bool | None]:
    """The codes of exact results, rounded once as `op` says."""
    type = op.results[0].type
    assert isinstance(type, TensorType)
    rounding: Any = op.properties["rounding"]
    if type.element_type == i1:
        return [bool(v != 0) for v in values.ravel()]
    format = format_of(type.element_type)
    return [
        encoded(Fraction(v), format, rounding.mode, rounding.overflow)
        for v in values.ravel()
    ]


# ---- ops on arrays of fractions, one sample ------------------------------------------


def built(shape: Shape, element: Callable[..., Any]) -> Array:
    """The array with `element(*index)` at every index."""
    result = np.empty(shape, dtype=object)
    for index in np.ndindex(shape):
        result[index] = element(*index)
    return result


def matmul(lhs: Array, rhs: Array) -> Array:
    """The last two dimensions multiplied; leading ones broadcast."""
    lead = np.broadcast_shapes(lhs.shape[:-2], rhs.shape[:-2])
    lhs = np.broadcast_to(lhs, (*lead, *lhs.shape[-2:]))
    rhs = np.broadcast_to(rhs, (*lead, *rhs.shape[-2:]))

    def element(*index: int) -> Any:
        *batch, m, n = index
        at = tuple(batch)
        return sum(
            (lhs[(*at, m, k)] * rhs[(*at, k, n)] for k in range(lhs.shape[-1])),
            Fraction(0),
        )

    return built((*lead, lhs.shape[-2], rhs.shape[-1]), element)


def linear(x: Array, weight: Array, bias: Array | None) -> Array:
    result = matmul(x.reshape(-1, x.shape[-1]), weight.T)
    result = result.reshape(*x.shape[:-1], weight.shape[0])
    return result if bias is None else result + bias


def taps(
    position: Sequence[int],
    kernel: Shape,
    strides: Shape,
    padding: Shape,
    dilation: Shape,
    size: Shape,
) -> Iterator[tuple[Shape, Shape]]:
    """Offsets in the kernel and indices in the input that a window covers."""
    for offset in product(*map(range, kernel)):
        at = tuple(
            i * s - p + o * d
            for i, s, p, o, d in zip(
                position, strides, padding, offset, dilation, strict=True
            )
        )
        if all(0 <= a < n for a, n in zip(at, size, strict=True)):
            yield offset, at


def conv(
    x: Array,
    weight: Array,
    bias: Array | None,
    positions: Shape,
    strides: Shape,
    padding: Shape,
    dilation: Shape,
    groups: int,
) -> Array:
    out, per_group, *kernel = weight.shape

    def element(n: int, o: int, *position: int) -> Any:
        first = o // (out // groups) * per_group
        total = Fraction(0) if bias is None else bias[o]
        for offset, at in taps(
            position, tuple(kernel), strides, padding, dilation, x.shape[2:]
        ):
            for c in range(per_group):
                total += x[(n, first + c, *at)] * weight[(o, c, *offset)]
        return total

    return built((x.shape[0], out, *positions), element)


def conv_transpose(
    x: Array,
    weight: Array,
    bias: Array | None,
    positions: Shape,
    strides: Shape,
    padding: Shape,
    dilation: Shape,
    groups: int,
) -> Array:
    """Every input element spreads over the outputs that it reaches."""
    batch, channels, *size = x.shape
    per_group, *kernel = weight.shape[1:]
    result = built((batch, per_group * groups, *positions), lambda *_: Fraction(0))
    for n, c, *at in np.ndindex(x.shape):
        group = c // (channels // groups)
        for offset in product(*map(range, kernel)):
            to = tuple(
                i * s - p + o * d
                for i, s, p, o, d in zip(
                    at, strides, padding, offset, dilation, strict=True
                )
            )
            if all(0 <= t < m for t, m in zip(to, positions, strict=True)):
                for o in range(per_group):
                    result[(n, group * per_group + o, *to)] += (
                        x[(n, c, *at)] * weight[(c, o, *offset)]
                    )
    if bias is not None:
        result += bias.reshape(-1, *(1,) * len(size))
    return result


def reduced(
    x: Array, axes: Sequence[int], combine: Callable[[list[Any]], Any]
) -> Array:
    """`combine` over the elements along `axes`, which disappear."""
    kept = [i for i in range(x.ndim) if i not in axes]
    moved = x.transpose([*kept, *axes])
    shape = tuple(x.shape[i] for i in kept)
    flat = moved.reshape(*shape, prod(x.shape[a] for a in axes))
    return built(shape, lambda *index: combine(list(flat[index])))


def mean(values: Sequence[Any]) -> Fraction:
    return sum(values, Fraction(0)) / len(values)
