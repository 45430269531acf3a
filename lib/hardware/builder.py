"""Builds one hw.module: bits, ports, instances, registers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

from xdsl.dialects import comb, hw, seq
from xdsl.dialects.builtin import (
    ArrayAttr,
    IntegerAttr,
    IntegerType,
    StringAttr,
    SymbolRefAttr,
    i1,
    i32,
)
from xdsl.ir import Attribute, Block, BlockArgument, Operation, Region, SSAValue

from mase_opt.dialects.circt import CompRegClockEnabledOp
from mase_opt.lib.hardware.wire import Wire, constant, depth_of

LATENCY = "mase.latency"
"""Attribute of a layer's module: stages from its last input to its last output."""

Span = tuple[int, int]
"""The smallest and the largest value of a wire."""


@dataclass
class Design:
    """Everything that the modules of one top module share."""

    stall: bool
    """Whether every register has the clock enable `ce`."""
    builders: list[Builder] = field(default_factory=list["Builder"])
    """Finished modules, used ones before those that instantiate them."""
    names: set[str] = field(default_factory=set[str])

    def unique(self, name: str) -> str:
        """`name`, or `name_1`, `name_2` … if it is taken; takes it."""
        result, count = name, 0
        while result in self.names:
            count += 1
            result = f"{name}_{count}"
        self.names.add(result)
        return result


@dataclass(frozen=True)
class ModulePort:
    """A packed port: element 0 in the lowest bits, each `width` bits wide."""

    name: str
    width: int
    spans: tuple[Span, ...]
    """What each element can be."""

    @property
    def type(self) -> IntegerType:
        return IntegerType(self.width * len(self.spans))


@dataclass(frozen=True)
class Module:
    """A finished module as its users see it."""

    name: str
    inputs: tuple[ModulePort, ...]
    outputs: tuple[ModulePort, ...]
    depth: int
    """Logic levels before the latest output."""


@dataclass(frozen=True)
class Output:
    """Wires that leave a module through one packed port."""

    name: str
    width: int
    wires: Sequence[Wire]


