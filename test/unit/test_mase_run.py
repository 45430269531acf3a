"""`mase-run` on the digits models: every level, folders, and mistakes."""

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from mase_opt.lib.simulation import verilator
from mase_opt.tools.mase_run import run

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


def in_process(folder: Path, *arguments: str) -> int:
    """`mase-run` on a folder, here: the exit code."""
    data = str(DIGITS / "mlp_test.npz")
    return run([str(folder), "--input", data, "--samples", "3", *arguments])


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


@pytest.mark.slow
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


@pytest.mark.slow
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
    from mase_opt import load

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
    model = load(path)
    quantized = model.run(data, codes=True)
    assert np.array_equal(quantized, model.run(data, level="rtl", codes=True))
    numbers = model.run(data, level="rtl")
    assert numbers.shape == (3, 2)
    single = np.float32(0.3).astype(np.float64)
    assert numbers.ravel().tolist() == [
        v * single for v in (-4.0, 8.0, -16.0, 0.0, 0.0, -1.0)
    ]


def altered(folder: Path, tmp_path: Path, name: str, content: str) -> Path:
    """A copy of an emitted folder with another file."""
    other = tmp_path / "other"
    shutil.copytree(folder, other, dirs_exist_ok=True)
    (other / name).write_text(content)
    return other


@pytest.mark.slow
def test_folder_with_another_circuit_disagrees(folder: Path, tmp_path: Path):
    """The comparison can fail: the model beside the circuit is another one."""
    from mase_opt import load

    model = (folder / "model.mlir").read_text()
    changed = model.replace("mase.relu", "mase.neg", 1)
    assert changed != model
    loaded = load(altered(folder, tmp_path, "model.mlir", changed))
    with np.load(DIGITS / "mlp_test.npz") as data:
        x = data["x"][:20]
    quantized = loaded.run(x, codes=True)
    assert not np.array_equal(quantized, loaded.run(x, level="rtl", codes=True))


DAMAGED: dict[str, tuple[str, str, str, str]] = {
    # file, what it contains, what it then contains, the error
    "latency": (
        "manifest.json",
        r'"latency": (\d+)',
        '"latency": 1000000000',
        r"manifest.json' is damaged: interface.latency is 1000000000 here, \d+ in circ",
    ),
    "signed": (
        "manifest.json",
        '"signed": true',
        '"signed": false',
        "interface.ports[1].signed is false here, true in circuit.mlir",
    ),
    "no latency": (
        "manifest.json",
        '"latency"',
        '"Latency"',
        "interface.latency is missing here, ",
    ),
    "no ports": (
        "manifest.json",
        '"ports": ',
        '"Ports": ',
        "interface.ports[0].name is missing here, ",
    ),
    "control": ("manifest.json", '"in_valid"', '"x"', "control_inputs[2] is"),
    "empty": ("manifest.json", r".*", "[]", "manifest.json' is damaged: it is no JSON"),
    "deep": ("manifest.json", r".*", "[" * 9999, "manifest.json' is damaged: "),
    "interface of the circuit": (
        "circuit.mlir",
        "latency = [0-9]+ : i64, interval",
        "latency = 3000 : i64, interval",
        "interface.latency is",
    ),
    "no number": (
        "circuit.mlir",
        "latency = [0-9]+ : i64, interval",
        'latency = "x", interval',
        "mase.interface is damaged: its entry 'latency': it is \"x\"",
    ),
    "no width": ("circuit.mlir", "width = 8", "width = 0", "circuit.mlir' is damaged"),
    "circuit": (
        "circuit.mlir",
        "hw.output",
        "hw.out",
        "circuit.mlir' is damaged: CIRCT",
    ),
    "no circuit": ("circuit.mlir", "mase.interface", "no", "circuit.mlir' is damaged"),
    "model": ("model.mlir", "func.func", "func.fun", "model.mlir:2:12: error: "),
    "other model": (
        "model.mlir",
        r"(tensor<1x10x!mase.fixed<)8,",
        r"\g<1>7,",
        "model.mlir' is damaged: its function has not the ports of circuit.mlir",
    ),
}


