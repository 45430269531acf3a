"""Convolution: one module for a window, instantiated at every position."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction

import numpy as np

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.conversion.unrolled.linear import dot
from mase_opt.lib.conversion.unrolled.registry import template
from mase_opt.lib.conversion.unrolled.windows import window_indices
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.arith import Term
from mase_opt.lib.hardware.builder import Builder, Module, Output
from mase_opt.lib.hardware.codec import Wires, codes_of, decode, encode, format_of
from mase_opt.lib.hardware.number import (
    HardwareError,
    Number,
    Sum,
    aligned,
    literal,
    not_constant,
    shared_by,
)
from mase_opt.lib.hardware.wire import Wire, bits_for, constant, depth_of


@template(layers.Conv1dOp, layers.Conv2dOp)
def conv(
    op: layers.ConvOp, b: Builder, x: Wires, weight: Wires, bias: Wires | None = None
) -> Wires:
    for name, wires in (("weight", weight), ("bias", bias or [])):
        if any(w.constant is None for w in wires):
            raise HardwareError(not_constant(name))
    groups = op.groups.value.data
    batch, _, *positions = shape_of(op.result)
    outputs, per_group, *kernel = shape_of(op.weight)
    index = window_indices(
        shape_of(op.input),
        positions,
        kernel,
        strides=ints(op.strides),
        padding=ints(op.padding),
        dilation=ints(op.dilation),
    )
    # [N, C, *positions, *kernel] -> [groups, N * positions, C / groups * kernel]
    count = int(np.prod(positions))
    index = index.reshape(batch, groups, per_group, count, -1)
    index = index.transpose(1, 0, 3, 2, 4).reshape(groups, batch * count, -1)
    taps, channels = index.shape[2], outputs // groups
    # PADDING is the last one.
    elements = [*decode(b, op.input, x), literal(0)]
    weights = decode(b, op.weight, weight)
    biases = None
    if bias is not None and op.bias is not None:
        biases = decode(b, op.bias, bias)
    size = batch * outputs * count
    codes: Wires = [constant(0)] * size
    sums = [Sum([], Fraction(1))] * size
    for g in range(groups):
        rows: list[list[int]] = index[g].tolist()
        windows = [[elements[i] for i in row] for row in rows]
        shared = [shared_by(window) or constant(0) for window in windows]
        columns = [
            aligned(b, [replace(window[k], shared=None) for window in windows])
            for k in range(taps)
        ]
        first, last = g * channels, (g + 1) * channels
        module, exact = window_module(
            op,
            b,
            f"{b.name}_window{g if groups > 1 else ''}",
            columns,
            shared,
            [
                weights[c * taps : (c + 1) * taps]
                for c in range(first, first + channels)
            ],
            biases[first:last] if biases else None,
        )
        for place in range(len(rows)):
            n, position = divmod(place, count)
            suffix = f"{g}_{place}" if groups > 1 else f"{place}"
            window = [column[place].wire for column in columns]
            operands = [
                {"in": window, "scale": [shared[place]]}[port.name]
                for port in module.inputs
            ]
            (wires,) = b.instance(module, f"window_{suffix}", operands)
            for c, (wire, total) in enumerate(zip(wires, exact, strict=True)):
                at = (n * outputs + first + c) * count + position
                codes[at] = wire
                power = None if total.shared is None else shared[place]
                sums[at] = replace(total, terms=[Term(wire)], shared=power)
    return encode(b, op, sums) if rounds_outside(op) else codes


def rounds_outside(op: layers.ConvOp) -> bool:
    """Whether rounding depends on the position, which a window does not know."""
    format = format_of(element_of(op.result))
    assert format is not None
    return format.positional


def window_module(
    op: layers.ConvOp,
    b: Builder,
    name: str,
    columns: Sequence[Sequence[Number]],
    shared: Sequence[Wire],
    kernels: Sequence[Sequence[Number]],
    biases: Sequence[Number] | None,
) -> tuple[Module, list[Sum]]:
    """
    The dot products of one window with the kernels of a group, and what they stand for.

    A column holds what is below the same tap in every window: wires of one unit, but
    for the exponents that the blocks in each window share. The outputs are codes, or
    integers where `rounds_outside`.

    ```mlir
    hw.module private @conv1_window(in %in: i72, out out: i48)
    ```
    """
    taken = [*shared, *(x.wire for column in columns for x in column)]
    inner = Builder(b.design, b.design.unique(name), depth_of(*taken))
    spans = [
        (min(x.wire.lo for x in column), max(x.wire.hi for x in column))
        for column in columns
    ]
    width = max(bits_for(*span) for span in spans)
    wires = inner.input("in", width, spans)
    lo, hi = min(w.lo for w in shared), max(w.hi for w in shared)
    (scale,) = inner.input("scale", bits_for(lo, hi), [(lo, hi)])
    common = None if scale.constant == 0 else scale
    taps = [
        replace(column[0], wire=wire, shared=common)
        for wire, column in zip(wires, columns, strict=True)
    ]
    sums = [
        dot(inner, taps, kernel, biases[c] if biases else None)
        for c, kernel in enumerate(kernels)
    ]
    if rounds_outside(op):
        outputs = [arith.total(inner, x.terms) for x in sums]
        width = max(w.width for w in outputs)
    else:
        outputs = encode(inner, op, sums, range(len(sums)))
        width = codes_of(op.result).bits
    return inner.finish([Output("out", width, outputs)]), sums
