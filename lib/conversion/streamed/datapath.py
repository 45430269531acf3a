"""The datapath of a process: its body as circuits without loops, cut into stages."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib import import_module
from math import prod

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects import hw
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase.types import shape_of
from mase_opt.dialects.stream.ops import (
    AccumulateOp,
    JoinOp,
    MergeOp,
    ProcessOp,
    RomOp,
    SelectOp,
    TableOp,
    YieldOp,
)
from mase_opt.lib.conversion.unrolled.registry import TEMPLATES, WIRINGS
from mase_opt.lib.conversion.unrolled.top import checked_wires, moved, used_builders
from mase_opt.lib.hardware.builder import Builder, Design, Output, Span
from mase_opt.lib.hardware.codec import Wires, lanes_of, split
from mase_opt.lib.hardware.names import identifier
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.hardware.pipeline import insert_registers
from mase_opt.lib.hardware.registers import Schedule, Scheduler
from mase_opt.lib.hardware.timing import Timing
from mase_opt.lib.hardware.wire import constant

import_module("mase_opt.lib.conversion.unrolled")


@dataclass(frozen=True)
class Part:
    """The ops of a body between two accumulators."""

    ops: tuple[Operation, ...]
    inputs: tuple[SSAValue, ...]
    """Tiles that are read, ROMs and the accumulator before."""
    output: SSAValue
    """What the accumulator behind takes, or the process writes."""
    sources: Mapping[SSAValue, SSAValue] = field(
        default_factory=dict[SSAValue, SSAValue]
    )
    """Of one lane: what inputs are as many parts of as there are lanes, or all of."""

    @property
    def is_wire(self) -> bool:
        """Whether nothing is computed."""
        return not self.ops

    def source(self, value: SSAValue) -> SSAValue:
        """What an input is, or is a part of."""
        return self.sources.get(value, value)

    def role(self, value: SSAValue, fallback: str) -> str:
        """What an input is called."""
        source = self.source(value)
        if (rom := rom_of(source)) is not None:
            return identifier(rom.result.name_hint or "rom", "rom")
        return "acc" if isinstance(source.owner, AccumulateOp) else fallback

    def constant(self, value: SSAValue) -> list[int] | None:
        """The codes of an input that is always the same, in all lanes."""
        rom = rom_of(self.source(value))
        if rom is None or len(rom.words()) > 1:
            return None
        result: list[int] = []
        for lane, words in zip(lanes_of(value), _columns(rom), strict=True):
            codes: list[int] = words[0].tolist()
            if len(codes) != lane.size and len(set(codes)) > 1:
                return None
            result += codes[: lane.size]
        return result

    def spans(self, value: SSAValue) -> list[list[Span]]:
        """What each code of an input can be, by lane of wires."""
        lanes = lanes_of(value)
        if (rom := rom_of(self.source(value))) is None:
            return [lane.spans for lane in lanes]
        return [
            [(int(words.min()), int(words.max()))] * lane.size
            for lane, words in zip(lanes, _columns(rom), strict=True)
        ]


def parts_of(process: ProcessOp) -> list[Part]:
    """The parts of a body, in order."""
    result: list[Part] = []
    ops: list[Operation] = []
    for op in process.body.block.ops:
        match op:
            case RomOp() | SelectOp() | MergeOp():
                continue
            case AccumulateOp() | JoinOp() | TableOp():
                result.append(_part(ops, op.input))
                ops = []
            case YieldOp():
                result.append(_part(ops, op.value))
            case _:
                ops.append(op)
    return result


def _part(ops: Sequence[Operation], output: SSAValue) -> Part:
    own = {op.results[0] for op in ops}
    read = [v for op in ops for v in op.operands if v not in own]
    inputs = dict.fromkeys(read if ops else [output])
    return Part(tuple(ops), tuple(inputs), output)


def rom_of(value: SSAValue) -> RomOp | None:
    """The ROM that gives a value."""
    return value.owner if isinstance(value.owner, RomOp) else None


def _columns(rom: RomOp) -> list[NDArray[np.generic]]:
    """The codes of elements, and those of the exponents that blocks share."""
    return np.split(rom.words(), [prod(shape_of(rom.result))], axis=1)[
        : len(lanes_of(rom.result))
    ]


@dataclass(frozen=True)
class Port:
    """An input of a part: codes of a value, all of one width."""

    name: str
    value: SSAValue
    lane: int
    """Which of its lanes: elements, or the exponents that blocks share."""


@dataclass(frozen=True)
class Circuit:
    """A part as modules, and what goes into the last of them."""

    modules: tuple[hw.HWModuleOp, ...]
    inputs: tuple[Port, ...]
    outputs: tuple[tuple[str, int], ...]
    """Names and bits: elements, and the exponents that blocks share."""
    clocked: bool
    stages: int


def build(
    part: Part, name: str, *, depth: int | None = None, stages: int | None = None
) -> Circuit:
    """
    The circuit of a part, of `stages` stages or of such with at most `depth` levels.

    Raises `HardwareError` for what has no circuit.
    """
    design = Design(stall=False)
    b = Builder(design, design.unique(name))
    wires: dict[SSAValue, Wires] = {}
    ports: list[Port] = []
    for index, value in enumerate(part.inputs):
        if (codes := part.constant(value)) is not None:
            wires[value] = [constant(code) for code in codes]
            continue
        wires[value] = []
        role = part.role(value, f"in{index}")
        lanes = zip(lanes_of(value), part.spans(value), strict=True)
        for place, (lane, spans) in enumerate(lanes):
            port = design.unique(role + lane.suffix)
            before = len(b.inputs)
            wires[value] += b.input(port, lane.codes.bits, spans)
            if len(b.inputs) > before:
                ports.append(Port(port, value, place))
    for op in part.ops:
        operands = [wires[v] for v in op.operands]
        if type(op) in WIRINGS:
            wires[op.results[0]] = moved(op, operands)
        else:
            template = TEMPLATES.get(type(op))
            if template is None:
                raise HardwareError(f"{op.name} has no circuit")
            wires[op.results[0]] = checked_wires(op, template(op, b, *operands))
    results = split(part.output, wires[part.output])
    outputs = [Output("out" + lane.suffix, lane.codes.bits, w) for lane, w in results]
    b.finish(outputs)
    builders = used_builders(design.builders)
    timing = Timing(builders)
    scheduler = Scheduler(timing.graph)
    schedule: Schedule
    if stages is not None:
        schedule = (
            scheduler.with_stages(stages) if stages else scheduler.combinational()
        )
    else:
        assert depth is not None
        schedule = scheduler.with_depth(depth) if depth else scheduler.combinational()
    insert_registers(timing, schedule)
    clocked = "clk" in b.control()
    modules = tuple(builder.close() for builder in builders)
    named = tuple((lane.name, lane.width * len(lane.wires)) for lane in outputs)
    return Circuit(modules, tuple(ports), named, clocked, schedule.latency)
