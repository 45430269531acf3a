"""Products with a constant matrix along a dimension of positions, as interpolation."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import elementwise, layers
from mase_opt.dialects.mase.base import is_constant, show
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.analysis.parallelism import channel_axis
from mase_opt.lib.conversion.streamed.builder import (
    Codes,
    StreamBuilder,
    accumulated,
    constant_codes,
    exactly,
    rom,
    zero_code,
)
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.processes import Nest, cast_to
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.streams.windows import Windows


def resample(op: layers.MatmulOp, b: StreamBuilder) -> SSAValue:
    """Only the places with weights that are not zero are read."""
    right = is_constant(op.rhs)
    moving, constant = (op.lhs, op.rhs) if right else (op.rhs, op.lhs)
    size = shape_of(op.result)
    rank = len(size)
    axis = rank - 1 if right else rank - 2
    codes = constant_codes(constant, "matrix")
    if codes.size != np.prod(codes.shape[-2:]) or len(shape_of(moving)) != rank:
        raise HardwareError(
            f"the constant has shape {show(codes.shape)}: only one matrix for all is "
            "multiplied by"
        )
    if axis == channel_axis(size):
        raise HardwareError(
            f"it multiplies a constant with the channels of {show(size)}: use "
            "mase.linear"
        )
    matrix = codes.reshape(codes.shape[-2:])
    element = element_of(constant)
    zero = zero_code(element)
    windows, weights = _bands(matrix if right else matrix.T, zero)
    channel = convert(b, b.shaped(moving), None)
    source = channel_of(channel).layout
    layout = b.natural(size, source.lanes)
    nest = Nest()
    turns: list[str] = []
    for d in layout.order:
        if d == axis:
            turns.append(nest.add("position", windows.rounds(size[axis])))
            turns.append(nest.add("phase", windows.period))
        else:
            nest.add(f"dim{d}", layout.grid[d])
    turns.append(nest.add("tap", windows.taps))
    read = [nest.at(**{f"dim{d}": 1}) for d in range(rank)]
    write = list(read)
    read[axis] = nest.at(
        windows.start, position=windows.outer, phase=windows.inner, tap=1
    )
    write[axis] = nest.at(position=windows.period, phase=1)
    words = weights.reshape(-1, *[1] * rank)

    def body(x: SSAValue) -> SSAValue:
        weight = rom(nest, words, turns, TensorType(element, [1] * rank), "weight")
        part = exactly(elementwise.MulOp(x, weight))
        return cast_to(op, accumulated(part, windows.taps))

    fill = zero_code(element_of(moving))
    return b.process(op, [channel], nest, [read], write, layout, body, [fill])


def _bands(matrix: Codes, zero: int) -> tuple[Windows, Codes]:
    """
    What is not zero of a matrix `[inputs, outputs]`: windows, and what their taps meet.

    Behind the last output, where the loops go on, there is anything.
    """
    used = matrix != zero
    inputs, outputs = matrix.shape
    low = used.argmax(axis=0)
    high = np.where(used.any(axis=0), inputs - used[::-1].argmax(axis=0), 0)
    windows = Windows.around(low, high)
    count = windows.rounds(outputs) * windows.period
    places = windows.places(count)
    inside = (places >= 0) & (places < inputs)
    columns = np.minimum(np.arange(count), outputs - 1)[:, None]
    return windows, np.where(inside, matrix[np.where(inside, places, 0), columns], zero)
