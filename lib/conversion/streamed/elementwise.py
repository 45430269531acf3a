"""Functions of single elements, of one channel or of two that are alike."""

from __future__ import annotations

from math import prod

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import elementwise, layers
from mase_opt.dialects.mase.base import MaseOp, is_constant, show
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.conversion.streamed.builder import (
    Nest,
    StreamBuilder,
    constant_codes,
    rom,
)
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.registry import streamed
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.streams.layout import BEYOND, Layout
from mase_opt.lib.streams.schedule import Affine


@streamed(
    elementwise.CastOp,
    elementwise.NegOp,
    elementwise.AbsOp,
    elementwise.ReluOp,
    elementwise.Relu6Op,
    elementwise.LeakyReluOp,
    layers.LookupOp,
    elementwise.AddOp,
    elementwise.SubOp,
    elementwise.MulOp,
    elementwise.DivOp,
    elementwise.MaximumOp,
    elementwise.MinimumOp,
)
def each(op: MaseOp, b: StreamBuilder) -> SSAValue:
    table = op.operands[1] if isinstance(op, layers.LookupOp) else None
    moving = [v for v in op.operands if v is not table and not is_constant(v)]
    shape = shape_of(op.result)
    whole = next((v for v in moving if shape_of(v) == shape), None)
    if whole is None:
        raise HardwareError(
            f"all of its operands are spread over the result of shape {show(shape)}: "
            "one of them must have that shape"
        )
    spread = any(shape_of(v) != shape for v in moving)
    arriving = b.shaped if spread else b.channel
    source = channel_of(arriving(whole)).layout
    nest = Nest()
    loops = [nest.add(f"dim{d}", source.grid[d]) for d in source.order]
    place = [nest.at(**{f"dim{d}": 1}) for d in range(len(source.shape))]
    inputs = [_alike(b, arriving(v, source.lanes), source) for v in moving]
    reads: list[list[Affine]] = []
    for channel in inputs:
        own = channel_of(channel).layout.shape
        last = place[len(place) - len(own) :]
        reads.append(
            [p if n > 1 else nest.at() for p, n in zip(last, own, strict=True)]
        )

    def body(*tiles: SSAValue) -> SSAValue:
        found = iter(tiles)
        operands = [
            next(found)
            if v in moving
            else ConstantOp.of(_held(v), element_of(v)).result
            if v is table
            else _tile(v, source, nest, loops, shape)
            for v in op.operands
        ]
        new = type(op).create(
            operands=operands,
            result_types=[TensorType(element_of(op.result), source.tile)],
            properties=dict(op.properties),
        )
        return new.results[0]

    return b.process(op, inputs, nest, reads, place, source, body)


def _alike(b: StreamBuilder, channel: SSAValue, target: Layout) -> SSAValue:
    """
    The channel in beats of `target`, whose shape its own one is spread to.

    Raises `HardwareError` if it is not.
    """
    own = channel_of(channel).layout.shape
    first = len(target.shape) - len(own)
    pairs = zip(own, target.shape[first:], strict=True) if first >= 0 else [(2, 1)]
    if any(n not in (1, size) for n, size in pairs):
        raise HardwareError(
            f"its operands arrive in the shapes {show(own)} and {show(target.shape)}"
        )
    axis = max(range(len(target.shape)), key=lambda d: target.tile[d], default=0)
    spread = axis < first or own[axis - first] == 1
    return convert(b, channel, 1 if spread else target.lanes, max(axis - first, 0))


def _held(value: SSAValue) -> np.ndarray[tuple[int, ...], np.dtype[np.generic]]:
    op = value.owner
    assert isinstance(op, ConstantOp)
    return op.array()


def _tile(
    value: SSAValue,
    layout: Layout,
    nest: Nest,
    loops: list[str],
    shape: tuple[int, ...],
) -> SSAValue:
    """The tiles of a constant, spread over the result; one if all are the same."""
    codes = constant_codes(value, "constant")
    flat = np.broadcast_to(codes, shape).reshape(-1)
    element = element_of(value)
    # Beyond the end, anything will do that is a code: the last one.
    words = flat[np.where(layout.indices == BEYOND, prod(shape) - 1, layout.indices)]
    type = TensorType(element, layout.tile)
    if (words == words[0]).all():
        return rom(nest, words[:1], [], type, "constant")
    return rom(nest, words, loops, type, "constant")
