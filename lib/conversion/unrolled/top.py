"""
A function of mase ops as a circuit: one module per layer, and a top that connects them.

Interface of the top: `clk`, `rst` (synchronous, active high), `in_valid`, one packed
port per argument; `out_valid` and one packed port per result. Element 0 lies in the
lowest bits, row-major, two's complement. Exponents that blocks of a tensor share have a
port of their own, called like that of the elements with `_scales` behind. A sample
enters with each rising edge of the clock, its result is there `latency` edges later.
With `stall`, `out_ready` low holds everything back; `in_ready` says whether inputs are
taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from xdsl.dialects import comb, func, hw
from xdsl.dialects.builtin import (
    ArrayAttr,
    BoolAttr,
    DictionaryAttr,
    IntegerAttr,
    StringAttr,
    i1,
    i64,
)
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue
from xdsl.irdl import IRDLOperation
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.base import SameElementOp, int_array
from mase_opt.lib.conversion.unrolled.registry import TEMPLATES, WIRINGS
from mase_opt.lib.conversion.unrolled.shape import check_scales
from mase_opt.lib.errors import is_of_call
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder, Design, Output
from mase_opt.lib.hardware.codec import Lane, Wires, lanes_of, split
from mase_opt.lib.hardware.interface import INTERFACE
from mase_opt.lib.hardware.names import identifier
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.hardware.pipeline import insert_registers
from mase_opt.lib.hardware.registers import Schedule, Scheduler
from mase_opt.lib.hardware.timing import Timing
from mase_opt.lib.hardware.unread import drop_unread
from mase_opt.lib.hardware.wire import Wire, depth_of

LAYER = "mase.layer"
"""Attribute of a layer's module: the path of the layer in the model."""

CONTROL = ("clk", "rst", "in_valid", "out_ready", "out_valid", "in_ready")

NAME = "mase.name"
"""Argument and result attribute that names a port."""


def layer_name(op: Operation) -> str | None:
    """The path of the layer that `op` belongs to, if it says so."""
    layer = op.properties.get("layer")
    return layer.data if isinstance(layer, StringAttr) and layer.data else None


@dataclass(frozen=True)
class Pipelining:
    """How a circuit is cut into stages."""

    max_depth: int
    """Logic levels between registers; 0 means no registers at all."""
    stages: int | None
    """The number of stages, with as few levels as possible."""
    stall: bool
    """Whether the receiver can hold everything back."""

    def schedule(self, timing: Timing) -> Schedule:
        scheduler = Scheduler(timing.graph)
        if self.stages is not None:
            return scheduler.with_stages(self.stages)
        if self.max_depth == 0:
            return scheduler.combinational()
        # A result that waits must not depend on inputs that may change.
        return scheduler.with_depth(self.max_depth, least=int(self.stall))


