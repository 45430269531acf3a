"""
The end of `mase-opt --emit-sv`: lower, verify, and write SystemVerilog and a report.

A folder that it writes holds

- `<top>.sv`, or one file per module;
- `model.mlir`: the quantized model, lowered as far as the mase dialect goes;
- `circuit.mlir`: the circuit, in CIRCT's hw, comb and seq dialects;
- `<memory>.hex`, if it is streamed: what memories start with;
- `network.svg`, if it is streamed: processes and channels with their rates;
- `manifest.json`: ports, bit layout, formats, latency, versions, the command;
- `report.json`: the table that goes to standard error, as data;
- `tb/`: a cocotb test bench with vectors and expected outputs.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser
from xdsl.printer import Printer

from mase_opt import __version__
from mase_opt.dialects.mase import Mase
from mase_opt.dialects.mase.types import ElementType, exact_format
from mase_opt.lib.atomic import atomic_directory, atomic_file, check_directory
from mase_opt.lib.console import phase
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.scaled import Scaled
from mase_opt.lib.hardware.interface import BEAT_LAYOUT, BIT_LAYOUT, INPUT_CODES
from mase_opt.lib.hardware.memory import Memories, file_name, memories_of
from mase_opt.lib.model_function import model_function
from mase_opt.lib.search.space import decided_hardware
from mase_opt.model.stages import (
    MAKE_EXPLICIT,
    Architecture,
    Options,
    is_hardware,
    run_pass,
)
from mase_opt.model.synthesis import Synthesis

if TYPE_CHECKING:
    from mase_opt.lib.hardware.interface import Port, PortLayout
    from mase_opt.model.report import Report
    from mase_opt.model.verify import Lowering

MANIFEST = "manifest.json"
MODEL = "model.mlir"
CIRCUIT = "circuit.mlir"
PICTURE = "network.svg"
TEST_BENCH_SAMPLES = 32
"""Vectors in the test bench that is written, behind the corners."""
TEST_BENCH_CYCLES = 6_000
"""Cycles that the vectors take at most, if that is enough for two of them."""


@dataclass(frozen=True)
class EmitOptions:
    """What `--emit-sv` was asked for."""

    output: Path | None = None
    """A `.sv` file, a folder, or None: return the text."""
    split: bool = False
    """One file per module (folders only)."""
    synth: bool = False
    """Synthesize with Yosys for the report."""
    verify_samples: int = 0
    """Random vectors to compare interpreter and circuit on; 0: don't."""
    command: str = ""
    """The command line, for the manifest."""
    architecture: Architecture = Architecture.UNROLLED
    clock: float | None = None
    """Hertz, for the throughput in the report."""


def emit_sv(
    module: ModuleOp,
    ctx: Context,
    options: EmitOptions,
    reference: ModuleOp | None = None,
    lowerings: Sequence[Lowering] = (),
    hardware: Mapping[str, Options] | None = None,
) -> Result:
    """
    Lower what is still missing and write what `options` ask for.

    `module` becomes hardware. `reference` is the lowered model that it was built from,
    if that has happened already, and `lowerings` are the passes that did so; `hardware`
    are options of those that build it here, over those that a search has decided on.
    Raises `UserError` if the circuit or the
    lowered model disagrees, or the output cannot be written.
    """
    from mase_opt.lib.target import circt
    from mase_opt.lib.target.layout import port_layout

    if reference is None and not is_hardware(module):
        lowerings = [*lowerings, *_lower(module, ctx, options)]
        reference = module.clone()
        decided = decided_hardware(model_function(module))
        for name in options.architecture.passes:
            phase(name)
            given = (hardware or {}).get(name, {})
            run_pass(ctx, module, name, {**decided.get(name, {}), **given})
    phase("export SystemVerilog")
    layout = port_layout(module)
    # Printed once: this is what takes time for large circuits.
    circuit = circt.to_text(module)
    memories = memories_of(module)
    if memories and (options.output is None or not _is_folder(options.output)):
        raise UserError(
            "a streamed circuit reads files of memory contents: name a folder"
        )
    comments = {layout.top: layout.describe()}
    if options.split:
        files = circt.export_split_verilog(circuit, comments)
    else:
        files = {f"{layout.top}.sv": circt.export_verilog(circuit, comments)}
    verified = _verify(reference, lowerings, module, layout, options.verify_samples)
    synthesis = None
    if options.synth:
        from mase_opt.lib.target.yosys import synthesize

        phase("synthesize")
        plain = circt.export_verilog(circuit)
        depth = None if memories else circt.gate_depth(circuit, layout.top)
        found = synthesize(plain, layout.top, memories=memories)
        synthesis = Synthesis(found, depth)
    result = Result(
        files,
        layout,
        verified,
        options.output,
        circuit,
        module,
        reference,
        synthesis,
        memories,
        options.clock,
    )
    if options.output is not None:
        phase(f"write {options.output}")
        result.write(options.output, ctx, options.command)
    phase(None)
    return result


