"""`mase.embedding`: a memory that is addressed by what is read."""

from __future__ import annotations

from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.types import shape_of
from mase_opt.dialects.stream.ops import TableOp
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
    codes, element = constant_codes(op.weight, "weight")
    channel = convert(b, b.shaped(op.indices, 1), 1)
    size = shape_of(op.result)
    layout = b.natural(size, None)
    nest = Nest()
    place = [nest.add(f"row{d}", n) for d, n in enumerate(size[:-1])]
    if not place:
        nest.add("once", 1)
    read = [nest.at(**{loop: 1}) for loop in place]
    write = [*read, nest.at()]
    name = op.layer.data if op.layer else "embedding"

    def body(x: SSAValue) -> SSAValue:
        data = rom_data(codes, f"{name}.weight")
        type = TensorType(element, layout.tile)
        result = TableOp(x, data, type).result
        result.name_hint = "weight"
        return result

    return b.process(op, [channel], nest, [read], write, layout, body)
