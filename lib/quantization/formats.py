"""Kinds of formats: which suit results, and where their parts lie in an operand."""

from __future__ import annotations

from dataclasses import replace

from xdsl.ir import Operation

from mase_opt.dialects.mase.layers import ConvTranspose2dOp, MatmulOp
from mase_opt.dialects.mase.normalization import AttentionOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.analysis.calibration import SPATIAL
from mase_opt.lib.formats import (
    Binary,
    Block,
    FormatSpec,
    Layout,
    Scaled,
    ScaledSpec,
    Spec,
    Ternary,
)
from mase_opt.lib.formats.catalog import element_of
from mase_opt.lib.formats.fixed import MAX_WIDTH

WIDE = 16
"""The least width of results of layers whose operands have few bits."""


def bits_of(spec: Spec | None) -> int:
    """The bits of an element; 0 where they are open."""
    match spec:
        case None:
            return 0
        case FormatSpec():
            return spec.width or 0
        case _:
            element = element_of(spec)
            return element.bits if element is not None else 0


def is_for_results(spec: Spec) -> bool:
    """
    Whether values of any shape can have the format, and keep what they say.

    Blocks and scales along an axis depend on where an element is, which reshapes
    change; binary and ternary numbers are factors.
    """
    match spec:
        case FormatSpec():
            return True
        case ScaledSpec():
            positional = spec.layout.axis is not None
        case _:
            positional = spec.positional
    return not positional and not isinstance(element_of(spec), Binary | Ternary)


def for_results(spec: Spec) -> Spec:
    """The format of results of layers whose operands have `spec`, without settings."""
    if is_for_results(spec):
        return spec
    if isinstance(spec, ScaledSpec | Scaled) and is_for_results(
        one := per_tensor(spec)
    ):
        return one
    return FormatSpec(width=min(MAX_WIDTH, max(WIDE, 2 * bits_of(spec))))


def per_tensor(spec: Spec) -> Spec:
    """`spec` with one scale, from calibration, instead of several."""
    match spec:
        case ScaledSpec():
            return replace(spec, layout=Layout())
        case Scaled() if spec.positional:
            return ScaledSpec(spec.element)
        case _:
            return spec


def for_operand(spec: Spec, op: Operation, index: int) -> Spec:
    """
    `spec` as operand `index` of `op` has it.

    Blocks with one size, and groups along the last dimension, lie along the one that
    is summed over; scales along dimension 0, along that of the results' channels.
    """
    spec = _along(spec, _summed(op, index, len(shape_of(op.operands[index]))))
    if isinstance(spec, ScaledSpec) and spec.layout == Layout(axis=0):
        match op:
            case ConvTranspose2dOp() if index == 1:
                return replace(spec, layout=Layout(axis=1))
            case MatmulOp() if index == 1:
                return replace(spec, layout=Layout(axis=-1))
            case _:
                pass
    return spec


def for_result(spec: Spec, op: Operation) -> Spec:
    """`spec` as the result of `op` has it: blocks along channels or last dimension."""
    return _along(spec, _channels(op, len(shape_of(op.results[0]))))


def _along(spec: Spec, axis: int) -> Spec:
    """`spec` with its blocks or groups along `axis`, counted from the end."""
    match spec:
        case Block(shape=(size,)):
            return replace(spec, shape=(size, *(1,) * (-1 - axis)))
        case ScaledSpec(layout=Layout(axis=-1, group=int() as group)):
            return replace(spec, layout=Layout(axis, group))
        case _:
            return spec


def _summed(op: Operation, index: int, rank: int) -> int:
    match op:
        case MatmulOp() if index == 1:
            return -2
        case AttentionOp() if index == 2:
            return -2
        case ConvTranspose2dOp() if index == 1:
            return -rank
        case _:
            return _channels(op, rank)


def _channels(op: Operation, rank: int) -> int:
    return 1 - rank if isinstance(op, SPATIAL) and rank > 2 else -1
