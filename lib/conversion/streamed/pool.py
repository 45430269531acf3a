"""Pools: windows as those of convolutions, a maximum or a mean each."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

import numpy as np
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import elementwise, pooling
from mase_opt.dialects.mase.base import UnaryOp, ints, rounding_of, show
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import FixedType, element_of, exact_format, shape_of
from mase_opt.dialects.stream.ops import AccumulateOp, Kind
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.analysis.parallelism import channel_axis
from mase_opt.lib.conversion.streamed.builder import (
    Nest,
    StreamBuilder,
    accumulated,
    cast_to,
)
from mase_opt.lib.conversion.streamed.registry import streamed
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.interpreters.kernels.pool import pool_counts


@streamed(pooling.MaxPoolOp)
def max_pool(op: pooling.MaxPoolOp, b: StreamBuilder) -> SSAValue:
    return _pool(
        op,
        b,
        Kind.MAX,
        1,
        ints(op.kernel),
        strides=ints(op.strides),
        padding=ints(op.padding),
        dilation=ints(op.dilation),
    )


@streamed(pooling.AvgPoolOp)
def avg_pool(op: pooling.AvgPoolOp, b: StreamBuilder) -> SSAValue:
    counts = np.unique(pool_counts(op))
    if len(counts) > 1:
        raise HardwareError(
            "its windows have different numbers of elements: use count_include_pad, "
            "and no ceil_mode"
        )
    return _pool(
        op,
        b,
        Kind.SUM,
        int(counts[0]),
        ints(op.kernel),
        strides=ints(op.strides),
        padding=ints(op.padding),
        dilation=ints(op.dilation),
    )


@streamed(pooling.AdaptiveAvgPoolOp, pooling.AdaptiveMaxPoolOp)
def adaptive_pool(op: pooling.AdaptivePoolOp, b: StreamBuilder) -> SSAValue:
    output = ints(op.output_size)
    sizes = shape_of(op.input)[-len(output) :]
    if any(n % m for n, m in zip(sizes, output, strict=True)):
        raise HardwareError(
            f"its windows differ in size, since {show(output)} does not divide "
            f"{show(sizes)}"
        )
    kernel = [n // m for n, m in zip(sizes, output, strict=True)]
    kind = Kind.SUM if isinstance(op, pooling.AdaptiveAvgPoolOp) else Kind.MAX
    return _pool(
        op,
        b,
        kind,
        prod(kernel),
        kernel,
        strides=kernel,
        padding=[0] * len(kernel),
        dilation=[1] * len(kernel),
    )


def _pool(
    op: UnaryOp,
    b: StreamBuilder,
    kind: Kind,
    divisor: int,
    kernel: Sequence[int],
    *,
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> SSAValue:
    channel = b.shaped(op.input)
    source = channel_of(channel).layout
    rank = len(source.shape)
    if rank - len(kernel) != 2 or channel_axis(source.shape) != 1:
        raise HardwareError(
            f"its input has shape {show(source.shape)}, expected a batch, channels and "
            "two dimensions of windows"
        )
    format = exact_format(element_of(op.input))
    if format is None:
        raise HardwareError(
            f"it compares or adds {element_of(op.input)}, expected fixed point: cast "
            "its input first"
        )
    nest = Nest()
    nest.add("batch", source.shape[0])
    places = shape_of(op.result)[2:]
    spatial = [nest.add(f"position{d}", n) for d, n in enumerate(places)]
    inner = nest.add("channel", source.grid[1])
    for d, k in enumerate(kernel):
        nest.add(f"tap{d}", k)
    reads = [nest.at(batch=1), nest.at(**{inner: 1})]
    # Dimensions that are reduced may be gone from the result, and have no position.
    reads += [
        nest.at(-p, **{f"position{d}": s, f"tap{d}": w})
        for d, (s, p, w) in enumerate(zip(strides, padding, dilation, strict=True))
    ]
    write = [nest.at(batch=1), nest.at(**{inner: 1})]
    write += [nest.at(**{name: 1}) for name in spatial]
    layout = b.natural(shape_of(op.result), source.lanes)

    def body(x: SSAValue) -> SSAValue:
        if kind is Kind.MAX:
            if prod(kernel) == 1:
                return cast_to(op, x)
            return cast_to(op, AccumulateOp(kind, x, element_of(x)))
        total = accumulated(x, prod(kernel))
        if divisor == 1:
            return cast_to(op, total)
        element = FixedType(divisor.bit_length() + 1, 0)
        count = ConstantOp.of(np.full(shape_of(x), divisor), element)
        mean = element_of(op.result)
        rounding = rounding_of(op)
        return elementwise.DivOp(total, count, element=mean, rounding=rounding).result

    # Below all that a window holds, or nothing in a sum.
    fill = format.min_code if kind is Kind.MAX else 0
    return b.process(op, [channel], nest, [reads], write, layout, body, [fill])
