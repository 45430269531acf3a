"""Embedding: one module with the rows of the table, instantiated per index."""

from __future__ import annotations

from xdsl.dialects import hw

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.types import element_of, exact_format, shape_of
from mase_opt.lib.conversion.unrolled.lookup import LEVELS
from mase_opt.lib.conversion.unrolled.registry import template
from mase_opt.lib.hardware.builder import Builder, Module, Output
from mase_opt.lib.hardware.codec import Wires, codes_of, encode
from mase_opt.lib.hardware.number import HardwareError, fixed, not_constant, total
from mase_opt.lib.hardware.wire import Wire, bits_for, depth_of


@template(layers.EmbeddingOp)
def embedding(op: layers.EmbeddingOp, b: Builder, weight: Wires, x: Wires) -> Wires:
    rows, features = shape_of(op.weight)
    format = exact_format(element_of(op.weight))
    if any(w.constant is None for w in weight):
        raise HardwareError(not_constant("weight"))
    if format is None:
        raise HardwareError(
            f"the weight has elements {element_of(op.weight)}: quantize it to fixed "
            "point"
        )
    bits = min(bits_for(0, rows - 1), codes_of(op.indices).bits)
    module: Module | None = None
    codes: Wires = []
    for place, wire in enumerate(x):
        row = 0 if rows == 1 else wire.constant
        if row is not None:
            if not 0 <= row < rows:
                raise HardwareError(f"index {row} is outside of {rows} rows")
            codes += weight[row * features : (row + 1) * features]
            continue
        module = module or _rows(op, b, weight, bits, depth_of(*x))
        last = min(rows, 1 << bits) - 1
        index = Wire(wire.base, wire.low, bits, 0, last, wire.depth)
        codes += b.instance(module, f"row_{place}", [[index]])[0]
    return encode(b, op, [total(b, [fixed(w, format.frac)]) for w in codes])


def _rows(
    op: layers.EmbeddingOp, b: Builder, weight: Wires, bits: int, depth: int
) -> Module:
    """
    The table as an array of rows; behind the last one it is repeated.

    ```mlir
    hw.module private @wte_rows(in %in: i7, out out: i64)
    ```
    """
    rows, features = shape_of(op.weight)
    width = codes_of(op.weight).bits
    last = min(rows, 1 << bits) - 1
    inner = Builder(b.design, b.design.unique(f"{b.name}_rows"), depth)
    (index,) = inner.input("in", bits, [(0, last)])
    mask = (1 << width) - 1
    words = [
        sum((w.lo & mask) << width * i for i, w in enumerate(weight[start:][:features]))
        for start in range(0, (last + 1) * features, features)
    ]
    words += words[-1:] * ((1 << bits) - len(words))
    # The first operand of hw.array_create is the element of the highest index.
    array = hw.ArrayCreateOp(
        *(inner.literal(word, width * features) for word in reversed(words))
    )
    inner.emit(array)
    value = inner.emit(hw.ArrayGetOp(array, inner.read(index, bits)))
    result = [
        Wire(
            value,
            width * i,
            width,
            min(w.lo for w in weight[i::features]),
            max(w.hi for w in weight[i::features]),
            depth + LEVELS,
        )
        for i in range(features)
    ]
    return inner.finish([Output("out", width, result)])
