"""
The bridge to CIRCT: the only file that imports it.

hw/comb/seq modules come in, as xDSL modules or as text; SystemVerilog, LLVM-dialect
text for simulation and an estimate of logic depth come out. CIRCT runs in process.
Written against the bindings in pycde 0.12.1.
"""

from __future__ import annotations

import importlib
import io
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from xdsl.dialects.builtin import IntegerType, ModuleOp
from xdsl.ir import Attribute
from xdsl.printer import Printer

from mase_opt.lib.errors import UserError
from mase_opt.lib.hardware.interface import PortLayout
from mase_opt.lib.temporaries import temporary_folder


class CirctError(UserError):
    """CIRCT refused its input; the message holds its diagnostics."""


_VERILOG_PASSES = (
    "hw.module(lower-seq-compreg-ce)",
    "lower-seq-firmem",
    "lower-seq-to-sv{disable-reg-randomization disable-mem-randomization}",
    "hw-memory-sim{disable-reg-randomization disable-mem-randomization}",
    "canonicalize",
    "cse",
    "hw.module(hw-legalize-modules)",
    "hw.module(prettify-verilog)",
)

_LOWERING_OPTIONS = (
    # The same bytes wherever the input came from.
    "locationInfoStyle=none",
    # Yosys 0.23 has neither `automatic logic` nor multi-dimensional packed arrays.
    "disallowLocalVariables",
    "disallowPackedArrays",
)

# Apart from the arc passes: those load the LLVM dialect, and flattening looks for an
# inliner interface in every loaded dialect, which this one promises but lacks.
_FLATTEN_PASSES = (
    "hw.module(lower-seq-compreg-ce)",
    "lower-seq-firmem",
    "cse",
    # Before the arcs are cut: the packing of elements into ports then folds away.
    "hw-flatten-modules",
    "canonicalize",
    "cse",
)

_ARC_PASSES = (
    "arc-infer-memories{tap-ports=false}",
    "convert-to-arcs",
    "arc-split-loops",
    "arc-canonicalizer",
    "arc-lower-state",
    "arc-inline",
    "arc-merge-ifs",
    "cse",
    "arc-lower-arcs-to-funcs",
    "arc.model(arc-allocate-state)",
)

_LLVM_PASSES = (
    "arc-lower-clocks-to-funcs",
    "cse",
    "arc-canonicalizer",
    "lower-arc-to-llvm",
    "cse",
    "arc-canonicalizer",
)


_GATE_PASSES = (
    "cse",
    "hw.module(hw-aggregate-to-comb)",
    "hw.module(convert-comb-to-synth)",
    "cse",
    "canonicalize",
)


def _bindings(name: str) -> Any:
    """A module of CIRCT's bindings: of package `circt` if it is a current one."""
    # The package `circt` stopped at a version without these; pycde carries new ones.
    for package in ("circt", "pycde.circt"):
        try:
            importlib.import_module(f"{package}.dialects.synth")
            return importlib.import_module(f"{package}{name}")
        except ImportError:
            continue
    raise UserError(
        "CIRCT is not installed: pip install pycde==0.12.1 (it carries the bindings)"
    )


def version() -> str:
    """Name and version of the package that CIRCT comes from."""
    import importlib.metadata

    package = _bindings("").__name__.partition(".")[0]
    return f"{package} {importlib.metadata.version(package)}"


def to_text(module: ModuleOp | str) -> str:
    """The text that CIRCT parses: xDSL's custom form."""
    if isinstance(module, str):
        return module
    stream = io.StringIO()
    _CircuitPrinter(stream).print_op(module)
    return stream.getvalue()


class _CircuitPrinter(Printer):
    """
    A printer that doesn't count columns, and prints each type once.

    It takes two thirds of the time: circuits have many operations of few types.
    """

    def __init__(self, stream: io.StringIO):
        super().__init__(stream)
        self._write = stream.write
        self._types: dict[Attribute, str] = {}

    def print_string(self, text: str, *, indent: int | None = None) -> None:
        if "\n" in text:
            super().print_string(text, indent=indent)
        else:
            self._write(text)

    def print_attribute(self, attribute: Attribute) -> None:
        key = attribute
        if not isinstance(attribute, IntegerType):
            super().print_attribute(attribute)
            return
        text = self._types.get(key)
        if text is None:
            text = self._types[key] = str(key)
        self._write(text)


