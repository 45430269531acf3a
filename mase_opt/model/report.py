"""What a circuit costs, layer by layer: as a table and as data."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from math import prod
from typing import Any

from xdsl.dialects import comb, hw, seq
from xdsl.dialects.builtin import IntegerAttr, IntegerType, ModuleOp, StringAttr
from xdsl.ir import Attribute, Operation, SSAValue

from mase_opt.dialects.circt import CompRegClockEnabledOp, FirMemOp
from mase_opt.dialects.mase.base import show
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.analysis.devices import half_blocks
from mase_opt.lib.console import tell
from mase_opt.lib.conversion.unrolled.top import LAYER
from mase_opt.lib.hardware.builder import LATENCY
from mase_opt.lib.hardware.interface import PortLayout, rate
from mase_opt.lib.interpreters.mase import main_function
from mase_opt.lib.table import Column, Table
from mase_opt.lib.target.yosys import Resources
from mase_opt.model.streams import Streams, streams_of
from mase_opt.model.synthesis import Synthesis

COLUMNS = (
    Column("layer"),
    Column("operation", fold=1),
    Column("input", fold=3),
    Column("output"),
    Column("weights", fold=1),
    Column("parameters"),
    Column("multiplies", fold=2),
    Column("adders"),
    Column("register_bits"),
    Column("memory_bits", fold=2),
    Column("stages"),
)


@dataclass(frozen=True)
class LayerCost:
    """One layer of the model and the hardware it became."""

    name: str
    operation: str
    inputs: str
    """Shapes and formats of what is not constant."""
    output: str
    weights: str
    """Formats of the constant operands."""
    parameters: int
    multiplies: int
    adders: int
    """Two-input additions and subtractions."""
    register_bits: int
    memory_bits: int
    """Bits of lookup tables and memories."""
    ramb18: int
    """Half block memories of what does not fit into tables."""
    latency: int
    """Register stages, in cycles."""


@dataclass(frozen=True)
class Report:
    """All layers, the totals, and what synthesis says if it was asked."""

    top: str
    latency: int
    initiation_interval: int
    """Cycles from one sample to the next."""
    layers: tuple[LayerCost, ...]
    totals: dict[str, int]
    logic_depth: int
    """Adders (or what takes as long) between two registers at most."""
    gate_depth: int | None
    """Levels of an and-inverter graph between two registers, if synthesized."""
    synthesis: Resources | None
    """What Yosys makes of it."""
    streams: Streams | None
    """Of streamed circuits: processes and buffers, which take the layers' place."""

    def to_json(self) -> dict[str, Any]:
        return asdict(self)

    def show(self) -> None:
        """Write the table, and what there is beside it, to standard error."""
        tables = [table.text_for(sys.stderr) for table in self._tables()]
        tell("\n".join(tables) + self._notes())

    def text(self, width: int | None = 80) -> str:
        """The table, in lines of at most `width` characters, and what is beside it."""
        return "\n".join(t.text(width) for t in self._tables()) + self._notes()

    def _tables(self) -> list[Table]:
        title = self.table().title
        return self.streams.tables(title) if self.streams else [self.table()]

    def _notes(self) -> str:
        lines = [f"logic depth: {self.logic_depth} levels between registers"]
        if self.streams is not None:
            lines = self.streams.notes().splitlines()
        if self.synthesis is not None:
            found = self.synthesis
            lines += [
                f"{found.version}, {found.family}: {found.lut} LUT (and "
                f"{found.route_through} for carries alone), {found.ff} FF,",
                f"  {found.dsp} DSP, {found.carry} carry, {found.bram} BRAM, "
                f"{found.lutram} LUTRAM"
                + (
                    f", {self.gate_depth} gates between registers"
                    if self.gate_depth is not None
                    else ""
                ),
            ]
        return "".join(f"{line}\n" for line in lines)

    def table(self) -> Table:
        """A row for each layer."""
        total = self.totals
        return Table(
            f"{self.top}: latency {self.latency}, {rate(self.initiation_interval)}",
            COLUMNS,
            [
                (
                    layer.name,
                    layer.operation,
                    layer.inputs,
                    layer.output,
                    layer.weights,
                    layer.parameters,
                    layer.multiplies,
                    layer.adders,
                    layer.register_bits,
                    layer.memory_bits,
                    layer.latency,
                )
                for layer in self.layers
            ],
            (
                "total",
                *[None] * 4,
                total["parameters"],
                total["multiplies"],
                total["adders"],
                total["register_bits"],
                total["memory_bits"],
                self.latency,
            ),
        )


class _Hardware:
    """Counts operations of hw modules, instances included."""

    def __init__(self, module: ModuleOp):
        self.modules = {
            op.sym_name.data: op for op in module.ops if isinstance(op, hw.HWModuleOp)
        }
        self._known: dict[str, Counter[str]] = {}

    def count(self, name: str) -> Counter[str]:
        """multiplies, adders, register_bits, memory_bits, operations of a module."""
        if name not in self._known:
            total: Counter[str] = Counter()
            for op in self.modules[name].body.block.ops:
                if isinstance(op, hw.InstanceOp):
                    total += self.count(op.module_name.string_value())
                    continue
                total["operations"] += 1
                if (measure := _MEASURES.get(type(op))) is not None:
                    key, size = measure
                    total[key] += size(op)
                if isinstance(op, FirMemOp):
                    words = op.memory_type
                    blocks = half_blocks(words.depth.data, words.width.data)
                    total["ramb18"] += blocks
            self._known[name] = total
        return self._known[name]


