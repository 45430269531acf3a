"""Reductions over axes: sum, mean, max, min."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mase_opt.dialects.mase import pooling
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.unrolled.registry import template
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.codec import Wires, decode, encode
from mase_opt.lib.hardware.number import Number, Sum, integers, total
from mase_opt.lib.hardware.wire import Wire

Combine = Callable[[Builder, Wire, Wire], Wire]


def tree(b: Builder, combine: Combine, wires: Sequence[Wire]) -> Wire:
    """Combine neighbours, then neighbours of those, until one is left."""
    level: list[Wire] = list(wires)
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        rest = level[-1:] if len(level) % 2 else []
        level = [*(combine(b, x, y) for x, y in pairs), *rest]
    return level[0]


def extreme(b: Builder, combine: Combine, numbers: Sequence[Number]) -> Sum:
    """The maximum or minimum of numbers."""
    wires, unit = integers(b, numbers)
    return total(b, [Number(tree(b, combine, wires), unit)])


@template(pooling.ReduceOp)
def reduce(op: pooling.ReduceOp, b: Builder, x: Wires) -> Wires:
    shape, axes = shape_of(op.input), ints(op.axes)
    numbers = decode(b, op.input, x)
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    index = np.arange(len(x)).reshape(shape).transpose(*kept, *axes)
    count = int(np.prod([shape[axis] for axis in axes]))
    sums: list[Sum] = []
    for row in index.reshape(-1, count).tolist():
        group = [numbers[i] for i in row]
        match op.kind.data:
            case "sum":
                sums.append(total(b, group))
            case "mean":
                sums.append(total(b, group) / count)
            case "max":
                sums.append(extreme(b, arith.maximum, group))
            case _:
                sums.append(extreme(b, arith.minimum, group))
    return encode(b, op, sums)
