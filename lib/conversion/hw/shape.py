"""Ops that only move elements: wiring in the top module."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mase_opt.dialects.mase import shape
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.hw.codec import Wires, codes_of
from mase_opt.lib.conversion.hw.number import HardwareError
from mase_opt.lib.conversion.hw.registry import wiring
from mase_opt.lib.conversion.hw.wire import constant

Index = NDArray[np.int64]


def _index(value: shape.SSAValue) -> Index:
    """The flat position of every element, shaped like `value`."""
    size = shape_of(value)
    return np.arange(int(np.prod(size))).reshape(size)


def _pick(wires: Wires, index: Index) -> Wires:
    return [wires[i] for i in index.ravel().tolist()]


@wiring(shape.ConstantOp)
def constants(op: shape.ConstantOp) -> Wires:
    return [constant(int(v)) for v in op.codes().ravel().tolist()]


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
    return _pick(x, _index(op.input)[tuple(slice(*span) for span in spans)])


@wiring(shape.PadOp)
def pad(op: shape.PadOp, x: Wires) -> Wires:
    # One wire more, at the end, for what is added.
    margins = list(zip(ints(op.low), ints(op.high), strict=True))
    index = np.pad(_index(op.input), margins, constant_values=len(x))
    code = codes_of(op.result).encode(np.array(op.value.value.data)).item()
    return _pick([*x, constant(int(code))], index)


@wiring(shape.GatherOp)
def gather(op: shape.GatherOp, x: Wires, indices: Wires) -> Wires:
    positions = [w.constant for w in indices]
    axis = op.axis.value.data
    size = shape_of(op.input)[axis]
    picked: list[int] = []
    for position in positions:
        if position is None:
            raise HardwareError(
                "the indices are not constant: only constant ones are wiring"
            )
        if not -size <= position < size:
            raise HardwareError(f"index {position} is outside of {size} elements")
        picked.append(position)
    where = np.array(picked, dtype=np.int64).reshape(shape_of(op.indices))
    return _pick(x, np.take(_index(op.input), where, axis=axis))
