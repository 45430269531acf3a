"""
Formats of single elements that training learns, and what their adders cost.

Fractions are real numbers, rounded to use them. Rounding passes gradients straight
through; the fraction of an element gets ln 2 times what rounding took away, the slope
of a line through what it would be with one bit more. So a fraction falls for as long as
its bits earn less than they cost, until nothing is left of the element.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from xdsl.ir import SSAValue

from mase_opt.dialects.mase.base import MaseOp, SameElementOp
from mase_opt.dialects.mase.cast_elements import CastElementsOp
from mase_opt.dialects.mase.elementwise import ReluOp
from mase_opt.dialects.mase.layers import ContractionOp
from mase_opt.dialects.mase.pooling import AdaptiveMaxPoolOp, MaxPoolOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.frontend.to_torch.arithmetic import Function
from mase_opt.frontend.to_torch.known import Known
from mase_opt.frontend.torch_kernels import TORCH_KERNELS
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.rounding import RoundingMode, round_real

if TYPE_CHECKING:
    from mase_opt.frontend.to_torch import MaseModule

MOST_DIGITS = 16
"""Of codes whose digits are counted."""
LEAST, MOST = -16.0, 16.0
"""Between which fractions stay."""
FORGETTING = 0.99
"""What is left of the range that has been seen, from a step of training to the next."""


class LearnedElements(nn.Module):
    """The fractions of a `mase.cast_elements` as a parameter, and what it has seen."""

    frac: nn.Parameter
    low: Tensor
    """The lowest number that each format was to hold, or zero, `[*grid]`."""
    high: Tensor
    codes: Tensor
    """Of a constant, the magnitudes of the last codes, `[1, *shape]`."""

    def __init__(self, op: CastElementsOp):
        super().__init__()
        elements = op.elements
        self.frac = nn.Parameter(torch.tensor(elements.fracs, dtype=torch.float32))
        self.signed = elements.container.signed
        self.mode = op.rounding.mode
        self.constant = isinstance(op.input.owner, ConstantOp)
        self.forget()

    def forget(self) -> None:
        """Start over with what is seen."""
        for name in ("low", "high"):
            self.register_buffer(name, torch.zeros_like(self.frac.detach()))

    def forward(self, values: Tensor) -> Tensor:
        """`values`, with an axis for samples in front, rounded."""
        scale = torch.exp2(self.whole_frac())
        rounded = _Round.apply(values, self.frac, scale, self.mode)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
        assert isinstance(rounded, Tensor)
        if not self.signed:
            rounded = torch.relu(rounded)
        if self.constant:
            self.codes = (rounded.detach() * scale).abs_()
        else:
            self._see(rounded.detach())
        return rounded

    def _see(self, values: Tensor) -> None:
        """Widen the range, over all that share a format."""
        grid = (1,) * (values.dim() - self.frac.dim()) + tuple(self.frac.shape)
        axes = [i for i, n in enumerate(grid) if n == 1]
        low, high = (
            of(values, dim=axes).reshape(self.frac.shape).float()
            for of in (torch.amin, torch.amax)
        )
        keep = FORGETTING if self.training else 1.0
        self.low = torch.minimum(keep * self.low, low)
        self.high = torch.maximum(keep * self.high, high)

    def whole_frac(self) -> Tensor:
        """The fractions as integers."""
        return torch.round(self.frac.detach()).clamp_(LEAST, MOST)

    def bits(self) -> Tensor:
        """How wide each element is, `[*grid]`; 0 where it has seen nothing but zero."""
        above = torch.maximum(self.high, -self.low)
        _, whole = torch.frexp(above)
        bits = whole + (self.low < 0) + self.whole_frac()
        bits = torch.where(above > 0, bits, 0.0).clamp_min_(0)
        return _Slope.apply(self.frac, bits, 1.0)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    def digits(self) -> Tensor:
        """
        The non-zero signed digits of each code, with half a digit a bit as gradient.
        """
        codes = self.codes[0].clamp_max((1 << MOST_DIGITS) - 1)
        count = _counts().to(codes.device)[codes.long()]
        return _Slope.apply(self.frac, count, 0.5)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]

    def formats(
        self, values: Tensor | None
    ) -> tuple[NDArray[Any], NDArray[Any], Fixed]:
        """
        Widths, fractions and a container that has all of them.

        Of a constant of `values`, or of what has been seen. Widths are 0 where that is
        nothing but zero.
        """
        low, high = self.low, self.high
        frac = self.whole_frac()
        if values is not None:
            rounded = round_real(values.detach() * torch.exp2(frac), self.mode)
            low, high = rounded.clamp_max(0), rounded.clamp_min(0)
        else:
            low, high = low * torch.exp2(frac), high * torch.exp2(frac)
        fracs = frac.cpu().numpy().astype(np.int64)
        least, most = (np.rint(t.cpu().numpy()).astype(np.int64) for t in (low, high))
        widths = _bit_length(np.maximum(most, -least - 1))
        kept = (least < 0) | (most > 0)
        widths = np.where(kept, np.maximum(widths + self.signed, 1), 0)
        place = int(fracs[kept].max(initial=0)) if kept.any() else 0
        whole = int((widths - fracs)[kept].max(initial=1 - place))
        return widths, fracs, Fixed(max(whole + place, 1), place, self.signed)


class AdderCost:
    """
    What the constant layers of a module with learned elements cost, about.

    The sum of a bit more than each element has, times the non-zero digits of what it is
    multiplied with. It is differentiable, and follows what the last batch has shown.
    """

    def __init__(self, module: MaseModule):
        self._module = module
        self._steps: list[tuple[MaseOp, Function]] = []
        for op in module.ir.walk():
            if isinstance(op, _MOVES | ContractionOp):
                run, _ = TORCH_KERNELS[type(op)](op, [Known(None)] * len(op.operands))
                self._steps.append((op, run))

    def __call__(self) -> Tensor:
        digits = {
            value: learned.digits()[None]
            for value, learned in self._module.elements.items()
            if learned.constant
        }
        return self._total(digits)

    def prices(self) -> dict[SSAValue, Tensor]:
        """What a digit of each number of a constant costs, `[1, *shape]`."""
        none = {
            value: torch.zeros(1, *shape_of(value), requires_grad=True)
            for value, learned in self._module.elements.items()
            if learned.constant
        }
        with torch.enable_grad():
            prices = torch.autograd.grad(
                self._total(none), list(none.values()), materialize_grads=True
            )
        return dict(zip(none, prices, strict=True))

    def _total(self, digits: dict[SSAValue, Tensor]) -> Tensor:
        bits: dict[SSAValue, Tensor] = {}
        total = torch.zeros(())
        for value, learned in self._module.elements.items():
            if not learned.constant:
                bits[value] = learned.bits().expand(shape_of(value))[None]
        for op, run in self._steps:
            if not isinstance(op, ContractionOp):
                if all(v in bits for v in op.operands):
                    bits[op.result] = run(*(bits[v] for v in op.operands))
                continue
            data, weight, *bias = op.operands
            if data not in bits or not all(v in digits for v in (weight, *bias)):
                continue
            wide = bits[data] + bits[data].clamp_max(1.0)
            # Of the bias, digits are only counted.
            total = total + run(wide, *(digits[v] for v in (weight, *bias))).sum()
        return total


def master(module: MaseModule, value: SSAValue) -> Tensor | None:
    """The numbers of the constant that `value`, with learned formats, is cast from."""
    op = value.owner
    if not isinstance(op, CastElementsOp) or value not in module.elements:
        return None
    tensors = {**dict(module.named_parameters()), **dict(module.named_buffers())}
    for name, constant in module.constants.items():
        if constant.result is op.input:
            return tensors[name]
    return None


_MOVES = SameElementOp | MaxPoolOp | AdaptiveMaxPoolOp | ReluOp


def _bit_length(numbers: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of numbers that are not negative."""
    return np.frexp(numbers.astype(np.float64))[1].astype(np.int64)


