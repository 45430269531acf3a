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

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from xdsl.dialects import comb, hw
from xdsl.dialects.builtin import IntegerType, StringAttr, SymbolRefAttr, i1
from xdsl.ir import BlockArgument, Operation, SSAValue

from mase_opt.dialects.circt import FirMemOp, FirMemReadOp, FirMemWriteOp
from mase_opt.dialects.mase.base import ints, show
from mase_opt.dialects.mase.formats import BlockType
from mase_opt.dialects.mase.shape import ConstantOp, ReshapeOp
from mase_opt.dialects.stream.ops import (
    AccumulateOp,
    Accumulator,
    FifoOp,
    JoinOp,
    Kind,
    MergeOp,
    ProcessOp,
    RomOp,
    SelectOp,
    TableOp,
    YieldOp,
)
from mase_opt.dialects.stream.types import ChannelType, channel_of
from mase_opt.lib.conversion.streamed.cells import Cell, CellPort
from mase_opt.lib.conversion.streamed.datapath import (
    Circuit,
    Part,
    Port,
    build,
    rom_of,
)
from mase_opt.lib.conversion.streamed.lanes import Datapath, datapath_of
from mase_opt.lib.conversion.unrolled.top import LAYER
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder, Design, width_of
from mase_opt.lib.hardware.codec import (
    codes_of,
    element_codes,
    lanes_of,
    len_of,
)
from mase_opt.lib.hardware.memory import joined
from mase_opt.lib.hardware.sequential import (
    Address,
    Follower,
    Loops,
    Register,
    add,
    below,
    delayed,
    every,
    is_positive,
    modulo_increment,
    subtract,
    widened,
)
from mase_opt.lib.hardware.wire import Wire, bits_for
from mase_opt.lib.streams.schedule import Access, Affine, Read, Schedule

_NAME = "sv.namehint"
"""What CIRCT calls a wire, if it needs one."""

Ports = list[tuple[str, SSAValue]]


def beat_bits(type: ChannelType) -> int:
    """Bits of a beat; blocks have their exponent behind the elements."""
    element = type.element
    shared = element.format.scale.bits if isinstance(element, BlockType) else 0
    return type.layout.lanes * element_codes(type.element).bits + shared


def bits_of(value: SSAValue) -> int:
    """Bits of a tile."""
    return sum(lane.size * lane.codes.bits for lane in lanes_of(value))


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
        if layer is not None:
            self.b.attributes[LAYER] = StringAttr(layer)
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
        _drop_dead(b)
        for op in b.block.ops:
            if (hint := op.results[0].name_hint if op.results else None) is not None:
                op.attributes[_NAME] = StringAttr(hint)
        names = [b.name_of(argument) for argument in b.block.args[2:]]
        types = [(n, b.type(width_of(v))) for n, v in self.outputs]
        return Module(b.close(), tuple(names), tuple(types))