@contextmanager
def _context() -> Generator[None, None, None]:
    """A CIRCT context; diagnostics end in a `CirctError`."""
    bindings, ir = _bindings(""), _bindings(".ir")
    diagnostics: list[str] = []

    def collect(diagnostic: Any) -> bool:
        diagnostics.append(_describe(diagnostic))
        return True

    with ir.Context() as context, ir.Location.unknown():
        bindings.register_dialects(context)
        handler = context.attach_diagnostic_handler(collect)
        try:
            yield
        except ir.MLIRError as error:
            diagnostics.extend(_describe(d) for d in error.error_diagnostics)
            raise CirctError("CIRCT: " + "\n".join(diagnostics or [str(error)])) from (
                error
            )
        finally:
            handler.detach()


def _describe(diagnostic: Any) -> str:
    severity = str(diagnostic.severity).rpartition(".")[2].lower()
    text = f"{diagnostic.location}: {severity}: {diagnostic.message}"
    return "\n".join([text, *(f"  {note.message}" for note in diagnostic.notes)])


def _parse(text: str) -> Any:
    return _bindings(".ir").Module.parse(text)


def _run(module: Any, passes: tuple[str, ...]) -> None:
    manager = _bindings(".passmanager").PassManager
    manager.parse(f"builtin.module({','.join(passes)})").run(module.operation)


def check(module: ModuleOp | str) -> None:
    """Raise `CirctError` unless CIRCT parses and verifies the module."""
    with _context():
        _parse(to_text(module))


def module_attributes(text: str, name: str) -> dict[str, str]:
    """The attribute `name` of each module that has it, as text, by module."""
    ir = _bindings(".ir")
    with _context():
        return {
            ir.StringAttr(op.attributes["sym_name"]).value: str(op.attributes[name])
            for op in _parse(text).body.operations
            if name in op.attributes and "sym_name" in op.attributes
        }


_MEMORY_CONTENTS = (
    # Without the macro, the files that memories start from would not be read.
    'sv.macro.decl @ENABLE_INITIAL_MEM_\nsv.macro.def @ENABLE_INITIAL_MEM_ ""\n'
)


def _prepare_verilog(module: ModuleOp | str, comments: dict[str, str]) -> Any:
    ir = _bindings(".ir")
    text = to_text(module)
    parsed = _parse(text)
    if "#seq.firmem.init<" in text:
        start = ir.InsertionPoint.at_block_begin(parsed.body)
        for op in _parse(_MEMORY_CONTENTS).body.operations:
            op.operation.clone(ip=start)
    parsed.operation.attributes["circt.loweringOptions"] = ir.StringAttr.get(
        ",".join(_LOWERING_OPTIONS)
    )
    _run(parsed, _VERILOG_PASSES)
    for op in parsed.body.operations:
        if "sym_name" not in op.attributes:
            continue  # the definition of a macro
        name = ir.StringAttr(op.attributes["sym_name"]).value
        if name in comments:
            op.attributes["comment"] = ir.StringAttr.get(comments[name])
    return parsed


def export_verilog(
    module: ModuleOp | str, comments: dict[str, str] | None = None
) -> str:
    """
    SystemVerilog of all modules; `comments` go in front of the modules they name.

    Raises `CirctError` if the module is not hw/comb/seq that CIRCT can lower.
    """
    with _context():
        parsed = _prepare_verilog(module, comments or {})
        stream = io.StringIO()
        _bindings("").export_verilog(parsed, stream)
    return stream.getvalue()


def export_split_verilog(
    module: ModuleOp | str, comments: dict[str, str] | None = None
) -> dict[str, str]:
    """SystemVerilog as one file per module: file names and their text."""
    with _context(), temporary_folder("mase-circt") as folder:
        parsed = _prepare_verilog(module, comments or {})
        _bindings("").export_split_verilog(parsed, str(folder))
        files = sorted(path for path in folder.rglob("*") if path.is_file())
        return {
            str(path.relative_to(folder)): path.read_text(encoding="utf-8")
            for path in files
        }


@dataclass(frozen=True)
class Slot:
    """Where a signal lies in a simulation's state: offset in bytes, width in bits."""

    offset: int
    width: int


@dataclass(frozen=True)
class MemorySlot:
    """Where the words of a memory lie: offset and bytes from one to the next."""

    offset: int
    stride: int


@dataclass(frozen=True)
class StateLayout:
    """The state of a lowered circuit, one block of memory."""

    model: str
    """Stem of the functions: `<model>_eval` takes a pointer to the state."""
    size: int
    """Bytes of the state."""
    control: dict[str, Slot]
    """The one-bit ports by name."""
    data: dict[str, tuple[Slot, ...]]
    """The data ports by name, a slot per element."""
    last_clock: int | None
    """Offset of the byte that holds the clock of the last evaluation."""
    has_initial: bool
    """Whether `<model>_initial` must run on the zeroed state first."""
    memories: dict[str, MemorySlot]
    """The memories by name."""
    lanes: int = 1
    """Circuits side by side; if more than one, slots are as `lanes` lays them out."""


