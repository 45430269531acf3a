"""`mase.linear`: some products of some outputs a cycle, added up in registers."""

from __future__ import annotations

from math import prod

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Attribute, SSAValue

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.shape import ReshapeOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.conversion.streamed.builder import (
    Codes,
    StreamBuilder,
    constant_codes,
    padded,
    parallelism,
    rom,
    summed,
    times_scale,
    weights_of,
    with_bias,
)
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.processes import Nest
from mase_opt.lib.conversion.streamed.registry import streamed
from mase_opt.lib.streams.layout import BEYOND, Layout


@streamed(layers.LinearOp)
def linear(op: layers.LinearOp, b: StreamBuilder) -> SSAValue:
    weights = weights_of(op, 0)
    outputs, features = weights.codes.shape
    given, lanes = parallelism(op) or (outputs, features)
    count = min(given, outputs)
    shape = shape_of(op.input)
    nest = Nest()
    rows: list[str] = []
    flattened = prod(shape[:-1]) == 1
    if flattened:
        arriving = channel_of(b.channel(op.input, lanes)).layout
        flattened = arriving.shape != shape
    if not flattened:
        last = len(shape) - 1
        channel = convert(b, b.along(op.input, (last,), lanes), lanes, last)
        source = channel_of(channel).layout
        rows = [nest.add(f"row{d}", n) for d, n in enumerate(shape[:-1])]
        output = nest.add("output", -(-outputs // count))
        inner = {last: nest.add("feature", source.grid[-1])}
        place = Layout((features,), (source.lanes,), (0,)).indices
    else:
        # Whatever was flattened: in the order in which it arrives.
        channel = b.channel(op.input, lanes)
        channel = convert(b, channel, lanes, channel_of(channel).layout.axis)
        source = channel_of(channel).layout
        output = nest.add("output", -(-outputs // count))
        inner = {d: nest.add(f"feature{d}", source.grid[d]) for d in source.order}
        place = source.indices
    beats = len(place)
    element = weights.element
    folds = nest.sizes[nest.names.index(output)]
    whole = padded(weights.codes, (folds * count, features))
    if (place == BEYOND).any():
        # A feature more, for what lies beyond.
        whole = padded(whole, (folds * count, features + 1), element)
    words = whole[:, place].reshape(folds, count, beats, source.lanes)
    words = words.transpose(0, 2, 1, 3).reshape(folds * beats, count, source.lanes)
    reads = [
        nest.at(**{rows[d]: 1}) if d < len(rows) else nest.at(**{inner[d]: 1})
        for d in range(len(source.shape))
    ]
    result = shape_of(op.result)
    layout = b.natural(result, count, len(result) - 1)
    write = [nest.at(**{f"row{d}": 1}) for d in range(len(result) - 1)]
    write.append(nest.at(**{output: 1}))
    name = op.layer.data if op.layer else "linear"

    def by_output(codes: Codes, own: Attribute, what: str) -> SSAValue:
        tiles = padded(codes, (folds * count,)).reshape(folds, 1, count)
        return rom(nest, tiles, [output], TensorType(own, (1, count)), f"{name}.{what}")

    def body(x: SSAValue) -> SSAValue:
        flat = ReshapeOp(x, (1, source.lanes))
        loops = [output, *inner.values()]
        weight = weights.rom(nest, words, (1, outputs), loops, f"{name}.weight")
        total = summed(op, flat.result, weight, beats)
        if weights.scales is not None:
            total = times_scale(total, by_output(*weights.scales, "scale"))
        bias = None
        if op.bias is not None:
            bias = by_output(*constant_codes(op.bias, "bias"), "bias")
        return with_bias(op, total, bias)

    return b.process(op, [channel], nest, [reads], write, layout, body)
