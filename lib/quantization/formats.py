"""Kinds of formats: which suit results, and where their parts lie in an operand."""

from __future__ import annotations

from dataclasses import replace

from mase_opt.dialects.mase.base import MaseOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.formats import (
    Block,
    FormatSpec,
    Scaled,
    ScaledSpec,
    ScaleLayout,
    Spec,
)
from mase_opt.lib.formats.catalog import element_format
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
            element = element_format(spec)
            return element.bits if element is not None else 0


def for_results(spec: Spec) -> Spec:
    """The format of results of layers whose operands have `spec`, without settings."""
    if spec.for_results:
        return spec
    if (one := per_tensor(spec)).for_results:
        return one
    return FormatSpec(width=min(MAX_WIDTH, max(WIDE, 2 * bits_of(spec))))


def per_tensor(spec: Spec) -> Spec:
    """`spec` with one scale, from calibration, instead of several."""
    match spec:
        case ScaledSpec():
            return replace(spec, layout=ScaleLayout())
        case Scaled() if spec.positional:
            return ScaledSpec(spec.element)
        case _:
            return spec


def for_operand(spec: Spec, op: MaseOp, index: int) -> Spec:
    """
    `spec` as operand `index` of `op` has it.

    Blocks with one size, and groups along the last dimension, lie along the one that
    is summed over; scales along dimension 0, along that of the results' channels.
    """
    spec = _along(spec, op.summed_axis(index))
    if isinstance(spec, ScaledSpec) and spec.layout == ScaleLayout(axis=0):
        return replace(spec, layout=ScaleLayout(axis=op.output_axis(index)))
    return spec


def for_result(spec: Spec, op: MaseOp) -> Spec:
    """`spec` as the result of `op` has it: blocks along channels or last dimension."""
    return _along(spec, op.channel_axis(len(shape_of(op.result))))


def _along(spec: Spec, axis: int) -> Spec:
    """`spec` with its blocks or groups along `axis`, counted from the end."""
    match spec:
        case Block(shape=(size,)):
            return replace(spec, shape=(size, *(1,) * (-1 - axis)))
        case ScaledSpec(layout=ScaleLayout(axis=-1, group=int() as group)):
            return replace(spec, layout=ScaleLayout(axis, group))
        case _:
            return spec
