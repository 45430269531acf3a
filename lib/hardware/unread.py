"""What a module computes, and no other module reads, is not built."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from xdsl.dialects import comb, hw
from xdsl.dialects.builtin import IntegerAttr, IntegerType
from xdsl.ir import SSAValue

from mase_opt.lib.hardware.builder import Builder, width_of


def drop_unread(builders: Sequence[Builder]) -> None:
    """
    Let zeros take the place of outputs of modules that the last one, the top, ignores.

    For modules that the top instantiates once: what they read of their inputs counts,
    so that a pool that leaves out rows of a convolution leaves out their adders.
    """
    by_name = {b.name: b for b in builders}
    top = builders[-1]
    instances = [op for op in top.block.ops if isinstance(op, hw.InstanceOp)]
    names = [op.module_name.string_value() for op in instances]
    inputs: dict[str, list[int]] = {}
    for op, name in reversed(list(zip(instances, names, strict=True))):
        module = by_name[name]
        if names.count(name) == 1:
            _drop(module, [_read(value, inputs) for value in op.outputs])
            inputs[name] = [_read(argument, {}) for argument in module.block.args]


def _read(value: SSAValue, inputs: Mapping[str, Sequence[int]]) -> int:
    """
    The bits of `value` that are read, as a number.

    `inputs` are the bits that modules read of what they are given.
    """
    width = width_of(value) if isinstance(value.type, IntegerType) else 1
    result = 0
    for use in value.uses:
        match op := use.operation:
            case comb.ExtractOp():
                result |= _read(op.result, inputs) << op.low_bit.value.data
            case comb.ConcatOp():
                low = sum(width_of(v) for v in list(op.operands)[use.index + 1 :])
                result |= _read(op.result, inputs) >> low
            case hw.InstanceOp() if op.module_name.string_value() in inputs:
                result |= inputs[op.module_name.string_value()][use.index]
            case _:
                return (1 << width) - 1
        result &= (1 << width) - 1
    return result


def _drop(module: Builder, read: Sequence[int]) -> None:
    """Keep of the outputs of `module` what is read."""
    output = module.block.last_op
    assert isinstance(output, hw.OutputOp)
    for index, (value, bits) in enumerate(zip(output.operands, read, strict=True)):
        parts = [value]
        if isinstance(value.owner, comb.ConcatOp):
            parts = list(value.owner.operands)
        kept: list[SSAValue] = []
        for part in reversed(parts):
            width = width_of(part)
            kept.append(part if bits & ((1 << width) - 1) else _zero(module, width))
            bits >>= width
        if kept[::-1] != parts:
            packed = kept[0]
            if len(kept) > 1:
                op = comb.ConcatOp.create(
                    operands=kept[::-1], result_types=[value.type]
                )
                module.block.insert_op_before(op, output)
                packed = op.result
            output.operands[index] = packed
    module.sweep()


def _zero(module: Builder, width: int) -> SSAValue:
    type = IntegerType(width)
    op = hw.ConstantOp.create(
        result_types=[type], properties={"value": IntegerAttr(0, type)}
    )
    first = module.block.first_op
    assert first is not None
    module.block.insert_op_before(op, first)
    return op.result
