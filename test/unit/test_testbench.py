"""The emitted test bench under real simulators."""

import importlib.util
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from hw_circuits import CASES, random_inputs
from levels import Model
from xdsl.context import Context

import mase_opt as mo
from mase_opt.dialects.mase import layers, shape
from mase_opt.dialects.mase.base import int_array
from mase_opt.dialects.mase.types import FixedType
from mase_opt.lib.simulation import testbench_files, verilator
from mase_opt.lib.simulation.testbench import emit_testbench
from mase_opt.lib.target import circt
from mase_opt.model.emit import to_text

FILES = Path(next(iter(testbench_files.__path__)))

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


DIGITS = Path(__file__).parents[2] / "examples" / "digits"
COMMANDS = {
    # As the README says.
    "mlp": ["--quantize"],
    # With a handshake, and few bits: what takes time is the C++ compiler.
    "cnn": [
        f"--quantize=width=4 data={DIGITS / 'cnn_calibration.npz'}",
        "--convert-mase-to-hw=stall stages=2",
    ],
}


@pytest.fixture(scope="module", params=COMMANDS)
def digits(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder that `mase-opt` has written for a digits model."""
    folder = tmp_path_factory.mktemp("digits") / request.param
    subprocess.run(
        [
            str(Path(sys.executable).with_name("mase-opt")),
            *COMMANDS[request.param],
            *("--emit-sv", "--verify-rtl=0"),
            *(str(DIGITS / f"{request.param}.mlir"), "-o", str(folder)),
        ],
        capture_output=True,
        check=True,
    )
    return folder


@pytest.mark.slow
@needs_cocotb
@pytest.mark.parametrize(
    "simulator",
    [
        pytest.param("icarus", marks=needs_icarus),
        pytest.param("verilator", marks=needs_verilator),
    ],
)
def test_digits(digits: Path, simulator: str):
    done = run(digits, simulator)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "5 tests, 0 failed" in done.stdout
    skipped = 3 if digits.name == "cnn" else 4
    assert f"FAIL=0 SKIP={skipped}" in done.stdout + done.stderr


@pytest.fixture(scope="module", params=["handshake", "axis"])
def streamed(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """A folder of a circuit with channels, ragged tiles and memories."""
    rng = np.random.default_rng(0)
    model = Model((FixedType(6, 3), [1, 3]))
    with model as (x,):
        weight = shape.ConstantOp.of(rng.integers(-8, 8, (5, 3)), FixedType(4, 2))
        y = layers.LinearOp(x, weight, layer="fc")
    y.attributes["mase.parallelism"] = int_array([2, 2])
    folder = tmp_path_factory.mktemp("streamed") / "folder"
    source = folder.with_suffix(".mlir")
    source.write_text(to_text(model.returns(y), Context()))
    mo.load(source).emit(
        folder, architecture="streamed", verify=0, interface=request.param
    )
    return folder


@needs_cocotb
@pytest.mark.parametrize(
    "simulator",
    [
        pytest.param("icarus", marks=needs_icarus),
        pytest.param("verilator", marks=[needs_verilator, pytest.mark.slow]),
    ],
)
def test_streamed(streamed: Path, simulator: str):
    done = run(streamed, simulator)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "FAIL=0 SKIP=3" in done.stdout + done.stderr


@needs_cocotb
@needs_icarus
@pytest.mark.parametrize("what", ["data", "latency"])
def test_wrong_streams_fail(streamed: Path, tmp_path: Path, what: str):
    folder = tmp_path / "folder"
    shutil.copytree(streamed, folder)
    path = folder / "tb" / "vectors.json"
    vectors = json.loads(path.read_text())
    if what == "data":
        beats = vectors["data"]["out0"]
        beats[4] = f"{int(beats[4], 16) ^ 1:x}"
        # Elements beyond the end are not compared: each third beat has one.
        assert vectors["defined"]["out0"] == [[0, 1], [0, 1], [0]]
        beats[2] = f"{int(beats[2], 16) ^ 1 << 6:x}"
        message = "sample 1, beat 1, output out0, element 0: got"
    else:
        vectors["interface"]["latency"] += 1
        message = "the first sample ends at"
    path.write_text(json.dumps(vectors))
    done = run(folder, "icarus")
    assert done.returncode == 1
    assert message in done.stdout + done.stderr


@needs_cocotb
def test_a_memory_is_missing(streamed: Path, tmp_path: Path):
    folder = tmp_path / "folder"
    shutil.copytree(streamed, folder)
    (memory,) = folder.glob("*_weight.hex")
    memory.unlink()
    done = run(folder, "icarus")
    assert done.returncode == 1
    assert done.stdout == f"error: {memory} is missing: emit the folder again\n"


def test_make_flags_are_kept(monkeypatch: pytest.MonkeyPatch):
    spec = importlib.util.spec_from_file_location("tb_run", FILES / "run.py")
    assert spec is not None
    assert spec.loader is not None
    bench = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(bench)
    monkeypatch.setenv("MAKEFLAGS", "-s")
    bench.add_make_flags("A=1")
    bench.add_make_flags("B=-include C=")
    assert os.environ["MAKEFLAGS"] == "-s -- A=1 B=-include C="
