"""
Casts of torch tensors, on any device, with a straight-through gradient.

The formats themselves compute, as for NumPy (see `Format.quantize`); here is what only
torch has. Import this module only where torch is wanted: it takes a second to load.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from mase_opt.lib.formats.format import Format
from mase_opt.lib.formats.rounding import Overflow, RoundingMode


def cast(
    values: Tensor,
    format: Format[Any],
    rounding: RoundingMode = RoundingMode.NEAREST_EVEN,
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
    return _Cast.apply(values, format, rounding, overflow)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


class _Cast(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        format: Format[Any],
        rounding: RoundingMode,
        overflow: Overflow,
    ) -> Tensor:
        exact = values
        if not format.exact_in_float32:
            exact = values.to(torch.float64)
        elif values.dtype not in (torch.float32, torch.float64):
            exact = values.to(torch.float32)
        if ctx.needs_input_grad[0]:
            low, high = format.reach(exact)
            ctx.save_for_backward((exact >= low) & (exact <= high))
        return format.quantize(exact, rounding, overflow).to(values.dtype)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (inside,) = ctx.saved_tensors
        return torch.where(inside, gradients[0], 0.0), None, None, None
