"""
The end of `mase-opt --emit-sv`: lower, verify, and write SystemVerilog and a report.

A folder that it writes holds

- `<top>.sv`, or one file per module;
- `model.mlir`: the quantized model, lowered as far as the mase dialect goes;
- `circuit.mlir`: the circuit, in CIRCT's hw, comb and seq dialects;
- `manifest.json`: ports, bit layout, formats, latency, versions, the command;
- `report.json`: the table that goes to standard error, as data;
- `tb/`: a cocotb test bench with vectors and expected outputs.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from xdsl.context import Context
from xdsl.dialects import hw
from xdsl.dialects.builtin import ModuleOp
from xdsl.printer import Printer
from xdsl.utils.arg_spec import ArgSpec, ParameterListType

from mase_opt import __version__
from mase_opt.lib.atomic import atomic_directory, atomic_file, check_directory
from mase_opt.lib.errors import UserError
from mase_opt.lib.hardware.interface import BIT_LAYOUT, INPUT_CODES
from mase_opt.model.stages import BUILD_HARDWARE, MAKE_EXPLICIT
from mase_opt.pass_options import build_pass, parse_flag_options
from mase_opt.registry import load_universe

if TYPE_CHECKING:
    from mase_opt.lib.hardware.interface import PortLayout
    from mase_opt.model.verify import Lowering

PassOptions = dict[str, ParameterListType]

MANIFEST = "manifest.json"
MODEL = "model.mlir"
CIRCUIT = "circuit.mlir"
TEST_BENCH_SAMPLES = 32
"""Vectors in the test bench that is written."""


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


def emit_sv(
    module: ModuleOp,
    ctx: Context,
    options: EmitOptions,
    reference: ModuleOp | None = None,
    lowerings: Sequence[Lowering] = (),
) -> str:
    """
    Lower what is still missing and write what `options` ask for.

    `reference` is the lowered model that `module` was built from, if that has happened
    already, and `lowerings` are the passes that did so. Returns the SystemVerilog if
    there is no output to write, else the empty string. Raises `UserError` if the
    circuit or the lowered model disagrees, or the output cannot be written.
    """
    from mase_opt.lib.conversion.unrolled.legality import check_function, only_function
    from mase_opt.lib.target import circt
    from mase_opt.lib.target.layout import port_layout
    from mase_opt.model.verify import Lowering, verify_lowering, verify_rtl

    if reference is None and not _is_hardware(module):
        for name in MAKE_EXPLICIT:
            before = module.clone() if options.verify_samples else module
            run_pass(ctx, module, name)
            if options.verify_samples:
                lowerings = [*lowerings, Lowering(name, before, module.clone())]
        # Now, since searching for adder graphs takes long.
        check_function(only_function(module))
        reference = module.clone()
        for name in BUILD_HARDWARE:
            run_pass(ctx, module, name)
    layout = port_layout(module)
    # Printed once: this is what takes time for large circuits.
    circuit = circt.to_text(module)
    comments = {layout.top: layout.describe()}
    if options.split:
        files = circt.export_split_verilog(circuit, comments)
    else:
        text = circt.export_verilog(circuit, comments)
        if options.output is None and not (options.verify_samples or options.synth):
            return text
        files = {f"{layout.top}.sv": text}

    if options.verify_samples:
        if reference is None:
            raise UserError(
                "--verify-rtl needs the quantized model, but the input is hardware "
                "already: pass --verify-rtl=0"
            )
        for lowering in lowerings:
            verify_lowering(lowering, options.verify_samples)
        verify_rtl(reference, module, layout, options.verify_samples)

    from mase_opt.model.report import build_report

    report = build_report(module, circuit, layout, reference, synth=options.synth)
    report.print()
    if options.output is None:
        return "".join(files.values())
    if not _is_folder(options.output):
        with atomic_file(options.output) as stream:
            stream.write("".join(files.values()))
        return ""
    with atomic_directory(options.output, _is_earlier_output) as folder:
        for name, text in files.items():
            (folder / name).write_text(text, encoding="utf-8")
        manifest = {
            "mase_opt": __version__,
            "versions": _versions(),
            "command": options.command,
            **describe_interface(layout),
            "sources": [name for name in files if name.endswith(".sv")],
        }
        _write_json(folder / MANIFEST, manifest)
        _write_json(folder / "report.json", report.to_json())
        (folder / CIRCUIT).write_text(circuit, encoding="utf-8")
        if reference is not None:
            (folder / MODEL).write_text(to_text(reference, ctx), encoding="utf-8")
            _write_test_bench(folder, reference, layout)
    return ""


def describe_interface(layout: PortLayout) -> dict[str, Any]:
    """What the manifest says of the circuit's ports."""
    return {
        "interface": layout.to_json(),
        "bit_layout": BIT_LAYOUT,
        "input_codes": INPUT_CODES,
        "control_inputs": list(layout.control_inputs),
        "control_outputs": list(layout.control_outputs),
        "initiation_interval": 1,
    }


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


def _is_hardware(module: ModuleOp) -> bool:
    return any(isinstance(op, hw.HWModuleOp) for op in module.ops)


def run_pass(
    ctx: Context, module: ModuleOp, name: str, options: str | PassOptions = ""
) -> None:
    """
    Run a registered pass and verify the result.

    `options` are those of a pass flag (`width=6 by=type`) or already parsed ones.
    Hardware is left to CIRCT's verifiers.
    """
    if isinstance(options, str):
        options = parse_flag_options(options)
    spec = ArgSpec(name, options)
    build_pass(load_universe().all_passes, spec).apply(ctx, module)
    if not _is_hardware(module):
        module.verify()


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


def _write_test_bench(folder: Path, reference: ModuleOp, layout: PortLayout) -> None:
    from mase_opt.lib.simulation.testbench import emit_testbench
    from mase_opt.model.verify import reference_vectors

    inputs, outputs = reference_vectors(reference, layout, TEST_BENCH_SAMPLES)
    for name, content in emit_testbench(layout, inputs, outputs).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
