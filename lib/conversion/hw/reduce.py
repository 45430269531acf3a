"""Reductions over axes: sum, mean, max, min."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from mase_opt.dialects.mase import pooling
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.hw import arith
from mase_opt.lib.conversion.hw.arith import Term
from mase_opt.lib.conversion.hw.builder import Builder
from mase_opt.lib.conversion.hw.registry import (
    Wires,
    divide_into,
    frac_of,
    round_into,
    template,
)
from mase_opt.lib.conversion.hw.wire import Wire

Combine = Callable[[Builder, Wire, Wire], Wire]


def tree(b: Builder, combine: Combine, wires: Sequence[Wire]) -> Wire:
    """Combine neighbours, then neighbours of those, until one is left."""
    level: list[Wire] = list(wires)
    while len(level) > 1:
        pairs = zip(level[::2], level[1::2], strict=False)
        rest = level[-1:] if len(level) % 2 else []
        level = [*(combine(b, x, y) for x, y in pairs), *rest]
    return level[0]


@template(pooling.ReduceOp)
def reduce(op: pooling.ReduceOp, b: Builder, x: Wires) -> Wires:
    shape, axes = shape_of(op.input), ints(op.axes)
    frac = frac_of(op.input)
    kept = [axis for axis in range(len(shape)) if axis not in axes]
    index = np.arange(len(x)).reshape(shape).transpose(*kept, *axes)
    count = int(np.prod([shape[axis] for axis in axes]))
    result: Wires = []
    for row in index.reshape(-1, count).tolist():
        group = [x[i] for i in row]
        match op.kind.data:
            case "sum":
                result.append(round_into(b, op, [Term(w) for w in group], frac))
            case "mean":
                terms = [Term(w) for w in group]
                result.append(divide_into(b, op, terms, count, frac))
            case "max":
                best = tree(b, arith.maximum, group)
                result.append(round_into(b, op, [Term(best)], frac))
            case _:
                best = tree(b, arith.minimum, group)
                result.append(round_into(b, op, [Term(best)], frac))
    return result
