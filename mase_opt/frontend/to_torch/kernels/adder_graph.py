"""Graphs of adders, level by level."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from xdsl.ir import SSAValue

from mase_opt.dialects.mase.adder_graph import AdderGraphOp, graph_codes
from mase_opt.dialects.mase.adder_graph_values import expand, levels, powers
from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.frontend.to_torch.arithmetic import (
    Function,
    from_codes,
    odd,
    product_rest,
    replace,
)
from mase_opt.frontend.to_torch.known import Known
from mase_opt.frontend.torch_kernels import torch_kernel
from mase_opt.lib.formats import Binary, Scaled
from mase_opt.lib.formats.multiples import Multiples


@torch_kernel(AdderGraphOp)
def adder_graph(
    op: AdderGraphOp, operands: Sequence[Known]
) -> tuple[Function, Multiples | None]:
    """
    In float64 where all sums are exact, else in `int64`, which has no gradient.

    Beyond 62 bits, and of more than 53 bits with scales, in float64 all the same.
    """
    low, high = _range(op)
    largest = _largest(op) * max(abs(low), abs(high))
    dtype = torch.float64
    if 2.0**53 <= largest < 2.0**62 and op.scales is None:
        dtype = torch.int64
    inputs, frac = shape_of(op.input)[-1], op.frac.value.data
    codes, graph = _codes(op.input), _graph(op, dtype)
    dropped = torch.as_tensor(op.dropped_bits)
    offsets = torch.as_tensor(op.offset_table).to(dtype)
    scale, bias = torch.as_tensor(op.scale_table).T
    scaled = op.scales is not None
    shape = shape_of(op.result)

    def run(x: Tensor) -> Tensor:
        rows = codes(x).to(dtype).reshape(-1, inputs)
        if op.dropped is not None:
            scaled_down = rows / (1 << dropped.to(x.device))
            rows = replace(scaled_down, torch.floor(scaled_down)).to(dtype)
        sums = (graph(rows.T).T + offsets.to(x.device)).reshape(len(x), *shape)
        if dtype == torch.int64:
            return from_codes(sums, frac)
        sums = sums * 2.0**-frac
        if scaled:
            return _multiply_add(sums, scale.to(x.device), bias.to(x.device))
        return sums

    if scaled:
        return run, None
    ranges = np.array([[low, high]], object) >> op.dropped_bits.astype(object)[:, None]
    sums = expand(op.node_table, op.output_table, inputs, op.product_table)
    ends = sums.spans(ranges, len(offsets)) + op.offset_table[:, None].astype(object)
    lowest = min(0, int(ends.min(initial=0)))
    return run, Multiples(frac, lowest, max(0, int(ends.max(initial=0))))


def _range(op: AdderGraphOp) -> tuple[int, int]:
    """The lowest and highest code of an input."""
    codes = graph_codes(element_of(op.input))
    assert codes is not None, "verified"
    return codes.min_code, codes.max_code


def _largest(op: AdderGraphOp) -> float:
    """The largest sum relative to an input."""
    inputs = shape_of(op.input)[-1]
    _, bound = levels(op.node_table, inputs, op.product_table)
    offset = float(np.abs(op.offset_table.astype(np.float64)).max(initial=0))
    return bound * 2.0 ** int(op.output_table[:, 1].max(initial=0)) + offset


def _codes(value: SSAValue) -> Function:
    """What gives the codes of the numbers of a value."""
    element = element_of(value)
    codes = graph_codes(element)
    assert codes is not None, "verified"
    if isinstance(element, ElementType) and isinstance(element.format, Scaled):
        format = element.format
        spread = format.spread(np.zeros(shape_of(value)))[0]
        units = torch.as_tensor(np.array(spread)) * codes.step
        zero = float(format.zero_point)
    else:
        units = torch.tensor(codes.step, dtype=torch.float64)
        zero = 0.0
    if isinstance(codes, Binary) and codes.signed:
        zero = 0.5
    integer = exact_format(element) is not None and not isinstance(element, ElementType)

    def run(x: Tensor) -> Tensor:
        # The quotient is a code, or a half: exact.
        return x if integer else x.to(torch.float64) / units.to(x.device) + zero

    return run


def _graph(op: AdderGraphOp, dtype: torch.dtype) -> Function:
    """What gives the outputs `[O, rows]` of inputs `[I, rows]`."""
    inputs = shape_of(op.input)[-1]
    products, nodes = op.product_table, op.node_table
    by_depth, _ = levels(nodes, inputs, products)
    given = inputs + len(products)
    # Where values are once those of one level follow those of another.
    place = np.arange(given + len(nodes))
    place[given + np.concatenate([np.zeros(0, np.int64), *by_depth])] = place[given:]
    numpy_dtype = np.dtype(np.int64 if dtype == torch.int64 else np.float64)

    def factors(shifts: NDArray[Any], negative: NDArray[Any]) -> Tensor:
        exact = powers(shifts, negative, np.dtype(object))
        return torch.as_tensor(exact.astype(numpy_dtype))[:, None]

    steps: list[list[Tensor]] = []
    for level in by_depth:
        a, b, p, q, subtract = nodes[level].T
        steps.append(
            [
                torch.as_tensor(place[a]),
                torch.as_tensor(place[b]),
                factors(p, np.zeros_like(p)),
                factors(q, subtract),
            ]
        )
    value, shift, negative = op.output_table.T
    last = torch.as_tensor(place[value])
    signs = factors(shift, negative) * torch.as_tensor(value >= 0)[:, None]
    which = torch.as_tensor(products[:, 0])
    constants = torch.as_tensor(products[:, 1:].astype(numpy_dtype))

    def run(values: Tensor) -> Tensor:
        at = values.device
        values = torch.cat([values, values[which.to(at)] * constants.to(at)])
        for step in steps:
            a, b, left, right = (t.to(at) for t in step)
            values = torch.cat([values, values[a] * left + values[b] * right])
        return values[last.to(at)] * signs.to(at)

    return run


def _multiply_add(x: Tensor, scale: Tensor, bias: Tensor) -> Tensor:
    """`x · scale + bias` in float64, rounded to odd."""
    product = x * scale
    rest = product_rest(x, scale, product)
    total, first = _two_sum(product, bias)
    small, second = _two_sum(first, rest)
    total, first = _two_sum(total, small)
    return odd(total, torch.where(first == 0, second, first))


def _two_sum(a: Tensor, b: Tensor) -> tuple[Tensor, Tensor]:
    """a + b in float64, and what that lacks (Knuth, TAOCP vol. 2, 4.2.2)."""
    total = a + b
    part = total - a
    return total, (a - (total - part)) + (b - part)
