"""Convolution: one module for a window, instantiated at every position."""

from __future__ import annotations

import numpy as np

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.hw.builder import Builder, Module, Output
from mase_opt.lib.conversion.hw.linear import dot
from mase_opt.lib.conversion.hw.registry import (
    Wires,
    fixed_of,
    frac_of,
    round_into,
    template,
)
from mase_opt.lib.conversion.hw.rounding import HardwareError
from mase_opt.lib.conversion.hw.windows import window_indices
from mase_opt.lib.conversion.hw.wire import Wire, constant


@template(layers.Conv1dOp, layers.Conv2dOp)
def conv(
    op: layers.ConvOp, b: Builder, x: Wires, weight: Wires, bias: Wires | None = None
) -> Wires:
    if any(w.constant is None for w in weight):
        raise HardwareError("the weight is not a constant")
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
    result: list[Wire] = [constant(0)] * (batch * outputs * count)
    elements = [*x, constant(0)]  # PADDING is the last one
    for g in range(groups):
        rows: list[list[int]] = index[g].tolist()
        windows = [[elements[i] for i in row] for row in rows]
        first = g * channels
        module = window_module(
            op,
            b,
            f"{b.name}_window{g if groups > 1 else ''}",
            windows,
            weight[first * taps : (first + channels) * taps],
            bias[first : first + channels] if bias is not None else None,
        )
        for place, window in enumerate(windows):
            n, position = divmod(place, count)
            suffix = f"{g}_{place}" if groups > 1 else f"{place}"
            operands = [window] if module.inputs else []
            (wires,) = b.instance(module, f"window_{suffix}", operands)
            for c, wire in enumerate(wires):
                result[(n * outputs + first + c) * count + position] = wire
    return result


def window_module(
    op: layers.ConvOp,
    b: Builder,
    name: str,
    windows: list[Wires],
    weight: Wires,
    bias: Wires | None,
) -> Module:
    """
    The dot products of one window with the kernels of a group.

    ```mlir
    hw.module private @conv1_window(in %in: i72, out out: i48)
    ```
    """
    _, depth = b.latest([w for window in windows for w in window])
    inner = Builder(b.design, b.design.unique(name), depth)
    spans = [
        (min(w.lo for w in tap), max(w.hi for w in tap))
        for tap in zip(*windows, strict=True)
    ]
    taps = inner.input("in", fixed_of(op.input).width, spans)
    frac = frac_of(op.input) + frac_of(op.weight)
    result: Wires = []
    for c in range(len(weight) // len(taps)):
        terms, places = dot(
            inner,
            taps,
            weight[c * len(taps) : (c + 1) * len(taps)],
            (bias[c], frac_of(op.bias)) if bias and op.bias is not None else None,
            frac,
        )
        result.append(round_into(inner, op, terms, places))
    return inner.finish([Output("out", fixed_of(op.result).width, result)])