def _bits(type: Attribute) -> int:
    return type.bitwidth if isinstance(type, IntegerType) else 0


def _more_operands(op: Operation) -> int:
    return len(op.operands) - 1


def _result_bits(op: Operation) -> int:
    return _bits(op.results[0].type)


def _memory_bits(op: Operation) -> int:
    assert isinstance(op, FirMemOp)
    return op.memory_type.depth.data * op.memory_type.width.data


def _operand_bits(op: Operation) -> int:
    return sum(_bits(v.type) for v in op.operands)


_MEASURES: dict[type[Operation], tuple[str, Callable[[Operation], int]]] = {
    comb.MulOp: ("multiplies", _more_operands),
    comb.AddOp: ("adders", _more_operands),
    comb.SubOp: ("adders", _more_operands),
    seq.CompRegOp: ("register_bits", _result_bits),
    CompRegClockEnabledOp: ("register_bits", _result_bits),
    hw.ArrayCreateOp: ("memory_bits", _operand_bits),
    FirMemOp: ("memory_bits", _memory_bits),
}


def build_report(
    module: ModuleOp,
    layout: PortLayout,
    reference: ModuleOp | None,
    synthesis: Synthesis | None = None,
    clock: float | None = None,
) -> Report:
    """The report of `module`, lowered from `reference`, at a clock in hertz."""
    hardware = _Hardware(module)
    inner = f"{layout.top}_core" if layout.is_axis else layout.top
    layers = tuple(_layers(hardware, inner, reference))
    whole = hardware.count(layout.top)
    totals = {
        key: whole[key]
        for key in ("multiplies", "adders", "register_bits", "memory_bits")
    }
    totals["parameters"] = sum(layer.parameters for layer in layers)
    return Report(
        top=layout.top,
        latency=layout.latency,
        initiation_interval=layout.initiation_interval,
        layers=layers,
        totals=totals,
        logic_depth=layout.logic_depth,
        gate_depth=synthesis.gate_depth if synthesis else None,
        synthesis=synthesis.resources if synthesis else None,
        streams=streams_of(hardware.modules, inner, layout, layers, clock)
        if layout.has_channels
        else None,
    )


def _layers(
    hardware: _Hardware, top: str, reference: ModuleOp | None
) -> Iterator[LayerCost]:
    """The instances of the top module, and the ops of the model they come from."""
    models = _model_ops(reference) if reference is not None else {}
    for op in hardware.modules[top].body.block.ops:
        if not isinstance(op, hw.InstanceOp):
            continue
        name = op.module_name.string_value()
        attributes = hardware.modules[name].attributes
        layer = _string(attributes.get(LAYER)) or op.instance_name.data
        counts = hardware.count(name)
        # The instances of a layer are in the order of its ops.
        model = next(models.get(layer, iter(())), None)
        yield LayerCost(
            name=layer,
            operation=model.name.removeprefix("mase.") if model else "",
            inputs=_inputs(model) if model else "",
            output=_format(model.results[0]) if model else "",
            weights=_weights(model) if model else "",
            parameters=_parameters(model) if model else 0,
            multiplies=counts["multiplies"],
            adders=counts["adders"],
            register_bits=counts["register_bits"],
            memory_bits=counts["memory_bits"],
            ramb18=counts["ramb18"],
            latency=_integer(attributes.get(LATENCY)),
        )


def _model_ops(reference: ModuleOp) -> dict[str, Iterator[Operation]]:
    """The ops of the model that become instances, by layer name."""
    found: dict[str, list[Operation]] = {}
    for op in main_function(reference).body.block.ops:
        layer = _string(op.properties.get("layer"))
        if layer is not None and len(_constants(op)) < len(op.operands):
            found.setdefault(layer, []).append(op)
    return {layer: iter(ops) for layer, ops in found.items()}


def _string(attribute: Attribute | None) -> str | None:
    return attribute.data if isinstance(attribute, StringAttr) else None


def _integer(attribute: Attribute | None) -> int:
    return attribute.value.data if isinstance(attribute, IntegerAttr) else 0


def _format(value: SSAValue) -> str:
    element = str(element_of(value)).removeprefix("!mase.")
    return f"{show(shape_of(value))} {element}"


def _constants(op: Operation) -> list[SSAValue]:
    return [v for v in op.operands if isinstance(v.owner, ConstantOp)]


def _inputs(op: Operation) -> str:
    constants = _constants(op)
    return ", ".join(_format(v) for v in op.operands if v not in constants)


def _weights(op: Operation) -> str:
    formats = [str(element_of(v)).removeprefix("!mase.") for v in _constants(op)]
    return ", ".join(formats)


def _parameters(op: Operation) -> int:
    return sum(prod(shape_of(v)) for v in _constants(op))
