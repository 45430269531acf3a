"""
The circuits of processes, and of the ends of channels.

Between two circuits go: `valid` and the data, one beat for each cycle in which `valid`
is set; in the cycle in which the iteration starts that will write it, `reserve`; and in
the other direction `ready`, which says that one more beat can be reserved. What has
been reserved is always taken, so that nothing within a process ever stops, and `ready`
comes from registers alone. At the inputs and outputs of the design there are `valid`
and `ready` as usual.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects import comb, hw
from xdsl.dialects.builtin import IntegerType, StringAttr, SymbolRefAttr, i1
from xdsl.ir import BlockArgument, SSAValue

from mase_opt.dialects.circt import FirMemOp, FirMemReadOp, FirMemWriteOp
from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.stream.ops import (
    AccumulateOp,
    FifoOp,
    JoinOp,
    Kind,
    MergeOp,
    ProcessOp,
    RomOp,
    SelectOp,
    TableOp,
)
from mase_opt.dialects.stream.types import ChannelType, channel_of
from mase_opt.lib.conversion.streamed.datapath import build, parts_of, rom_of
from mase_opt.lib.conversion.unrolled.top import LAYER
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder, Design, width_of
from mase_opt.lib.hardware.codec import codes_of, element_codes, len_of
from mase_opt.lib.hardware.sequential import (
    Address,
    Follower,
    Loops,
    Register,
    add,
    below,
    delayed,
    equals,
    every,
    is_positive,
    modulo_increment,
    subtract,
    widened,
)
from mase_opt.lib.hardware.wire import Wire, bits_for
from mase_opt.lib.streams.schedule import Access, Affine, Read, Schedule

Ports = list[tuple[str, SSAValue]]


def beat_bits(type: ChannelType) -> int:
    """Bits of a beat."""
    return type.layout.lanes * element_codes(type.element).bits


def fifo_schedule(type: ChannelType) -> Schedule:
    """The schedule of the end of a channel: beats leave as they come."""
    layout = type.layout
    loops = tuple(layout.grid[d] for d in layout.order)
    units = [tuple(int(d == axis) for d in layout.order) for axis in range(len(loops))]
    places = tuple(Affine(0, unit) for unit in units)
    if not loops:
        loops, places = (1,), ()
    read = Read(layout, places, len(loops))
    return Schedule(loops, (read,), Access(layout, places), 0)


@dataclass(frozen=True)
class Module:
    """A finished module: the names and types of its ports, apart from clock, reset."""

    op: hw.HWModuleOp
    inputs: tuple[str, ...]
    outputs: tuple[tuple[str, IntegerType], ...]


class ModuleBuilder:
    """A module with clock and reset, one process or end of a channel."""

    def __init__(self, name: str, layer: str | None):
        self.b = Builder(Design(stall=False), name)
        self.b.attributes[LAYER] = StringAttr(layer or name)
        self.b.clock()
        self.reset = self.b.argument("rst", i1, 1)
        self.outputs: Ports = []

    def input(self, name: str, bits: int) -> SSAValue:
        b = self.b
        return b.argument(name, IntegerType(bits), len(b.block.args))

    def close(self) -> Module:
        b = self.b
        b.outputs = [name for name, _ in self.outputs]
        b.block.add_op(hw.OutputOp([value for _, value in self.outputs]))
        names = [b.name_of(argument) for argument in b.block.args[2:]]
        types = [(n, b.type(width_of(v))) for n, v in self.outputs]
        return Module(b.close(), tuple(names), tuple(types))


class BufferEnd:
    """
    The buffer behind an input, read by the iterations of a nest.

    Ports: `<name>_reserve`, `<name>_valid`, `<name>`, and out `<name>_ready`.
    """

    def __init__(
        self,
        m: ModuleBuilder,
        loops: Loops,
        schedule: Schedule,
        read: Read,
        capacity: int,
        bits: int,
        name: str,
    ):
        b, reset = m.b, m.reset
        self.b, self.capacity = b, capacity
        self.reserve, self.valid = (
            m.input(f"{name}_reserve", 1),
            m.input(f"{name}_valid", 1),
        )
        self.data = m.input(name, bits)
        beats = read.layout.beats
        position, dropped = read.position, read.released(schedule.loops)
        places, drops = schedule.positions(read), schedule.drops(read)
        needs = schedule.needs(read)
        # What has come for sure when an iteration is looked at.
        come = np.maximum(np.roll(needs, 1), needs[-1] - beats)
        come[0] = needs[-1] - beats
        ahead = int((come - places).min()), capacity + int((drops - places).max())
        self.ahead = Register(
            b,
            bits_for(min(*ahead, -1), max(ahead)),
            reset,
            -int(places[0]),
            f"{name}_ahead",
        )
        held = int((come - drops).min()), capacity
        self.held = Register(
            b,
            bits_for(min(*held, -1), max(held)),
            reset,
            -int(drops[0]),
            f"{name}_held",
        )
        self.steps = position.steps(schedule.loops, beats)
        self.drops = dropped.steps(schedule.loops, beats)
        self.loops = loops
        self.read_address: Address | None = None
        self.write_address: Register | None = None
        if capacity > 1:
            start = int(places[0])
            self.read_address = Address(
                loops, reset, self.steps, start, capacity, f"{name}_read"
            )
            width = bits_for(0, capacity - 1)
            self.write_address = Register(b, width, reset, 0, f"{name}_write")
        self.bounds = [
            (
                Follower(
                    loops,
                    reset,
                    place.steps(schedule.loops, 0),
                    int(values[0]),
                    (int(values.min()), max(int(values.max()), size)),
                    f"{name}_place",
                ),
                size,
            )
            for place, size in read.bounded(schedule.loops)
            for values in [place.values(schedule.counters)]
        ]
        self.inside = every(
            b, [self._within(follower, size) for follower, size in self.bounds]
        )
        there = is_positive(b, self.ahead.value)
        if self.bounds:
            outside = arith.invert(b, self.inside)
            there = arith.bitwise(b, comb.OrOp, outside, there)
        self.there = there
        """One bit: the iteration has what it reads."""
        m.outputs.append(
            (f"{name}_ready", below(b, self.held.value, capacity, signed=True))
        )
        self.word = self._memory(name, bits)

    def _within(self, follower: Follower, size: int) -> SSAValue:
        # A negative number is large without its sign.
        return below(self.b, follower.value, size, signed=False)

    def _memory(self, name: str, bits: int) -> SSAValue:
        """What lies at the place that is read."""
        b = self.b
        if self.read_address is None or self.write_address is None:
            word = Register(b, bits, None, 0, f"{name}_word")
            word.follow_if(self.valid, self.data)
            return word.value
        memory = b.emit(FirMemOp(self.capacity, bits, f"{b.name}_{name}"))
        b.block.add_op(
            FirMemWriteOp(
                memory, self.write_address.value, self.data, b.clock(), self.valid
            )
        )
        return b.emit(FirMemReadOp(memory, self.read_address.value, b.clock()))

    def advance(self, go: SSAValue) -> None:
        """Connect everything; `go`: an iteration starts in this cycle."""
        b = self.b
        if self.read_address is not None and self.write_address is not None:
            following = modulo_increment(b, self.write_address.value, self.capacity)
            self.write_address.follow_if(self.valid, following)
            self.read_address.advance(go)
        for follower, _ in self.bounds:
            follower.advance(go)
        for register, more, steps in (
            (self.ahead, self.valid, self.steps),
            (self.held, self.reserve, self.drops),
        ):
            width = width_of(register.value)
            total = add(b, register.value, widened(b, more, width))
            step = self.loops.choose(steps, width)
            none = b.literal(0, width)
            register.follow(subtract(b, total, arith.select(b, go, step, none)))


def process_circuit(op: ProcessOp, name: str) -> tuple[list[hw.HWModuleOp], Module]:
    """The modules of the datapath, and that of the process, which has them within."""
    schedule = op.schedule
    assert op.capacity is not None, "checked before"
    m = ModuleBuilder(name, op.layer.data if op.layer else None)
    b, reset = m.b, m.reset
    loops = Loops(b, reset, schedule.loops)
    buffers = [
        BufferEnd(
            m, loops, schedule, read, capacity, beat_bits(channel_of(value)), f"in{i}"
        )
        for i, (read, capacity, value) in enumerate(
            zip(schedule.reads, ints(op.capacity), op.inputs, strict=True)
        )
    ]
    ready = m.input("out_ready", 1)
    ends = schedule.write.bounded(schedule.loops)
    bounds: list[Follower] = []
    writes = loops.last(schedule.reduced)
    for place, size in ends:
        values = place.values(schedule.counters)
        span = int(values.min()), max(int(values.max()), size)
        bounds.append(
            Follower(
                loops,
                reset,
                place.steps(schedule.loops, 0),
                int(values[0]),
                span,
                "place",
            )
        )
        inside = below(b, bounds[-1].value, size, signed=False)
        writes = arith.bitwise(b, comb.AndOp, writes, inside)
    free = arith.bitwise(b, comb.OrOp, arith.invert(b, writes), ready)
    go = every(b, [*(buffer.there for buffer in buffers), free])
    go.name_hint = "go"
    reserve = arith.bitwise(b, comb.AndOp, go, writes)
    path = _Datapath(op, m, loops, schedule, go)
    modules = path.connect(buffers)
    for buffer in buffers:
        buffer.advance(go)
    for follower in (*bounds, *path.followers):
        follower.advance(go)
    loops.advance(go)
    m.outputs += [
        ("out_reserve", reserve),
        ("out_valid", delayed(b, reserve, op.latency, reset)),
        ("out", path.result),
    ]
    return modules, m.close()


class _Datapath:
    """From the words that are read to the beat that is written."""

    def __init__(
        self,
        op: ProcessOp,
        m: ModuleBuilder,
        loops: Loops,
        schedule: Schedule,
        go: SSAValue,
    ):
        self.op, self.m, self.b = op, m, m.b
        self.loops, self.schedule, self.go = loops, schedule, go
        self.values: dict[SSAValue, SSAValue] = {}
        self.followers: list[Address] = []
        self.result: SSAValue = go
        self.stage = 1
        """Cycles after the start of an iteration."""

    def connect(self, buffers: Sequence[BufferEnd]) -> list[hw.HWModuleOp]:
        """Build all; the modules of the parts."""
        b = self.b
        arguments = self.op.body.block.args
        fills = ints(self.op.fill)
        for argument, buffer, fill in zip(arguments, buffers, fills, strict=True):
            word = b.register(buffer.word)
            if buffer.bounds:
                inside = b.register(buffer.inside)
                word = arith.select(b, inside, word, self._filled(argument, fill))
            self.values[argument] = word
        for op in self.op.body.block.ops:
            if isinstance(op, SelectOp):
                self.values[op.result] = self._select(op)
            if isinstance(op, MergeOp):
                ends = dict(zip(arguments, buffers, strict=True))
                self.values[op.result] = self._merge(op, ends)
        modules: list[hw.HWModuleOp] = []
        stages = ints(self.op.stages) if self.op.stages is not None else ()
        accumulators = iter(self.op.accumulators)
        for index, (part, count) in enumerate(
            zip(parts_of(self.op), stages, strict=True)
        ):
            if part.is_wire:
                value = self._operand(part.output)
            else:
                name = f"{b.name}_part{index}" if len(stages) > 1 else f"{b.name}_part"
                circuit = build(part, name, stages=count)
                modules += circuit.modules
                inputs: Ports = [("clk", b.clock())] if circuit.clocked else []
                inputs += [(port, self._operand(v)) for port, v in circuit.inputs]
                bits = len_of(part.output) * codes_of(part.output).bits
                op = hw.InstanceOp(
                    f"part{index}", SymbolRefAttr(name), inputs, [("out", b.type(bits))]
                )
                value = b.emit(op)
            self.stage += count
            if (accumulator := next(accumulators, None)) is not None:
                match accumulator:
                    case JoinOp():
                        value = self._join(accumulator, value)
                    case TableOp():
                        value = self._table(accumulator, value)
                    case AccumulateOp():
                        value = self._accumulate(accumulator, value)
                self.values[accumulator.result] = value
                self.stage += 1
            self.result = value
        return modules

    def _filled(self, argument: SSAValue, code: int) -> SSAValue:
        """A beat of nothing but a code."""
        bits = codes_of(argument).bits
        word = sum(
            (code & ((1 << bits) - 1)) << bits * i for i in range(len_of(argument))
        )
        return self.b.literal(word, bits * len_of(argument))

    def _operand(self, value: SSAValue) -> SSAValue:
        op = rom_of(value)
        return self._rom(op) if op is not None else self.values[value]

    def _rom(self, op: RomOp) -> SSAValue:
        """The word of the iteration that is at this stage."""
        b = self.b
        words, label = self._words(op)
        if len(words) == 1:
            return b.literal(words[0], self._bits(op))
        factors = [0] * len(self.schedule.loops)
        step = 1
        for level in reversed(ints(op.loops)):
            factors[level] = step
            step *= self.schedule.loops[level]
        steps = Affine(0, tuple(factors)).steps(self.schedule.loops, 0)
        address = Address(self.loops, self.m.reset, steps, 0, len(words), f"{label}_at")
        self.followers.append(address)
        memory = b.emit(FirMemOp(len(words), self._bits(op), label, words))
        place = delayed(b, address.value, self.stage - 1)
        return b.register(b.emit(FirMemReadOp(memory, place, b.clock())))

    def _table(self, op: TableOp, value: SSAValue) -> SSAValue:
        """The word of a number."""
        b = self.b
        words, label = self._words(op)
        width = bits_for(0, len(words) - 1)
        known = min(width, width_of(value))
        place = b.slice(value, 0, known)
        if known < width:
            place = b.concat(b.literal(0, width - known), place)
        memory = b.emit(FirMemOp(len(words), self._bits(op), label, words))
        return b.register(b.emit(FirMemReadOp(memory, place, b.clock())))

    def _words(self, op: RomOp | TableOp) -> tuple[list[int], str]:
        """The words of a memory with contents, and what it is called."""
        bits = codes_of(op.result).bits
        mask = (1 << bits) - 1
        words = [
            sum((code & mask) << bits * i for i, code in enumerate(row))
            for row in op.words().tolist()
        ]
        name = f"{self.b.name}_{op.result.name_hint or 'rom'}"
        return words, self.b.design.unique(name)

    @staticmethod
    def _bits(op: RomOp | TableOp) -> int:
        return codes_of(op.result).bits * op.words().shape[1]

    def _select(self, op: SelectOp) -> SSAValue:
        """The part of a word that the counter says."""
        b = self.b
        value, width = (
            self.values[op.input],
            len_of(op.result) * codes_of(op.result).bits,
        )
        counter = self.loops.counter(op.loop.value.data)
        result = b.slice(value, 0, width)
        if counter is None:
            return result
        which = b.register(counter)
        for part in range(1, len_of(op.input) // len_of(op.result)):
            here = equals(b, which, part)
            result = arith.select(b, here, b.slice(value, part * width, width), result)
        return result

    def _merge(
        self, op: MergeOp, buffers: Mapping[BlockArgument, BufferEnd]
    ) -> SSAValue:
        """The word of the first operand that lies inside."""
        b = self.b
        *others, last = op.inputs
        result = self.values[last]
        for value in reversed(others):
            assert isinstance(value, BlockArgument), "verified"
            inside = b.register(buffers[value].inside)
            result = arith.select(b, inside, self.values[value], result)
        return result

    def _join(self, op: JoinOp, value: SSAValue) -> SSAValue:
        """Registers through which the words of a group of iterations move."""
        b = self.b
        go = delayed(b, self.go, self.stage, self.m.reset)
        words: list[SSAValue] = []
        for place in range(len_of(op.result) // len_of(op.input)):
            register = Register(b, width_of(value), None, 0, f"word{place}")
            register.follow_if(go, value)
            value = register.value
            words.append(value)
        return b.concat(*words)

    def _accumulate(self, op: AccumulateOp, value: SSAValue) -> SSAValue:
        """The registers of the sums, or of the maxima, of a group of iterations."""
        b, reset = self.b, self.m.reset
        source, target = codes_of(op.input), codes_of(op.result)
        first = delayed(b, self.loops.first(self.schedule.reduced), self.stage)
        go = delayed(b, self.go, self.stage, reset)
        found: list[SSAValue] = []
        for lane in range(len_of(op.input)):
            low = lane * source.bits
            wire = Wire(value, low, source.bits, source.min_code, source.max_code)
            x = b.read(wire, target.bits)
            register = Register(b, target.bits, None, 0, f"acc{lane}")
            if op.kind.data == Kind.SUM:
                more = add(b, register.value, x)
            else:
                less = 2 if target.min_code < 0 else 6
                pair = register.value, x
                smaller = arith.icmp(b, less, *pair)
                low, high = pair if op.kind.data == Kind.MAX else reversed(pair)
                more = arith.select(b, smaller, high, low)
            following = arith.select(b, first, x, more)
            register.follow_if(go, following)
            found.append(register.value)
        return b.concat(*reversed(found))


def fifo_circuit(op: FifoOp, name: str) -> Module:
    """An output of the design: what waits there is offered until it is taken."""
    assert op.capacity is not None, "checked before"
    type = channel_of(op.input)
    schedule = fifo_schedule(type)
    m = ModuleBuilder(name, None)
    loops = Loops(m.b, m.reset, schedule.loops)
    (read,) = schedule.reads
    capacity = op.capacity.value.data
    buffer = BufferEnd(m, loops, schedule, read, capacity, beat_bits(type), "in0")
    taken = m.input("out_ready", 1)
    go = arith.bitwise(m.b, comb.AndOp, buffer.there, taken)
    buffer.advance(go)
    loops.advance(go)
    m.outputs += [("out_valid", buffer.there), ("out", buffer.word)]
    return m.close()
