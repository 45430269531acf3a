"""
When the values of a circuit are there, as a graph: what registers may be placed by.

A node is what has a stage of its own: an operation, or a segment of a port. Ports are
cut into segments where their bits are used apart. An edge goes from a node to one that
uses it. All instances of a module run at the same stages.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from xdsl.dialects import comb, hw
from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder, width_of
from mase_opt.lib.hardware.registers import Graph, Net

_SPECIAL = (
    hw.InstanceOp,
    hw.OutputOp,
    comb.ExtractOp,
    comb.ConcatOp,
    comb.ReplicateOp,
    hw.ConstantOp,
    hw.ArrayCreateOp,
)
"""What takes no time."""
TABLE_INPUTS = 6
"""What a lookup table takes."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Bits `low` to `low + width - 1` of a value; of a number if there is none."""

    value: SSAValue | None
    low: int
    width: int


@dataclass(eq=False)
class Slot:
    """The bits of a value, or of a port of all instances of a module."""

    width: int
    cuts: set[int]
    nodes: list[int] = field(default_factory=list[int])
    """The node of each segment: of an operation, always the same."""
    bounds: list[int] = field(default_factory=list[int])
    """The cuts in order, when all are known."""

    def within(self, low: int, width: int) -> Iterator[tuple[int, int, int]]:
        """Number, first and last + 1 bit of each segment in a range of bits."""
        first = bisect_right(self.bounds, low) - 1
        last = bisect_left(self.bounds, low + width)
        for index in range(first, last):
            yield index, self.bounds[index], self.bounds[index + 1]


@dataclass(frozen=True, slots=True)
class Use:
    """A piece of a value that goes to an operation, or to a place in a port."""

    piece: Piece
    user: int | Slot
    offset: int = 0


