"""Graphs of adders, value by value."""

from __future__ import annotations

import numpy as np

from mase_opt.dialects.mase.adder_graph import NODE, OUTPUT, AdderGraphOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.formats.rounding import IntArray
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.kernels.registry import kernel
from mase_opt.lib.interpreters.kernels.values import (
    exact_add,
    exact_neg,
    from_exact,
    integers,
    shift_left,
)


@kernel(AdderGraphOp)
def adder_graph(op: AdderGraphOp, x: Array) -> Array:
    rows = np.moveaxis(integers(x), -1, 0)
    nodes = op.table(op.nodes, NODE, "nodes").tolist()
    outputs = op.table(op.outputs, OUTPUT, "outputs").tolist()
    last_use = {a: n for n, node in enumerate(nodes) for a in node[:2]}
    kept = {v for v, _, _ in outputs}
    values: dict[int, IntArray] = dict(enumerate(rows))
    for n, (a, b, p, q, subtract) in enumerate(nodes):
        left, right = shift_left(values[a], p), shift_left(values[b], q)
        total = exact_add(left, exact_neg(right) if subtract else right)
        values[len(rows) + n] = total
        for used in {a, b} - kept:
            if last_use[used] == n:
                del values[used]
    zero = np.zeros(rows.shape[1:], np.int64)
    offsets = op.table(op.offsets, 1, "offsets")
    results: list[IntArray] = []
    for (v, p, negative), offset in zip(outputs, offsets, strict=True):
        value = shift_left(values[v], p) if v >= 0 else zero
        results.append(exact_add(exact_neg(value) if negative else value, offset))
    codes = np.empty((0, *zero.shape), np.int64)
    if results:
        wide = any(r.dtype.kind == "O" for r in results)
        codes = np.stack([r.astype(object) if wide else r for r in results])
    codes = np.moveaxis(codes, 0, -1).reshape(len(x), *shape_of(op.result))
    return from_exact(op, codes, op.frac.value.data)