def _drop_dead(b: Builder) -> None:
    """Drop what nothing depends on, as counters of loops that nobody asks for."""
    waiting: list[Operation] = [
        op for op in b.block.ops if isinstance(op, hw.OutputOp | FirMemWriteOp)
    ]
    live = set(waiting)
    while waiting:
        before = {v.owner for v in waiting.pop().operands}
        found = [op for op in before if isinstance(op, Operation) and op not in live]
        live.update(found)
        waiting += found
    for op in [op for op in b.block.ops if op not in live]:
        op.detach()
        op.operands = []


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
        self.b, self.capacity, self.name = b, capacity, name
        self.reserve, self.valid = (
            m.input(f"{name}_reserve", 1),
            m.input(f"{name}_valid", 1),
        )
        self.data = m.input(name, bits)
        beats = read.layout.beats
        position, dropped = read.position, read.released(schedule.loops)
        places, drops = schedule.positions(read), schedule.drops(read)
        needs = schedule.needs(read)
        # What has come for sure when an iteration is looked at: what the sample before
        # needed, as long as this one has needed nothing.
        before, come = needs[-1] - beats, np.roll(needs, 1)
        come[0] = 0
        come = np.where(come > 0, np.maximum(come, before), before)
        # Before the first sample, there is more of what lies around it than fits.
        first, most = -int(places[0]), capacity + int((drops - places).max())
        ahead = int((come - places).min()), most, first, -1
        self.ahead = Register(
            b, bits_for(min(ahead), max(ahead)), reset, first, f"{name}_ahead"
        )
        held = int((come - drops).min()), capacity, -int(drops[0]), -1
        self.held = Register(
            b, bits_for(min(held), max(held)), reset, -int(drops[0]), f"{name}_held"
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
        if self.bounds:
            self.inside.name_hint = f"{name}_within"
        there = is_positive(b, self.ahead.value)
        if self.bounds:
            outside = arith.invert(b, self.inside)
            there = arith.bitwise(b, comb.OrOp, outside, there)
        there.name_hint = f"{name}_there"
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


def operations(op: ProcessOp) -> str:
    """What a process computes, in words."""
    kinds = [
        inner.kind.data if isinstance(inner, AccumulateOp) else _kind(inner)
        for inner in op.body.block.ops
        if not isinstance(inner, RomOp | ReshapeOp | ConstantOp | YieldOp)
    ]
    return ", ".join(kinds) or "nothing"


def heading(op: ProcessOp) -> str:
    """What a process computes, for the head of its module."""
    layer = f"layer {op.layer.data}: " if op.layer else ""
    lines = [f"{layer}{operations(op)}; {op.schedule.iterations} cycles"]
    sizes = ints(op.capacity) if op.capacity is not None else ()
    for index, (value, size) in enumerate(zip(op.inputs, sizes, strict=True)):
        lines.append(f"in{index}: {_in_words(channel_of(value))}, buffer of {size}")
    lines.append(f"out: {_in_words(channel_of(op.result))}")
    return "\n".join(lines)


def _kind(op: Operation) -> str:
    return op.name.rpartition(".")[2]


def _in_words(type: ChannelType) -> str:
    layout = type.layout
    return f"{show(layout.shape)} of {type.element}, {layout.lanes} a beat"


def process_circuit(op: ProcessOp, name: str) -> tuple[list[hw.HWModuleOp], Module]:
    """The modules of the datapath, and that of the process, which has them within."""
    schedule = op.schedule
    assert op.capacity is not None, "checked before"
    m = ModuleBuilder(name, op.layer.data if op.layer else None)
    m.b.attributes["comment"] = StringAttr(heading(op))
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
    reserve.name_hint = "reserve"
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


@dataclass(frozen=True)
class _Input:
    """What goes into a part of a datapath."""

    name: str
    word: SSAValue | None
    """In the module of the process; None for what the accumulator before holds."""
    bits: int
    apart: bool
    """Whether each lane has bits of its own."""


@dataclass(frozen=True)
class _Step:
    """A part of a datapath, and the accumulator behind it."""

    name: str
    circuit: Circuit | None
    """None for a part that gives what it gets."""
    inputs: tuple[_Input, ...]
    bits: int
    """Of what it gives."""
    accumulator: Accumulator | None
    controls: tuple[SSAValue, ...]
    """Of the accumulator: a tile is there; in sums, it is the first of a group."""


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
        self.modules: list[hw.HWModuleOp] = []
        self.stage = 1
        """Cycles after the start of an iteration."""

    def connect(self, buffers: Sequence[BufferEnd]) -> list[hw.HWModuleOp]:
        """Build all; the modules of the parts."""
        b = self.b
        arguments = self.op.body.block.args
        fills = ints(self.op.fill)
        for argument, buffer, fill in zip(arguments, buffers, fills, strict=True):
            word = b.register(buffer.word)
            word.name_hint = f"{buffer.name}_word"
            if buffer.bounds:
                inside = b.register(buffer.inside)
                inside.name_hint = f"{buffer.name}_inside"
                word = arith.select(b, inside, word, self._filled(argument, fill))
                word.name_hint = f"{buffer.name}_tile"
            self.values[argument] = word
        for op in self.op.body.block.ops:
            if isinstance(op, SelectOp):
                self.values[op.result] = self._select(op)
            if isinstance(op, MergeOp):
                ends = dict(zip(arguments, buffers, strict=True))
                self.values[op.result] = self._merge(op, ends)
        path = datapath_of(self.op)
        steps = self._steps(path)
        if path.lanes == 1:
            self.result = _assemble(b, steps, iter(_words(steps)))
        else:
            self.result = self._side_by_side(steps, path.lanes)
        return self.modules

    def _steps(self, path: Datapath) -> list[_Step]:
        """The parts, with what goes into them at their stages."""
        b, several = self.b, len(path.parts) > 1
        name = f"{b.name}_part"
        steps: list[_Step] = []
        stages = ints(self.op.stages) if self.op.stages is not None else ()
        before: Accumulator | None = None
        accumulators = iter(self.op.accumulators)
        for index, (part, count) in enumerate(zip(path.parts, stages, strict=True)):
            own = f"{name}{index}" if several else name
            circuit = None if part.is_wire else build(part, own, stages=count)
            inputs = [
                self._input(port, part, before, path.lanes)
                for port in (circuit.inputs if circuit is not None else ())
            ]
            if circuit is None:
                source = part.source(part.output)
                held = before is not None and source == before.result
                word = None if held else self._operand(source)
                apart = path.lanes > 1 and len_of(part.output) < len_of(source)
                inputs = [_Input("in", word, bits_of(part.output), apart)]
            self.stage += count
            before, controls = next(accumulators, None), ()
            if before is not None:
                controls = self._controls(before)
                self.stage += 1
            bits = bits_of(part.output)
            steps.append(_Step(own, circuit, tuple(inputs), bits, before, controls))
            if circuit is not None:
                self.modules += circuit.modules
        return steps

    def _input(
        self, port: Port, part: Part, before: Accumulator | None, lanes: int
    ) -> _Input:
        """What goes into a port of a part."""
        source = part.source(port.value)
        own, whole = lanes_of(port.value)[port.lane], lanes_of(source)
        bits = own.codes.bits
        apart = lanes > 1 and own.size < whole[port.lane].size
        word: SSAValue | None = None
        if before is None or source != before.result:
            low = sum(lane.size * lane.codes.bits for lane in whole[: port.lane])
            word = self._operand(source)
            word = self.b.slice(word, low, whole[port.lane].size * bits)
        return _Input(port.name, word, own.size * bits, apart)

    def _controls(self, op: Accumulator) -> tuple[SSAValue, ...]:
        """What says when an accumulator takes a tile."""
        b = self.b
        if isinstance(op, TableOp):
            return ()
        go = delayed(b, self.go, self.stage, self.m.reset)
        if isinstance(op, JoinOp):
            return (go,)
        first = self.loops.first(self.schedule.reduced)
        first.name_hint = "first"
        return go, delayed(b, first, self.stage)

    def _side_by_side(self, steps: Sequence[_Step], lanes: int) -> SSAValue:
        """A module for one lane, as often as there are lanes."""
        b = self.b
        (step, *more) = steps
        if not more and step.circuit is not None:
            ports = tuple(CellPort(i.name, i.bits, i.apart) for i in step.inputs)
            cell = Cell(step.name, step.circuit.clocked, ports, step.bits)
        else:
            cell, module = _lane(f"{b.name}_lane", steps)
            self.modules.append(module)
        result, modules = cell.lanes(b, _words(steps), lanes)
        self.modules += modules
        return result

    def _filled(self, argument: SSAValue, code: int) -> SSAValue:
        """A beat of nothing but a code."""
        bits = codes_of(argument).bits
        word = sum(
            (code & ((1 << bits) - 1)) << bits * i for i in range(len_of(argument))
        )
        return self.b.literal(word, bits_of(argument))

    def _operand(self, value: SSAValue) -> SSAValue:
        op = rom_of(value)
        return self._rom(op) if op is not None else self.values[value]

    def _rom(self, op: RomOp) -> SSAValue:
        """The word of the iteration that is at this stage."""
        b = self.b
        width = bits_of(op.result)
        words = [0] * len(op.words())
        low = first = 0
        for lane in lanes_of(op.result):
            codes = op.words()[:, first : first + lane.size]
            parts = joined(codes, lane.codes.bits)
            words = [w | part << low for w, part in zip(words, parts, strict=True)]
            low, first = low + lane.size * lane.codes.bits, first + lane.size
        if len(words) == 1:
            return b.literal(words[0], width)
        label = b.design.unique(f"{b.name}_{op.result.name_hint or 'rom'}")
        factors = [0] * len(self.schedule.loops)
        step = 1
        for level in reversed(ints(op.loops)):
            factors[level] = step
            step *= self.schedule.loops[level]
        steps = Affine(0, tuple(factors)).steps(self.schedule.loops, 0)
        address = Address(self.loops, self.m.reset, steps, 0, len(words), f"{label}_at")
        self.followers.append(address)
        memory = b.emit(FirMemOp(len(words), width, label, words))
        place = delayed(b, address.value, self.stage - 1)
        word = b.register(b.emit(FirMemReadOp(memory, place, b.clock())))
        word.name_hint = f"{op.result.name_hint or 'rom'}_word"
        return word

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
        which.name_hint = "part"
        parts = len_of(op.input) // len_of(op.result)
        # Halves, by the bits of the counter from the highest on.
        for place in reversed(range(width_of(which))):
            half, rest = 1 << place, parts - (1 << place)
            low, high = (b.slice(value, 0, half * width),) * 2
            if rest > 0:
                high = b.slice(value, half * width, rest * width)
                if rest < half:
                    high = b.concat(b.literal(0, (half - rest) * width), high)
            value, parts = arith.select(b, b.slice(which, place, 1), high, low), half
        return value

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


def _words(steps: Sequence[_Step]) -> list[SSAValue]:
    """All that goes into the parts, and then what controls each accumulator."""
    words: list[SSAValue] = []
    for step in steps:
        words += [i.word for i in step.inputs if i.word is not None]
        words += step.controls
    return words


def _lane(name: str, steps: Sequence[_Step]) -> tuple[Cell, hw.HWModuleOp]:
    """A module of all steps."""
    design = Design(stall=False)
    b = Builder(design, name)
    b.clock()
    design.names.add("clk")
    ports: list[CellPort] = []
    for step in steps:
        for i in step.inputs:
            if i.word is not None:
                ports.append(CellPort(design.unique(i.name), i.bits, i.apart))
        for what in ("go", "first")[: len(step.controls)]:
            ports.append(CellPort(design.unique(what), 1, False))
    arguments = [b.argument(p.name, b.type(p.bits), len(b.block.args)) for p in ports]
    value = _assemble(b, steps, iter(arguments))
    b.outputs = ["out"]
    b.block.add_op(hw.OutputOp([value]))
    return Cell(name, True, tuple(ports), steps[-1].bits), b.close()


def _assemble(
    b: Builder, steps: Sequence[_Step], words: Iterator[SSAValue]
) -> SSAValue:
    """What comes out of the parts one after the other."""
    value: SSAValue | None = None
    for index, step in enumerate(steps):
        inputs: Ports = []
        for i in step.inputs:
            given = value if i.word is None else next(words)
            assert given is not None, "nothing is before the first accumulator"
            inputs.append((i.name, given))
        if step.circuit is None:
            ((_, value),) = inputs
        else:
            if step.circuit.clocked:
                inputs.insert(0, ("clk", b.clock()))
            made = hw.InstanceOp(
                f"part{index}",
                SymbolRefAttr(step.name),
                inputs,
                [(name, b.type(bits)) for name, bits in step.circuit.outputs],
            )
            b.emit(made)
            value = b.concat(*reversed(made.results))
        match step.accumulator:
            case JoinOp() as op:
                value = _join(b, op, value, next(words))
            case AccumulateOp() as op:
                value = _accumulate(b, op, value, next(words), next(words))
            case TableOp() as op:
                value = _table(b, op, value)
            case None:
                pass
    assert value is not None
    return value


def _table(b: Builder, op: TableOp, value: SSAValue) -> SSAValue:
    """The word of a number."""
    bits = codes_of(op.result).bits
    words = joined(op.words(), bits)
    label = b.design.unique(f"{b.name}_{op.result.name_hint or 'table'}")
    width = bits_for(0, len(words) - 1)
    known = min(width, width_of(value))
    place = b.slice(value, 0, known)
    if known < width:
        place = b.concat(b.literal(0, width - known), place)
    memory = b.emit(FirMemOp(len(words), bits * op.words().shape[1], label, words))
    word = b.register(b.emit(FirMemReadOp(memory, place, b.clock())))
    word.name_hint = "word"
    return word


def _join(b: Builder, op: JoinOp, value: SSAValue, go: SSAValue) -> SSAValue:
    """A register through which the words of a group of iterations move."""
    width, part = len_of(op.result) * codes_of(op.result).bits, width_of(value)
    register = Register(b, width, None, 0, "words")
    if width > part:
        value = b.concat(value, b.slice(register.value, part, width - part))
    register.follow_if(go, value)
    return register.value


def _accumulate(
    b: Builder, op: AccumulateOp, value: SSAValue, go: SSAValue, first: SSAValue
) -> SSAValue:
    """The registers of the sums, or of the maxima, of a group of iterations."""
    source, target = codes_of(op.input), codes_of(op.result)
    found: list[SSAValue] = []
    for lane in range(width_of(value) // source.bits):
        wire = Wire(
            value, lane * source.bits, source.bits, source.min_code, source.max_code
        )
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
        register.follow_if(go, arith.select(b, first, x, more))
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