class TopBuilder:
    """Builds the modules of one function."""

    def __init__(self, function: func.FuncOp, pipelining: Pipelining):
        self.function = function
        self.pipelining = pipelining
        self.design = Design(pipelining.stall)
        name = identifier(function.sym_name.data, "top")
        self.top = Builder(self.design, self.design.unique(name))
        self.values: dict[SSAValue, Wires] = {}
        self.unnamed: dict[str, int] = {}
        self.ports: set[str] = set(CONTROL)
        self.interface: list[DictionaryAttr] = []

    def build(self) -> list[hw.HWModuleOp]:
        """
        The modules, the top last.

        Raises `PassFailedException` for an op that has no circuit.
        """
        self._build_data()
        builders = used_builders(self.design.builders)
        drop_unread(builders)
        builders = used_builders(builders)
        timing = Timing(builders)
        schedule = self.pipelining.schedule(timing)
        insert_registers(timing, schedule)
        self._add_control(schedule)
        *layers, top = builders
        return [*(b.close() for b in layers), top.close(None)]

    def _build_data(self) -> None:
        """All modules, without registers."""
        for index, argument in enumerate(self.function.body.block.args):
            attrs = self.function.arg_attrs
            name = port_name(
                argument, attrs, index, "in", self.ports, _suffixes(argument)
            )
            self.values[argument] = [
                wire
                for lane in lanes_of(argument)
                for wire in self._argument(name, lane)
            ]
        for op in live_ops(self.function):
            if isinstance(op, func.ReturnOp):
                self._finish(op)
            else:
                try:
                    self.values[op.results[0]] = self._wires(op)
                except HardwareError as error:
                    raise PassFailedException(
                        f"no circuit for {describe_op(op)}: {error}"
                    ) from error

    def _argument(self, name: str, lane: Lane) -> Wires:
        name += lane.suffix
        self.interface.append(port_attr(name, "in", lane))
        return self.top.input(name, lane.codes.bits, lane.spans)

    def _wires(self, op: Operation) -> Wires:
        operands = [self.values[v] for v in op.operands]
        return moved(op, operands) if type(op) in WIRINGS else self._layer(op, operands)

    def _layer(self, op: Operation, operands: Sequence[Wires]) -> Wires:
        """Build the module of `op` and instantiate it."""
        depth = depth_of(*(w for wires in operands for w in wires))
        name = self._layer_module(op)
        builder = Builder(self.design, name, depth)
        builder.attributes[LAYER] = StringAttr(layer_name(op) or name)
        inputs: list[Wires] = []
        connected: list[Wires] = []
        for port, value, wires in zip(
            operand_names(op), op.operands, operands, strict=True
        ):
            inputs.append([])
            for lane, part in split(value, wires):
                count = len(builder.inputs)
                spans = [(w.lo, w.hi) for w in part]
                inputs[-1] += builder.input(port + lane.suffix, lane.codes.bits, spans)
                if len(builder.inputs) > count:
                    connected.append(part)
        try:
            made = TEMPLATES[type(op)](op, builder, *inputs)
        except TypeError as error:
            if not is_of_call(error):
                raise
            raise HardwareError(
                "its template takes other arguments than the op, a builder and "
                f"{len(inputs)} lists of wires: {error}"
            ) from error
        result = checked_wires(op, made)
        parts = split(op.results[0], result)
        if all(w.lo == w.hi for w in result):
            return result
        outputs = [
            Output("out" + lane.suffix, lane.codes.bits, part) for lane, part in parts
        ]
        module = builder.finish(outputs)
        return [w for ws in self.top.instance(module, name, connected) for w in ws]

    def _layer_module(self, op: Operation) -> str:
        kind = op.name.rpartition(".")[2]
        layer = layer_name(op)
        if layer is None:
            count = self.unnamed.get(kind, 0)
            self.unnamed[kind] = count + 1
            return self.design.unique(f"{self.top.name}_{kind}_{count}")
        name = identifier(layer, kind)
        if name in self.design.names:
            name = f"{name}_{kind}"
        return self.design.unique(name)

    def _finish(self, op: func.ReturnOp) -> None:
        """The ports of the results."""
        outputs: list[Output] = []
        for index, value in enumerate(op.operands):
            attrs = self.function.res_attrs
            name = port_name(value, attrs, index, "out", self.ports, _suffixes(value))
            for lane, part in split(value, self.values[value]):
                port = name + lane.suffix
                outputs.append(Output(port, lane.codes.bits, part))
                self.interface.append(port_attr(port, "out", lane))
        self.top.finish(outputs)

    def _add_control(self, schedule: Schedule) -> None:
        """The handshake, and what describes the interface."""
        output = self.top.block.last_op
        assert isinstance(output, hw.OutputOp)
        self.top.cursor = output
        control = self._control(schedule.latency)
        self.top.outputs[:0] = [name for name, _ in control]
        output.operands = [*(value for _, value in control), *output.operands]
        self.top.attributes[INTERFACE] = DictionaryAttr(
            {
                "ports": ArrayAttr(self.interface),
                "latency": IntegerAttr(schedule.latency, i64),
                # All is unrolled: nothing is used twice for a sample.
                "interval": IntegerAttr(1, i64),
                "depth": IntegerAttr(schedule.depth, i64),
                "clock": BoolAttr.from_bool(schedule.latency > 0),
                "ready": BoolAttr.from_bool(self.design.stall),
            }
        )

    def _control(self, latency: int) -> list[tuple[str, SSAValue]]:
        """
        The handshake: valid bits travel beside the data, `out_ready` holds both.

        `ce = !out_valid | out_ready` is a loop through the last valid register.
        """
        top = self.top
        names = ["in_valid"]
        if latency:
            top.clock()
            names.insert(0, "rst")
        if self.design.stall:
            names.append("out_ready")
        arguments: dict[str, BlockArgument] = {}
        for index, name in enumerate(names, start=int(latency > 0)):
            arguments[name] = top.argument(name, i1, index)
        valid: SSAValue = arguments["in_valid"]
        for _ in range(latency):
            valid = top.register(valid, (arguments["rst"], top.literal(0, 1)))
            valid.name_hint = "valid"
        if not self.design.stall:
            return [("out_valid", valid)]
        free = arith.invert(top, valid)
        go = arith.bitwise(top, comb.OrOp, free, arguments["out_ready"])
        go.name_hint = "ce"
        top.drive_enable(go)
        return [("out_valid", valid), ("in_ready", go)]


