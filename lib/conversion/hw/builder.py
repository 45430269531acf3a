"""Builds one hw.module: bits, registers, ports, instances."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
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
    i64,
)
from xdsl.ir import Attribute, Block, BlockArgument, Operation, Region, SSAValue

from mase_opt.dialects.circt import CompRegClockEnabledOp
from mase_opt.lib.conversion.hw.wire import Wire, constant

LATENCY = "mase.latency"
"""Attribute of a layer's module: its register stages."""

Span = tuple[int, int]
"""The smallest and the largest value of a wire."""


@dataclass
class Design:
    """Everything that the modules of one top module share."""

    max_logic_depth: int
    """Logic levels between registers; 0 means no registers at all."""
    stall: bool
    """Whether every register has the clock enable `ce`."""
    logic_depth: int = 0
    """Most logic levels between two registers so far."""
    modules: list[hw.HWModuleOp] = field(default_factory=list[hw.HWModuleOp])
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
class Port:
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
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    latency: int
    """Register stages from inputs to outputs."""
    control: tuple[str, ...]
    """The ports beside the data: `clk` and `ce` as needed."""
    depth: int
    """Logic levels between the last registers and the outputs."""


@dataclass(frozen=True)
class Output:
    """Wires that leave a module through one packed port."""

    name: str
    width: int
    wires: Sequence[Wire]


