"""Convolutions: the linear process on windows, read from the buffer of its input."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from math import prod

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, SSAValue

from mase_opt.dialects.mase import elementwise, layers
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.shape import ReshapeOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.analysis.blocks import is_block
from mase_opt.lib.conversion.streamed.builder import (
    Codes,
    Nest,
    StreamBuilder,
    Weights,
    accumulated,
    constant_codes,
    exactly,
    padded,
    parallelism,
    rom,
    summed,
    times_scale,
    weights_of,
    with_bias,
    zero_code,
)
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.registry import streamed
from mase_opt.lib.conversion.streamed.windows import (
    add_positions,
    add_taps,
    places_read,
    places_written,
)
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.streams.windows import Windows

Convolution = layers.ConvOp | layers.ConvTranspose2dOp


@streamed(layers.Conv1dOp, layers.Conv2dOp)
def conv(op: layers.ConvOp, b: StreamBuilder) -> SSAValue:
    groups = op.groups.value.data
    inputs = shape_of(op.input)[1]
    alone = groups > 1 and groups == inputs == shape_of(op.weight)[0]
    if alone and not is_block(op.input):
        return depthwise(op, b)
    weights = weights_of(op, 0)
    outputs, per_group, *kernel = weights.codes.shape
    shape = (groups, outputs // groups, per_group, 1, prod(kernel))
    weights = replace(weights, codes=weights.codes.reshape(shape))
    return convolution(op, b, weights, windows_of(op), fill(op))


def convolution(
    op: Convolution,
    b: StreamBuilder,
    weights: Weights,
    windows: Sequence[Windows],
    fill: int,
) -> SSAValue:
    """
    Sums of products of windows with weights `[groups, outputs, inputs, phases, taps]`.

    Phases and taps are those of all dimensions together.
    """
    groups, per_output, per_group, phases, number = weights.codes.shape
    given = parallelism(op) or (per_output, per_group)
    count, lanes = min(given[0], per_output), min(given[1], per_group)
    channel = convert(b, b.along(op.input, (1,), lanes), lanes, 1)
    source = channel_of(channel).layout
    lanes = source.lanes
    if groups > 1 and (per_group % lanes or per_output % count):
        raise HardwareError(
            f"a beat of {lanes} inputs or {count} outputs belongs to more than one of "
            f"{groups} groups: choose a parallelism that divides {per_output} outputs "
            f"and {per_group} inputs"
        )
    folds, beats = -(-per_output // count), -(-per_group // lanes)
    nest, places = positions(op, windows)
    group = nest.add("group", groups)
    output = nest.add("output", folds)
    taps = add_taps(nest, windows)
    inner = nest.add("input", beats)
    element = weights.element
    size = (groups, folds * count, per_group, phases, number)
    whole = padded(weights.codes, size)
    whole = padded(whole, (*size[:2], beats * lanes, *size[3:]), element)
    whole = whole.reshape(groups, folds, count, beats, lanes, phases, number)
    words = whole.transpose(0, 1, 5, 6, 3, 2, 4).reshape(-1, count, lanes)
    layout = b.natural(shape_of(op.result), count, 1)
    reads = [
        nest.at(batch=1),
        nest.at(**{group: beats, inner: 1}),
        *places_read(nest, windows),
    ]
    write = [nest.at(batch=1), nest.at(**{group: folds, output: 1})]
    write += places_written(nest, windows)
    name = op.layer.data if op.layer else "conv"

    def body(x: SSAValue) -> SSAValue:
        flat = ReshapeOp(x, (1, lanes))
        phase = [name for _, *names in places for name in names]
        loops = [group, output, *phase, *taps, inner]
        weight = weights.rom(nest, words, (groups, per_output), loops, f"{name}.weight")
        outputs = [group, output], folds, count
        total = summed(op, flat.result, weight, beats * number)
        if weights.scales is not None:
            scale = by_output(op, "scale", *weights.scales, nest, *outputs)
            total = times_scale(total, scale)
        return with_bias(op, total, bias(op, nest, *outputs))

    return b.process(op, [channel], nest, [reads], write, layout, body, [fill])


def depthwise(op: layers.ConvOp, b: StreamBuilder) -> SSAValue:
    """Each channel has a kernel of its own."""
    weights = weights_of(op, 0)
    channels, _, *kernel = weights.codes.shape
    wanted, _ = parallelism(op) or (channels, 1)
    channel = convert(b, b.along(op.input, (1,), wanted), wanted, 1)
    source = channel_of(channel).layout
    lanes, beats = source.lanes, source.grid[1]
    windows = windows_of(op)
    nest, _ = positions(op, windows)
    inner = nest.add("channel", beats)
    taps = add_taps(nest, windows)
    element = weights.element
    whole = padded(weights.codes.reshape(channels, -1), (beats * lanes, prod(kernel)))
    whole = whole.reshape(beats, lanes, -1)
    words = whole.transpose(0, 2, 1).reshape(-1, 1, lanes)
    layout = b.natural(shape_of(op.result), lanes, 1)
    reads = [nest.at(batch=1), nest.at(**{inner: 1}), *places_read(nest, windows)]
    write = [nest.at(batch=1), nest.at(**{inner: 1})]
    write += places_written(nest, windows)
    name = op.layer.data if op.layer else "conv"

    def body(x: SSAValue) -> SSAValue:
        flat = ReshapeOp(x, (1, lanes))
        type = TensorType(element, (1, lanes))
        weight = rom(nest, words, [inner, *taps], type, f"{name}.weight")
        part = exactly(elementwise.MulOp(flat, weight))
        total = accumulated(part, prod(kernel))
        outputs = [inner], beats, lanes
        if weights.scales is not None:
            scale = by_output(op, "scale", *weights.scales, nest, *outputs)
            total = times_scale(total, scale)
        return with_bias(op, total, bias(op, nest, *outputs))

    return b.process(op, [channel], nest, [reads], write, layout, body, [fill(op)])


def positions(
    op: Convolution, windows: Sequence[Windows]
) -> tuple[Nest, list[list[str]]]:
    """The loops over the places of the result; names of the spatial ones."""
    nest = Nest()
    batch, _, *sizes = shape_of(op.result)
    nest.add("batch", batch)
    return nest, add_positions(nest, windows, sizes)


def windows_of(op: layers.ConvOp) -> list[Windows]:
    """What each place of the result is made of."""
    return [
        Windows(-padding, stride, kernel, step=dilation)
        for kernel, stride, padding, dilation in zip(
            shape_of(op.weight)[2:],
            ints(op.strides),
            ints(op.padding),
            ints(op.dilation),
            strict=True,
        )
    ]


def fill(op: layers.ConvOp) -> int:
    """The code of what lies around the input."""
    return zero_code(element_of(op.input)) if any(ints(op.padding)) else 0


def bias(
    op: Convolution, nest: Nest, loops: list[str], folds: int, count: int
) -> SSAValue | None:
    """The biases of the outputs that are worked on."""
    if op.bias is None:
        return None
    codes, element = constant_codes(op.bias, "bias")
    return by_output(op, "bias", codes, element, nest, loops, folds, count)


def by_output(
    op: Convolution,
    what: str,
    codes: Codes,
    element: Attribute,
    nest: Nest,
    loops: list[str],
    folds: int,
    count: int,
) -> SSAValue:
    """A ROM of a code for each output, `count` at a time."""
    words = prod(nest.sizes[nest.names.index(loop)] for loop in loops)
    groups = words // folds
    # Groups of transposed convolutions have the same scales.
    codes = np.resize(codes, (groups, shape_of(op.result)[1] // groups))
    codes = padded(codes, (groups, folds * count))
    tile = TensorType(element, (1, count))
    name = f"{op.layer.data if op.layer else 'conv'}.{what}"
    return rom(nest, codes.reshape(words, 1, count), loops, tile, name)
