"""Graphs of adders, level by level."""

from __future__ import annotations

import numpy as np

from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.dialects.mase.adder_graph_values import levels, powers
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.formats.rounding import INT64_SAFE, IntArray, integers, max_magnitude
from mase_opt.lib.interpreters.codes import to_codes
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.kernels.registry import kernel
from mase_opt.lib.interpreters.kernels.values import (
    Exact,
    align,
    dyadic,
    exact_add,
    exact_mul,
    from_exact,
)

CHUNK = 1 << 24
"""How many values are held at a time."""


@kernel(AdderGraphOp)
def adder_graph(op: AdderGraphOp, x: Array) -> Array:
    inputs = shape_of(op.input)[-1]
    rows = integers(to_codes(op.input, x)).reshape(-1, inputs) >> op.dropped_bits
    sums = exact_add(_outputs(op, rows), op.offset_table)
    result = Exact(sums, op.frac.value.data)
    if op.scales is not None:
        scale, bias = (dyadic(column) for column in op.scale_table.T)
        product = Exact(exact_mul(sums, scale.codes), result.frac + scale.frac)
        (product, bias), frac = align(product, bias)
        result = Exact(exact_add(product, bias), frac)
    codes = result.codes.reshape(len(x), *shape_of(op.result))
    return from_exact(op, codes, result.frac)


def _outputs(op: AdderGraphOp, rows: IntArray) -> IntArray:
    """The outputs for each of `rows`, codes of inputs."""
    count, inputs = rows.shape
    products, nodes = op.product_table, op.node_table
    value, shift, negative = op.output_table.T
    by_depth, bound = levels(nodes, inputs, products)
    largest = bound * max(max_magnitude(rows), 1) * 2.0 ** int(shift.max(initial=0))
    dtype = np.dtype(np.int64 if largest < INT64_SAFE else object)
    given = inputs + len(products)
    size = given + len(nodes)
    scale = powers(shift, negative, dtype) * (value >= 0)
    parts: list[IntArray] = []
    for part in np.array_split(rows.astype(dtype), max(count * size // CHUNK, 1)):
        values = np.zeros((size, len(part)), dtype)
        values[:inputs] = part.T
        values[inputs:given] = values[products[:, 0]] * products[:, 1:].astype(dtype)
        for level in by_depth:
            a, b, p, q, subtract = nodes[level].T
            left = values[a] * powers(p, np.zeros_like(p), dtype)[:, None]
            right = values[b] * powers(q, subtract, dtype)[:, None]
            values[given + level] = left + right
        parts.append((values[value] * scale[:, None]).T)
    return np.concatenate(parts)
