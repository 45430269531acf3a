"""Convolutions: the linear process on windows, read from the buffer of its input."""

from __future__ import annotations

from math import prod

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import elementwise, layers
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.shape import ReshapeOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.conversion.streamed.builder import (
    Codes,
    Nest,
    StreamBuilder,
    accumulated,
    constant_codes,
    exactly,
    padded,
    parallelism,
    rom,
    with_bias,
    zero_code,
)
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.registry import streamed
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.streams.schedule import Affine


@streamed(layers.Conv1dOp, layers.Conv2dOp)
def conv(op: layers.ConvOp, b: StreamBuilder) -> SSAValue:
    groups = op.groups.value.data
    inputs = shape_of(op.input)[1]
    if groups > 1 and groups == inputs == shape_of(op.weight)[0]:
        return depthwise(op, b)
    weights = constant_codes(op.weight, "weight")
    outputs, per_group, *kernel = weights.shape
    per_output = outputs // groups
    given = parallelism(op)
    count = min(given[0] if given else per_output, per_output)
    lanes = given[1] if given else (per_group if groups > 1 else None)
    if lanes is not None:
        lanes = min(lanes, per_group)
    channel = convert(b, b.shaped(op.input, lanes), lanes)
    source = channel_of(channel).layout
    lanes = source.lanes
    if groups > 1 and (per_group % lanes or per_output % count):
        raise HardwareError(
            f"a beat of {lanes} inputs or {count} outputs belongs to more than one of "
            f"{groups} groups: choose a parallelism that divides {per_output} outputs "
            f"and {per_group} inputs"
        )
    folds, beats = -(-per_output // count), -(-per_group // lanes)
    nest, spatial = positions(op)
    group = nest.add("group", groups)
    output = nest.add("output", folds)
    taps = [nest.add(f"tap{d}", k) for d, k in enumerate(kernel)]
    inner = nest.add("input", beats)
    element = element_of(op.weight)
    whole = weights.reshape(groups, per_output, per_group, -1)
    whole = padded(
        whole, (groups, folds * count, beats * lanes, prod(kernel)), element
    ).reshape(groups, folds, count, beats, lanes, -1)
    words = whole.transpose(0, 1, 5, 3, 2, 4).reshape(-1, count, lanes)
    layout = b.natural(shape_of(op.result), count)
    reads = [
        nest.at(batch=1),
        nest.at(**{group: beats, inner: 1}),
        *windows(op, nest, spatial),
    ]
    write = [nest.at(batch=1), nest.at(**{group: folds, output: 1})]
    write += [nest.at(**{name: 1}) for name in spatial]
    name = op.layer.data if op.layer else "conv"

    def body(x: SSAValue) -> SSAValue:
        flat = ReshapeOp(x, (1, lanes))
        type = TensorType(element, (count, lanes))
        loops = [group, output, *taps, inner]
        weight = rom(nest, words, loops, type, f"{name}.weight")
        part = exactly(layers.LinearOp(flat, weight))
        total = accumulated(part, beats * prod(kernel))
        return with_bias(op, total, bias(op, nest, [group, output], folds, count))

    return b.process(op, [channel], nest, [reads], write, layout, body, [fill(op)])


def depthwise(op: layers.ConvOp, b: StreamBuilder) -> SSAValue:
    """Each channel has a kernel of its own."""
    weights = constant_codes(op.weight, "weight")
    channels, _, *kernel = weights.shape
    given = parallelism(op)
    wanted = given[0] if given else None
    channel = convert(b, b.shaped(op.input, wanted), wanted)
    source = channel_of(channel).layout
    lanes, beats = source.lanes, source.grid[1]
    nest, spatial = positions(op)
    inner = nest.add("channel", beats)
    taps = [nest.add(f"tap{d}", k) for d, k in enumerate(kernel)]
    element = element_of(op.weight)
    whole = padded(
        weights.reshape(channels, -1), (beats * lanes, prod(kernel)), element
    ).reshape(beats, lanes, -1)
    words = whole.transpose(0, 2, 1).reshape(-1, 1, lanes)
    layout = b.natural(shape_of(op.result), lanes)
    reads = [nest.at(batch=1), nest.at(**{inner: 1}), *windows(op, nest, spatial)]
    write = [nest.at(batch=1), nest.at(**{inner: 1})]
    write += [nest.at(**{name: 1}) for name in spatial]
    name = op.layer.data if op.layer else "conv"

    def body(x: SSAValue) -> SSAValue:
        flat = ReshapeOp(x, (1, lanes))
        type = TensorType(element, (1, lanes))
        weight = rom(nest, words, [inner, *taps], type, f"{name}.weight")
        part = exactly(elementwise.MulOp(flat, weight))
        total = accumulated(part, prod(kernel))
        return with_bias(op, total, bias(op, nest, [inner], beats, lanes))

    return b.process(op, [channel], nest, [reads], write, layout, body, [fill(op)])


def positions(op: layers.ConvOp) -> tuple[Nest, list[str]]:
    """The loops over the places of the result, and the names of the spatial ones."""
    nest = Nest()
    batch, _, *sizes = shape_of(op.result)
    nest.add("batch", batch)
    return nest, [nest.add(f"position{d}", n) for d, n in enumerate(sizes)]


def windows(op: layers.ConvOp, nest: Nest, spatial: list[str]) -> list[Affine]:
    """Where the taps lie in the input."""
    rows = zip(
        spatial, ints(op.strides), ints(op.padding), ints(op.dilation), strict=True
    )
    return [
        nest.at(-padding, **{name: stride, f"tap{d}": dilation})
        for d, (name, stride, padding, dilation) in enumerate(rows)
    ]


def fill(op: layers.ConvOp) -> int:
    """The code of what lies around the input."""
    return zero_code(element_of(op.input)) if any(ints(op.padding)) else 0


def bias(
    op: layers.ConvOp, nest: Nest, loops: list[str], folds: int, count: int
) -> SSAValue | None:
    """The biases of the outputs that are worked on."""
    if op.bias is None:
        return None
    element = element_of(op.bias)
    codes: Codes = constant_codes(op.bias, "bias")
    words = prod(nest.sizes[nest.names.index(loop)] for loop in loops)
    groups = words // folds
    codes = padded(codes.reshape(groups, -1), (groups, folds * count), element)
    name = op.layer.data if op.layer else "conv"
    tile = TensorType(element, (1, count))
    return rom(nest, np.reshape(codes, (words, 1, count)), loops, tile, f"{name}.bias")
