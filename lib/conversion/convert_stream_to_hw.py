"""Streamed hardware: processes and channels become hw, comb and seq ops."""

from __future__ import annotations

from dataclasses import dataclass, field

from xdsl.context import Context
from xdsl.dialects import comb, func, hw
from xdsl.dialects.builtin import (
    ArrayAttr,
    BoolAttr,
    DictionaryAttr,
    IntegerAttr,
    IntegerType,
    ModuleOp,
    StringAttr,
    SymbolRefAttr,
    i1,
    i64,
)
from xdsl.ir import Attribute, SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.base import int_array, ints
from mase_opt.dialects.stream.ops import FifoOp, ProcessOp, ViewOp
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.analysis.buffers import Role, role_of
from mase_opt.lib.analysis.network import network_function, network_of
from mase_opt.lib.conversion.streamed.axis import axis_top
from mase_opt.lib.conversion.streamed.circuit import (
    Module,
    beat_bits,
    fifo_circuit,
    operations,
    process_circuit,
)
from mase_opt.lib.conversion.unrolled.top import CONTROL, port_name
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder, Design
from mase_opt.lib.hardware.codec import element_codes
from mase_opt.lib.hardware.interface import INTERFACE
from mase_opt.lib.hardware.loops import check_loops
from mase_opt.lib.hardware.names import identifier
from mase_opt.lib.hardware.sequential import every
from mase_opt.lib.streams.timing import DeadlockError
from mase_opt.lib.target.layout import interface_layout

INTERFACES = ("handshake", "axis")

PROCESS = "mase.process"
"""Attribute of a module: what its process computes, its cycles and its buffers."""


@dataclass(frozen=True)
class ConvertStreamToHwPass(ModulePass):
    """
    Turn processes and channels into a circuit.

    Every process becomes a module of its own, named after its layer: the counters of
    its loops, the buffers of its operands, ROMs, and the datapath, cut into as many
    stages as `stages` says. The top module has `<name>`, `<name>_valid` and
    `<name>_ready` for each input and output; a beat moves where both are high. Its
    attribute `mase.interface` describes the ports, the cycles from one sample to the
    next and the latency, which follow from the schedules.

    All signals that wait for each other come from registers; what a process writes has
    a place reserved for it, so that nothing stops within. That no signal depends on
    itself within a cycle is proved of every circuit. Needs the capacities that
    `stream-size-fifos` chooses.

    ```mlir
    func.func @f(%x: !c) -> !c {
      %0 = stream.process %x {layer = "act", capacity = array<i64: 2>, …} : (!c) -> !c {
        …
      }
      %1 = stream.fifo %0 {capacity = 2 : i64} : !c
      func.return %1 : !c
    }
    ```

    becomes

    ```mlir
    hw.module private @f_act(in %clk: !seq.clock, in %rst: i1, …) {…}
    hw.module private @f_out0(…) {…}
    hw.module @f(in %clk: !seq.clock, in %rst: i1, in %x_valid: i1, in %out0_ready: i1,
                 in %x: i64, out out0_valid: i1, out x_ready: i1, out out0: i64) {…}
    ```
    """

    name = "convert-stream-to-hw"

    interface: str = "handshake"
    """Of the top module: handshake, with valid and ready, or axis, AXI4-Streams."""

    def __post_init__(self) -> None:
        if self.interface not in INTERFACES:
            raise ValueError(
                f"interface is '{self.interface}', expected one of "
                f"{', '.join(INTERFACES)}"
            )

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = network_function(op)
        check_sized(function)
        circuits = _Top(function, is_axis=self.interface == "axis").build()
        check_loops(circuits)
        function.detach()
        function.erase()
        op.body.block.add_ops(circuits)


def check_sized(function: func.FuncOp) -> None:
    """Raises `PassFailedException` unless buffers have sizes."""
    for op in function.body.block.ops:
        if isinstance(op, ProcessOp | FifoOp) and op.capacity is None:
            raise PassFailedException(
                f"{op.name} has no capacity: run stream-size-fifos first"
            )


@dataclass
class _Channel:
    """What the writer of a channel gives, and what is to be given back to it."""

    name: str
    """Of what writes it."""
    reserve: SSAValue
    valid: SSAValue
    data: SSAValue
    ready: list[SSAValue] = field(default_factory=list[SSAValue])
    """Of all that read it."""


