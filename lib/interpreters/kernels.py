"""
The meaning of every op: a kernel from operand arrays to the result array.

Arrays have a leading axis for samples (size 1 where a value is the same for all).
Elements are numbers for builtin types and integer codes for number formats.
A kernel computes the exact real result as `code * 2**-frac` where all operands are
exact, in floating point otherwise, and rounds once into the result type.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np
from xdsl.dialects.builtin import (
    AnyFloat,
    Float64Type,
    IntegerType,
)
from xdsl.ir import Attribute, Operation, SSAValue

from mase_opt.dialects.mase import attrs, elementwise, layers, shape
from mase_opt.dialects.mase.base import ArithmeticOp, UnaryOp, ints
from mase_opt.dialects.mase.types import FixedPoint, element_of, shape_of
from mase_opt.lib.formats.rounding import (
    IntArray,
    compact,
    max_magnitude,
    round_ratio,
    round_real,
    round_shift,
    shift_left,
)
from mase_opt.lib.interpreters import exact
from mase_opt.lib.interpreters.exact import Array

Kernel = Callable[..., Array]

KERNELS: dict[type[Operation], Kernel] = {}
"""Op class → its kernel `(op, *operands) -> result`."""


def kernel(*ops: type[Operation]) -> Callable[[Kernel], Kernel]:
    """Register the decorated function as the meaning of `ops`."""

    def register(function: Kernel) -> Kernel:
        for op in ops:
            KERNELS[op] = function
        return function

    return register


# ---- elements ---------------------------------------------------------------------


def is_exact(element: Attribute) -> bool:
    """Whether values of `element` are integers times a power of two."""
    return isinstance(element, FixedPoint | IntegerType)


def frac_of(element: Attribute) -> int:
    """The fraction bits of an exact element type."""
    return element.frac.data if isinstance(element, FixedPoint) else 0


def decode(array: Array, element: Attribute) -> Array:
    """Codes or numbers as floating-point numbers."""
    if isinstance(element, FixedPoint):
        return element.format.decode(array)
    return array if isinstance(element, AnyFloat) else array.astype(np.float64)


def numpy_float(element: Attribute) -> type[np.floating[Any]]:
    """The NumPy type for a builtin float; 16-bit ones are held in float32."""
    return np.float64 if isinstance(element, Float64Type) else np.float32


def _rounding(op: Operation) -> attrs.RoundingAttr:
    return op.rounding if isinstance(op, ArithmeticOp) else attrs.RoundingAttr.DEFAULT


def from_exact(op: Operation, codes: IntArray, frac: int) -> Array:
    """Round the exact numbers `codes * 2**-frac` into the result type of `op`."""
    element = element_of(op.results[0])
    rounding = _rounding(op)
    match element:
        case FixedPoint():
            return element.format.cast_codes(
                codes, frac, rounding.mode, rounding.overflow
            )
        case IntegerType() if element.width.data == 1:
            return (codes != 0).astype(np.bool_)
        case IntegerType():
            return compact(round_shift(codes, frac, rounding.mode))
        case _:
            values = np.ldexp(codes.astype(np.float64), -frac)
            return values.astype(numpy_float(element))


def from_ratio(
    op: Operation, numerator: IntArray, denominator: IntArray, frac: int
) -> Array:
    """Round `numerator / denominator * 2**-frac` into the result type of `op`."""
    element = element_of(op.results[0])
    rounding = _rounding(op)
    match element:
        case FixedPoint():
            return element.format.cast_ratio(
                numerator, denominator, frac, rounding.mode, rounding.overflow
            )
        case IntegerType():
            scaled = shift_left(denominator, frac) if frac >= 0 else denominator
            top = numerator if frac >= 0 else shift_left(numerator, -frac)
            return compact(round_ratio(top, scaled, rounding.mode))
        case _:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = numerator.astype(np.float64) / denominator.astype(np.float64)
            return np.ldexp(values, -frac).astype(numpy_float(element))


def from_float(op: Operation, values: Array) -> Array:
    """Round floating-point numbers into the result type of `op`."""
    element = element_of(op.results[0])
    rounding = _rounding(op)
    match element:
        case FixedPoint():
            return element.format.encode(values, rounding.mode, rounding.overflow)
        case IntegerType() if element.width.data == 1:
            return values != 0
        case IntegerType():
            limit = 2.0**63 - 1024
            rounded = round_real(values.astype(np.float64), rounding.mode)
            return np.clip(np.nan_to_num(rounded), -limit, limit).astype(np.int64)
        case _:
            return values.astype(numpy_float(element), copy=False)


def all_exact(*values: SSAValue | None) -> bool:
    return all(v is None or is_exact(element_of(v)) for v in values)


def integers(array: Array) -> IntArray:
    """Codes, integers or booleans as exact integers."""
    if array.dtype == object:
        return array
    if array.dtype == np.uint64:
        return compact(array.astype(object))
    return array.astype(np.int64, copy=False)


def align(
    arrays: tuple[Array, ...], values: tuple[SSAValue, ...]
) -> tuple[tuple[IntArray, ...], int]:
    """Bring codes of several values to one fraction; gives the codes and it."""
    fracs = [frac_of(element_of(v)) for v in values]
    common = max(fracs)
    shifted = tuple(
        shift_left(integers(a), common - f) for a, f in zip(arrays, fracs, strict=True)
    )
    if any(a.dtype == object for a in shifted):
        shifted = tuple(a.astype(object) for a in shifted)
    return shifted, common


def floats(
    arrays: tuple[Array, ...], values: tuple[SSAValue, ...]
) -> tuple[Array, ...]:
    return tuple(decode(a, element_of(v)) for a, v in zip(arrays, values, strict=True))


def same_rank(arrays: tuple[Array, ...], rank: int) -> tuple[Array, ...]:
    """Insert dimensions behind the sample axis so that NumPy broadcasting aligns."""
    return tuple(
        a.reshape(a.shape[0], *(1,) * (rank + 1 - a.ndim), *a.shape[1:]) for a in arrays
    )


# ---- constants and casts ----------------------------------------------------------


@kernel(shape.ConstantOp)
def constant(op: shape.ConstantOp) -> Array:
    array = op.array()[None]
    return array if array.dtype.kind in "fb" else integers(array)


@kernel(elementwise.CastOp)
def cast(op: elementwise.CastOp, x: Array) -> Array:
    if all_exact(op.input):
        return from_exact(op, integers(x), frac_of(element_of(op.input)))
    return from_float(op, x)


# ---- linear layers ----------------------------------------------------------------


def _contract(
    op: layers.LinearOp | layers.ConvOp | layers.ConvTranspose2dOp,
    arrays: tuple[Array, ...],
    product: Callable[[Array, Array], Array],
    bias_rank: int,
) -> Array:
    """`product(input, weight) + bias`; the bias gets `bias_rank` trailing axes."""
    values = (op.input, op.weight)
    if all_exact(op.input, op.weight, op.bias):
        x, weight = (integers(a) for a in arrays[:2])
        total = product(x, weight)
        frac = sum(frac_of(element_of(v)) for v in values)
    else:
        x, weight = floats(arrays[:2], values)
        if x.dtype != weight.dtype:
            x, weight = x.astype(np.float64), weight.astype(np.float64)
        total, frac = product(x, weight), None
    if op.bias is not None:
        bias = arrays[2].reshape(*arrays[2].shape, *(1,) * bias_rank)
        bias = bias.reshape(
            bias.shape[0], *(1,) * (total.ndim - bias.ndim), *bias.shape[1:]
        )
        if frac is None:
            total = total + decode(bias, element_of(op.bias))
        else:
            common = max(frac, frac_of(element_of(op.bias)))
            total = exact_add(
                shift_left(total, common - frac),
                shift_left(integers(bias), common - frac_of(element_of(op.bias))),
            )
            frac = common
    if frac is None:
        return from_float(op, total)
    return from_exact(op, total, frac)


def exact_add(lhs: IntArray, rhs: IntArray) -> IntArray:
    """`lhs + rhs`, widening to Python integers where the sum might not fit."""
    if object in (lhs.dtype, rhs.dtype) or (
        max_magnitude(lhs) + max_magnitude(rhs) >= 1 << 62
    ):
        return lhs.astype(object) + rhs.astype(object)
    return lhs + rhs


def exact_mul(lhs: IntArray, rhs: IntArray) -> IntArray:
    """`lhs * rhs`, widening to Python integers where the product might not fit."""
    if object in (lhs.dtype, rhs.dtype) or (
        max_magnitude(lhs) * max_magnitude(rhs) >= 1 << 62
    ):
        return lhs.astype(object) * rhs.astype(object)
    return lhs * rhs


def _per_sample(
    product: Callable[[Array, Array], Array], x: Array, weight: Array
) -> Array:
    """Apply `product` with one weight for all samples, or one for each."""
    if weight.shape[0] == 1:
        flat = x.reshape(-1, *x.shape[2:])
        result = product(flat, weight[0])
        return result.reshape(*x.shape[:2], *result.shape[1:])
    x = np.broadcast_to(x, (max(x.shape[0], weight.shape[0]), *x.shape[1:]))
    return np.stack([product(a, w) for a, w in zip(x, weight, strict=True)])


@kernel(layers.LinearOp)
def linear(op: layers.LinearOp, *arrays: Array) -> Array:
    def product(x: Array, weight: Array) -> Array:
        if weight.shape[0] == 1:
            flat = x.reshape(-1, x.shape[-1])
            result = exact.matmul(flat, weight[0].T)
            return result.reshape(*x.shape[:-1], weight.shape[1])
        flat = x.reshape(x.shape[0], -1, x.shape[-1])
        result = exact.matmul(flat, weight.swapaxes(1, 2))
        return result.reshape(result.shape[0], *x.shape[1:-1], weight.shape[1])

    return _contract(op, arrays, product, 0)


@kernel(layers.Conv1dOp, layers.Conv2dOp)
def conv(op: layers.ConvOp, *arrays: Array) -> Array:
    def product(x: Array, weight: Array) -> Array:
        def one(image: Array, kernel: Array) -> Array:
            return exact.conv(
                image,
                kernel,
                strides=ints(op.strides),
                padding=ints(op.padding),
                dilation=ints(op.dilation),
                groups=op.groups.value.data,
            )

        return _per_sample(one, x, weight)

    return _contract(op, arrays, product, op.SPATIAL)


@kernel(layers.ConvTranspose2dOp)
def conv_transpose(op: layers.ConvTranspose2dOp, *arrays: Array) -> Array:
    def product(x: Array, weight: Array) -> Array:
        def one(image: Array, kernel: Array) -> Array:
            return exact.conv_transpose(
                image,
                kernel,
                strides=ints(op.strides),
                padding=ints(op.padding),
                output_padding=ints(op.output_padding),
                dilation=ints(op.dilation),
                groups=op.groups.value.data,
            )

        return _per_sample(one, x, weight)

    return _contract(op, arrays, product, 2)


@kernel(layers.MatmulOp)
def matmul(op: layers.MatmulOp, lhs: Array, rhs: Array) -> Array:
    lhs, rhs = same_rank((lhs, rhs), max(lhs.ndim, rhs.ndim) - 1)
    if all_exact(op.lhs, op.rhs):
        total = exact.matmul(integers(lhs), integers(rhs))
        frac = frac_of(element_of(op.lhs)) + frac_of(element_of(op.rhs))
        return from_exact(op, total, frac)
    lhs, rhs = floats((lhs, rhs), (op.lhs, op.rhs))
    return from_float(op, lhs @ rhs)


@kernel(layers.EmbeddingOp)
def embedding(op: layers.EmbeddingOp, weight: Array, indices: Array) -> Array:
    rows = _take(weight, integers(indices), 0)
    if all_exact(op.weight):
        return from_exact(op, integers(rows), frac_of(element_of(op.weight)))
    return from_float(op, decode(rows, element_of(op.weight)))


def _take(array: Array, indices: IntArray, axis: int) -> Array:
    """`np.take` per sample; one side may be shared by all samples."""
    if indices.shape[0] == 1:
        return np.take(array, indices[0].astype(np.int64), axis=axis + 1)
    if array.shape[0] == 1:
        result = np.take(array[0], indices.astype(np.int64), axis=axis)
        return np.moveaxis(result, axis, 0)
    pairs = zip(array, indices.astype(np.int64), strict=True)
    return np.stack([np.take(a, i, axis=axis) for a, i in pairs])


# ---- normalization, softmax, attention ---------------------------------------------


@kernel(layers.BatchNormOp)
def batch_norm(op: layers.BatchNormOp, *arrays: Array) -> Array:
    x, *rest = floats(arrays, tuple(op.operands))
    mean, variance, weight, bias = (
        a.reshape(*a.shape, *(1,) * (x.ndim - 3)) for a in rest
    )
    # [S, N, C, …] against [S, C, …]
    mean, variance, weight, bias = (a[:, None] for a in (mean, variance, weight, bias))
    scale = weight / np.sqrt(variance + x.dtype.type(op.eps.value.data))
    return from_float(op, (x - mean) * scale + bias)


def _normalize(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    mean = x.mean(axis=axes, keepdims=True)
    centred = x - mean
    variance = (centred * centred).mean(axis=axes, keepdims=True)
    return centred / np.sqrt(variance + x.dtype.type(eps))


def _affine(
    op: layers.AffineNormOp, x: Array, rest: tuple[Array, ...], trailing: int
) -> Array:
    values = iter(rest)
    if op.weight is not None:
        x = x * _spread(decode(next(values), element_of(op.weight)), x.ndim, trailing)
    if op.bias is not None:
        x = x + _spread(decode(next(values), element_of(op.bias)), x.ndim, trailing)
    return x


def _spread(parameter: Array, rank: int, trailing: int) -> Array:
    """Insert axes behind the sample axis, and `trailing` ones at the end."""
    lead = (1,) * (rank - parameter.ndim - trailing)
    return parameter.reshape(
        parameter.shape[0], *lead, *parameter.shape[1:], *(1,) * trailing
    )


@kernel(layers.LayerNormOp)
def layer_norm(op: layers.LayerNormOp, x: Array, *rest: Array) -> Array:
    x = decode(x, element_of(op.input))
    axes = tuple(range(x.ndim - op.rank.value.data, x.ndim))
    x = _normalize(x, axes, op.eps.value.data)
    return from_float(op, _affine(op, x, rest, 0))


@kernel(layers.GroupNormOp)
def group_norm(op: layers.GroupNormOp, x: Array, *rest: Array) -> Array:
    x = decode(x, element_of(op.input))
    groups = op.groups.value.data
    split = x.reshape(*x.shape[:2], groups, -1)
    x = _normalize(split, (3,), op.eps.value.data).reshape(x.shape)
    return from_float(op, _affine(op, x, rest, x.ndim - 3))


def _softmax(x: Array, axis: int) -> Array:
    top = x.max(axis=axis, keepdims=True)
    # A row that is masked out completely has no finite maximum.
    e = np.exp(x - np.where(np.isfinite(top), top, 0))
    with np.errstate(invalid="ignore"):
        return e / e.sum(axis=axis, keepdims=True)


@kernel(layers.SoftmaxOp)
def softmax(op: layers.SoftmaxOp, x: Array) -> Array:
    x = decode(x, element_of(op.input))
    return from_float(op, _softmax(x, op.axis.value.data + 1))


@kernel(layers.AttentionOp)
def attention(op: layers.AttentionOp, *arrays: Array) -> Array:
    rank = max(len(shape_of(v)) for v in (op.query, op.key, op.value))
    q, k, v = same_rank(
        floats(arrays[:3], (op.query, op.key, op.value)),
        rank,
    )
    scores = q @ k.swapaxes(-1, -2) * q.dtype.type(op.scale.value.data)
    if op.mask is not None:
        (mask,) = same_rank((arrays[3],), rank)
        if mask.dtype == np.bool_:
            scores = np.where(mask, scores, -np.inf)
        else:
            scores = scores + decode(mask, element_of(op.mask))
    if op.causal:
        length, source = scores.shape[-2:]
        allowed = np.arange(source)[None] <= np.arange(length)[:, None]
        scores = np.where(allowed, scores, -np.inf)
    return from_float(op, (_softmax(scores, -1) @ v).astype(q.dtype))


# ---- pools and reductions ---------------------------------------------------------


def _pool_windows(op: layers.PoolOp, x: Array, padding_value: Any) -> Array:
    """Windows of a pool, flattened: `[…, *positions, elements]`."""
    kernel_size, strides = ints(op.kernel), ints(op.strides)
    padding, dilation = ints(op.padding), ints(op.dilation)
    rank = len(kernel_size)
    positions = shape_of(op.result)[-rank:]
    extra = tuple(
        max((n - 1) * s + d * (k - 1) + 1 - size - 2 * p, 0)
        for n, s, d, k, size, p in zip(
            positions,
            strides,
            dilation,
            kernel_size,
            x.shape[-rank:],
            padding,
            strict=True,
        )
    )
    x = exact.pad_spatial(x, padding, extra, padding_value)
    view = exact.windows(x, kernel_size, strides, dilation, positions)
    return view.reshape(*view.shape[:-rank], -1)


@kernel(layers.MaxPoolOp)
def max_pool(op: layers.MaxPoolOp, x: Array) -> Array:
    element = element_of(op.input)
    if all_exact(op.input):
        x = integers(x)
        lowest = x.min(initial=0)
        best = _pool_windows(op, x, lowest).max(axis=-1)
        return from_exact(op, best, frac_of(element))
    return from_float(op, _pool_windows(op, x, -np.inf).max(axis=-1))


@kernel(layers.AvgPoolOp)
def avg_pool(op: layers.AvgPoolOp, x: Array) -> Array:
    exact_input = all_exact(op.input)
    x = integers(x) if exact_input else decode(x, element_of(op.input))
    total = exact_sum(_pool_windows(op, x, 0), (-1,))
    counts = pool_counts(op)
    if exact_input:
        return from_ratio(op, total, counts, frac_of(element_of(op.input)))
    return from_float(op, total / counts.astype(total.dtype))


def pool_counts(op: layers.AvgPoolOp) -> IntArray:
    """The divisor of each window of an average pool, shaped like the positions."""
    spatial = shape_of(op.input)[-len(op.kernel) :]
    inside = np.ones(spatial, dtype=np.int64)
    if op.count_include_pad:
        padded = exact.pad_spatial(inside, ints(op.padding), (0,) * len(spatial), 1)
        # Only what ceil_mode adds beyond the padding does not count.
        free = _pool_windows_of_padded(op, padded)
        return free.sum(axis=-1)
    return _pool_windows(op, inside, 0).sum(axis=-1)


def _pool_windows_of_padded(op: layers.PoolOp, padded: Array) -> Array:
    rank = len(op.kernel)
    positions = shape_of(op.result)[-rank:]
    kernel_size, strides, dilation = (
        ints(op.kernel),
        ints(op.strides),
        ints(op.dilation),
    )
    extra = tuple(
        max((n - 1) * s + d * (k - 1) + 1 - size, 0)
        for n, s, d, k, size in zip(
            positions, strides, dilation, kernel_size, padded.shape, strict=True
        )
    )
    padded = exact.pad_spatial(padded, (0,) * rank, extra, 0)
    view = exact.windows(padded, kernel_size, strides, dilation, positions)
    return view.reshape(*positions, -1)


def exact_sum(array: Array, axes: tuple[int, ...]) -> Array:
    """Sum over `axes`; exact for integers."""
    if array.dtype.kind == "f":
        return array.sum(axis=axes)
    count = math.prod(array.shape[a] for a in axes)
    if max_magnitude(array) * count >= 1 << 62:
        array = array.astype(object)
    return np.asarray(array.sum(axis=axes), dtype=array.dtype)


def adaptive_bounds(size: int, count: int) -> list[tuple[int, int]]:
    """First and last-plus-one element of each window of an adaptive pool."""
    return [(i * size // count, -(-(i + 1) * size // count)) for i in range(count)]


def _adaptive(
    op: layers.AdaptivePoolOp, x: Array, reduce: Callable[[Array], Array]
) -> Array:
    """Apply `reduce` (over the last, flattened axis) to every adaptive window."""
    output = ints(op.output_size)
    rank = len(output)
    lead = x.shape[:-rank]
    result = np.empty((*lead, *output), dtype=x.dtype)
    bounds = [
        adaptive_bounds(n, m) for n, m in zip(x.shape[-rank:], output, strict=True)
    ]
    for position in np.ndindex(*output):
        spans = tuple(slice(*bounds[d][i]) for d, i in enumerate(position))
        result[(..., *position)] = reduce(x[(..., *spans)].reshape(*lead, -1))
    return result


@kernel(layers.AdaptiveMaxPoolOp)
def adaptive_max_pool(op: layers.AdaptiveMaxPoolOp, x: Array) -> Array:
    if all_exact(op.input):
        best = _adaptive(op, integers(x), lambda w: w.max(axis=-1))
        return from_exact(op, best, frac_of(element_of(op.input)))
    return from_float(op, _adaptive(op, x, lambda w: w.max(axis=-1)))


@kernel(layers.AdaptiveAvgPoolOp)
def adaptive_avg_pool(op: layers.AdaptiveAvgPoolOp, x: Array) -> Array:
    if not all_exact(op.input):
        x = decode(x, element_of(op.input))
        return from_float(op, _adaptive(op, x, lambda w: w.mean(axis=-1)))
    x = integers(x)
    if max_magnitude(x) * math.prod(shape_of(op.input)) >= 1 << 62:
        x = x.astype(object)
    total = _adaptive(op, x, lambda w: w.sum(axis=-1))
    ones = np.ones((1, *shape_of(op.input)), dtype=np.int64)
    counts = _adaptive(op, ones, lambda w: w.sum(axis=-1))
    return from_ratio(op, total, counts, frac_of(element_of(op.input)))


@kernel(layers.ReduceOp)
def reduce(op: layers.ReduceOp, x: Array) -> Array:
    axes = tuple(a + 1 for a in ints(op.axes))
    exact_input = all_exact(op.input)
    x = integers(x) if exact_input else decode(x, element_of(op.input))
    count = np.array(math.prod(x.shape[a] for a in axes))
    match op.kind.data:
        case "max":
            total, count = x.max(axis=axes), None
        case "min":
            total, count = x.min(axis=axes), None
        case "sum":
            total, count = exact_sum(x, axes), None
        case _:
            total = exact_sum(x, axes)
    total = total.reshape(x.shape[0], *shape_of(op.result))
    frac = frac_of(element_of(op.input))
    if not exact_input:
        return from_float(
            op, total if count is None else total / total.dtype.type(count)
        )
    if count is None:
        return from_exact(op, total, frac)
    return from_ratio(op, total, count, frac)


@kernel(layers.ArgmaxOp)
def argmax(op: layers.ArgmaxOp, x: Array) -> Array:
    index = np.argmax(x, axis=op.axis.value.data + 1)
    return index.astype(np.int64).reshape(x.shape[0], *shape_of(op.result))


@kernel(layers.LookupOp)
def lookup(op: layers.LookupOp, x: Array, table: Array) -> Array:
    element = element_of(op.input)
    assert isinstance(element, FixedPoint)
    index = integers(x) & ((1 << element.width.data) - 1)
    return _take(table, index[None] if x.shape[0] == 1 else index, 0).reshape(
        x.shape[0] if table.shape[0] == 1 else max(x.shape[0], table.shape[0]),
        *shape_of(op.result),
    )


# ---- elementwise ------------------------------------------------------------------


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
    with np.errstate(all="ignore"):
        values = apply_function(op, decode(x, element_of(op.input)))
    return from_float(op, values)


@kernel(
    elementwise.NegOp,
    elementwise.AbsOp,
    elementwise.ReluOp,
    elementwise.Relu6Op,
    elementwise.LeakyReluOp,
)
def piecewise_linear(op: UnaryOp, x: Array) -> Array:
    exact_input = all_exact(op.input)
    frac = frac_of(element_of(op.input))
    x = integers(x) if exact_input else decode(x, element_of(op.input))
    match op:
        case elementwise.NegOp():
            y = -x
        case elementwise.AbsOp():
            y = np.abs(x)
        case elementwise.ReluOp():
            y = np.maximum(x, 0)
        case elementwise.Relu6Op() if exact_input:
            # 6 as a code may need more fraction bits than x has.
            x = shift_left(x, max(-frac, 0))
            frac = max(frac, 0)
            y = np.minimum(np.maximum(x, 0), 6 << frac)
        case elementwise.Relu6Op():
            y = np.clip(x, 0, 6)
        case elementwise.LeakyReluOp() if exact_input:
            slope, places = dyadic(op.negative_slope.value.data)
            below = exact_mul(x, np.array(slope, dtype=object))
            y = np.where(x >= 0, shift_left(x.astype(object), places), below)
            y, frac = compact(y), frac + places
        case elementwise.LeakyReluOp():
            y = np.where(x >= 0, x, x * x.dtype.type(op.negative_slope.value.data))
        case _:
            raise NotImplementedError(op.name)
    return from_exact(op, y, frac) if exact_input else from_float(op, y)


def dyadic(value: float) -> tuple[int, int]:
    """A float as `numerator * 2**-places`, exactly, with `places >= 0`."""
    numerator, denominator = value.as_integer_ratio()
    return numerator, denominator.bit_length() - 1


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
    if not all_exact(*values):
        lhs, rhs = floats(arrays, values)
        with np.errstate(all="ignore"):
            match op:
                case elementwise.AddOp():
                    y = lhs + rhs
                case elementwise.SubOp():
                    y = lhs - rhs
                case elementwise.MulOp():
                    y = lhs * rhs
                case elementwise.DivOp():
                    y = lhs / rhs
                case elementwise.MaximumOp():
                    y = np.maximum(lhs, rhs)
                case _:
                    y = np.minimum(lhs, rhs)
        return from_float(op, y)
    if isinstance(op, elementwise.MulOp):
        product = exact_mul(*(integers(a) for a in arrays))
        return from_exact(op, product, sum(frac_of(element_of(v)) for v in values))
    (lhs, rhs), frac = align(arrays, values)
    match op:
        case elementwise.AddOp():
            y = exact_add(lhs, rhs)
        case elementwise.SubOp():
            y = exact_add(lhs, -rhs)
        case elementwise.DivOp():
            return from_ratio(op, lhs, rhs, 0)
        case elementwise.MaximumOp():
            y = np.maximum(lhs, rhs)
        case _:
            y = np.minimum(lhs, rhs)
    return from_exact(op, y, frac)


@kernel(elementwise.PowOp)
def power(op: elementwise.PowOp, *arrays: Array) -> Array:
    values = (op.lhs, op.rhs)
    lhs, rhs = floats(same_rank(arrays, len(shape_of(op.result))), values)
    with np.errstate(all="ignore"):
        return from_float(op, np.power(lhs, rhs))


@kernel(elementwise.CompareOp)
def compare(op: elementwise.CompareOp, *arrays: Array) -> Array:
    values = (op.lhs, op.rhs)
    arrays = same_rank(arrays, len(shape_of(op.result)))
    if all_exact(*values):
        (lhs, rhs), _ = align(arrays, values)
    else:
        lhs, rhs = floats(arrays, values)
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


@kernel(elementwise.SelectOp)
def select(op: elementwise.SelectOp, *arrays: Array) -> Array:
    arrays = same_rank(arrays, len(shape_of(op.result)))
    values = (op.on_true, op.on_false)
    condition = arrays[0].astype(np.bool_)
    if all_exact(*values):
        (lhs, rhs), frac = align(arrays[1:], values)
        return from_exact(op, np.where(condition, lhs, rhs), frac)
    lhs, rhs = floats(arrays[1:], values)
    return from_float(op, np.where(condition, lhs, rhs))


@kernel(elementwise.AndOp, elementwise.OrOp, elementwise.XorOp)
def bitwise(op: elementwise.BitwiseOp, *arrays: Array) -> Array:
    lhs, rhs = same_rank(arrays, len(shape_of(op.result)))
    match op:
        case elementwise.AndOp():
            return lhs & rhs
        case elementwise.OrOp():
            return lhs | rhs
        case _:
            return lhs ^ rhs


# ---- shape ------------------------------------------------------------------------


@kernel(shape.ReshapeOp)
def reshape(op: shape.ReshapeOp, x: Array) -> Array:
    return x.reshape(x.shape[0], *shape_of(op.result))


@kernel(shape.TransposeOp)
def transpose(op: shape.TransposeOp, x: Array) -> Array:
    return x.transpose(0, *(p + 1 for p in ints(op.permutation)))


@kernel(shape.BroadcastOp)
def broadcast(op: shape.BroadcastOp, x: Array) -> Array:
    (x,) = same_rank((x,), len(shape_of(op.result)))
    return np.broadcast_to(x, (x.shape[0], *shape_of(op.result)))


@kernel(shape.ConcatOp)
def concat(op: shape.ConcatOp, *arrays: Array) -> Array:
    samples = max(a.shape[0] for a in arrays)
    full = [np.broadcast_to(a, (samples, *a.shape[1:])) for a in arrays]
    return np.concatenate(full, axis=op.axis.value.data + 1)


@kernel(shape.SliceOp)
def slice_(op: shape.SliceOp, x: Array) -> Array:
    spans = zip(ints(op.starts), ints(op.stops), ints(op.strides), strict=True)
    return x[(slice(None), *(slice(*span) for span in spans))]


@kernel(shape.PadOp)
def pad(op: shape.PadOp, x: Array) -> Array:
    margins = list(zip(ints(op.low), ints(op.high), strict=True))
    value = pad_code(op)
    return np.pad(x, [(0, 0), *margins], constant_values=value)


def pad_code(op: shape.PadOp) -> Any:
    """The code (or number) that `mase.pad` inserts."""
    element, value = element_of(op.result), op.value.value.data
    match element:
        case FixedPoint():
            return element.format.encode(np.array(value)).item()
        case IntegerType():
            return int(value)
        case _:
            return value


@kernel(shape.GatherOp)
def gather(op: shape.GatherOp, x: Array, indices: Array) -> Array:
    return _take(x, integers(indices), op.axis.value.data)
