"""
Scales that training learns: the step sizes of LSQ (Esser et al., 2020).

The cast to a scaled format is scale · element(value / scale). Its gradient passes the
rounding of elements straight through, so that a scale gets what rounding and saturation
cost; multiplied by 1 / √(count · highest element), as in LSQ, weights and their scale
move at about the same relative speed.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.base import ArithmeticOp, MaseOp, SameElementOp, rounding_of
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import ElementType, element_of
from mase_opt.lib.formats.parts import Parts
from mase_opt.lib.formats.rounding import Overflow
from mase_opt.lib.formats.scaled import Scaled
from mase_opt.lib.model_function import layer_of

SMALLEST = float(np.finfo(np.float32).tiny)


class LearnedScale(nn.Module):
    """The scales of a scaled format as a parameter, in their own shape."""

    scale: nn.Parameter

    def __init__(self, format: Scaled):
        super().__init__()
        self._initial = format
        self.scale = nn.Parameter(torch.tensor(format.scales, dtype=torch.float32))

    def format(self) -> Scaled:
        """The format with the scales as they are now."""
        scales = self.scale.detach().clamp_min(SMALLEST).cpu().numpy()
        initial = self._initial
        return Scaled(
            initial.element, scales, initial.layout, zero_point=initial.zero_point
        )

    def cast(self, values: Tensor, format: Scaled, rounding: RoundingAttr) -> Tensor:
        """
        `values`, with an axis for samples in front, in the learned format.

        `format` is that of the cast: with its threshold, but not its scales.
        """
        parts = format.layout.parts(tuple(values.shape[1:]))
        scale = self.scale.clamp_min(SMALLEST).to(torch.float64)
        spread = parts.spread(scale.reshape(parts.grid))
        return _Cast.apply(values.to(torch.float64), spread, format, parts, rounding)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


class _Cast(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any,
        values: Tensor,
        scale: Tensor,
        format: Scaled,
        parts: Parts,
        rounding: RoundingAttr,
    ) -> Tensor:
        def elements(values: Tensor) -> Tensor:
            mode, overflow = rounding.mode, rounding.overflow
            return format.elements(values, scale, parts, mode, overflow)

        if not format.element.per_sample:
            rounded = elements(values)
        elif rounding.overflow is Overflow.ERROR and len(values):
            # What decides whether to raise has no batched form.
            rounded = torch.stack([elements(sample) for sample in values])
        else:
            rounded = torch.vmap(elements)(values)
        rounded = rounded - format.offset
        ctx.save_for_backward(values, scale, rounded)
        ctx.format, ctx.parts = format, parts
        return rounded * scale

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        values, scale, rounded = ctx.saved_tensors
        element, offset = ctx.format.element, ctx.format.offset
        quotient = values / scale
        inside = (quotient >= element.min_value - offset) & (
            quotient <= element.max_value - offset
        )
        count = math.prod(ctx.parts.shape) / math.prod(ctx.parts.grid)
        step = 1 / math.sqrt(max(count, 1) * element.max_value)
        of_scale = gradient * (rounded - torch.where(inside, quotient, 0.0)) * step
        of_values = torch.where(inside, gradient, 0.0)
        return of_values, of_scale.sum_to_size(scale.shape), None, None, None


def learned_rounding(op: MaseOp, learned: LearnedScale) -> Callable[..., Tensor]:
    """The rounding of the exact result of `op` into the learned format."""
    format = op.result_format
    assert isinstance(format, Scaled)
    return partial(learned.cast, format=format, rounding=rounding_of(op))


def scaled_format(value: SSAValue) -> Scaled | None:
    """The format of a value if it is scaled."""
    element = element_of(value)
    if isinstance(element, ElementType) and isinstance(element.format, Scaled):
        return element.format
    return None


def learnable_scales(
    function: FuncOp,
) -> dict[str, tuple[Scaled, list[SSAValue]]]:
    """
    Formats whose scales can be learned, and the values that have them, by a name.

    Elements that are moved keep their scale, so that what they are moved between shares
    it: not learned if that includes an argument or a constant.
    """
    groups: dict[SSAValue, list[SSAValue]] = {a: [a] for a in function.args}
    fixed: set[SSAValue] = set(function.args)
    for op in function.body.block.ops:
        for result in op.results:
            groups[result] = [result]
            if not isinstance(op, ArithmeticOp | SameElementOp):
                fixed.add(result)
            if isinstance(op, SameElementOp):
                for operand in filter(op.moves, op.operands):
                    if groups[operand] is not groups[result]:
                        groups[operand] += groups[result]
                        groups |= dict.fromkeys(groups[result], groups[operand])
    named: dict[str, tuple[Scaled, list[SSAValue]]] = {}
    for value, group in groups.items():
        format = scaled_format(value)
        if value is not group[0] or format is None or not fixed.isdisjoint(group):
            continue
        name = base = re.sub(r"\W", "_", _name(value))
        count = 1
        while name in named:
            count += 1
            name = f"{base}_{count}"
        named[name] = format, group
    return named


def _name(value: SSAValue) -> str:
    """The label of the constant that is cast, else the layer, else the op."""
    op = value.owner
    assert isinstance(op, Operation)
    if isinstance(op, CastOp) and isinstance(op.input.owner, ConstantOp):
        return op.input.owner.value.label
    return layer_of(op) or op.name.removeprefix("mase.")
