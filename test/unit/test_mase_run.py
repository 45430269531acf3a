"""`mase-run` on the digits models: every level, folders, and mistakes."""

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mase_opt.lib.target import verilator

ROOT = Path(__file__).parents[2]
DIGITS = ROOT / "examples" / "digits"

needs_verilator = pytest.mark.skipif(
    verilator.available() is not None, reason=str(verilator.available())
)


def tool(name: str, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name(name)), *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def mase_run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    return tool("mase-run", *arguments)


def fails(done: subprocess.CompletedProcess[str]) -> str:
    """The one error that a mistake must end in."""
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert done.stderr.startswith("error: ")
    return done.stderr


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What `mase-opt -o` writes for the MLP, with stalls."""
    path = tmp_path_factory.mktemp("emit") / "mlp"
    done = tool(
        "mase-opt",
        f"--calibrate=data={DIGITS / 'mlp_calibration.npz'}",
        "--quantize",
        "--convert-mase-to-hw=max-logic-depth=4 stall",
        "--emit-sv",
        DIGITS / "mlp.mlir",
        "-o",
        path,
    )
    assert done.returncode == 0, done.stderr
    return path


@needs_verilator
@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_all_levels_agree_on_the_test_split(name: str):
    done = mase_run(
        DIGITS / f"{name}.mlir",
        "--calibrate",
        DIGITS / f"{name}_calibration.npz",
        "--input",
        DIGITS / f"{name}_test.npz",
        "--labels",
        "--compare",
    )
    assert done.returncode == 0, done.stdout + done.stderr
    lines = dict(line.split(": ", 1) for line in done.stdout.splitlines())
    assert lines["agreement"].startswith("360 of 360 samples ")
    percent = {
        level: float(lines[level].split()[-2])
        for level in ("float", "quantized", "lowered", "rtl", "verilog")
    }
    assert percent["float"] > 95
    assert percent["quantized"] >= percent["float"] - 0.5
    assert percent["rtl"] == percent["verilog"] == percent["lowered"]


@needs_verilator
def test_folder_agrees(folder: Path):
    done = mase_run(
        folder, "--input", DIGITS / "mlp_test.npz", "--samples", "50", "--compare"
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "agreement: 50 of 50" in done.stdout
    assert "float" not in done.stdout


def test_codes_and_numbers_of_formats(tmp_path: Path):
    """Codes are the same at every level, and decode to the numbers of the format."""
    from mase_opt.levels import Level, Model

    source, result = "!mase.minifloat<4, 3, fn>", "!mase.scaled<!mase.log<4, 3>, 0.3>"
    path, data = tmp_path / "model.mlir", tmp_path / "data.npz"
    path.write_text(
        f"""func.func @f(%x: tensor<1x2x{source}>) -> tensor<1x2x{result}> {{
          %0 = mase.neg %x {{layer = "minus"}}
            : (tensor<1x2x{source}>) -> tensor<1x2x{result}>
          func.return %0 : tensor<1x2x{result}>
        }}"""
    )
    np.savez(data, x=np.array([[1.0, -2.6], [300.0, -0.001], [0.0, 0.4]]))
    model = Model(str(path))
    samples = model.load(str(data))
    (quantized,) = model.run(Level.QUANTIZED, samples)
    (rtl,) = model.run(Level.RTL, samples)
    assert np.array_equal(quantized, rtl)
    (numbers,) = model.decode(Level.RTL, [rtl])
    single = np.float32(0.3).astype(np.float64)
    assert numbers.ravel().tolist() == [
        v * single for v in (-4.0, 8.0, -16.0, 0.0, 0.0, -1.0)
    ]


def test_folder_with_another_circuit_disagrees(folder: Path, tmp_path: Path):
    """The comparison can fail: the model beside the circuit is another one."""
    from mase_opt.levels import Level, Model

    model = (folder / "model.mlir").read_text()
    changed = re.sub(r"(tensor<1x10x!mase.fixed<)8,", r"\g<1>7,", model)
    assert changed != model
    other = tmp_path / "other"
    other.mkdir()
    for path in folder.iterdir():
        if path.is_file():
            (other / path.name).write_bytes(path.read_bytes())
    (other / "model.mlir").write_text(changed)
    loaded = Model(str(other))
    samples = loaded.load(str(DIGITS / "mlp_test.npz"), 20)
    quantized = loaded.run(Level.QUANTIZED, samples)[0]
    rtl = loaded.run(Level.RTL, samples)[0]
    assert not np.array_equal(quantized, rtl)


def test_output_and_manifest(folder: Path, tmp_path: Path):
    result = tmp_path / "out.npz"
    done = mase_run(
        folder,
        "--input",
        DIGITS / "mlp_test.npz",
        "--level",
        "rtl",
        "--samples",
        "7",
        "--output",
        result,
    )
    assert done.returncode == 0, done.stderr
    with np.load(result) as arrays:
        assert arrays["out0"].shape == (7, 1, 10)
    manifest = json.loads((folder / "manifest.json").read_text())
    assert manifest["interface"]["has_ready"]
    assert manifest["initiation_interval"] == 1
    names = [port["name"] for port in manifest["interface"]["ports"]]
    assert names[0] == "x"
    report = json.loads((folder / "report.json").read_text())
    assert [layer["name"] for layer in report["layers"]][:1] == ["fc1"]
    assert report["totals"]["parameters"] == 64 * 32 + 32 + 32 * 10 + 10
    assert 0 < report["logic_depth"] <= 4


def test_mistakes(folder: Path, tmp_path: Path):
    data = DIGITS / "mlp_test.npz"
    empty = tmp_path / "empty"
    empty.mkdir()
    assert "no manifest.json" in fails(mase_run(empty, "--input", data))
    assert "no such file" in fails(mase_run("nowhere.mlir", "--input", data))
    assert "no such file" in fails(mase_run(folder, "--input", "nowhere.npz"))
    unlabelled = DIGITS / "mlp_calibration.npz"
    assert "no array 'labels'" in fails(
        mase_run("--labels", folder, "--input", unlabelled)
    )
    assert "quantized model only" in fails(
        mase_run(folder, "--input", data, "--level", "float")
    )
    assert "is quantized already" in fails(
        mase_run(folder, "--input", data, "--quantize", "width=6")
    )
    assert "positive" in fails(mase_run(folder, "--input", data, "--samples", "0"))
    wrong = tmp_path / "wrong.npz"
    np.savez(wrong, x=np.zeros((3, 5)))
    assert "3x5" in fails(mase_run(folder, "--input", wrong))
    damaged = tmp_path / "damaged"
    damaged.mkdir()
    (damaged / "manifest.json").write_text("{")
    assert "is damaged" in fails(mase_run(damaged, "--input", data))