def lower_to_llvm(
    module: ModuleOp | str, layout: PortLayout
) -> tuple[str, StateLayout]:
    """
    Lower a circuit to LLVM-dialect text for simulation.

    `<model>_eval(state)` computes the outputs from inputs and registers, and moves the
    registers on if the clock has risen since the last call.
    """
    ir = _bindings(".ir")
    with _context():
        parsed = _parse(to_text(module))
        wrapper = _wrap(parsed, layout)
        _run(parsed, _FLATTEN_PASSES)
        _run(parsed, _ARC_PASSES)
        ports, memories, size, last_clock = _read_layout(parsed)
        _run(parsed, _LLVM_PASSES)
        text = str(parsed)
        functions = {
            ir.StringAttr(op.attributes["sym_name"]).value
            for op in parsed.body.operations
            if "sym_name" in op.attributes
        }
    control = {
        name: ports[f"c_{name}"]
        for name in (*layout.control_inputs, *layout.control_outputs)
    }
    data = {
        port.name: tuple(ports[f"d{place}_{i}"] for i in range(port.elements))
        for place, port in enumerate(layout.ports)
    }
    return text, StateLayout(
        model=wrapper,
        size=size,
        control=control,
        data=data,
        last_clock=last_clock,
        has_initial=f"{wrapper}_initial" in functions,
        memories=memories,
    )


def _wrap(module: Any, layout: PortLayout) -> str:
    """
    Put a module with a port per element around the top; return its name.

    ```mlir
    hw.module @mlp_elements(in %c_clk: !seq.clock, in %d0_0: i8, …, out d1_0: i8, …)
    ```

    Elements then have bytes of their own in the state, wherever they lay in the port.
    """
    ir = _bindings(".ir")
    circuits = {
        ir.StringAttr(op.attributes["sym_name"]).value: op
        for op in module.body.operations
        if op.operation.name.startswith("hw.module")
    }
    if layout.top not in circuits:
        raise CirctError(f"no hw.module @{layout.top} among {sorted(circuits)}")
    types = _port_types(circuits[layout.top], layout)
    for op in circuits.values():
        op.attributes["sym_visibility"] = ir.StringAttr.get("private")
    name = f"{layout.top}_elements"
    while name in circuits:
        name += "_"
    text = _wrapper_text(name, layout, types)
    # A clone: an op that leaves its module is destroyed with it.
    parsed = _parse(text)
    wrapper = parsed.body.operations[len(parsed.body.operations) - 1]
    wrapper.operation.clone(ip=ir.InsertionPoint(module.body))
    return name


def _port_types(top: Any, layout: PortLayout) -> dict[str, str]:
    """The types of the top's ports; checks them against the layout."""
    types = dict(
        zip(
            [*top.type.input_names, *top.type.output_names],
            [str(t) for t in [*top.type.input_types, *top.type.output_types]],
            strict=True,
        )
    )
    expected = {port.name: f"i{port.bits}" for port in layout.ports}
    expected |= dict.fromkeys((*layout.control_inputs, *layout.control_outputs), "i1")
    if layout.has_clock and types.get("clk") == "!seq.clock":
        expected["clk"] = "!seq.clock"
    if types != expected:
        raise CirctError(
            f"hw.module @{layout.top} has ports {types}, its layout says {expected}"
        )
    return types


