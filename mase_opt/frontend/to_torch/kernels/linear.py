"""Layers that contract: linear, matmul, convolutions; and embedding."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn import functional
from xdsl.ir import Operation

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.types import shape_of
from mase_opt.frontend.to_torch.arithmetic import (
    Function,
    from_codes,
    replace,
    working_dtype,
    wraps_integers,
)
from mase_opt.frontend.to_torch.kernels.shape import same_rank, same_samples, take
from mase_opt.frontend.to_torch.known import Known, products
from mase_opt.frontend.torch_kernels import torch_kernel
from mase_opt.lib.formats.multiples import Multiples


def contract(
    op: Operation,
    product: Function,
    operands: Sequence[Known],
    sums: Multiples | None,
    *,
    convolution: bool = False,
) -> tuple[Function, Multiples | None]:
    """
    `product(x, weight, bias)`, exactly where its `sums` of products allow it.

    In float32 or float64 where all partial sums are exact, else in two halves in
    float64 that are added in `int64`, up to 62 bits. Beyond, and for formats that are
    not on a grid, in float64 all the same.
    """
    numbers = sums
    if len(operands) == 3 and sums is not None:
        bias = operands[2].numbers
        numbers = None if bias is None else sums + bias
    dtype = working_dtype(op.operands, numbers)
    if wraps_integers(op, dtype):

        def integers(*tensors: Tensor) -> Tensor:
            return product(*(t.to(torch.int64) for t in tensors))

        return integers, None
    if dtype is None and numbers is not None and numbers.fits_int64:
        return _by_halves(product, operands, numbers.frac), numbers
    wide = dtype or torch.float64
    relies = dtype == torch.float32 and numbers is not None

    def run(*tensors: Tensor) -> Tensor:
        dtype = wide
        if relies and not _float32_is_exact(tensors[0].device, convolution):
            dtype = torch.float64
        return product(*(t.to(dtype) for t in tensors))

    return run, numbers


def _float32_is_exact(device: torch.device, convolution: bool) -> bool:
    """
    Whether float32 products and sums are what they say.

    Not if torch may take shorter numbers instead; and on other devices than CPUs,
    convolutions in float32 may be transformed ones (Winograd), which round.
    """
    return _full_precision() and (device.type == "cpu" or not convolution)


@torch.compiler.assume_constant_result  # pyright: ignore[reportUnknownMemberType]
def _full_precision() -> bool:
    # Not traced by torch.compile: as it is when the module is compiled.
    return torch.get_float32_matmul_precision() == "highest"


def _by_halves(product: Function, operands: Sequence[Known], frac: int) -> Function:
    """
    Splits the wider side: with sums of 62 bits, those with a half have 53 at most.

    The sums of either part are exact in float64, and so are their codes in `int64`.
    """
    x, weight = operands[0].numbers, operands[1].numbers
    assert x is not None, "sums lie on a grid"
    assert weight is not None, "sums lie on a grid"
    wider = int(weight.magnitude > x.magnitude)
    split = (x, weight)[wider]
    unit = 2.0 ** ((split.magnitude.bit_length() + 1) // 2 - split.frac)
    scale = 2.0**frac

    def codes(values: Tensor) -> Tensor:
        return (values * scale).to(torch.int64)

    def exact(tensors: list[Tensor]) -> Tensor:
        x, weight, *bias = tensors
        high = torch.floor((x, weight)[wider] / unit) * unit
        low = (x, weight)[wider] - high
        parts = [(high, weight), (low, weight)]
        if wider:
            parts = [(x, high), (x, low)]
        total = codes(product(*parts[0])) + codes(product(*parts[1]))
        if bias:
            total = total + codes(product(torch.zeros_like(x), weight, *bias))
        return total

    def run(*tensors: Tensor) -> Tensor:
        wide = [t.to(torch.float64) for t in tensors]
        with torch.no_grad():
            result = from_codes(exact(wide), frac)
        if torch.is_grad_enabled() and any(t.requires_grad for t in wide):
            return replace(product(*wide), result)
        return result

    return run


@torch_kernel(layers.LinearOp)
def linear(
    op: layers.LinearOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        if weight.shape[0] == 1 and (bias is None or bias.shape[0] == 1):
            return functional.linear(x, weight[0], None if bias is None else bias[0])
        result = torch.matmul(x.reshape(x.shape[0], -1, x.shape[-1]), weight.mT)
        if bias is not None:
            result = result + bias[:, None]
        return result.reshape(result.shape[0], *x.shape[1:-1], weight.shape[1])

    features = shape_of(op.weight)[1]
    sums = products(*operands[:2], axes=(1,), terms=features)
    return contract(op, product, operands, sums)


@torch_kernel(layers.MatmulOp)
def matmul(
    op: layers.MatmulOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    rank = len(shape_of(op.result))

    def product(lhs: Tensor, rhs: Tensor) -> Tensor:
        lhs, rhs = same_rank([lhs, rhs], rank)
        return torch.matmul(lhs, rhs)

    terms = shape_of(op.rhs)[-2]
    axis = len(shape_of(op.rhs)) - 2
    sums = products(*operands, axes=(axis,), terms=terms)
    return contract(op, product, operands, sums)


def _folded(
    conv: Function,
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    groups: int,
) -> Tensor:
    """
    A convolution of `[S, N, C, …]`; `conv(x, weight, bias, groups)` takes `[N, C, …]`.

    Samples go into the batch, or into groups if each has weights of its own.
    """
    samples, batch = x.shape[:2]
    if weight.shape[0] == 1 and (bias is None or bias.shape[0] == 1):
        flat = x.reshape(samples * batch, *x.shape[2:])
        bias = None if bias is None else bias[0]
        result = conv(flat, weight[0], bias, groups)
        return result.reshape(samples, batch, *result.shape[1:])
    if bias is None:
        x, weight = same_samples([x, weight])
    else:
        x, weight, bias = same_samples([x, weight, bias])
        bias = bias.reshape(-1)
    samples = x.shape[0]
    flat = x.transpose(0, 1).reshape(batch, -1, *x.shape[3:])
    weights = weight.reshape(-1, *weight.shape[2:])
    result = conv(flat, weights, bias, samples * groups)
    result = result.reshape(batch, samples, -1, *result.shape[2:])
    return result.transpose(0, 1)


@torch_kernel(layers.Conv1dOp, layers.Conv2dOp)
def conv(
    op: layers.ConvOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    of = functional.conv1d if op.SPATIAL == 1 else functional.conv2d
    strides, padding = ints(op.strides), ints(op.padding)
    dilation, groups = ints(op.dilation), op.groups.value.data

    def one(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        return of(x, weight, bias, strides, padding, dilation, groups)

    def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return _folded(one, x, weight, bias, groups)

    shape = shape_of(op.weight)
    axes = tuple(range(1, len(shape)))
    sums = products(*operands[:2], axes=axes, terms=math.prod(shape[1:]))
    return contract(op, product, operands, sums, convolution=True)


@torch_kernel(layers.ConvTranspose2dOp)
def conv_transpose(
    op: layers.ConvTranspose2dOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    strides, dilation = ints(op.strides), ints(op.dilation)
    groups = op.groups.value.data
    # Torch takes no output padding beyond the stride.
    margins = [
        n
        for p, o in zip(
            reversed(ints(op.padding)), reversed(ints(op.output_padding)), strict=True
        )
        for n in (-p, o - p)
    ]

    def one(x: Tensor, weight: Tensor, bias: Tensor | None, groups: int) -> Tensor:
        result = functional.conv_transpose2d(
            x, weight, None, strides, groups=groups, dilation=dilation
        )
        result = functional.pad(result, margins)
        return result if bias is None else result + bias[:, None, None]

    def product(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
        return _folded(one, x, weight, bias, groups)

    channels, per_group, *kernel_size = shape_of(op.weight)
    codes = operands[1].codes
    weight = operands[1]
    if codes is not None:
        # [groups, C / groups, O / groups, …]: all but groups and results are summed.
        codes = codes.reshape(groups, -1, per_group, *kernel_size)
        weight = Known(weight.numbers, codes)
    terms = channels // groups * math.prod(kernel_size)
    sums = products(operands[0], weight, axes=(1, 3, 4), terms=terms)
    return contract(op, product, operands, sums, convolution=True)


@torch_kernel(layers.EmbeddingOp)
def embedding(
    op: layers.EmbeddingOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    def run(weight: Tensor, indices: Tensor) -> Tensor:
        return take(weight, indices.to(torch.int64), 0)

    return run, operands[0].numbers
