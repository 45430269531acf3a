"""Ops that only move elements: wiring in the top module."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from mase_opt.dialects.mase import shape
from mase_opt.dialects.mase.base import SameElementOp, ints
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.conversion.unrolled.registry import Wiring, wiring
from mase_opt.lib.formats.block import Block
from mase_opt.lib.formats.scaled import Scaled
from mase_opt.lib.hardware.block import block_indices
from mase_opt.lib.hardware.codec import (
    Wires,
    codes_of,
    format_of,
    len_of,
    scales_of,
)
from mase_opt.lib.hardware.number import HardwareError, not_constant
from mase_opt.lib.hardware.wire import constant

Index = NDArray[np.int64]


def _index(value: shape.SSAValue) -> Index:
    """The flat position of every element, shaped like `value`."""
    size = shape_of(value)
    return np.arange(int(np.prod(size))).reshape(size)


def _pick(wires: Wires, index: Index) -> Wires:
    return [wires[i] for i in index.ravel().tolist()]


def _move(
    op: shape.SliceOp | shape.PadOp, x: Wires, index: Index, added: Wires
) -> Wires:
    """
    The elements at `index`, with what their blocks share; behind the last is `added`.

    Blocks of nothing but that have the exponent of code 0.
    """
    count = len_of(op.input)
    format = format_of(element_of(op.result))
    result = _pick([*x[:count], *added], index)
    if not isinstance(format, Block):
        return result
    scales = [*x[count:], constant(0)]
    before = block_indices(format, shape_of(op.input)) + [-1] * len(added)
    after = block_indices(format, shape_of(op.result))
    places = zip(after, index.ravel().tolist(), strict=True)
    sources = {block: before[place] for block, place in places}
    return [*result, *(scales[sources[block]] for block in sorted(sources))]


def check_scales(op: SameElementOp, wiring: Wiring, operands: Sequence[Wires]) -> None:
    """
    Raises `HardwareError` if an element moves to where another scale holds.

    To know, the scales are moved as elements are.
    """
    format = format_of(element_of(op.result))
    if not isinstance(format, Scaled) or not format.positional:
        return
    scales = [
        scales_of(format, shape_of(value)) if op.moves(value) else wires
        for value, wires in zip(op.operands, operands, strict=True)
    ]
    moved = zip(
        wiring(op, *scales), scales_of(format, shape_of(op.result)), strict=True
    )
    if any(isinstance(old, Fraction) and old != new for old, new in moved):
        raise HardwareError(
            f"it moves elements of {format} to other scales: cast them to a format "
            "without scales of channels first"
        )


@wiring(shape.ConstantOp)
def constants(op: shape.ConstantOp) -> Wires:
    codes = op.codes().ravel()
    if op.scales is not None:
        codes = np.concatenate([codes.astype(np.int64), op.scales.array()])
    return [constant(int(v)) for v in codes.tolist()]


@wiring(shape.ReshapeOp)
def reshape(op: shape.ReshapeOp, x: Wires) -> Wires:
    return x


@wiring(shape.TransposeOp)
def transpose(op: shape.TransposeOp, x: Wires) -> Wires:
    return _pick(x, _index(op.input).transpose(ints(op.permutation)))


@wiring(shape.BroadcastOp)
def broadcast(op: shape.BroadcastOp, x: Wires) -> Wires:
    return _pick(x, np.broadcast_to(_index(op.input), shape_of(op.result)))


@wiring(shape.ConcatOp)
def concat(op: shape.ConcatOp, *parts: Wires) -> Wires:
    first, indices = 0, list[Index]()
    for value, part in zip(op.inputs, parts, strict=True):
        indices.append(_index(value) + first)
        first += len(part)
    joined = np.concatenate(indices, axis=op.axis.value.data)
    return _pick([w for part in parts for w in part], joined)


@wiring(shape.SliceOp)
def slice_(op: shape.SliceOp, x: Wires) -> Wires:
    spans = zip(ints(op.starts), ints(op.stops), ints(op.strides), strict=True)
    index = _index(op.input)[tuple(slice(*span) for span in spans)]
    return _move(op, x, index, [])


@wiring(shape.PadOp)
def pad(op: shape.PadOp, x: Wires) -> Wires:
    # Behind the elements, one wire for every place of the result: scales may differ.
    size, count = shape_of(op.result), len_of(op.input)
    margins = list(zip(ints(op.low), ints(op.high), strict=True))
    index = np.pad(_index(op.input), margins, constant_values=-1)
    index = np.where(index < 0, count + _index(op.result), index)
    format = format_of(element_of(op.result))
    format = format if isinstance(format, Scaled) else codes_of(op.result)
    codes = format.encode(np.full(size, op.value.value.data)).ravel().tolist()
    return _move(op, x, index, [constant(code) for code in codes])


@wiring(shape.GatherOp)
def gather(op: shape.GatherOp, x: Wires, indices: Wires) -> Wires:
    positions = [w.constant for w in indices]
    axis = op.axis.value.data
    size = shape_of(op.input)[axis]
    picked: list[int] = []
    for position in positions:
        if position is None:
            raise HardwareError(not_constant("index"))
        if not -size <= position < size:
            raise HardwareError(f"index {position} is outside of {size} elements")
        picked.append(position)
    where = np.array(picked, dtype=np.int64).reshape(shape_of(op.indices))
    return _pick(x, np.take(_index(op.input), where, axis=axis))