def live_ops(function: func.FuncOp) -> list[Operation]:
    """The ops that the results depend on, in order; all ops are pure."""
    needed: set[SSAValue] = set()
    result: list[Operation] = []
    for op in reversed(list(function.body.block.ops)):
        if isinstance(op, func.ReturnOp) or not needed.isdisjoint(op.results):
            needed.update(op.operands)
            result.append(op)
    return result[::-1]


def moved(op: Operation, operands: Sequence[Wires]) -> Wires:
    """
    The result of an op that is wiring.

    Raises `HardwareError` if an element moves to where another scale holds.
    """
    wiring = WIRINGS[type(op)]
    if isinstance(op, SameElementOp):
        check_scales(op, wiring, operands)
    return checked_wires(op, wiring(op, *operands))


def checked_wires(op: Operation, wires: Any) -> Wires:
    """
    What a template gave, one wire for each element of the result.

    Raises `HardwareError` for anything else: templates come from plug-ins, too.
    """
    value = op.results[0]
    count = sum(lane.size for lane in lanes_of(value))
    given = cast("list[Any]", wires) if isinstance(wires, list) else [wires]
    if others := [w for w in given if not isinstance(w, Wire)]:
        raise HardwareError(
            f"its template gave {type(others[0]).__name__}, expected a list of wires"
        )
    result = cast(Wires, given)
    if len(result) != count:
        raise HardwareError(
            f"its template gave {len(result)} wires, expected {count}, one for each "
            "element of the result"
        )
    for lane, part in split(value, result):
        for wire in part:
            if wire.lo < lane.codes.min_code or wire.hi > lane.codes.max_code:
                raise HardwareError(
                    f"its template gave a wire of {wire.lo} to {wire.hi}, expected "
                    f"codes of {lane.type}, {lane.codes.min_code} to "
                    f"{lane.codes.max_code}: round with encode"
                )
    return result


def used_builders(builders: Sequence[Builder]) -> list[Builder]:
    """The last module, the top, and those it instantiates, in order."""
    needed = {builders[-1].name}
    result: list[Builder] = []
    for b in reversed(builders):
        if b.name in needed:
            result.append(b)
            for op in b.block.ops:
                if isinstance(op, hw.InstanceOp):
                    needed.add(op.module_name.string_value())
    return result[::-1]


def operand_names(op: Operation) -> list[str]:
    """The names of the ports for the operands of `op`."""
    assert isinstance(op, IRDLOperation)
    names: list[str] = []
    for name, _ in type(op).get_irdl_definition().operands:
        if getattr(op, name) is not None:
            names.append("in" if name == "input" else name)
    return names


def port_attr(name: str, direction: str, lane: Lane) -> DictionaryAttr:
    """`{name = "in0", direction = "in", shape = …, width = 8, signed = true, …}`"""
    fields: dict[str, Attribute] = {
        "name": StringAttr(name),
        "direction": StringAttr(direction),
        "shape": int_array(lane.shape),
        "width": IntegerAttr(lane.codes.bits, i64),
        "signed": BoolAttr.from_bool(lane.codes.min_code < 0),
        # As text: CIRCT does not know our types.
        "element": StringAttr(lane.type),
    }
    return DictionaryAttr(fields)


def port_name(
    value: SSAValue,
    attrs: ArrayAttr[DictionaryAttr] | None,
    index: int,
    direction: str,
    taken: set[str],
    suffixes: Sequence[str],
) -> str:
    """
    The name of an argument or result, with none of these suffixes `taken` already.

    `attrs` are those of all arguments or results, `index` says which one it is.
    """
    given = attrs.data[index].data.get(NAME) if attrs is not None else None
    fallback = f"{direction}{index}"
    hint = value.name_hint if direction == "in" else None
    text = given.data if isinstance(given, StringAttr) else hint or fallback
    name = identifier(text, fallback)
    while not taken.isdisjoint(name + suffix for suffix in suffixes):
        name += "_"
    taken.update(name + suffix for suffix in suffixes)
    return name


def _suffixes(value: SSAValue) -> list[str]:
    return [lane.suffix for lane in lanes_of(value)]


def describe_op(op: Operation) -> str:
    """`mase.linear fc1`"""
    layer = layer_name(op)
    return op.name if layer is None else f"{op.name} {layer}"
