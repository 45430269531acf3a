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
from mase_opt.lib.conversion.streamed.builder import (
    StreamBuilder,
    accumulated,
)
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.processes import Nest, cast_to
from mase_opt.lib.conversion.streamed.registry import streamed
from mase_opt.lib.conversion.streamed.windows import (
    Mask,
    add_positions,
    add_taps,
    mask,
    places_read,
    places_written,
)
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.interpreters.kernels.pool import pool_counts
from mase_opt.lib.streams.layout import Index
from mase_opt.lib.streams.windows import Windows


@streamed(pooling.MaxPoolOp)
def max_pool(op: pooling.MaxPoolOp, b: StreamBuilder) -> SSAValue:
    return _pool(op, b, Kind.MAX, sliding(op))


@streamed(pooling.AvgPoolOp)
def avg_pool(op: pooling.AvgPoolOp, b: StreamBuilder) -> SSAValue:
    return _pool(op, b, Kind.SUM, sliding(op), counts=pool_counts(op))


def sliding(op: pooling.PoolOp) -> list[Windows]:
    """The windows of a pool."""
    return [
        Windows(-padding, stride, kernel, step=dilation)
        for kernel, stride, padding, dilation in zip(
            ints(op.kernel),
            ints(op.strides),
            ints(op.padding),
            ints(op.dilation),
            strict=True,
        )
    ]


@streamed(pooling.AdaptiveAvgPoolOp, pooling.AdaptiveMaxPoolOp)
def adaptive_pool(op: pooling.AdaptivePoolOp, b: StreamBuilder) -> SSAValue:
    output = ints(op.output_size)
    sizes = shape_of(op.input)[-len(output) :]
    spans = [
        (np.arange(m) * n // m, -(-(np.arange(m) + 1) * n // m))
        for n, m in zip(sizes, output, strict=True)
    ]
    windows = [Windows.around(low, high) for low, high in spans]
    inside = [
        (w.places(len(low)) >= low[:, None]) & (w.places(len(low)) < high[:, None])
        for w, (low, high) in zip(windows, spans, strict=True)
    ]
    counts = np.ones(output, np.int64)
    for d, (low, high) in enumerate(spans):
        counts *= (high - low).reshape(*[1] * d, -1, *[1] * (len(spans) - d - 1))
    if isinstance(op, pooling.AdaptiveAvgPoolOp):
        return _pool(op, b, Kind.SUM, windows, inside=inside, counts=counts)
    return _pool(op, b, Kind.MAX, windows, inside=inside)


def _pool(
    op: UnaryOp,
    b: StreamBuilder,
    kind: Kind,
    windows: Sequence[Windows],
    *,
    inside: Sequence[Mask] = (),
    counts: Index | None = None,
) -> SSAValue:
    """
    The maximum or the sum of each window, divided by its entry of `counts`.

    `inside` tells, by dimension, position and tap, what of a window counts.
    """
    size = shape_of(op.input)
    rank = len(size)
    if rank - len(windows) != 2:
        raise HardwareError(
            f"its input has shape {show(size)}, expected a batch, channels and "
            f"{len(windows)} dimensions of windows"
        )
    channel = convert(b, b.along(op.input, (1,)), None, 1)
    source = channel_of(channel).layout
    element = element_of(op.input)
    format = exact_format(element)
    if format is None:
        raise HardwareError(
            f"it compares or adds {element}, expected fixed point: cast its input first"
        )
    nest = Nest()
    nest.add("batch", source.shape[0])
    positions = add_positions(nest, windows, shape_of(op.result)[2:])
    inner = nest.add("channel", source.grid[1])
    taps = add_taps(nest, windows)
    read = [nest.at(batch=1), nest.at(**{inner: 1}), *places_read(nest, windows)]
    write = [nest.at(batch=1), nest.at(**{inner: 1}), *places_written(nest, windows)]
    layout = b.natural(shape_of(op.result), source.lanes, 1)
    # Below all that a window holds, or nothing in a sum.
    fill = format.min_code if kind is Kind.MAX else 0

    def body(x: SSAValue) -> SSAValue:
        for d, counted in enumerate(inside):
            if not counted.all():
                which = mask(nest, [positions[d], [taps[d]]], counted, rank)
                outside = ConstantOp.of(np.full([1] * rank, fill), element)
                x = elementwise.SelectOp(which, x, outside).result
        number = prod(window.taps for window in windows)
        if kind is Kind.MAX:
            best = AccumulateOp(kind, x, element).result if number > 1 else x
            return cast_to(op, best)
        total = accumulated(x, number)
        if counts is None:
            return cast_to(op, total)
        first, *others = np.unique(counts).tolist()
        result = mean_of(op, total, first)
        for count in others:
            which = mask(nest, positions, counts == count, rank)
            result = elementwise.SelectOp(
                which, mean_of(op, total, count), result
            ).result
        return result

    return b.process(op, [channel], nest, [read], write, layout, body, [fill])


def mean_of(op: UnaryOp, total: SSAValue, count: int) -> SSAValue:
    """The sum of `count` numbers, divided by that and rounded as `op` does."""
    if count == 1:
        return cast_to(op, total)
    divisor = ConstantOp.of(
        np.full(shape_of(total), count), FixedType(count.bit_length() + 1, 0)
    )
    element, rounding = element_of(op.result), rounding_of(op)
    return elementwise.DivOp(total, divisor, element=element, rounding=rounding).result
