"""Normalizations, softmax and attention: in floating point for every format."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from xdsl.dialects.builtin import i1

from mase_opt.dialects.mase import normalization
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.frontend.to_torch.arithmetic import Function, working_dtype
from mase_opt.frontend.to_torch.kernels.shape import same_rank
from mase_opt.frontend.to_torch.known import Known
from mase_opt.frontend.torch_kernels import torch_kernel
from mase_opt.lib.formats.multiples import Multiples


@torch_kernel(normalization.BatchNormOp)
def batch_norm(
    op: normalization.BatchNormOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    dtype = working_dtype(op.operands, None) or torch.float64
    eps = op.eps.value.data

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        # [S, N, C, …] against [S, 1, C, 1…]
        mean, variance, weight, bias = (
            p.to(dtype).reshape(p.shape[0], 1, p.shape[1], *(1,) * (x.ndim - 3))
            for p in parameters
        )
        scale = weight / torch.sqrt(variance + eps)
        return (x.to(dtype) - mean) * scale + bias

    return run, None


def _normalize(x: Tensor, axes: tuple[int, ...], eps: float) -> Tensor:
    centred = x - x.mean(axes, keepdim=True)
    variance = (centred * centred).mean(axes, keepdim=True)
    return centred / torch.sqrt(variance + eps)


def _affine(
    op: normalization.AffineNormOp,
    x: Tensor,
    parameters: tuple[Tensor, ...],
    trailing: int,
) -> Tensor:
    spread = iter(
        p.to(x.dtype).reshape(
            p.shape[0],
            *(1,) * (x.ndim - p.ndim - trailing),
            *p.shape[1:],
            *(1,) * trailing,
        )
        for p in parameters
    )
    if op.weight is not None:
        x = x * next(spread)
    if op.bias is not None:
        x = x + next(spread)
    return x


@torch_kernel(normalization.LayerNormOp)
def layer_norm(
    op: normalization.LayerNormOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    dtype = working_dtype(op.operands, None) or torch.float64
    axes, eps = tuple(range(-op.rank.value.data, 0)), op.eps.value.data

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        return _affine(op, _normalize(x.to(dtype), axes, eps), parameters, 0)

    return run, None


@torch_kernel(normalization.GroupNormOp)
def group_norm(
    op: normalization.GroupNormOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    dtype = working_dtype(op.operands, None) or torch.float64
    groups, eps = op.groups.value.data, op.eps.value.data
    trailing = len(shape_of(op.input)) - 2

    def run(x: Tensor, *parameters: Tensor) -> Tensor:
        split = x.to(dtype).reshape(*x.shape[:2], groups, -1)
        normal = _normalize(split, (3,), eps).reshape(x.shape)
        return _affine(op, normal, parameters, trailing)

    return run, None


def _exponentials(x: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """The terms of a softmax up to a common factor, and their sum."""
    top = x.amax(axis, keepdim=True)
    # A row that is masked out completely has no finite maximum.
    terms = torch.exp(x - torch.where(top == -torch.inf, 0, top))
    return terms, terms.sum(axis, keepdim=True)


@torch_kernel(normalization.SoftmaxOp)
def softmax(
    op: normalization.SoftmaxOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    dtype = working_dtype([op.input], None) or torch.float64
    axis = op.axis.value.data + 1

    def run(x: Tensor) -> Tensor:
        terms, total = _exponentials(x.to(dtype), axis)
        return terms / total

    return run, None


@torch_kernel(normalization.AttentionOp)
def attention(
    op: normalization.AttentionOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    values = [op.query, op.key, op.value]
    rank = max(len(shape_of(v)) for v in values)
    length, source = shape_of(op.query)[-2], shape_of(op.key)[-2]
    scale, causal = op.scale.value.data, bool(op.causal)
    masks_out = op.mask is not None and element_of(op.mask) == i1
    if op.mask is not None and not masks_out:
        values.append(op.mask)
    dtype = working_dtype(values, None) or torch.float64

    def run(*tensors: Tensor) -> Tensor:
        q, k, v, *mask = same_rank(tensors, rank)
        scores = torch.matmul(q.to(dtype), k.to(dtype).mT) * scale
        if mask and masks_out:
            scores = torch.where(mask[0], scores, -torch.inf)
        elif mask:
            scores = scores + mask[0].to(dtype)
        if causal:
            rows = torch.arange(length, device=q.device)[:, None]
            allowed = torch.arange(source, device=q.device) <= rows
            scores = torch.where(allowed, scores, -torch.inf)
        terms, total = _exponentials(scores, -1)
        # Where everything is masked out, the result is zero.
        weights = terms / torch.where(total == 0, 1, total)
        return torch.matmul(weights, v.to(dtype))

    return run, None
