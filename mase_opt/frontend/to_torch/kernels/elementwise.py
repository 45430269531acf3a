"""Casts and elementwise ops."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor
from torch.nn import functional

from mase_opt.dialects.mase import elementwise
from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import UnaryOp
from mase_opt.dialects.mase.cast_elements import CastElementsOp
from mase_opt.dialects.mase.types import element_of, fixed_type, shape_of
from mase_opt.frontend.to_torch.arithmetic import (
    Function,
    add,
    carrier,
    divide,
    multiply,
    rounded_into,
    working_dtype,
    wraps_integers,
)
from mase_opt.frontend.to_torch.kernels.shape import same_rank
from mase_opt.frontend.to_torch.known import Known, multiples_of
from mase_opt.frontend.torch_kernels import torch_kernel
from mase_opt.lib.formats import Rounding, RoundingMode
from mase_opt.lib.formats.multiples import Multiples


@torch_kernel(elementwise.CastOp)
def cast(
    op: elementwise.CastOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    return _identity, operands[0].numbers


@torch_kernel(CastElementsOp)
def cast_elements(
    op: CastElementsOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    casts = [
        (rounded_into(fixed_type(format), None, op.rounding)[0], torch.as_tensor(where))
        for format, where in op.elements.formats
    ]
    dtype = carrier(element_of(op.result))

    def run(x: Tensor) -> Tensor:
        result = torch.zeros_like(x, dtype=dtype)
        for cast, where in casts:
            where = where.to(x.device)
            own = cast(torch.where(where, x, 0)).to(dtype)
            result = torch.where(where, own, result)
        return result

    return run, multiples_of(element_of(op.result))


# ---- functions of one element -------------------------------------------------------


def _gelu(x: Tensor, approximate: str) -> Tensor:
    if approximate == "tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x * x * x)
        return 0.5 * x * (1 + torch.tanh(inner))
    return 0.5 * x * (1 + torch.erf(x / math.sqrt(2)))


def _hard(x: Tensor) -> Tensor:
    return torch.clamp(x + 3, 0, 6)


def _softplus(x: Tensor) -> Tensor:
    return torch.clamp(x, min=0) + torch.log1p(torch.exp(-torch.abs(x)))


FUNCTIONS: dict[type[UnaryOp], Callable[[Tensor], Tensor]] = {
    elementwise.SigmoidOp: torch.sigmoid,
    elementwise.HardsigmoidOp: lambda x: _hard(x) / 6,
    elementwise.TanhOp: torch.tanh,
    elementwise.SiluOp: functional.silu,
    elementwise.HardswishOp: lambda x: x * _hard(x) / 6,
    elementwise.SoftplusOp: _softplus,
    elementwise.ExpOp: torch.exp,
    elementwise.LogOp: torch.log,
    elementwise.SqrtOp: torch.sqrt,
    elementwise.RsqrtOp: lambda x: 1 / torch.sqrt(x),
    elementwise.ReciprocalOp: lambda x: 1 / x,
    elementwise.ErfOp: torch.erf,
    elementwise.SinOp: torch.sin,
    elementwise.CosOp: torch.cos,
    elementwise.FloorOp: torch.floor,
}
"""Real functions, computed in float64 unless the input is a builtin float."""


@torch_kernel(*FUNCTIONS, elementwise.GeluOp, elementwise.EluOp)
def function(
    op: UnaryOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    match op:
        case elementwise.GeluOp():
            of = partial(_gelu, approximate=op.approximate.data)
        case elementwise.EluOp():
            of = partial(functional.elu, alpha=op.alpha.value.data)
        case _:
            of = FUNCTIONS[type(op)]
    dtype = working_dtype((op.input,), None) or torch.float64

    def run(x: Tensor) -> Tensor:
        return of(x.to(dtype))

    return run, None


@torch_kernel(
    elementwise.NegOp,
    elementwise.AbsOp,
    elementwise.ReluOp,
    elementwise.Relu6Op,
)
def piecewise_linear(
    op: UnaryOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    grid = operands[0].numbers
    match op:
        case elementwise.NegOp():
            return torch.neg, None if grid is None else -grid
        case elementwise.AbsOp():
            result = None if grid is None else abs(grid)
            return torch.abs, result
        case elementwise.ReluOp():
            result = None if grid is None else Multiples(grid.frac, 0, grid.high)
            if result == grid and grid is not None:
                return _identity, result
            return torch.relu, result
        case _:
            # With a negative fraction 6 may lie between two codes.
            result = None if grid is None else grid.at(max(grid.frac, 0))
            if result is not None:
                result = Multiples(result.frac, 0, min(result.high, 6 << result.frac))
            return partial(torch.clamp, min=0, max=6), result


def _identity(x: Tensor) -> Tensor:
    return x


@torch_kernel(elementwise.LeakyReluOp)
def leaky_relu(
    op: elementwise.LeakyReluOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    slope = op.negative_slope.value.data
    if is_float(element_of(op.input)):
        return partial(functional.leaky_relu, negative_slope=slope), None

    def run(x: Tensor) -> Tensor:
        x = x.to(torch.float64)
        return torch.where(x >= 0, x, multiply(x, torch.full_like(x, slope)))

    return run, None


# ---- functions of two or three elements ---------------------------------------------


@dataclass(frozen=True)
class Arithmetic:
    """A function of two numbers."""

    of: Function
    odd: Function
    """In float64, rounded to odd."""
    grid: Callable[[Multiples, Multiples], Multiples | None]
    """Where the result lies."""


def _subtract(a: Tensor, b: Tensor) -> Tensor:
    return add(a, -b)


def _nowhere(lhs: Multiples, rhs: Multiples) -> None:
    return None


def _either(lhs: Multiples, rhs: Multiples) -> Multiples:
    return lhs | rhs


ARITHMETIC: dict[type[elementwise.BinaryOp], Arithmetic] = {
    elementwise.AddOp: Arithmetic(torch.add, add, Multiples.__add__),
    elementwise.SubOp: Arithmetic(torch.sub, _subtract, lambda a, b: a + -b),
    elementwise.MulOp: Arithmetic(torch.mul, multiply, Multiples.__mul__),
    elementwise.DivOp: Arithmetic(torch.div, divide, _nowhere),
    elementwise.MaximumOp: Arithmetic(torch.maximum, torch.maximum, _either),
    elementwise.MinimumOp: Arithmetic(torch.minimum, torch.minimum, _either),
}


@torch_kernel(*ARITHMETIC)
def binary(
    op: elementwise.BinaryOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    rank, arithmetic = len(shape_of(op.result)), ARITHMETIC[type(op)]
    lhs, rhs = (known.numbers for known in operands)
    numbers = None
    if lhs is not None and rhs is not None:
        numbers = arithmetic.grid(lhs, rhs)
    dtype = working_dtype((op.lhs, op.rhs), numbers)
    of = arithmetic.odd if dtype is None else arithmetic.of
    wide = dtype or torch.float64
    if wraps_integers(op, dtype):
        of, wide, numbers = arithmetic.of, torch.int64, None
        if isinstance(op, elementwise.DivOp):
            of = partial(_divide_integers, mode=DIVISIONS[op.rounding.mode])

    def run(*tensors: Tensor) -> Tensor:
        a, b = same_rank(tensors, rank)
        return of(a.to(wide), b.to(wide))

    return run, numbers


DIVISIONS: dict[Rounding, str] = {
    RoundingMode.FLOOR: "floor",
    RoundingMode.ZERO: "trunc",
}


def _divide_integers(a: Tensor, b: Tensor, mode: str) -> Tensor:
    # The lowest number divided by -1 ends the process.
    opposite = b == -1
    quotient = torch.div(a, torch.where(opposite, 1, b), rounding_mode=mode)
    return torch.where(opposite, -a, quotient)


@torch_kernel(elementwise.PowOp)
def power(
    op: elementwise.PowOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    rank = len(shape_of(op.result))
    dtype = working_dtype((op.lhs, op.rhs), None) or torch.float64

    def run(*tensors: Tensor) -> Tensor:
        a, b = same_rank(tensors, rank)
        return torch.pow(a.to(dtype), b.to(dtype))

    return run, None


COMPARISONS: dict[str, Function] = {
    "eq": torch.eq,
    "ne": torch.ne,
    "lt": torch.lt,
    "le": torch.le,
    "gt": torch.gt,
    "ge": torch.ge,
}


@torch_kernel(elementwise.CompareOp)
def compare(
    op: elementwise.CompareOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    rank, of = len(shape_of(op.result)), COMPARISONS[op.predicate.data]

    def run(*tensors: Tensor) -> Tensor:
        a, b = same_rank(tensors, rank)
        if a.dtype != b.dtype:
            a, b = a.to(torch.float64), b.to(torch.float64)
        return of(a, b)

    return run, None


@torch_kernel(elementwise.SelectOp)
def select(
    op: elementwise.SelectOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    rank = len(shape_of(op.result))
    lhs, rhs = operands[1].numbers, operands[2].numbers

    def run(*tensors: Tensor) -> Tensor:
        condition, a, b = same_rank(tensors, rank)
        if a.dtype != b.dtype:
            a, b = a.to(torch.float64), b.to(torch.float64)
        return torch.where(condition, a, b)

    return run, None if lhs is None or rhs is None else lhs | rhs


@torch_kernel(elementwise.AndOp, elementwise.OrOp, elementwise.XorOp)
def bitwise(
    op: elementwise.BitwiseOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    rank = len(shape_of(op.result))
    match op:
        case elementwise.AndOp():
            of = torch.bitwise_and
        case elementwise.OrOp():
            of = torch.bitwise_or
        case _:
            of = torch.bitwise_xor

    def run(*tensors: Tensor) -> Tensor:
        return of(*same_rank(tensors, rank))

    return run, multiples_of(element_of(op.result))
