"""Lookup tables: one module with the constant array, instantiated per element."""

from __future__ import annotations

from xdsl.dialects import hw

from mase_opt.dialects.mase import layers
from mase_opt.lib.conversion.unrolled.registry import template
from mase_opt.lib.hardware.builder import Builder, Module, Output
from mase_opt.lib.hardware.codec import Wires, codes_of
from mase_opt.lib.hardware.number import HardwareError, not_constant
from mase_opt.lib.hardware.wire import Wire, depth_of

LEVELS = 1
"""Logic levels of a table."""


@template(layers.LookupOp)
def lookup(op: layers.LookupOp, b: Builder, x: Wires, table: Wires) -> Wires:
    codes = [w.constant for w in table]
    if any(code is None for code in codes):
        raise HardwareError(not_constant("table"))
    depth = depth_of(*x)
    mask = len(codes) - 1
    module: Module | None = None
    result: Wires = []
    for place, wire in enumerate(x):
        if wire.constant is not None:
            result.append(table[wire.constant & mask])
            continue
        module = module or table_module(op, b, table, depth)
        if not module.inputs:
            result.append(table[0])
            continue
        result.append(b.instance(module, f"table_{place}", [[wire]])[0][0])
    return result


def table_module(op: layers.LookupOp, b: Builder, table: Wires, depth: int) -> Module:
    """
    The table as an array, indexed by the code read as an unsigned number.

    ```mlir
    hw.module private @act_table(in %in: i8, out out: i8)
    ```
    """
    format, result = codes_of(op.input), codes_of(op.result)
    inner = Builder(b.design, b.design.unique(f"{b.name}_table"), depth)
    (index,) = inner.input("in", format.bits, [(format.min_code, format.max_code)])
    codes = [w.lo for w in table]
    # The first operand of hw.array_create is the element of the highest index.
    array = hw.ArrayCreateOp(
        *(inner.literal(code, result.bits) for code in reversed(codes))
    )
    inner.emit(array)
    value = inner.emit(hw.ArrayGetOp(array, inner.read(index, format.bits)))
    span = (min(codes), max(codes))
    wire = Wire(value, 0, result.bits, *span, depth + LEVELS)
    return inner.finish([Output("out", result.bits, [wire])])