class Builder:
    """
    One module under construction.

    All inputs arrive behind `depth` logic levels. It is built without registers, which
    come when the design is complete (see `pipeline`); the clock (and `ce`) become ports
    when the first one appears.
    """

    def __init__(self, design: Design, name: str, depth: int = 0):
        self.design = design
        self.name = name
        self.depth = depth
        self.block = Block()
        self.inputs: list[ModulePort] = []
        self.outputs: list[str] = []
        """The names of the output ports."""
        self.attributes: dict[str, Attribute] = {}
        self.cursor: Operation | None = None
        """The op before which ops are added, instead of at the end."""
        self._names: dict[BlockArgument, str] = {}
        """The ports' names: name hints lose a number at their end."""
        self._clock: BlockArgument | None = None
        self._enable: BlockArgument | None = None
        self._reads: dict[tuple[SSAValue | None, int, int, int], SSAValue] = {}
        self._types: dict[int, IntegerType] = {}
        self.products: dict[tuple[SSAValue, int, int, bool, int], Wire] = {}
        """Products with odd constants so far (base, low, width, signed, constant)."""
        self.shifts: dict[tuple[SSAValue, int, int, bool, int], Wire] = {}
        """Left shifts so far, keyed likewise."""
        self.barrels: dict[tuple[object, ...], Wire] = {}
        """Shifts by variable amounts so far (see `arith.shift_by`)."""
        self.exponents: dict[tuple[Wire, Wire], Wire] = {}
        """Sums of the exponents of two blocks so far."""

    # Ports

    def input(self, name: str, width: int, spans: Sequence[Span]) -> list[Wire]:
        """
        The elements of a new packed input port.

        Elements that are always the same become constants; no port is made if all are.
        """
        if all(lo == hi for lo, hi in spans):
            return [constant(lo) for lo, _ in spans]
        port = ModulePort(name, width, tuple(spans))
        self.inputs.append(port)
        value = self.argument(name, port.type, len(self.block.args))
        return self.unpack(value, port, self.depth)

    def argument(self, name: str, type: Attribute, index: int) -> BlockArgument:
        """A new input port called `name`, before the one at `index`."""
        value = self.block.insert_arg(type, index)
        value.name_hint = name
        self._names[value] = name
        return value

    def name_of(self, port: BlockArgument) -> str:
        """The name of an input port."""
        return self._names[port]

    def unpack(self, value: SSAValue, port: ModulePort, depth: int) -> list[Wire]:
        """The elements of a packed value."""
        width = port.width
        return [
            constant(lo) if lo == hi else Wire(value, i * width, width, lo, hi, depth)
            for i, (lo, hi) in enumerate(port.spans)
        ]

    def clock(self, name: str = "clk") -> SSAValue:
        """The clock; a port of this name if there is none yet."""
        if self._clock is None:
            self._clock = self.argument(name, seq.clock, 0)
        return self._clock

    def enable(self) -> SSAValue:
        """The clock enable port; only in a design that can stall."""
        assert self.design.stall
        if self._enable is None:
            self.clock()
            self._enable = self.argument("ce", i1, 1)
        return self._enable

    def drive_enable(self, value: SSAValue) -> None:
        """Let `value` be the clock enable, instead of a port."""
        if self._enable is not None:
            self._enable.replace_all_uses_with(value)
            self.block.erase_arg(self._enable)
            self._enable = None

    def finish(self, outputs: Sequence[Output]) -> Module:
        """
        End the module with output ports, and add it to the design.

        ```mlir
        hw.module private @fc1(in %in : i512, out out : i256)
        ```
        """
        ports = tuple(
            ModulePort(
                output.name, output.width, tuple((w.lo, w.hi) for w in output.wires)
            )
            for output in outputs
        )
        self.outputs = [port.name for port in ports]
        values = [self.pack(output.wires, output.width) for output in outputs]
        self.block.add_op(hw.OutputOp(values))
        self.sweep()
        self.design.builders.append(self)
        depth = depth_of(*(w for output in outputs for w in output.wires))
        return Module(self.name, tuple(self.inputs), ports, depth)

    def close(self, visibility: str | None = "private") -> hw.HWModuleOp:
        """The finished module as an op."""
        output = self.block.last_op
        assert isinstance(output, hw.OutputOp)
        ports = [
            *(_port(self._names[arg], arg.type, True) for arg in self.block.args),
            *(
                _port(name, value.type, False)
                for name, value in zip(self.outputs, output.operands, strict=True)
            ),
        ]
        module = hw.HWModuleOp(
            StringAttr(self.name),
            hw.ModuleType(ArrayAttr(ports)),
            Region(self.block),
            visibility=visibility,
        )
        module.attributes.update(self.attributes)
        return module

    def control(self) -> list[str]:
        """The ports beside the data: `clk` and `ce` as needed."""
        ports = (self._clock, self._enable)
        return [self._names[port] for port in ports if port is not None]

    def sweep(self) -> None:
        """Drop ops that nothing uses, and forget what was read from there."""
        for op in reversed(list(self.block.ops)):
            if op.results and all(r.first_use is None for r in op.results):
                op.detach()
                op.erase()
        kept: set[SSAValue] = set(self.block.args)
        for op in self.block.ops:
            kept.update(op.results)
        self._reads = {k: v for k, v in self._reads.items() if v in kept}

    def instance(
        self, module: Module, name: str, operands: Sequence[Sequence[Wire]]
    ) -> list[list[Wire]]:
        """
        The output elements of an instance of `module`, one list per output port.

        Operands that are constant have no port and must be left out.
        """
        inputs = [
            (port.name, self.pack(operand, port.width))
            for port, operand in zip(module.inputs, operands, strict=True)
        ]
        op = hw.InstanceOp(
            name,
            SymbolRefAttr(module.name),
            inputs,
            [(port.name, port.type) for port in module.outputs],
        )
        self.emit(op)
        for value, port in zip(op.outputs, module.outputs, strict=True):
            value.name_hint = f"{name}_{port.name}"
        return [
            self.unpack(value, port, module.depth)
            for value, port in zip(op.outputs, module.outputs, strict=True)
        ]

    # Bits

    def emit(self, op: Operation) -> SSAValue:
        """Add `op`; its first result."""
        if self.cursor is None:
            self.block.add_op(op)
        else:
            self.block.insert_op_before(op, self.cursor)
        return op.results[0]

    def type(self, width: int) -> IntegerType:
        type = self._types.get(width)
        if type is None:
            type = self._types[width] = IntegerType(width)
        return type

    def literal(self, value: int, width: int) -> SSAValue:
        """The low `width` bits of `value`."""
        value &= (1 << width) - 1
        key = (None, value, width, 0)
        result = self._reads.get(key)
        if result is None:
            type = self.type(width)
            # Written as a signed number, as CIRCT does.
            code = value - (1 << width) if value >> (width - 1) else value
            op = hw.ConstantOp.create(
                result_types=[type], properties={"value": IntegerAttr(code, type)}
            )
            result = self._reads[key] = self.emit(op)
        return result

    def slice(self, base: SSAValue, low: int, width: int) -> SSAValue:
        """Bits `low` to `low + width - 1` of `base`."""
        if low == 0 and width == width_of(base):
            return base
        key = (base, low, width, 0)
        result = self._reads.get(key)
        if result is None:
            op = comb.ExtractOp.create(
                operands=[base],
                result_types=[self.type(width)],
                properties={"lowBit": IntegerAttr(low, i32)},
            )
            result = self._reads[key] = self.emit(op)
        return result

    def concat(self, *values: SSAValue) -> SSAValue:
        """The values side by side, the first in the highest bits."""
        if len(values) == 1:
            return values[0]
        width = sum(width_of(v) for v in values)
        op = comb.ConcatOp.create(operands=values, result_types=[self.type(width)])
        return self.emit(op)

    def read(self, wire: Wire, width: int) -> SSAValue:
        """The integer modulo 2^width."""
        if wire.base is None or wire.lo == wire.hi:
            return self.literal(wire.lo, width)
        if width <= wire.bits:
            return self.slice(wire.base, wire.low, width)
        own = wire.width
        key = (wire.base, wire.low, width, -own if wire.signed else own)
        result = self._reads.get(key)
        if result is None:
            bits = self.slice(wire.base, wire.low, own)
            if wire.signed:
                high = self.slice(wire.base, wire.low + own - 1, 1)
                if width - own > 1:
                    high = self.emit(
                        comb.ReplicateOp.create(
                            operands=[high], result_types=[self.type(width - own)]
                        )
                    )
            else:
                high = self.literal(0, width - own)
            result = self._reads[key] = self.concat(high, bits)
        return result

    def pack(self, wires: Sequence[Wire], width: int) -> SSAValue:
        """The wires side by side, `width` bits each, the first in the lowest bits."""
        parts: list[SSAValue] = []
        run: tuple[SSAValue | None, int, int] | None = None
        # A run is (base, low, bits) of one value, or (None, code, bits) of constants.
        for wire in wires:
            if wire.lo == wire.hi:
                code = wire.lo & ((1 << width) - 1)
                if run is not None and run[0] is None:
                    run = (None, run[1] | code << run[2], run[2] + width)
                    continue
                following = (None, code, width)
            elif wire.bits >= width:
                if (
                    run is not None
                    and run[0] is wire.base
                    and run[1] + run[2] == wire.low
                ):
                    run = (wire.base, run[1], run[2] + width)
                    continue
                following = (wire.base, wire.low, width)
            else:
                following = (self.read(wire, width), 0, width)
            if run is not None:
                parts.append(self.bits(*run))
            run = following
        if run is not None:
            parts.append(self.bits(*run))
        return self.concat(*reversed(parts))

    def bits(self, base: SSAValue | None, low: int, width: int) -> SSAValue:
        """Bits of `base` from `low` on; without it, of the number `low`."""
        if base is None:
            return self.literal(low, width)
        return self.slice(base, low, width)

    def wire(self, value: SSAValue, span: Span, like: Wire) -> Wire:
        """A whole value as a wire, as late as `like`."""
        return Wire(value, 0, width_of(value), *span, like.depth)

    # Registers

    def register(
        self, value: SSAValue, reset: tuple[SSAValue, SSAValue] | None = None
    ) -> SSAValue:
        """`value` one clock cycle later, reset to a value if given."""
        clock = self.clock()
        if self.design.stall:
            op = CompRegClockEnabledOp(value, clock, self.enable(), reset)
        else:
            op = seq.CompRegOp(value, clock, reset)
        result = self.emit(op)
        if value.name_hint is not None:
            result.name_hint = f"{value.name_hint}_q"
        return result


def width_of(value: SSAValue) -> int:
    """Bits of an integer."""
    return cast(IntegerType, value.type).width.data


def _port(name: str, type: Attribute, is_input: bool) -> hw.ModulePort:
    direction = hw.Direction.INPUT if is_input else hw.Direction.OUTPUT
    return hw.ModulePort(StringAttr(name), type, hw.DirectionAttr(direction))  # pyright: ignore[reportArgumentType]
