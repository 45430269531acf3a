"""Registers: every value is delayed to the stages in which it is used."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from xdsl.dialects import comb, hw
from xdsl.dialects.builtin import ArrayAttr, IntegerAttr, IntegerType, StringAttr, i64
from xdsl.ir import SSAValue

from mase_opt.lib.hardware.builder import LATENCY, Builder
from mase_opt.lib.hardware.registers import Schedule
from mase_opt.lib.hardware.timing import Piece, Slot, Timing, cut_out


def insert_registers(timing: Timing, schedule: Schedule) -> None:
    """Put registers into all modules, such that every node is at its stage."""
    for b in timing.builders.values():
        inserter = _Inserter(b, timing, schedule.stages)
        inserter.run()


@dataclass(frozen=True)
class Group:
    """Neighbouring bits of a value that are there from one stage to another."""

    low: int
    width: int
    first: int
    last: int


class _Inserter:
    """Registers of one module; those that it instantiates have theirs."""

    def __init__(self, builder: Builder, timing: Timing, stages: Sequence[int]):
        self.b = builder
        self.timing = timing
        self.stages = stages
        self.groups: dict[SSAValue, list[Group]] = {}
        self.chains: dict[tuple[SSAValue, int], list[SSAValue]] = {}
        """Per group, by its lowest bit: its bits after 0, 1, … registers."""
        self.moved: dict[tuple[SSAValue, int], SSAValue] = {}
        """Values at stages."""

    def run(self) -> None:
        inputs = [self.timing.slots[arg] for arg in self.timing.inputs[self.b.name]]
        outputs = self.timing.outputs[self.b.name]
        for op in list(self.b.block.ops):
            self.b.cursor = op
            node = self.timing.node.get(op)
            if node is not None:
                for index, operand in enumerate(op.operands):
                    if isinstance(operand.type, IntegerType):
                        op.operands[index] = self._at(operand, self.stages[node])
            elif isinstance(op, hw.OutputOp):
                op.operands = self._to_ports(op.operands, outputs)
            elif isinstance(op, hw.InstanceOp):
                self._connect(op)
        self.b.cursor = None
        self.b.sweep()
        first, last = self._last_stage(inputs), self._last_stage(outputs)
        self.b.attributes[LATENCY] = IntegerAttr(max(last - first, 0), i64)

    def _last_stage(self, slots: Iterable[Slot]) -> int:
        nodes = [node for slot in slots for node in slot.nodes]
        return max((self.stages[node] for node in nodes), default=0)

    def _connect(self, op: hw.InstanceOp) -> None:
        child = self.timing.builders[op.module_name.string_value()]
        ports = [self.timing.slots[arg] for arg in self.timing.inputs[child.name]]
        data = self._to_ports(op.inputs, ports)
        control = child.control()
        make = {"clk": self.b.clock, "ce": self.b.enable}
        op.operands = [*(make[name]() for name in control), *data]
        names = [*(StringAttr(name) for name in control), *op.arg_names.data]
        op.arg_names = ArrayAttr(names)

    def _to_ports(
        self, operands: Iterable[SSAValue], ports: Iterable[Slot]
    ) -> list[SSAValue]:
        """The operands, each segment at the stage of the port's."""
        result: list[SSAValue] = []
        for operand, port in zip(operands, ports, strict=True):
            stages = {self.stages[node] for node in port.nodes}
            if len(stages) == 1:
                result.append(self._at(operand, stages.pop()))
                continue
            pieces = self.timing.pieces[operand]
            segments = [
                (piece, self.stages[port.nodes[index]])
                for index, low, high in port.within(0, port.width)
                for piece in cut_out(pieces, low, high - low)
            ]
            result.append(self._join(segments))
        return result

    def _at(self, value: SSAValue, stage: int) -> SSAValue:
        """A value at a stage."""
        pieces = self.timing.pieces[value]
        if all(self._is_at(piece, stage) for piece in pieces):
            return value
        key = (value, stage)
        if key not in self.moved:
            self.moved[key] = self._move(value, pieces, stage)
        return self.moved[key]

    def _move(self, value: SSAValue, pieces: list[Piece], stage: int) -> SSAValue:
        match value.owner:
            case comb.ConcatOp() as op:
                return self.b.concat(*(self._at(v, stage) for v in op.operands))
            case comb.ReplicateOp() as op:
                operand = self._at(op.operands[0], stage)
                return self.b.emit(
                    comb.ReplicateOp.create(
                        operands=[operand], result_types=[value.type]
                    )
                )
            case _:
                return self._join([(piece, stage) for piece in pieces])

    def _is_at(self, piece: Piece, stage: int) -> bool:
        if piece.value is None:
            return True
        slot = self.timing.slots[piece.value]
        return all(
            self.stages[slot.nodes[index]] == stage
            for index, _, _ in slot.within(piece.low, piece.width)
        )

    def _join(self, pieces: Iterable[tuple[Piece, int]]) -> SSAValue:
        """Pieces side by side, each at a stage, the first in the lowest bits."""
        runs: list[Piece] = []
        for piece, stage in pieces:
            for part in self._parts(piece, stage):
                last = runs[-1] if runs else None
                if last is None or last.value is not part.value:
                    runs.append(part)
                elif part.value is None:
                    code = last.low | part.low << last.width
                    runs[-1] = Piece(None, code, last.width + part.width)
                elif last.low + last.width == part.low:
                    runs[-1] = Piece(last.value, last.low, last.width + part.width)
                else:
                    runs.append(part)
        return self.b.concat(
            *(self.b.bits(run.value, run.low, run.width) for run in reversed(runs))
        )

    def _parts(self, piece: Piece, stage: int) -> Iterable[Piece]:
        """The registers that hold a piece at a stage."""
        if piece.value is None:
            yield piece
            return
        low, high = piece.low, piece.low + piece.width
        for group in self._groups_of(piece.value):
            first, last = max(low, group.low), min(high, group.low + group.width)
            if first >= last:
                continue
            count = stage - group.first
            if count == 0:
                yield Piece(piece.value, first, last - first)
            else:
                value = self._delayed(piece.value, group, count)
                yield Piece(value, first - group.low, last - first)

    def _delayed(self, value: SSAValue, group: Group, count: int) -> SSAValue:
        chain = self.chains.setdefault((value, group.low), [])
        if not chain:
            chain.append(self.b.slice(value, group.low, group.width))
        while len(chain) <= count:
            chain.append(self.b.register(chain[-1]))
        return chain[count]

    def _groups_of(self, value: SSAValue) -> list[Group]:
        """Segments of a value, those that live equally long together."""
        found = self.groups.get(value)
        if found is None:
            found = self.groups[value] = []
            slot = self.timing.slots[value]
            for index, low, high in slot.within(0, slot.width):
                first = self.stages[slot.nodes[index]]
                users = self.timing.users.get((value, index), ())
                end = max((self.stages[user] for user in users), default=first)
                before = found[-1] if found else None
                if before and (before.first, before.last) == (first, end):
                    found[-1] = Group(before.low, high - before.low, first, end)
                else:
                    found.append(Group(low, high - low, first, end))
        return found
