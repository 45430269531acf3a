"""Which elements of values results depend on: synthesis drops the others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects import func
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase import elementwise, pooling, shape
from mase_opt.dialects.mase.base import UnaryOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.conversion.unrolled.pool import adaptive_windows, windows
from mase_opt.lib.conversion.unrolled.registry import WIRINGS
from mase_opt.lib.conversion.unrolled.top import live_ops
from mase_opt.lib.formats.block import Block
from mase_opt.lib.hardware.codec import format_of

Mask = NDArray[np.bool_]


def live_elements(function: func.FuncOp) -> dict[SSAValue, Mask]:
    """
    Per value, flat, which of its elements are read for results.

    All that layers read which combine elements, but for pools, whose windows may leave
    some out.
    """
    live: dict[SSAValue, Mask] = {}
    for op in reversed(live_ops(function)):
        if isinstance(op, func.ReturnOp):
            read = [_all(v) for v in op.operands]
        else:
            read = _read(op, live[op.results[0]])
        for value, mask in zip(op.operands, read, strict=True):
            live[value] = live.get(value, False) | mask
    return live


def _all(value: SSAValue) -> Mask:
    return np.ones(prod(shape_of(value)), np.bool_)


def _read(op: Operation, live: Mask) -> Sequence[Mask]:
    """What `op` reads of each operand, given which of its results are live."""
    everything = [_all(v) for v in op.operands]
    values = (*op.operands, *op.results)
    if any(isinstance(format_of(element_of(v)), Block) for v in values):
        return everything
    match op:
        case pooling.PoolOp():
            return [_of_windows(op, windows(op), live)]
        case pooling.AdaptivePoolOp():
            return [_of_windows(op, adaptive_windows(op), live)]
        case shape.GatherOp() | shape.ConstantOp():
            return everything
        case _ if type(op) in WIRINGS:
            return _moved(op, live)
        case elementwise.BinaryOp() | elementwise.CompareOp() | elementwise.SelectOp():
            return [_spread(v, shape_of(op.result), live) for v in op.operands]
        case UnaryOp() if shape_of(op.input) == shape_of(op.result):
            return [live]
        case _:
            return everything


def _of_windows(op: UnaryOp, rows: list[list[int]], live: Mask) -> Mask:
    mask = np.zeros(prod(shape_of(op.input)), np.bool_)
    for row, is_live in zip(rows, live.tolist(), strict=True):
        if is_live:
            mask[[i for i in row if i >= 0]] = True
    return mask


def _spread(value: SSAValue, size: tuple[int, ...], live: Mask) -> Mask:
    """What is live of an operand that is broadcast to `size`."""
    index = np.arange(prod(shape_of(value))).reshape(shape_of(value))
    mask = np.zeros(index.size, np.bool_)
    mask[np.broadcast_to(index, size).ravel()[live]] = True
    return mask


@dataclass(frozen=True)
class _Place:
    """Where an element comes from."""

    operand: int
    index: int


def _moved(op: Operation, live: Mask) -> list[Mask]:
    """By where the places end up that stand for elements."""
    masks = [np.zeros(prod(shape_of(v)), np.bool_) for v in op.operands]
    places = [[_Place(k, i) for i in range(len(mask))] for k, mask in enumerate(masks)]
    result = WIRINGS[type(op)](op, *places)
    for source, is_live in zip(result, live.tolist(), strict=True):
        if is_live and isinstance(source, _Place):
            masks[source.operand][source.index] = True
    return masks
