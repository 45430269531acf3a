"""
What a generated circuit looks like from outside.

A `PortLayout` is all that simulators, test benches and the manifest need to know: the
names of the ports, how the elements of a tensor lie in a port, and when results come.
Element 0 lies in the lowest bits; each element takes `width` bits (two's complement
if signed).
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from math import prod
from typing import Any, Literal, cast

from mase_opt.lib.streams.layout import Layout

INTERFACE = "mase.interface"
"""Attribute of the top module that describes its ports, see `interface_attr`."""
AXIS_CLOCK = "aclk"
AXIS_RESET = "aresetn"
CLOCK = "clk"
"""Clock; registers take their input at the rising edge."""
RESET = "rst"
"""Reset, synchronous and active high."""
IN_VALID = "in_valid"
IN_READY = "in_ready"
OUT_VALID = "out_valid"
OUT_READY = "out_ready"
BIT_LAYOUT = (
    "element i of a port, counted in row-major order of its shape, is in bits "
    "[width * i + width - 1 : width * i]; signed elements are in two's complement; "
    "elements that share exponents by blocks have these, row-major, in a second port, "
    "called like theirs with _scales behind"
)
"""How the elements of a tensor lie in a port, in words."""
BEAT_LAYOUT = (
    "tensors are cut into tiles, of which a port holds one at a time: element i of the "
    "tile, counted in row-major order, is in bits [width * i + width - 1 : width * i]; "
    "tiles follow each other along the dimensions in order, outermost first; elements "
    "beyond the end of the shape can be anything; signed elements are in two's "
    "complement"
)
"""The same where each port has several beats a sample."""
INPUT_CODES = (
    "codes at inputs stand for numbers: where a format has codes of infinities and "
    "NaN, nothing is promised of results that depend on one"
)
"""What a circuit asks of its inputs, in words."""


def rate(initiation_interval: int) -> str:
    """How often a circuit takes a sample, in words."""
    if initiation_interval == 1:
        return "one sample per cycle"
    return f"one sample every {initiation_interval} cycles"


@dataclass(frozen=True)
class Port:
    """
    One data port: a tensor, all elements side by side, or a tile of it in each beat.

    `elements` are those that are there at a time. `shape` and `format` say what the
    elements mean; simulation needs neither.
    """

    name: str
    direction: Literal["in", "out"]
    elements: int
    width: int
    """Bits per element, at least 1; simulation takes up to 64."""
    signed: bool = True
    shape: tuple[int, ...] = ()
    format: str = ""
    """The element type as it is written in the IR, such as `!mase.fixed<8, 4>`."""
    tile: tuple[int, ...] = ()
    """Of a channel: the part of the tensor that is in the port at a time."""
    order: tuple[int, ...] = ()
    """Of a channel: the dimensions along which tiles come, outermost first."""

    @property
    def channel(self) -> Layout | None:
        """How the tensor travels, if it does so in beats."""
        return Layout(self.shape, self.tile, self.order) if self.tile else None

    @property
    def size(self) -> int:
        """Elements of a sample."""
        return prod(self.shape) if self.tile else self.elements

    @property
    def bits(self) -> int:
        """The width of the whole port."""
        return self.elements * self.width


def valid_of(port: Port) -> str:
    """The signal that says that a channel has a beat."""
    return f"{port.name}_valid"


def ready_of(port: Port) -> str:
    """The signal that says that a beat is taken."""
    return f"{port.name}_ready"


def axis_of(port: Port, signal: str) -> str:
    """The name of a signal of a channel as an AXI4-Stream."""
    return f"{'s' if port.direction == 'in' else 'm'}_axis_{port.name}_{signal}"


def axis_bits(port: Port) -> int:
    """Bits of TDATA: those of a beat, and zeros up to whole bytes."""
    return -(-port.bits // 8) * 8


@dataclass(frozen=True)
class PortLayout:
    """
    The interface of a top module.

    With `has_clock` there are `clk` and `rst`, with `has_valid` `in_valid` and
    `out_valid`, with `has_ready` (which needs `has_valid`) `out_ready` and `in_ready`.
    With `has_channels`, each data port has a valid and a ready of its own instead; if
    it `is_axis`, too, they are AXI4-Streams, with `aclk` and `aresetn`.
    """

    top: str
    ports: tuple[Port, ...]
    latency: int = 0
    """Rising edges from a sample at the inputs to its result at the outputs."""
    initiation_interval: int = 1
    """Cycles from one sample to the next, which it may not come before."""
    logic_depth: int = 0
    """Adders (or what takes as long) between two registers at most."""
    has_clock: bool = False
    has_valid: bool = False
    has_ready: bool = False
    has_channels: bool = False
    is_axis: bool = False

    def __post_init__(self) -> None:
        assert self.has_clock or self.latency == 0, "latency needs a clock"
        assert self.has_valid or not self.has_ready, "ready needs valid"
        assert self.has_clock or not self.has_ready, "ready needs a clock"
        assert self.initiation_interval >= 1, f"interval {self.initiation_interval}"
        assert self.has_clock or self.initiation_interval == 1, "waiting needs a clock"
        for port in self.ports:
            assert port.width >= 1, f"port {port.name}: width {port.width}"
            assert port.elements >= 1, f"port {port.name}: {port.elements} elements"

    @property
    def inputs(self) -> tuple[Port, ...]:
        return tuple(port for port in self.ports if port.direction == "in")

    @property
    def outputs(self) -> tuple[Port, ...]:
        return tuple(port for port in self.ports if port.direction == "out")

    @property
    def control_inputs(self) -> tuple[str, ...]:
        """The names of the one-bit inputs, in port order."""
        if self.is_axis:
            given = [axis_of(p, s) for p in self.inputs for s in ("tvalid", "tlast")]
            return AXIS_CLOCK, AXIS_RESET, *given, *self._axis(self.outputs, "tready")
        if self.has_channels:
            valids = (valid_of(port) for port in self.inputs)
            return (CLOCK, RESET, *valids, *(ready_of(port) for port in self.outputs))
        return (
            *((CLOCK, RESET) if self.has_clock else ()),
            *((IN_VALID,) if self.has_valid else ()),
            *((OUT_READY,) if self.has_ready else ()),
        )

    @property
    def control_outputs(self) -> tuple[str, ...]:
        """The names of the one-bit outputs, in port order."""
        if self.is_axis:
            given = [axis_of(p, s) for p in self.outputs for s in ("tvalid", "tlast")]
            return *given, *self._axis(self.inputs, "tready")
        if self.has_channels:
            valids = (valid_of(port) for port in self.outputs)
            return (*valids, *(ready_of(port) for port in self.inputs))
        return (
            *((OUT_VALID,) if self.has_valid else ()),
            *((IN_READY,) if self.has_ready else ()),
        )

    @staticmethod
    def _axis(ports: tuple[Port, ...], signal: str) -> list[str]:
        return [axis_of(port, signal) for port in ports]

    def data_signal(self, port: Port) -> str:
        """The signal that holds the elements of a port."""
        return axis_of(port, "tdata") if self.is_axis else port.name

    def to_json(self) -> dict[str, Any]:
        """The layout as plain data, for `json.dumps`."""
        data = asdict(self)
        data["ports"] = [
            {
                key: list(cast("tuple[Any, ...]", v)) if isinstance(v, tuple) else v
                for key, v in asdict(p).items()
            }
            for p in self.ports
        ]
        return data

    def describe(self) -> str:
        """The interface in words, for the head of the SystemVerilog."""
        lines = [
            f"{self.top}: latency {self.latency} cycles, "
            f"{rate(self.initiation_interval)}"
        ]
        lines.append(
            "elements are numbered in row-major order of the "
            + ("tile" if self.has_channels else "shape")
        )
        if self.is_axis:
            lines.append(
                f"{AXIS_CLOCK}: rising edge; {AXIS_RESET}: synchronous, active low; "
                "AXI4-Streams, TLAST in the last beat of a sample; TLAST of inputs is "
                "not looked at"
            )
        elif self.has_clock:
            lines.append(f"{CLOCK}: rising edge; {RESET}: synchronous, active high")
        if self.has_valid:
            lines.append(f"{IN_VALID}, {OUT_VALID}: the data of this cycle counts")
        if self.has_channels:
            lines.append("a beat moves where valid and ready of its port are high")
        if self.has_ready:
            lines.append(f"{IN_READY}, {OUT_READY}: low stops the data from moving on")
        for port in self.ports:
            last = port.elements - 1
            meaning = f" {port.format}" if port.format else ""
            shape = "x".join(str(size) for size in port.shape)
            if port.channel is not None:
                shape += (
                    f" in {port.channel.beats} beats of "
                    f"{'x'.join(map(str, port.tile))}, order of dimensions "
                    f"{', '.join(map(str, port.order))}"
                )
            name = self.data_signal(port)
            lines.append(
                f"{name}: {port.direction}, {port.elements} x {port.width} bits "
                f"{'signed' if port.signed else 'unsigned'}{meaning}"
                f"{f', shape {shape}' if shape else ''}; element i in bits "
                f"[{port.width}*i+{port.width - 1}:{port.width}*i], i = 0..{last}"
            )
        return "\n".join(lines)