class Timing:
    """The timing graph of the modules of a design, the top last."""

    def __init__(self, builders: Sequence[Builder]):
        self.builders = {b.name: b for b in builders}
        self.top = builders[-1]
        self.levels: list[int] = []
        """Per node: the logic levels that it adds."""
        self.pieces: dict[SSAValue, list[Piece]] = {}
        """What values are made of that only rearrange bits of others."""
        self.slots: dict[SSAValue, Slot] = {}
        self.outputs: dict[str, list[Slot]] = {}
        """Output ports by module."""
        self.inputs = {b.name: tuple(b.block.args) for b in builders}
        """Input ports by module."""
        self.node: dict[Operation, int] = {}
        self.users: dict[tuple[SSAValue, int], set[int]] = {}
        """The nodes that use a segment of a value."""
        self._uses: dict[str, list[Use]] = {}
        for b in builders:
            self._read(b)
        self._cut()
        self._number()
        edges, nets = self._connect()
        self.graph = Graph(
            levels=self.levels,
            edges=edges,
            nets=nets,
            starts=[n for arg in self.top.block.args for n in self.slots[arg].nodes],
            ends=[n for slot in self.outputs[self.top.name] for n in slot.nodes],
        )

    def instances(self, b: Builder) -> Iterator[tuple[hw.InstanceOp, Builder]]:
        """The instances in a module, and what they are instances of."""
        for op in b.block.ops:
            if isinstance(op, hw.InstanceOp):
                yield op, self.builders[op.module_name.string_value()]

    def _read(self, b: Builder) -> None:
        """What each operation of a module uses."""
        uses = self._uses[b.name] = list[Use]()
        for arg in b.block.args:
            self._source(arg, Slot(width_of(arg), {0, width_of(arg)}))
        for op in b.block.ops:
            # Not by `isinstance` first, which is slow for such classes.
            if type(op) not in _SPECIAL:
                self._operation(uses, op)
            elif isinstance(op, hw.InstanceOp):
                child = self.builders[op.module_name.string_value()]
                for operand, port in zip(op.inputs, child.block.args, strict=True):
                    self._port(uses, operand, self.slots[port])
                ports = self.outputs[child.name]
                for result, slot in zip(op.outputs, ports, strict=True):
                    self._source(result, slot)
            elif isinstance(op, hw.OutputOp):
                self.outputs[b.name] = []
                for operand in op.operands:
                    slot = Slot(width_of(operand), {0, width_of(operand)})
                    self.outputs[b.name].append(slot)
                    self._port(uses, operand, slot)
            elif isinstance(op, comb.ExtractOp | comb.ConcatOp | comb.ReplicateOp):
                self.pieces[op.results[0]] = self._wiring(op)
            elif isinstance(op, hw.ConstantOp):
                value = op.value.value.data
                width = width_of(op.result)
                self.pieces[op.result] = [
                    Piece(None, value & ((1 << width) - 1), width)
                ]

    def _operation(self, uses: list[Use], op: Operation) -> None:
        taken = [
            piece
            for operand in op.operands
            if isinstance(operand.type, IntegerType)
            for piece in self.pieces[operand]
        ]
        node = self.node[op] = len(self.levels)
        self.levels.append(levels(op, self.pieces))
        width = width_of(op.results[0])
        slot = Slot(width, {0, width}, [node])
        self._source(op.results[0], slot)
        uses.extend(Use(piece, node) for piece in taken if piece.value is not None)

    def _source(self, value: SSAValue, slot: Slot) -> None:
        self.slots[value] = slot
        self.pieces[value] = [Piece(value, 0, slot.width)]

    def _port(self, uses: list[Use], operand: SSAValue, slot: Slot) -> None:
        offset = 0
        for piece in self.pieces[operand]:
            if piece.value is not None:
                uses.append(Use(piece, slot, offset))
            offset += piece.width

    def _wiring(
        self, op: comb.ExtractOp | comb.ConcatOp | comb.ReplicateOp
    ) -> list[Piece]:
        if isinstance(op, comb.ConcatOp):
            return [p for value in reversed(op.operands) for p in self.pieces[value]]
        inner = self.pieces[op.operands[0]]
        if isinstance(op, comb.ReplicateOp):
            return inner * (width_of(op.result) // width_of(op.operands[0]))
        return cut_out(inner, op.low_bit.value.data, width_of(op.result))

    def _cut(self) -> None:
        """Cut values where a user, or a port that they go to, is cut."""
        every = [use for uses in self._uses.values() for use in uses]
        for use in every:
            assert use.piece.value is not None
            ends = (use.piece.low, use.piece.low + use.piece.width)
            self.slots[use.piece.value].cuts.update(ends)
        to_ports = [use for use in every if isinstance(use.user, Slot)]
        changed = True
        while changed:
            changed = False
            # From users to what they use.
            for use in reversed(to_ports):
                assert isinstance(use.user, Slot)
                assert use.piece.value is not None
                cuts = self.slots[use.piece.value].cuts
                before = len(cuts)
                start, width = use.offset, use.piece.width
                cuts.update(
                    c - start + use.piece.low
                    for c in use.user.cuts
                    if start < c < start + width
                )
                changed |= len(cuts) > before

    def _number(self) -> None:
        """Number the segments of ports as nodes."""
        ports = [slot for slots in self.outputs.values() for slot in slots]
        for slot in {*self.slots.values(), *ports}:
            slot.bounds = sorted(slot.cuts)
        for b in self.builders.values():
            own = [self.slots[arg] for arg in b.block.args] + self.outputs[b.name]
            for slot in own:
                count = len(slot.bounds) - 1
                slot.nodes = list(range(len(self.levels), len(self.levels) + count))
                self.levels += [0] * count
        for op, node in self.node.items():
            slot = self.slots[op.results[0]]
            slot.nodes = [node] * (len(slot.bounds) - 1)

    def _connect(self) -> tuple[set[tuple[int, int]], list[Net]]:
        count = dict.fromkeys(self.builders, 0)
        count[self.top.name] = 1
        for b in reversed(self.builders.values()):
            for _, child in self.instances(b):
                count[child.name] += count[b.name]
        edges: set[tuple[int, int]] = set()
        widths: dict[tuple[int, tuple[int, ...]], int] = {}
        for name, uses in self._uses.items():
            users: dict[tuple[SSAValue, int], set[int]] = {}
            for use in uses:
                value, low = use.piece.value, use.piece.low
                assert value is not None
                slot = self.slots[value]
                for index, first, _ in slot.within(low, use.piece.width):
                    user = use.user
                    if isinstance(user, Slot):
                        place = bisect_right(user.bounds, use.offset + first - low) - 1
                        user = user.nodes[place]
                    edges.add((slot.nodes[index], user))
                    users.setdefault((value, index), set()).add(user)
            self.users |= users
            for (value, index), found in users.items():
                slot = self.slots[value]
                key = (slot.nodes[index], tuple(sorted(found)))
                bits = slot.bounds[index + 1] - slot.bounds[index]
                widths[key] = widths.get(key, 0) + bits * count[name]
        return edges, [Net(*key, width) for key, width in widths.items()]


def cut_out(pieces: Sequence[Piece], low: int, width: int) -> list[Piece]:
    """Bits `low` to `low + width - 1` of pieces, the first in the lowest bits."""
    result: list[Piece] = []
    start = 0
    for piece in pieces:
        first, last = max(low, start), min(low + width, start + piece.width)
        if first < last:
            inner = piece.low >> (first - start)
            if piece.value is not None:
                inner = piece.low + first - start
            else:
                inner &= (1 << (last - first)) - 1
            result.append(Piece(piece.value, inner, last - first))
        start += piece.width
    return result


def levels(op: Operation, pieces: dict[SSAValue, list[Piece]]) -> int:
    """
    Logic levels of an operation.

    Raises `PassFailedException` for one that is not expected in a circuit.
    """
    match op:
        case comb.AddOp() | comb.SubOp():
            return arith.ADD
        case comb.ICmpOp():
            equality = op.predicate.value.data < 2
            inputs = sum(len(_inputs(pieces[v])) for v in op.operands)
            return 0 if equality and inputs <= TABLE_INPUTS else arith.COMPARE
        case comb.MuxOp() if _is_gate(op, pieces):
            return 0
        case comb.MuxOp() | hw.ArrayGetOp():
            return arith.SELECT
        case comb.MulOp():
            return arith.mul_levels(*(_bits(pieces[v]) for v in op.operands))
        case comb.AndOp() | comb.OrOp() | comb.XorOp():
            # A table or two of single bits, with those that use them, are a level.
            return arith.BITWISE if width_of(op.result) > 1 else 0
        case _:
            raise PassFailedException(f"no logic levels known for {op.name}")


def _is_gate(op: comb.MuxOp, pieces: dict[SSAValue, list[Piece]]) -> bool:
    """Whether every bit is kept or cleared, as in relu: tables around it do that."""
    options = [pieces[op.true_value], pieces[op.false_value]]
    return any(all(p.value is None and p.low == 0 for p in o) for o in options)


def _bits(pieces: Sequence[Piece]) -> int:
    """Bits of a value that is extended from fewer."""
    return len(_inputs(pieces)) or sum(piece.low.bit_length() for piece in pieces)


def _inputs(pieces: Sequence[Piece]) -> set[tuple[SSAValue, int]]:
    """The bits that are not constant, each once."""
    return {
        (piece.value, bit)
        for piece in pieces
        if piece.value is not None
        for bit in range(piece.low, piece.low + piece.width)
    }
