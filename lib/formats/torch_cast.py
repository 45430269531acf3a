"""
Casts of torch tensors, on any device, with a straight-through gradient.

The formats themselves compute, as for NumPy (see `Format.quantize`); here is what only
torch has. Import this module only where torch is wanted: it takes a second to load.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor

from mase_opt.lib.formats.format import Format
from mase_opt.lib.formats.rounding import Overflow, Rounding, RoundingMode, for_samples


def cast(
    values: Tensor,
    format: Format[Any],
    rounding: Rounding = RoundingMode.NEAREST_EVEN,
    overflow: Overflow = Overflow.SATURATE,
    *,
    nan_to_zero: bool = False,
) -> Tensor:
    """
    `values` as `format` holds them, in their own dtype ("fake quantization").

    Equal to `format.cast` for all numbers, as far as the dtype has the result: float32
    is enough for elements of up to 24 bits. But NaN stays NaN in every format: looking
    for it would make devices wait. For the same reason, overflow `error` is slow.

    The gradient is passed on as it is where values are in range, and is zero where they
    saturate. Raises `FormatError` as `Format.quantize` does.
    """
    if nan_to_zero:
        values = torch.where(torch.isnan(values), 0.0, values)
    return _cast(values, format, rounding, overflow, samples=False)


def cast_samples(
    values: Tensor,
    format: Format[Any],
    rounding: Rounding = RoundingMode.NEAREST_EVEN,
    overflow: Overflow = Overflow.SATURATE,
) -> Tensor:
    """`cast` for each of the samples along the first axis."""
    rounding = for_samples(rounding, math.prod(values.shape[1:]))
    return _cast(values, format, rounding, overflow, samples=format.per_sample)


def _cast(
    values: Tensor,
    format: Format[Any],
    rounding: Rounding,
    overflow: Overflow,
    samples: bool,
) -> Tensor:
    if not (values.requires_grad and torch.is_grad_enabled()):
        return _quantize(values, format, rounding, overflow, samples)
    return _Cast.apply(values, format, rounding, overflow, samples)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


def _exact(values: Tensor, format: Format[Any]) -> Tensor:
    """`values` in a dtype that the format computes in exactly."""
    if not format.exact_in_float32:
        return values.to(torch.float64)
    if values.dtype not in (torch.float32, torch.float64):
        return values.to(torch.float32)
    return values


def _quantize(
    values: Tensor,
    format: Format[Any],
    rounding: Rounding,
    overflow: Overflow,
    samples: bool,
) -> Tensor:
    def quantize(values: Tensor) -> Tensor:
        return format.quantize(values, rounding, overflow)

    exact = _exact(values, format)
    if not samples:
        result = quantize(exact)
    elif overflow is Overflow.ERROR and len(exact):
        # What decides whether to raise has no batched form.
        result = torch.stack([quantize(sample) for sample in exact])
    else:
        result = torch.vmap(quantize)(exact)
    return result.to(values.dtype)


def _in_range(values: Tensor, format: Format[Any], samples: bool) -> Tensor:
    def in_range(values: Tensor) -> Tensor:
        low, high = format.reach(values)
        return (values >= low) & (values <= high)

    exact = _exact(values, format)
    return torch.vmap(in_range)(exact) if samples else in_range(exact)


class _Cast(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        format: Format[Any],
        rounding: Rounding,
        overflow: Overflow,
        samples: bool,
    ) -> Tensor:
        ctx.save_for_backward(_in_range(values, format, samples))
        return _quantize(values, format, rounding, overflow, samples)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (inside,) = ctx.saved_tensors
        return torch.where(inside, gradients[0], 0.0), None, None, None, None
