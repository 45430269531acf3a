"""What a report says of streamed circuits: processes, buffers and their rates."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from xdsl.dialects import hw
from xdsl.dialects.builtin import (
    ArrayAttr,
    DictionaryAttr,
    IntegerAttr,
    StringAttr,
)
from xdsl.ir import Attribute

from mase_opt.lib.analysis.devices import half_blocks
from mase_opt.lib.conversion.convert_stream_to_hw import PROCESS
from mase_opt.lib.hardware.interface import PortLayout
from mase_opt.lib.reports.graph import Box, Edge, drawing
from mase_opt.lib.table import Column, Table

if TYPE_CHECKING:
    from mase_opt.model.report import LayerCost

CLOCK = 100e6
"""Hertz at which samples per second are said if no clock is given."""


@dataclass(frozen=True)
class Buffer:
    """Where beats wait before a process."""

    process: str
    source: str
    """Who writes them: a process or an input."""
    role: str
    """Why they wait: fifo, line buffer, vector kept or skip."""
    places: int
    least: int
    """The places without which the process could not run at all."""
    bits: int
    """Of a beat."""
    beats: int
    """Of a sample."""
    ramb18: int
    """Half block memories; 0: tables, or registers."""


@dataclass(frozen=True)
class Process:
    """A process or an output, and how busy it is."""

    name: str
    operation: str
    output: str
    """Shape and format of the result, where a layer of the model has one."""
    cycles: int
    """Iterations for a sample."""
    busy: float
    """Part of the cycles between samples in which it works."""
    parameters: int
    multipliers: int
    register_bits: int
    memory_bits: int
    ramb18: int


@dataclass(frozen=True)
class Streams:
    """All processes and buffers."""

    processes: tuple[Process, ...]
    buffers: tuple[Buffer, ...]
    bottleneck: str
    """The process that takes the most cycles, of several the first."""
    interval: int
    latency: int
    clock: float | None
    """Hertz, if it is known."""

    @property
    def samples_per_second(self) -> float:
        """At the clock, or at `CLOCK`."""
        return (self.clock or CLOCK) / self.interval

    def tables(self, title: str) -> list[Table]:
        """A row for each process, and one for each buffer."""
        total = [sum(c) for c in zip(*map(_costs, self.processes), strict=True)]
        return [
            Table(
                title,
                PROCESS_COLUMNS,
                [
                    (p.name, p.operation, p.output, p.cycles, p.busy, *_costs(p))
                    for p in self.processes
                ],
                ("total", None, None, self.interval, None, *total),
            ),
            Table(
                "what waits before each process:",
                BUFFER_COLUMNS,
                [
                    (b.process, b.source, b.role, b.places, b.least, b.bits, b.ramb18)
                    for b in self.buffers
                ],
            ),
        ]

    def picture(self) -> str:
        """
        The processes and channels, as an SVG file.

        Boxes say how busy processes are, edges how many beats of how many bits a sample
        has there, and how many can wait.
        """
        names = {process.name for process in self.processes}
        inputs = dict.fromkeys(b.source for b in self.buffers if b.source not in names)
        boxes = [Box(name, ["input"], f"input {name}") for name in inputs]
        boxes += [
            Box(
                process.name,
                [
                    process.operation,
                    f"{process.cycles} cycles, {process.busy:.0%} busy",
                ],
                f"{process.name}: {process.multipliers} multipliers, "
                f"{process.memory_bits} bits of memory",
            )
            for process in self.processes
        ]
        edges = [
            Edge(
                buffer.source,
                buffer.process,
                f"{buffer.beats} x {buffer.bits} bit, room for {buffer.places}",
                f"{buffer.role}: {buffer.least} places at least",
            )
            for buffer in self.buffers
        ]
        text = drawing(boxes, edges)
        return text.replace("<svg ", f'<svg xmlns="{SVG}" ', 1) + "\n"

    def notes(self) -> str:
        """The bottleneck and the throughput, a line each."""
        busy = max(process.busy for process in self.processes)
        clock = (self.clock or CLOCK) / 1e6
        microseconds = self.latency / clock
        return (
            f"bottleneck: {self.bottleneck}, busy in {busy:.0%} of the cycles\n"
            f"at {clock:g} MHz: {self.samples_per_second:.6g} samples/s, the first "
            f"after {microseconds:.6g} us\n"
        )


SVG = "http://www.w3.org/2000/svg"
PROCESS_COLUMNS = (
    Column("process"),
    Column("operation", fold=1),
    Column("output", fold=1),
    Column("cycles"),
    Column("busy", ".0%"),
    Column("parameters"),
    Column("multipliers"),
    Column("register_bits"),
    Column("memory_bits"),
    Column("ramb18"),
)
BUFFER_COLUMNS = (
    Column("buffer"),
    Column("from"),
    Column("role"),
    Column("places"),
    Column("least"),
    Column("bits"),
    Column("ramb18"),
)


def _costs(process: Process) -> tuple[int, ...]:
    return (
        process.parameters,
        process.multipliers,
        process.register_bits,
        process.memory_bits,
        process.ramb18,
    )


def streams_of(
    modules: Mapping[str, hw.HWModuleOp],
    network: str,
    layout: PortLayout,
    layers: Sequence[LayerCost],
    clock: float | None,
) -> Streams:
    """What there is to say of processes: `layers`, the instances in `network`."""
    instances = [
        op for op in modules[network].body.block.ops if isinstance(op, hw.InstanceOp)
    ]
    processes: list[Process] = []
    buffers: list[Buffer] = []
    for op, layer in zip(instances, layers, strict=True):
        module = modules[op.module_name.string_value()]
        described = _dictionary(module.attributes[PROCESS])
        name, cycles = op.instance_name.data, _integer(described["cycles"])
        buffers += _buffers(name, described["buffers"])
        processes.append(
            Process(
                name,
                _text(described["operation"]),
                layer.output,
                cycles,
                cycles / layout.initiation_interval,
                layer.parameters,
                layer.multiplies,
                layer.register_bits,
                layer.memory_bits,
                layer.ramb18,
            )
        )
    slowest = max(processes, key=lambda process: process.cycles)
    return Streams(
        tuple(processes),
        tuple(buffers),
        slowest.name,
        layout.initiation_interval,
        layout.latency,
        clock,
    )


def _buffers(process: str, described: Attribute) -> Iterator[Buffer]:
    for attr in cast("ArrayAttr[DictionaryAttr]", described):
        data = attr.data
        places, bits = _integer(data["places"]), _integer(data["bits"])
        yield Buffer(
            process,
            _text(data["from"]),
            _text(data["role"]),
            places,
            _integer(data["least"]),
            bits,
            _integer(data["beats"]),
            half_blocks(places, bits),
        )


def _dictionary(attribute: Attribute) -> Mapping[str, Attribute]:
    assert isinstance(attribute, DictionaryAttr)
    return attribute.data


def _integer(attribute: Attribute) -> int:
    assert isinstance(attribute, IntegerAttr)
    return attribute.value.data


def _text(attribute: Attribute) -> str:
    assert isinstance(attribute, StringAttr)
    return attribute.data