@pytest.mark.parametrize("kind", DAMAGED)
def test_damaged_folder(
    folder: Path, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
):
    name, old, new, message = DAMAGED[kind]
    content = (folder / name).read_text()
    count = 0 if kind == "other model" else 1
    changed = re.sub(old, new, content, count=count, flags=re.DOTALL)
    assert changed != content
    other = altered(folder, tmp_path, name, changed)
    assert in_process(other, "--level", "rtl") == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert re.search(message if "\\" in message else re.escape(message), captured.err)


@pytest.mark.parametrize(
    ("sources", "message"),
    [
        ("3", "manifest.json' is damaged: its sources are 3"),
        ("[]", "manifest.json' is damaged: its sources are []"),
        ("[7]", "manifest.json' is damaged: 7 is no file of the folder"),
        (
            '["../x.sv"]',
            "manifest.json' is damaged: '../x.sv' is no file of the folder",
        ),
        ('["y.sv"]', "y.sv"),
    ],
)
def test_damaged_list_of_files(
    folder: Path,
    tmp_path: Path,
    sources: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
):
    content = (folder / "manifest.json").read_text()
    changed = re.sub(
        r'"sources": \[.*?\]', f'"sources": {sources}', content, flags=re.DOTALL
    )
    other = altered(folder, tmp_path, "manifest.json", changed)
    assert in_process(other, "--level", "verilog") == 1
    assert message in capsys.readouterr().err


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
    assert manifest["interface"]["initiation_interval"] == 1
    names = [port["name"] for port in manifest["interface"]["ports"]]
    assert names[0] == "x"
    report = json.loads((folder / "report.json").read_text())
    assert [layer["name"] for layer in report["layers"]][:1] == ["fc1"]
    assert report["totals"]["parameters"] == 64 * 32 + 32 + 32 * 10 + 10
    assert 0 < report["logic_depth"] <= 4


SQUARE = """
func.func @f(%x: tensor<1x2x!mase.fixed<6, 3>>) -> tensor<1x2x!mase.fixed<8, 3>> {
  %y = extra.square %x
    : (tensor<1x2x!mase.fixed<6, 3>>) -> tensor<1x2x!mase.fixed<8, 3>>
  func.return %y : tensor<1x2x!mase.fixed<8, 3>>
}
"""


def test_a_folder_with_what_a_plugin_defines(tmp_path: Path):
    """Without the plug-in, the error says how to name it."""
    page = (ROOT / "docs" / "extending.md").read_text()
    (code,) = re.findall(r"(?ms)^```python\n(# square\.py\n.*?)^```$", page)
    plugin, source = tmp_path / "square.py", tmp_path / "square.mlir"
    plugin.write_text(code)
    source.write_text(SQUARE)
    out, data, result = (tmp_path / name for name in ("out", "x.npz", "y.npz"))
    load = ["--load-plugin", plugin]
    flags = ["--emit-sv", "--verify-rtl=0", "--quiet"]
    done = tool("mase-opt", *load, *flags, source, "-o", out)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    np.savez(data, arg0=np.array([[[1.5, -2.0]], [[0.375, 3.0]]]))
    ran = [out, "--input", data, "--level", "rtl", "--output", result]
    done = mase_run(*ran)
    assert done.returncode == 1
    assert re.search(r"model.mlir:3:\d+: .*extra.square.* --load-plugin", done.stderr)
    assert done.stderr.count("\n") == 1
    done = mase_run(*ran, *load)
    assert done.returncode == 0, done.stderr
    with np.load(result) as arrays:
        # 0.140625 lies between 1/8 and 2/8.
        assert arrays["out0"].ravel().tolist() == [2.25, 4.0, 0.125, 9.0]
    missing = mase_run(*ran, "--load-plugin", tmp_path / "none.py")
    assert fails(missing).endswith("none.py': no such file\n")


@pytest.mark.parametrize("what", [["--level", "verilog"], ["--compare"]])
def test_missing_tools_are_named_first(
    what: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    monkeypatch.setattr(verilator, "available", lambda: "Verilator needs g++: get it")
    assert run(["nowhere.mlir", "--input", "nowhere.npz", *what]) == 1
    error = "error: level verilog: Verilator needs g++: get it\n"
    assert capsys.readouterr() == ("", error)


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