def _lower(module: ModuleOp, ctx: Context, options: EmitOptions) -> list[Lowering]:
    """
    Make all explicit that hardware computes; what that was, if it is to be kept.

    Raises `PassFailedException` for what cannot become hardware.
    """
    from mase_opt.lib.conversion.unrolled.legality import check_function, only_function
    from mase_opt.model.verify import Lowering

    keep = options.verify_samples > 0
    lowerings: list[Lowering] = []
    for name in MAKE_EXPLICIT:
        phase(name)
        before = module.clone() if keep else module
        run_pass(ctx, module, name)
        if keep:
            lowerings.append(Lowering(name, before, module.clone()))
    if options.architecture is Architecture.UNROLLED:
        # Now, since searching for adder graphs takes long.
        check_function(only_function(module))
    return lowerings


def _verify(
    reference: ModuleOp | None,
    lowerings: Sequence[Lowering],
    circuit: ModuleOp,
    layout: PortLayout,
    samples: int,
) -> int:
    """How many vectors have been compared. Raises `UserError` at a difference."""
    from mase_opt.model.verify import verify_lowering, verify_rtl

    if not samples:
        return 0
    if reference is None:
        raise UserError(
            "--verify-rtl needs the quantized model, but the input is hardware "
            "already: pass --verify-rtl=0"
        )
    phase(f"verify on {samples} samples")
    for lowering in lowerings:
        verify_lowering(lowering, samples)
    return verify_rtl(reference, circuit, layout, samples)


@dataclass(frozen=True)
class Result:
    """What a model has become: SystemVerilog, what it costs, and what was checked."""

    files: Mapping[str, str]
    """Names and texts of the SystemVerilog."""
    layout: PortLayout
    """The ports of the circuit, and when results come."""
    verified: int
    """Vectors on which interpreter and circuit agree; 0: not compared."""
    output: Path | None
    """The file or folder that was written."""
    circuit: str
    """The circuit, in CIRCT's hw, comb and seq dialects."""
    hardware: ModuleOp
    """The same as xDSL has it."""
    reference: ModuleOp | None
    """The model, lowered as far as the mase dialect goes, if it is known."""
    synthesis: Synthesis | None
    """What Yosys says, if it was asked."""
    memories: Memories
    """What memories start with, by their names; files of the folder."""
    clock: float | None
    """Hertz, if it was given."""

    @property
    def verilog(self) -> str:
        """The SystemVerilog of all modules."""
        return "".join(self.files.values())

    @property
    def latency(self) -> int:
        """Cycles from a sample to its results."""
        return self.layout.latency

    @property
    def initiation_interval(self) -> int:
        """Cycles from one sample to the next."""
        return self.layout.initiation_interval

    @cached_property
    def report(self) -> Report:
        """What each layer costs."""
        from mase_opt.model.report import build_report

        return build_report(
            self.hardware, self.layout, self.reference, self.synthesis, self.clock
        )

    @property
    def paths(self) -> list[Path]:
        """The files that were written."""
        if self.output is None or not _is_folder(self.output):
            return [] if self.output is None else [self.output]
        return sorted(p for p in self.output.rglob("*") if p.is_file())

    @property
    def summary(self) -> str:
        """What was verified and written, in a line."""
        verified = "not verified"
        if self.verified:
            verified = (
                f"verified: interpreter and circuit agree on {self.verified} vectors"
            )
        return verified + (f"; wrote {self.output}" if self.output is not None else "")

    def __repr__(self) -> str:
        return f"{self.report.text()}{self.summary}"

    def write(self, output: Path, ctx: Context, command: str) -> None:
        """Write a folder, or the text alone; raises `UserError`."""
        if not _is_folder(output):
            with atomic_file(output) as stream:
                stream.write(self.verilog)
            return
        with atomic_directory(output, _is_earlier_output) as folder:
            for name, text in self.files.items():
                (folder / name).write_text(text, encoding="utf-8")
            for name, memory in self.memories.items():
                (folder / file_name(name)).write_text(memory.text, encoding="utf-8")
            _write_json(folder / "report.json", self.report.to_json())
            if self.report.streams is not None:
                picture = self.report.streams.picture()
                (folder / PICTURE).write_text(picture, encoding="utf-8")
            (folder / CIRCUIT).write_text(self.circuit, encoding="utf-8")
            _write_json(folder / MANIFEST, self._manifest(command))
            if self.reference is not None:
                text = to_text(self.reference, ctx)
                (folder / MODEL).write_text(text, encoding="utf-8")
                _write_test_bench(folder, self.reference, self.layout, self.memories)

    def _manifest(self, command: str) -> dict[str, Any]:
        return {
            "mase_opt": __version__,
            "versions": _versions(),
            "command": command,
            **describe_interface(self.layout),
            "sources": [name for name in self.files if name.endswith(".sv")],
            "memories": {
                name: {
                    "width": memory.width,
                    "words": len(memory.words),
                    "sha256": digest(memory.text),
                }
                for name, memory in self.memories.items()
            },
        }


