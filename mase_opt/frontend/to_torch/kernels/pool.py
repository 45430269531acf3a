"""Pools, reductions and argmax."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from mase_opt.dialects.mase import pooling
from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import UnaryOp, ints
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.frontend.to_torch.arithmetic import (
    Function,
    divide,
    from_codes,
    replace,
    working_dtype,
    wraps_integers,
)
from mase_opt.frontend.to_torch.known import Known, dtype_of, multiples_of
from mase_opt.frontend.torch_kernels import torch_kernel
from mase_opt.lib.formats.multiples import Multiples
from mase_opt.lib.interpreters.kernels.pool import adaptive_bounds, pool_counts

Sum = Callable[[Tensor], Tensor]
"""Adds up elements, in the dtype of what it is given."""

# ---- sums and means -----------------------------------------------------------------


def _sums(
    op: UnaryOp, known: Known, terms: int, of: Sum
) -> tuple[Function, Multiples | None]:
    """Sums of `terms` elements at most; exact on a grid of 62 bits."""
    numbers = None if known.numbers is None else known.numbers.sum_of(terms)
    dtype = working_dtype((op.input,), numbers)
    if wraps_integers(op, dtype):

        def integers(x: Tensor) -> Tensor:
            return of(x.to(torch.int64))

        return integers, None
    if dtype is None and numbers is not None and numbers.fits_int64:
        return partial(_integer_sums, of=of, frac=numbers.frac), numbers

    def run(x: Tensor) -> Tensor:
        return of(x.to(dtype or torch.float64))

    return run, numbers


def _integer_sums(x: Tensor, of: Sum, frac: int) -> Tensor:
    x = x.to(torch.float64)
    with torch.no_grad():
        result = from_codes(of((x * 2.0**frac).to(torch.int64)), frac)
    if torch.is_grad_enabled() and x.requires_grad:
        return replace(of(x), result)
    return result


def _means(
    op: UnaryOp, known: Known, counts: NDArray[np.int64], of: Sum
) -> tuple[Function, Multiples | None]:
    """`of(x) / counts`; exact on a grid of 53 bits."""
    terms = int(counts.max())
    sums, numbers = _sums(op, known, terms, of)
    if (counts == terms).all() and terms & (terms - 1) == 0:
        if numbers is not None:
            frac = numbers.frac + terms.bit_length() - 1
            numbers = Multiples(frac, numbers.low, numbers.high)
            if dtype_of(numbers) is None:
                numbers = None

        def halved(x: Tensor) -> Tensor:
            return sums(x) / terms

        return halved, numbers
    plain = is_float(element_of(op.input))
    listed = counts.tolist()

    def run(x: Tensor) -> Tensor:
        total = sums(x)
        if plain:
            return total / torch.tensor(listed, dtype=total.dtype, device=x.device)
        total = total.to(torch.float64)
        divisor = torch.tensor(listed, dtype=total.dtype, device=x.device)
        return divide(total, divisor.expand_as(total))

    return run, None


# ---- pools --------------------------------------------------------------------------


def _windows(op: pooling.PoolOp, x: Tensor, outside: float) -> Tensor:
    """All windows: `[…, *spatial]` → `[…, *positions, *kernel]`."""
    kernel_size, strides = ints(op.kernel), ints(op.strides)
    padding, dilation = ints(op.padding), ints(op.dilation)
    rank = len(kernel_size)
    first = x.ndim - rank
    margins: list[int] = []
    for size, n, s, p, d, k in zip(
        shape_of(op.input)[-rank:],
        shape_of(op.result)[-rank:],
        strides,
        padding,
        dilation,
        kernel_size,
        strict=True,
    ):
        # Windows of `ceil_mode` reach past the padding, others may end before it does.
        margins = [p, (n - 1) * s + d * (k - 1) + 1 - size - p, *margins]
    x = functional.pad(x, margins, value=outside)
    for axis, (s, d, k) in enumerate(zip(strides, dilation, kernel_size, strict=True)):
        x = x.unfold(first + axis, d * (k - 1) + 1, s)[..., ::d]
    return x


MAX_POOLS = {
    1: functional.max_pool1d,
    2: functional.max_pool2d,
    3: functional.max_pool3d,
}


@torch_kernel(pooling.MaxPoolOp)
def max_pool(
    op: pooling.MaxPoolOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    rank, sizes = len(op.kernel), shape_of(op.result)
    dtype = working_dtype((op.input,), operands[0].numbers) or torch.float64
    of = MAX_POOLS.get(rank)
    # [S, N, C, …] -> [S · N, C, …], which keeps the channels last where they are.
    channels = shape_of(op.input)[-rank - 1 : -rank] or (1,)
    parameters = (
        ints(op.kernel),
        ints(op.strides),
        ints(op.padding),
        ints(op.dilation),
        bool(op.ceil_mode),
    )
    axes = tuple(range(-rank, 0))

    def run(x: Tensor) -> Tensor:
        x = x.to(dtype)
        if of is None:
            return _windows(op, x, -math.inf).amax(axes)
        result = of(x.reshape(-1, *channels, *x.shape[-rank:]), *parameters)
        return result.reshape(x.shape[0], *sizes)

    return run, operands[0].numbers


@torch_kernel(pooling.AvgPoolOp)
def avg_pool(
    op: pooling.AvgPoolOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    axes = tuple(range(-len(op.kernel), 0))

    def of(x: Tensor) -> Tensor:
        return _windows(op, x, 0).sum(axes)

    return _means(op, operands[0], pool_counts(op), of)


def _adaptive(
    op: pooling.AdaptivePoolOp, reduce: Callable[[Tensor, int], Tensor]
) -> Sum:
    """`reduce(window, axis)` for every adaptive window, one axis after the other."""
    sizes = shape_of(op.input)
    first = len(sizes) - len(op.output_size)
    bounds = [
        (axis + 1, adaptive_bounds(sizes[axis], count))
        for axis, count in enumerate(ints(op.output_size), first)
    ]

    def of(x: Tensor) -> Tensor:
        for axis, windows in bounds:
            parts = [reduce(x.narrow(axis, a, b - a), axis) for a, b in windows]
            x = torch.cat(parts, axis)
        return x

    return of


@torch_kernel(pooling.AdaptiveMaxPoolOp)
def adaptive_max_pool(
    op: pooling.AdaptiveMaxPoolOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    return _adaptive(op, lambda x, axis: x.amax(axis, keepdim=True)), operands[
        0
    ].numbers


@torch_kernel(pooling.AdaptiveAvgPoolOp)
def adaptive_avg_pool(
    op: pooling.AdaptiveAvgPoolOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    sizes = shape_of(op.input)[-len(op.output_size) :]
    counts = np.ones((), dtype=np.int64)
    for size, count in zip(sizes, ints(op.output_size), strict=True):
        along = [b - a for a, b in adaptive_bounds(size, count)]
        counts = np.multiply.outer(counts, np.array(along, dtype=np.int64))
    of = _adaptive(op, lambda x, axis: x.sum(axis, keepdim=True))
    return _means(op, operands[0], counts, of)


# ---- reductions ---------------------------------------------------------------------


@torch_kernel(pooling.ReduceOp)
def reduce(
    op: pooling.ReduceOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    axes = tuple(a + 1 for a in ints(op.axes))
    sizes, kind = shape_of(op.result), op.kind.data
    count = math.prod(shape_of(op.input)[a] for a in ints(op.axes))

    def total(x: Tensor) -> Tensor:
        # Torch takes no axes for all of them.
        result = x.sum(axes) if axes else x
        return result.reshape(x.shape[0], *sizes)

    if kind == "sum":
        return _sums(op, operands[0], count, total)
    if kind == "mean":
        return _means(op, operands[0], np.array(count), total)
    of = torch.amax if kind == "max" else torch.amin

    def extreme(x: Tensor) -> Tensor:
        result = of(x, axes) if axes else x
        return result.reshape(x.shape[0], *sizes)

    return extreme, operands[0].numbers


@torch_kernel(pooling.ArgmaxOp)
def argmax(
    op: pooling.ArgmaxOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    axis, sizes = op.axis.value.data + 1, shape_of(op.result)

    def run(x: Tensor) -> Tensor:
        # The first one of equals, and NaN counts as the largest, as in the interpreter.
        x = x.to(torch.int64) if x.dtype == torch.bool else x
        return torch.argmax(x, axis).reshape(x.shape[0], *sizes)

    return run, multiples_of(element_of(op.result))
