"""The emitted test bench under real simulators."""

import importlib.util
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from hw_circuits import CASES, random_inputs

from mase_opt.lib.target import circt, verilator
from mase_opt.lib.target.testbench import emit_testbench

needs_cocotb = pytest.mark.skipif(
    importlib.util.find_spec("cocotb_tools") is None,
    reason="cocotb is not installed: pip install cocotb",
)
needs_icarus = pytest.mark.skipif(
    shutil.which("iverilog") is None, reason="Icarus (iverilog) is not installed"
)
needs_verilator = pytest.mark.skipif(
    verilator.available() is not None, reason=str(verilator.available())
)


def emit(folder: Path, name: str, wrong: bool = False) -> None:
    text, layout, reference = CASES[name]
    inputs = random_inputs(layout, 20)
    outputs = reference(inputs)
    if wrong:
        port = layout.outputs[0].name
        outputs[port] = outputs[port] ^ (outputs[port] * 0 + 1)
    (folder / "design.sv").write_text(circt.export_verilog(text))
    for path, content in emit_testbench(layout, inputs, outputs).items():
        (folder / path).parent.mkdir(exist_ok=True)
        (folder / path).write_bytes(content)


def run(folder: Path, simulator: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "tb/run.py", simulator],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )


@needs_cocotb
@needs_icarus
@pytest.mark.parametrize("name", CASES)
def test_icarus(tmp_path: Path, name: str):
    emit(tmp_path, name)
    done = run(tmp_path, "icarus")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed" in done.stdout


@needs_cocotb
@needs_icarus
def test_wrong_results_fail(tmp_path: Path):
    emit(tmp_path, "rom", wrong=True)
    done = run(tmp_path, "icarus")
    assert done.returncode == 1, done.stdout + done.stderr
    assert "sample 0, output y, element 0: got 11, expected 10" in (
        done.stdout + done.stderr
    )


@needs_cocotb
@needs_verilator
def test_verilator(tmp_path: Path):
    emit(tmp_path, "stall")
    done = run(tmp_path, "verilator")
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 failed" in done.stdout