def digest(text: str) -> str:
    """What tells a text from others."""
    return sha256(text.encode()).hexdigest()


def describe_interface(layout: PortLayout) -> dict[str, Any]:
    """What the manifest says of the circuit's ports."""
    return {
        "interface": layout.to_json(),
        "bit_layout": BEAT_LAYOUT if layout.has_channels else BIT_LAYOUT,
        "input_codes": INPUT_CODES,
        "numbers": {port.name: _numbers(port) for port in layout.ports},
        "control_inputs": list(layout.control_inputs),
        "control_outputs": list(layout.control_outputs),
        "initiation_interval": layout.initiation_interval,
    }


def _numbers(port: Port) -> dict[str, Any]:
    """
    What codes at a port stand for: `scale · (code - zero_point)`.

    `fraction` are the bits behind the point, where a scale is no more than that. All
    are None for formats whose codes lie otherwise: their name says how.
    """
    context = Context()
    context.load_dialect(Mase)
    element = Parser(context, port.format).parse_attribute()
    fixed, scale, zero = exact_format(element), 1.0, 0
    fraction = None if fixed is None else fixed.frac
    if isinstance(element, ElementType) and isinstance(element.format, Scaled):
        scaled = element.format
        if isinstance(scaled.element, Fixed) and scaled.scales.size == 1:
            fixed, zero = scaled.element, scaled.zero_point
            scale = float(scaled.scales.reshape(-1)[0])
    if fixed is None:
        return {"scale": None, "zero_point": None, "fraction": None}
    scale *= 2.0**-fixed.frac
    return {"scale": scale, "zero_point": zero, "fraction": fraction}


def check_output(options: EmitOptions) -> None:
    """Raise the `UserError` that writing would end in, as far as that is known now."""
    if options.output is not None and _is_folder(options.output):
        check_directory(options.output, _is_earlier_output)
    elif options.split:
        raise UserError("--split writes several files: name a folder with -o")


def _is_folder(output: Path | None) -> bool:
    return output is not None and output.suffix not in (".sv", ".v")


def _is_earlier_output(folder: Path) -> bool:
    try:
        return "mase_opt" in json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False


def to_text(module: ModuleOp, ctx: Context) -> str:
    """A module with its resources as text that `mase-opt` reads."""
    stream = StringIO()
    printer = Printer(stream=stream)
    printer.print_op(module)
    printer.print_metadata(ctx.loaded_dialects)
    return stream.getvalue() + "\n"


def _versions() -> dict[str, str]:
    from importlib.metadata import version

    from mase_opt.lib.target import circt

    return {"xdsl": version("xdsl"), "circt": circt.version()}


def _write_json(path: Path, data: Any) -> None:
    path.write_text(json.dumps(data, indent=2) + "\n", encoding="utf-8")


def _write_test_bench(
    folder: Path, reference: ModuleOp, layout: PortLayout, memories: Memories
) -> None:
    from mase_opt.lib.simulation.testbench import emit_testbench
    from mase_opt.model.verify import reference_vectors

    most = max(2, TEST_BENCH_CYCLES // layout.initiation_interval)
    inputs, outputs = reference_vectors(reference, layout, TEST_BENCH_SAMPLES, most)
    files = emit_testbench(layout, inputs, outputs, list(memories))
    for name, content in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
