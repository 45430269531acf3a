"""What a module computes, and no other module reads, is not built."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from itertools import accumulate

from xdsl.dialects import comb, hw
from xdsl.dialects.builtin import IntegerAttr, IntegerType
from xdsl.ir import Operation, SSAValue

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
    once = {name for name, count in Counter(names).items() if count == 1}
    read = _Read()
    for op, name in reversed(list(zip(instances, names, strict=True))):
        if name in once:
            module = by_name[name]
            _drop(module, [read.of(value) for value in op.outputs])
            read.inputs[name] = [_Read().of(argument) for argument in module.block.args]


class _Read:
    """Which bits of values in a module are read, as numbers."""

    def __init__(self):
        self.inputs: dict[str, list[int]] = {}
        """The bits that modules read of what they are given."""
        self._known: dict[SSAValue, int] = {}
        self._places: dict[Operation, list[int]] = {}

    def of(self, value: SSAValue) -> int:
        if value not in self._known:
            everything = (1 << width_of(value)) - 1 if _is_bits(value) else 1
            result = 0
            for use in value.uses:
                result |= self._through(use.operation, use.index, everything)
            self._known[value] = result & everything
        return self._known[value]

    def _through(self, op: Operation, index: int, everything: int) -> int:
        """The bits of operand `index` that are read by way of `op`."""
        match op:
            case comb.ExtractOp():
                return self.of(op.result) << op.low_bit.value.data
            case comb.ConcatOp():
                return self.of(op.result) >> self._place(op, index)
            case hw.InstanceOp():
                given = self.inputs.get(op.module_name.string_value())
                return everything if given is None else given[index]
            case _:
                return everything

    def _place(self, op: comb.ConcatOp, index: int) -> int:
        """Where in the result an operand begins."""
        if op not in self._places:
            widths = [width_of(v) for v in reversed(op.operands)]
            self._places[op] = list(accumulate(widths, initial=0))[-2::-1]
        return self._places[op][index]


def _is_bits(value: SSAValue) -> bool:
    return isinstance(value.type, IntegerType)


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
