"""Constants are no kernels; here are lookups and what only moves elements."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from mase_opt.dialects.mase import layers, shape
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.types import FixedPoint, element_of, shape_of
from mase_opt.frontend.to_torch.arithmetic import Function
from mase_opt.frontend.to_torch.known import Known
from mase_opt.frontend.torch_kernels import torch_kernel
from mase_opt.lib.formats.multiples import Multiples


def same_rank(tensors: Sequence[Tensor], rank: int) -> list[Tensor]:
    """Insert dimensions behind the sample axis so that broadcasting aligns."""
    return [
        t.reshape(t.shape[0], *(1,) * (rank + 1 - t.ndim), *t.shape[1:])
        if t.ndim <= rank
        else t
        for t in tensors
    ]


def same_samples(tensors: Sequence[Tensor]) -> list[Tensor]:
    """Repeat what is the same for all samples."""
    samples = next((t.shape[0] for t in tensors if t.shape[0] != 1), 1)
    return [t.expand(samples, *t.shape[1:]) if t.shape[0] == 1 else t for t in tensors]


def take(values: Tensor, indices: Tensor, axis: int) -> Tensor:
    """
    Slices of each sample along `axis` at `indices`; one side may be shared by all.

    Indices outside the axis are an error on CPU, and undefined on other devices.
    """
    if indices.shape[0] == 1:
        flat = values.index_select(axis + 1, indices.reshape(-1))
        return flat.reshape(
            *values.shape[: axis + 1], *indices.shape[1:], *values.shape[axis + 2 :]
        )
    if values.shape[0] == 1:
        flat = values[0].index_select(axis, indices.reshape(-1))
        flat = flat.reshape(
            *values.shape[1 : axis + 1], *indices.shape, *values.shape[axis + 2 :]
        )
        return flat.movedim(axis, 0)
    moved = values.movedim(axis + 1, 1)
    samples, size = moved.shape[:2]
    starts = torch.arange(samples, device=values.device) * size
    rows = moved.reshape(samples * size, *moved.shape[2:])
    flat = indices.reshape(samples, -1) + starts[:, None]
    result = rows.index_select(0, flat.reshape(-1))
    result = result.reshape(*indices.shape, *moved.shape[2:])
    before = tuple(range(indices.ndim, indices.ndim + axis))
    return result.movedim(before, tuple(range(1, axis + 1)))


@torch_kernel(layers.LookupOp)
def lookup(
    op: layers.LookupOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    element = element_of(op.input)
    assert isinstance(element, FixedPoint), "verified"
    scale, mask = 2.0**element.frac.data, (1 << element.width.data) - 1

    def run(x: Tensor, table: Tensor) -> Tensor:
        # Codes read as unsigned.
        codes = (x * scale).to(torch.int64) & mask
        return take(table, codes, 0)

    return run, operands[1].numbers


@torch_kernel(shape.ReshapeOp)
def reshape(
    op: shape.ReshapeOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    sizes = shape_of(op.result)

    def run(x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *sizes)

    return run, operands[0].numbers


@torch_kernel(shape.TransposeOp)
def transpose(
    op: shape.TransposeOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    order = (0, *(p + 1 for p in ints(op.permutation)))

    def run(x: Tensor) -> Tensor:
        return x.permute(order)

    return run, operands[0].numbers


@torch_kernel(shape.BroadcastOp)
def broadcast(
    op: shape.BroadcastOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    sizes = shape_of(op.result)

    def run(x: Tensor) -> Tensor:
        (x,) = same_rank([x], len(sizes))
        return x.expand(x.shape[0], *sizes)

    return run, operands[0].numbers


@torch_kernel(shape.ConcatOp)
def concat(
    op: shape.ConcatOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    axis = op.axis.value.data + 1

    def run(*tensors: Tensor) -> Tensor:
        return torch.cat(same_samples(tensors), axis)

    return run, _all(operands)


def _all(operands: Sequence[Known]) -> Multiples | None:
    """Where the numbers of all of `operands` lie."""
    total: Multiples | None = None
    for known in operands:
        if known.numbers is None:
            return None
        total = known.numbers if total is None else total | known.numbers
    return total


@torch_kernel(shape.SliceOp)
def slice_(
    op: shape.SliceOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    spans = zip(ints(op.starts), ints(op.stops), ints(op.strides), strict=True)
    index = (slice(None), *(slice(*span) for span in spans))

    def run(x: Tensor) -> Tensor:
        return x[index]

    return run, operands[0].numbers


@torch_kernel(shape.PadOp)
def pad(
    op: shape.PadOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    pairs = zip(reversed(ints(op.low)), reversed(ints(op.high)), strict=True)
    margins = [n for pair in pairs for n in pair]
    value: Any = op.value.value.data

    def run(x: Tensor) -> Tensor:
        number = value if x.is_floating_point() else int(value)
        return functional.pad(x, margins, value=number)

    # The padding is a value of the result type.
    return run, None


@torch_kernel(shape.GatherOp)
def gather(
    op: shape.GatherOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    axis = op.axis.value.data
    size = shape_of(op.input)[axis]

    def run(x: Tensor, indices: Tensor) -> Tensor:
        indices = indices.to(torch.int64)
        return take(x, torch.where(indices < 0, indices + size, indices), axis)

    return run, operands[0].numbers