def _counts() -> Tensor:
    """The non-zero digits of the canonical signed-digit form of each magnitude."""
    global _table
    if _table is None:
        numbers = np.arange(1 << MOST_DIGITS)
        bits = (3 * numbers ^ numbers)[:, None] >> np.arange(MOST_DIGITS + 2) & 1
        _table = torch.tensor(bits.sum(axis=1), dtype=torch.float32)
    return _table


_table: Tensor | None = None


class _Round(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, values: Tensor, frac: Tensor, scale: Tensor, mode: RoundingMode
    ) -> Tensor:
        rounded = round_real(values * scale, mode) / scale
        lost = values - rounded
        if mode is RoundingMode.FLOOR:
            # Half a step is lost on average, which biases make up for.
            lost = lost - 0.5 / scale
        ctx.save_for_backward(lost)
        ctx.grid = frac.shape
        return rounded

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (gradient,) = gradients
        (lost,) = ctx.saved_tensors
        of_frac = (gradient * lost).sum_to_size(ctx.grid) * math.log(2)
        return gradient, of_frac, None, None


class _Slope(torch.autograd.Function):
    """`values`, which rise with `frac` by `slope` where they are not zero."""

    @staticmethod
    def forward(ctx: Any, frac: Tensor, values: Tensor, slope: float) -> Tensor:
        ctx.save_for_backward(values > 0)
        ctx.slope = slope
        return values.clone()

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor | None, ...]:
        (positive,) = ctx.saved_tensors
        return gradients[0] * positive * ctx.slope, None, None
