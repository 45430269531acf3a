"""`mase.embedding`: a memory that is addressed by what is read."""

from __future__ import annotations

from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.dialects.stream.ops import TableOp
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.conversion.streamed.builder import (
    StreamBuilder,
    constant_codes,
    rom_data,
)
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.processes import Nest
from mase_opt.lib.conversion.streamed.registry import streamed


@streamed(layers.EmbeddingOp)
def embedding(op: layers.EmbeddingOp, b: StreamBuilder) -> SSAValue:
    codes = constant_codes(op.weight, "weight")
    channel = convert(b, b.shaped(op.indices, 1), 1)
    size = shape_of(op.result)
    layout = b.natural(size, None, len(size) - 1)
    nest = Nest()
    for d, n in enumerate(channel_of(channel).layout.shape):
        nest.add(f"row{d}", n)
    read = [nest.at(**{name: 1}) for name in nest.names]
    write = [nest.at(**{f"row{d}": 1}) for d in range(len(size) - 1)]
    write.append(nest.at())
    name = op.layer.data if op.layer else "embedding"

    def body(x: SSAValue) -> SSAValue:
        data = rom_data(codes, f"{name}.weight")
        type = TensorType(element_of(op.weight), layout.tile)
        result = TableOp(x, data, type).result
        result.name_hint = "weight"
        return result

    return b.process(op, [channel], nest, [read], write, layout, body)
