"""
Lanes: where each element of what a process writes is computed in the same way.

The datapath then is one module for one element, which is there as often as a beat has
elements. Which ops can be cut into lanes, and what each lane reads, is said here.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Block, Operation, SSAValue

from mase_opt.dialects.mase import elementwise, layers
from mase_opt.dialects.mase.base import int_array
from mase_opt.dialects.mase.shape import ConstantOp, ReshapeOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.dialects.stream.ops import AccumulateOp, ProcessOp, YieldOp
from mase_opt.lib.conversion.streamed.datapath import Part, build, parts_of, rom_of

EACH = (
    elementwise.CastOp,
    elementwise.NegOp,
    elementwise.AbsOp,
    elementwise.ReluOp,
    elementwise.Relu6Op,
    elementwise.LeakyReluOp,
    elementwise.AddOp,
    elementwise.SubOp,
    elementwise.MulOp,
    elementwise.DivOp,
    elementwise.MaximumOp,
    elementwise.MinimumOp,
    elementwise.CompareOp,
    elementwise.SelectOp,
    elementwise.AndOp,
    elementwise.OrOp,
    elementwise.XorOp,
)
"""Each element of the result depends on the elements at its place alone."""


@dataclass(frozen=True)
class Datapath:
    """The parts of a body, or those of one of its lanes."""

    parts: list[Part]
    lanes: int = 1
    """How many of these there are side by side."""


def datapath_of(process: ProcessOp) -> Datapath:
    """The parts of one lane, where there are several that are alike."""
    parts = parts_of(process)
    last = process.body.block.last_op
    assert isinstance(last, YieldOp)
    lanes = prod(shape_of(last.value))
    if lanes == 1 or any(
        not isinstance(op, AccumulateOp) for op in process.accumulators
    ):
        return Datapath(parts)
    found = [_Cutter(part, lanes).cut() for part in parts]
    cut = [part for part in found if part is not None]
    if len(cut) < len(parts) or not any(part.ops for part in cut):
        return Datapath(parts)
    return Datapath(cut, lanes)


def set_stages(process: ProcessOp, depth: int) -> None:
    """Choose the registers of a process. Raises `HardwareError` as `build` does."""
    process.properties["stages"] = int_array(
        [
            0 if part.is_wire else build(part, "part", depth=depth).stages
            for part in datapath_of(process).parts
        ]
    )


class _Cutter:
    """Builds the ops of one lane of a part."""

    def __init__(self, part: Part, lanes: int):
        self.part, self.lanes = part, lanes
        self.inside = set(part.ops)
        self.block = Block()
        """Its arguments are what the lane reads."""
        self.sources: dict[SSAValue, SSAValue] = {}
        self.done: dict[SSAValue, SSAValue | None] = {}

    def cut(self) -> Part | None:
        """The lane, or None where lanes differ."""
        output = self._lane(self.part.output)
        if output is None:
            return None
        return Part(tuple(self.block.ops), tuple(self.block.args), output, self.sources)

    def _lane(self, value: SSAValue) -> SSAValue | None:
        """Its consecutive elements of `value`, in one row; those of lane 0."""
        if value not in self.done:
            self.done[value] = self._cut(value)
        return self.done[value]

    def _cut(self, value: SSAValue) -> SSAValue | None:
        count, rest = divmod(prod(shape_of(value)), self.lanes)
        if rest:
            return None
        op = value.owner
        if op not in self.inside:
            return self._input(value, (1, count))
        match op:
            case ReshapeOp():
                return self._lane(op.input)
            case ConstantOp():
                codes = op.array().reshape(-1)
                if (codes != codes[0]).any():
                    return None
                tile = np.broadcast_to(codes[:1], (1, count))
                return self._add(ConstantOp.of(tile, element_of(value)))
            case layers.LinearOp():
                return self._linear(op)
            case layers.LookupOp():
                table = op.table.owner
                assert isinstance(table, ConstantOp), "checked before"
                return self._again(op, [self._lane(op.input), self._add(table.clone())])
            case Operation() if isinstance(op, EACH):
                if isinstance(op, elementwise.MulOp) and self._differ(op.operands):
                    return None
                return self._again(op, [self._lane(v) for v in op.operands])
            case _:
                return None

    def _linear(self, op: layers.LinearOp) -> SSAValue | None:
        """A dot product: all of the input with a row of the weights."""
        outputs, features = shape_of(op.weight)
        alone = prod(shape_of(op.input)) == features
        if outputs != self.lanes or not alone or self._differ([op.weight]):
            return None
        if op.input.owner in self.inside and not isinstance(op.input.owner, ReshapeOp):
            return None
        source = op.input.owner
        whole = source.input if isinstance(source, ReshapeOp) else op.input
        given = [self._input(whole, (1, features)), self._lane(op.weight)]
        if op.bias is not None:
            bias = self._lane(op.bias)
            given.append(bias and self._add(ReshapeOp(bias, (1,))))
        return self._again(op, given)

    def _differ(self, values: Sequence[SSAValue]) -> bool:
        """Whether lanes multiply by constants, each by its own: shifts and adders."""
        roms = [rom for value in values if (rom := rom_of(value)) is not None]
        return any(
            len(words) == 1 and (words != words[0, 0]).any()
            for words in (rom.words() for rom in roms)
        )

    def _input(self, source: SSAValue, shape: tuple[int, ...]) -> SSAValue:
        type = TensorType(element_of(source), shape)
        value = self.block.insert_arg(type, len(self.block.args))
        self.sources[value] = source
        return value

    def _again(
        self, op: Operation, operands: Sequence[SSAValue | None]
    ) -> SSAValue | None:
        """The same op on the operands of a lane."""
        given = [value for value in operands if value is not None]
        if len(given) < len(operands):
            return None
        (result,) = op.results
        count = prod(shape_of(result)) // self.lanes
        new = type(op).create(
            operands=given,
            result_types=[TensorType(element_of(result), (1, count))],
            properties=dict(op.properties),
        )
        return self._add(new)

    def _add(self, op: Operation) -> SSAValue:
        self.block.add_op(op)
        return op.results[0]