class Builder:
    """
    One module under construction.

    All inputs arrive at stage 0 with `depth` logic levels behind them. Registers are
    inserted where the levels would exceed the design's limit; the clock (and `ce`)
    become ports when the first register appears.
    """

    def __init__(self, design: Design, name: str, depth: int = 0):
        self.design = design
        self.name = name
        self.limit = design.max_logic_depth
        self.depth = depth
        self.block = Block()
        self.inputs: list[Port] = []
        self._names: dict[BlockArgument, str] = {}
        """The ports' names: name hints lose a number at their end."""
        self._clock: BlockArgument | None = None
        self._enable: BlockArgument | None = None
        self._reads: dict[tuple[SSAValue | None, int, int, int], SSAValue] = {}
        self._delays: dict[tuple[SSAValue, int, int], list[SSAValue]] = {}
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
        port = Port(name, width, tuple(spans))
        self.inputs.append(port)
        value = self.argument(name, port.type, len(self.block.args))
        return self.unpack(value, port, 0, self.depth)

    def argument(self, name: str, type: Attribute, index: int) -> BlockArgument:
        """A new input port called `name`, before the one at `index`."""
        value = self.block.insert_arg(type, index)
        value.name_hint = name
        self._names[value] = name
        return value

    def unpack(self, value: SSAValue, port: Port, stage: int, depth: int) -> list[Wire]:
        """The elements of a packed value."""
        width = port.width
        return [
            constant(lo)
            if lo == hi
            else Wire(value, i * width, width, lo, hi, stage, depth)
            for i, (lo, hi) in enumerate(port.spans)
        ]

    def clock(self) -> SSAValue:
        if self._clock is None:
            self._clock = self.argument("clk", seq.clock, 0)
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
        End the module, its outputs all at the stage of the latest one.

        ```mlir
        hw.module private @fc1(in %clk : !seq.clock, in %in : i512, out out : i256)
        ```
        """
        wires = [w for output in outputs for w in output.wires]
        stage, depth = self.latest(wires)
        values = [
            self.pack([self.delay(w, stage) for w in output.wires], output.width)
            for output in outputs
        ]
        results = tuple(
            Port(output.name, output.width, tuple((w.lo, w.hi) for w in output.wires))
            for output in outputs
        )
        module = self.close(
            [(port.name, v) for port, v in zip(results, values, strict=True)]
        )
        module.attributes[LATENCY] = IntegerAttr(stage, i64)
        control = tuple(self._names[arg] for arg in self._control())
        return Module(self.name, tuple(self.inputs), results, stage, control, depth)

    def close(
        self, outputs: Sequence[tuple[str, SSAValue]], visibility: str = "private"
    ) -> hw.HWModuleOp:
        """Add the module with these output ports to the design."""
        self.block.add_op(hw.OutputOp([value for _, value in outputs]))
        self._sweep()
        ports = [
            *(_port(self._names[arg], arg.type, True) for arg in self.block.args),
            *(_port(name, value.type, False) for name, value in outputs),
        ]
        module = hw.HWModuleOp(
            StringAttr(self.name),
            hw.ModuleType(ArrayAttr(ports)),
            Region(self.block),
            visibility=visibility if visibility != "public" else None,
        )
        self.design.modules.append(module)
        return module

    def _control(self) -> list[BlockArgument]:
        return [arg for arg in (self._clock, self._enable) if arg is not None]

    def _sweep(self) -> None:
        """Drop what nothing uses: ops, then clock and enable."""
        for op in reversed(list(self.block.ops)):
            if op.results and all(r.first_use is None for r in op.results):
                op.detach()
                op.erase()
        if self._enable is not None and self._enable.first_use is None:
            self.block.erase_arg(self._enable)
            self._enable = None
        if self._clock is not None and self._clock.first_use is None:
            self.block.erase_arg(self._clock)
            self._clock = None

    def instance(
        self, module: Module, name: str, operands: Sequence[Sequence[Wire]]
    ) -> list[list[Wire]]:
        """
        The output elements of an instance of `module`, one list per output port.

        Operands that are constant have no port and must be left out. The module must
        have been built for the depth at which they arrive.
        """
        stage, _ = self.latest([w for operand in operands for w in operand])
        inputs: list[tuple[str, SSAValue]] = []
        for control in module.control:
            value = self.clock() if control == "clk" else self.enable()
            inputs.append((control, value))
        for port, operand in zip(module.inputs, operands, strict=True):
            late = [self.delay_base(w, stage) for w in operand]
            inputs.append((port.name, self.pack(late, port.width)))
        op = hw.InstanceOp(
            name,
            SymbolRefAttr(module.name),
            inputs,
            [(port.name, port.type) for port in module.outputs],
        )
        self.block.add_op(op)
        for value, port in zip(op.outputs, module.outputs, strict=True):
            value.name_hint = f"{name}_{port.name}"
        return [
            self.unpack(value, port, stage + module.latency, module.depth)
            for value, port in zip(op.outputs, module.outputs, strict=True)
        ]

    # Bits

    def emit(self, op: Operation) -> SSAValue:
        """Append `op`; its first result."""
        self.block.add_op(op)
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
        if low == 0 and width == _width(base):
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
        width = sum(_width(v) for v in values)
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
                parts.append(self._run(*run))
            run = following
        if run is not None:
            parts.append(self._run(*run))
        return self.concat(*reversed(parts))

    def _run(self, base: SSAValue | None, low: int, bits: int) -> SSAValue:
        return self.literal(low, bits) if base is None else self.slice(base, low, bits)

    def wire(self, value: SSAValue, span: Span, like: Wire) -> Wire:
        """A whole value as a wire, timed like `like`."""
        return Wire(value, 0, _width(value), *span, like.stage, like.depth)

    # Registers

    def latest(self, wires: Sequence[Wire]) -> tuple[int, int]:
        """The latest stage among `wires` and the logic depth there."""
        stage = depth = 0
        for w in wires:
            if w.lo != w.hi:
                if w.stage > stage:
                    stage, depth = w.stage, w.depth
                elif w.stage == stage and w.depth > depth:
                    depth = w.depth
        return stage, depth

    def align(self, wires: Sequence[Wire], levels: int) -> tuple[list[Wire], int, int]:
        """
        Delay `wires` to one stage that has room for `levels` more logic levels.

        Returns them with the stage and the depth behind those levels.
        """
        stage, depth = self.latest(wires)
        if self.limit and depth and depth + levels > self.limit:
            stage, depth = stage + 1, 0
        self.design.logic_depth = max(self.design.logic_depth, depth + levels)
        return [self.delay(w, stage) for w in wires], stage, depth + levels

    def delay(self, wire: Wire, stage: int) -> Wire:
        """`wire` at the later stage `stage`, behind registers of its own width."""
        if wire.stage >= stage or wire.base is None or wire.lo == wire.hi:
            return wire
        width = wire.width
        value = self._delayed(wire.base, wire.low, width, stage - wire.stage)
        return Wire(value, 0, width, wire.lo, wire.hi, stage)

    def delay_base(self, wire: Wire, stage: int) -> Wire:
        """`wire` at the stage `stage`, registering all of the value it is part of."""
        if wire.stage >= stage or wire.base is None or wire.lo == wire.hi:
            return wire
        width = _width(wire.base)
        value = self._delayed(wire.base, 0, width, stage - wire.stage)
        return replace(wire, base=value, stage=stage, depth=0)

    def _delayed(self, base: SSAValue, low: int, width: int, stages: int) -> SSAValue:
        chain = self._delays.setdefault((base, low, width), [])
        if not chain:
            chain.append(self.slice(base, low, width))
        while len(chain) <= stages:
            chain.append(self.register(chain[-1]))
        return chain[stages]

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


def _width(value: SSAValue) -> int:
    return cast(IntegerType, value.type).width.data


def _port(name: str, type: Attribute, is_input: bool) -> hw.ModulePort:
    direction = hw.Direction.INPUT if is_input else hw.Direction.OUTPUT
    return hw.ModulePort(StringAttr(name), type, hw.DirectionAttr(direction))  # pyright: ignore[reportArgumentType]