class _Top:
    """Builds the modules of one network."""

    def __init__(self, function: func.FuncOp, *, is_axis: bool):
        self.function, self.is_axis = function, is_axis
        self.design = Design(stall=False)
        self.name = self.design.unique(identifier(function.sym_name.data, "top"))
        own = self.design.unique(f"{self.name}_core") if is_axis else self.name
        self.b = Builder(self.design, own)
        self.channels: dict[SSAValue, _Channel] = {}
        self.modules: list[hw.HWModuleOp] = []
        self.waiting: list[tuple[hw.InstanceOp, SSAValue]] = []
        """Instances whose `out_ready` is open, and what they write."""
        self.names: set[str] = {*CONTROL}
        self.interface: list[Attribute] = []

    def build(self) -> list[hw.HWModuleOp]:
        """
        The modules, the top last.

        Raises `PassFailedException` for a network that stands still.
        """
        function, b = self.function, self.b
        returned = function.get_return_op()
        assert returned is not None
        fifos = list(returned.operands)
        ins = [
            self._port(a, function.arg_attrs, i, "in")
            for i, a in enumerate(function.args)
        ]
        outs = [
            self._port(v, function.res_attrs, i, "out") for i, v in enumerate(fifos)
        ]
        b.clock()
        self.reset = b.argument("rst", i1, 1)
        valids = [self._input(f"{name}_valid", 1) for name in ins]
        readies = [self._input(f"{name}_ready", 1) for name in outs]
        for argument, name, valid in zip(function.args, ins, valids, strict=True):
            data = self._input(name, beat_bits(channel_of(argument)))
            # Reserved in the cycle in which it comes: filled in below.
            self.channels[argument] = _Channel(name, valid, valid, data)
        found: dict[SSAValue, tuple[SSAValue, SSAValue]] = {}
        for op in function.body.block.ops:
            if isinstance(op, ProcessOp):
                self._process(op)
            elif isinstance(op, ViewOp):
                self.channels[op.result] = self.channels[op.input]
            elif isinstance(op, FifoOp):
                index = fifos.index(op.result)
                found[op.result] = self._fifo(op, outs[index], readies[index])
        for op, value in self.waiting:
            op.operands[len(op.operands) - 1] = every(b, self.channels[value].ready)
        results = [
            (f"{n}_valid", found[v][0]) for n, v in zip(outs, fifos, strict=True)
        ]
        for argument, name in zip(function.args, ins, strict=True):
            results.append((f"{name}_ready", self._accept(argument)))
        results += [(n, found[v][1]) for n, v in zip(outs, fifos, strict=True)]
        b.outputs = [name for name, _ in results]
        b.block.add_op(hw.OutputOp([value for _, value in results]))
        described = self._described()
        if not self.is_axis:
            b.attributes[INTERFACE] = described
            return [*self.modules, b.close(None)]
        core = b.close()
        top = axis_top(core, interface_layout(self.name, described))
        top.attributes[INTERFACE] = described
        return [*self.modules, core, top]

    def _input(self, name: str, bits: int) -> SSAValue:
        return self.b.argument(name, IntegerType(bits), len(self.b.block.args))

    def _accept(self, argument: SSAValue) -> SSAValue:
        """
        Whether an input is taken; what reads it sees only the beats that are.

        An input of several readers moves when all of them have room.
        """
        channel = self.channels[argument]
        ready = every(self.b, channel.ready)
        moves = arith.bitwise(self.b, comb.AndOp, channel.valid, ready)
        for use in list(channel.valid.uses):
            if isinstance(use.operation, hw.InstanceOp):
                use.operation.operands[use.index] = moves
        return ready

    def _process(self, op: ProcessOp) -> None:
        layer = op.layer.data if op.layer else op.result.name_hint or "process"
        name = self.design.unique(f"{self.name}_{identifier(layer, 'process')}")
        parts, module = process_circuit(op, name)
        sizes = ints(op.capacity) if op.capacity is not None else ()
        self._describe(
            module,
            operations(op),
            op.schedule.iterations,
            [
                (value, role_of(op, index), size, op.schedule.least_capacity(read))
                for index, (value, size, read) in enumerate(
                    zip(op.inputs, sizes, op.schedule.reads, strict=True)
                )
            ],
        )
        self.modules += [*parts, module.op]
        zero = self.b.literal(0, 1)
        outputs = self._instance(name, module, [*op.inputs], zero)
        *readies, reserve, valid, data = outputs.results
        for value, ready in zip(op.inputs, readies, strict=True):
            self.channels[value].ready.append(ready)
        writer = outputs.instance_name.data
        self.channels[op.result] = _Channel(writer, reserve, valid, data)
        self.waiting.append((outputs, op.result))

    def _fifo(
        self, op: FifoOp, port: str, ready: SSAValue
    ) -> tuple[SSAValue, SSAValue]:
        name = self.design.unique(f"{self.name}_{port}")
        module = fifo_circuit(op, name)
        assert op.capacity is not None, "checked before"
        beats = channel_of(op.input).layout.beats
        size = op.capacity.value.data
        self._describe(module, "output", beats, [(op.input, Role.FIFO, size, 1)])
        self.modules.append(module.op)
        free, valid, data = self._instance(name, module, [op.input], ready).results
        self.channels[op.input].ready.append(free)
        return valid, data

    def _describe(
        self,
        module: Module,
        operation: str,
        cycles: int,
        buffers: list[tuple[SSAValue, Role, int, int]],
    ) -> None:
        """What reports say of a process, as an attribute of its module."""
        described = [
            DictionaryAttr(
                {
                    "from": StringAttr(self.channels[value].name),
                    "role": StringAttr(role),
                    "places": IntegerAttr(size, i64),
                    "least": IntegerAttr(least, i64),
                    "bits": IntegerAttr(beat_bits(channel_of(value)), i64),
                    "beats": IntegerAttr(channel_of(value).layout.beats, i64),
                }
            )
            for value, role, size, least in buffers
        ]
        module.op.attributes[PROCESS] = DictionaryAttr(
            {
                "operation": StringAttr(operation),
                "cycles": IntegerAttr(cycles, i64),
                "buffers": ArrayAttr(described),
            }
        )

    def _instance(
        self, name: str, module: Module, inputs: list[SSAValue], ready: SSAValue
    ) -> hw.InstanceOp:
        operands = [self.b.clock(), self.reset]
        for value in inputs:
            channel = self.channels[value]
            operands += [channel.reserve, channel.valid, channel.data]
        operands.append(ready)
        op = hw.InstanceOp(
            name.removeprefix(f"{self.name}_"),
            SymbolRefAttr(name),
            list(zip(["clk", "rst", *module.inputs], operands, strict=True)),
            module.outputs,
        )
        self.b.emit(op)
        for result, (port, _) in zip(op.results, module.outputs, strict=True):
            result.name_hint = f"{op.instance_name.data}_{port}"
        return op

    def _port(
        self,
        value: SSAValue,
        attrs: ArrayAttr[DictionaryAttr] | None,
        index: int,
        direction: str,
    ) -> str:
        """The name of a port, which is described."""
        suffixes = ("", "_valid", "_ready")
        name = port_name(value, attrs, index, direction, self.names, suffixes)
        type = channel_of(value)
        codes, layout = element_codes(type.element), type.layout
        self.interface.append(
            DictionaryAttr(
                {
                    "name": StringAttr(name),
                    "direction": StringAttr(direction),
                    "shape": int_array(layout.shape),
                    "tile": int_array(layout.tile),
                    "order": int_array(layout.order),
                    "width": IntegerAttr(codes.bits, i64),
                    "signed": BoolAttr.from_bool(codes.min_code < 0),
                    # As text: CIRCT does not know our types.
                    "element": StringAttr(str(type.element)),
                }
            )
        )
        return name

    def _described(self) -> DictionaryAttr:
        """What `mase.interface` says."""
        try:
            times = network_of(self.function).network.run()
        except DeadlockError as error:
            raise PassFailedException(
                f"the buffers are too small, and all stands still: {error}; run "
                "stream-size-fifos"
            ) from error
        flags = {"axis": BoolAttr.from_bool(True)} if self.is_axis else {}
        return DictionaryAttr(
            {
                **flags,
                "ports": ArrayAttr(self.interface),
                "latency": IntegerAttr(times.latency, i64),
                "interval": IntegerAttr(times.interval, i64),
                "depth": IntegerAttr(0, i64),
                "clock": BoolAttr.from_bool(True),
                "ready": BoolAttr.from_bool(False),
                "channels": BoolAttr.from_bool(True),
            }
        )