def _wrapper_text(name: str, layout: PortLayout, types: dict[str, str]) -> str:
    places = list(enumerate(layout.ports))
    inputs = [f"in %c_{n} : {types[n]}" for n in layout.control_inputs]
    outputs = [f"out c_{n} : i1" for n in layout.control_outputs]
    body: list[str] = []
    results = [f"%c_{n}" for n in layout.control_outputs]
    operands = [f"{n}: %c_{n}: {types[n]}" for n in layout.control_inputs]
    for place, port in places:
        element = f"i{port.width}"
        names = [f"d{place}_{i}" for i in range(port.elements)]
        if port.direction == "in":
            inputs += [f"in %{n} : {element}" for n in names]
            parts = ", ".join(f"%{n}" for n in reversed(names))
            kinds = ", ".join([element] * port.elements)
            body.append(f"%d{place} = comb.concat {parts} : {kinds}")
            operands.append(f"{port.name}: %d{place}: {types[port.name]}")
        else:
            outputs += [f"out {n} : {element}" for n in names]
            results += [f"%{n}" for n in names]
    declared = ", ".join(
        [f"in %{n} : {types[n]}" for n in layout.control_inputs]
        + [f"in %{p.name} : {types[p.name]}" for p in layout.inputs]
        + [f"out {n} : i1" for n in layout.control_outputs]
        + [f"out {p.name} : {types[p.name]}" for p in layout.outputs]
    )
    instance_results = [f"{n}: i1" for n in layout.control_outputs]
    instance_results += [f"{p.name}: {types[p.name]}" for p in layout.outputs]
    values = [f"%c_{n}" for n in layout.control_outputs]
    values += [f"%d{k}" for k, port in places if port.direction == "out"]
    body.append(
        f'{", ".join(values)} = hw.instance "top" @{layout.top}'
        f"({', '.join(operands)}) -> ({', '.join(instance_results)})"
    )
    for place, port in places:
        if port.direction == "out":
            body += [
                f"%d{place}_{i} = comb.extract %d{place} from {i * port.width} : "
                f"({types[port.name]}) -> i{port.width}"
                for i in range(port.elements)
            ]
    kinds = ["i1"] * len(layout.control_outputs)
    kinds += [f"i{p.width}" for p in layout.outputs for _ in range(p.elements)]
    body.append(f"hw.output {', '.join(results)} : {', '.join(kinds)}")
    lines = "\n".join(body)
    return (
        f"hw.module.extern private @{layout.top}({declared})\n"
        f"hw.module @{name}({', '.join([*inputs, *outputs])}) {{\n{lines}\n}}"
    )


def _read_layout(
    module: Any,
) -> tuple[dict[str, Slot], dict[str, MemorySlot], int, int | None]:
    """Slots of ports and of memories by name, size of the state, the last clock."""
    ir = _bindings(".ir")
    model = next(
        op for op in module.body.operations if op.operation.name == "arc.model"
    )
    ports: dict[str, Slot] = {}
    memories: dict[str, MemorySlot] = {}
    last_clock: int | None = None
    for op in model.operation.regions[0].blocks[0].operations:
        if op.operation.name in ("arc.root_input", "arc.root_output"):
            state = str(op.operation.results[0].type)
            width = state.removeprefix("!arc.state<").removesuffix(">")
            ports[ir.StringAttr(op.attributes["name"]).value] = Slot(
                ir.IntegerAttr(op.attributes["offset"]).value,
                1 if width == "!seq.clock" else int(width.removeprefix("i")),
            )
        elif op.operation.name == "arc.alloc_memory":
            # The path of the instance, and the name of the memory in its module.
            path = ir.StringAttr(op.attributes["name"]).value
            name = path.rpartition("/")[2].removesuffix("_ext")
            memories[name] = MemorySlot(
                ir.IntegerAttr(op.attributes["offset"]).value,
                ir.IntegerAttr(op.attributes["stride"]).value,
            )
        elif op.operation.name == "arc.state_write":
            target, value = op.operation.operands[0].owner, op.operation.operands[1]
            if getattr(value.owner, "name", "") == "seq.from_clock":
                last_clock = ir.IntegerAttr(target.attributes["offset"]).value
        elif op.operation.name == "scf.if":
            break  # All slots come first, then the clock; the rest can be long.
    size = ir.IntegerAttr(model.attributes["storageBytes"]).value
    return ports, memories, size, last_clock


def gate_depth(module: ModuleOp | str, top: str) -> int:
    """
    The longest path in levels of an and-inverter graph, flat.

    From inputs and registers to registers and outputs. An estimate that is good for
    comparing designs; takes seconds for thousands of adders, so leave it out where
    nobody waits for it.
    """
    ir, synth = _bindings(".ir"), _bindings(".dialects.synth")
    with _context():
        parsed = _parse(to_text(module))
        circuits = {
            ir.StringAttr(op.attributes["sym_name"]).value: op
            for op in parsed.body.operations
        }
        for name, op in circuits.items():
            if name != top:
                op.attributes["sym_visibility"] = ir.StringAttr.get("private")
        _run(parsed, _FLATTEN_PASSES)
        _run(parsed, _GATE_PASSES)
        analysis = synth.LongestPathAnalysis(
            parsed.operation,
            collect_debug_info=False,
            keep_only_max_delay_paths=True,
            top_module_name=top,
        )
        paths = [
            analysis.get_internal_paths(top, False),
            analysis.get_paths_from_input_ports_to_internal(top),
        ]
        body = circuits[top].operation.regions[0].blocks[0].operations
        for value in body[len(body) - 1].operands:
            width = int(str(value.type).removeprefix("i"))
            paths += [analysis.get_paths(value, bit, False) for bit in range(width)]
        return max((found[0].delay for found in paths if len(found)), default=0)
