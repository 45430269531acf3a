"""`mase_opt.Model`: the everyday program, and what it promises."""

from __future__ import annotations

import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.data import DataLoader, TensorDataset

import mase_opt as mo
from mase_opt.lib.formats import spec

X = np.zeros((1, 64))
DIGITS = Path(__file__).parents[2] / "examples" / "digits"


def array(file: str, key: str) -> np.ndarray[Any, Any]:
    with np.load(DIGITS / file) as data:
        return data[key]


@pytest.fixture(scope="module")
def x_train() -> Any:
    return array("mlp_calibration.npz", "x")


@pytest.fixture(scope="module")
def x_test() -> Any:
    return array("mlp_test.npz", "x")


@pytest.fixture(scope="module")
def y_test() -> Any:
    return array("mlp_test.npz", "labels")


@pytest.fixture(scope="module")
def calibrated(x_train: Any) -> mo.Model:
    return mo.load(DIGITS / "mlp.mlir").calibrate(x_train)


def test_everyday_program(x_train: Any, x_test: Any, y_test: Any, tmp_path: Path):
    model = mo.load(DIGITS / "mlp.mlir")
    model = model.calibrate(x_train)
    small = model.quantize(width=6, layers={"fc1": {"weight": "fixed<4,auto>"}})
    assert small.evaluate(x_test, y_test) > 0.95
    numbers = small.run(x_test[:8], level="rtl")
    assert numbers.shape == (8, 10)
    assert numbers.tolist() == small.run(x_test[:8]).tolist()
    net = small.to_torch()
    with torch.no_grad():
        assert net(torch.from_numpy(x_test[:8])).tolist() == numbers.tolist()
    again = mo.from_torch(net)
    assert again.ir.is_structurally_equivalent(small.ir)
    assert again.recipe == small.recipe
    result = again.emit(tmp_path / "digits", max_logic_depth=4)
    assert result.report.logic_depth == 4
    assert result.latency == result.report.latency > 0
    assert result.initiation_interval == 1
    assert result.verified >= 64
    assert tmp_path / "digits" / "manifest.json" in result.paths
    emitted = mo.load(tmp_path / "digits")
    assert emitted.run(x_test[:8], level="rtl").tolist() == numbers.tolist()
    estimate = small.estimate(max_logic_depth=4)
    assert abs(estimate.latency - result.latency) <= 1
    registers = result.report.totals["register_bits"]
    assert estimate.ff == pytest.approx(registers, rel=0.3)
    assert estimate.lut > estimate.adders > 0


def test_a_loop_over_widths(calibrated: mo.Model, x_test: Any, y_test: Any):
    """Data width x weight width: accuracy and LUTs of each point."""
    points: dict[tuple[int, int], tuple[float, int]] = {}
    for data_width in (3, 8):
        for weight_width in (2, 6):
            small = calibrated.quantize(
                data_width=data_width, weight_width=weight_width
            )
            accuracy = small.evaluate(x_test, y_test)
            points[data_width, weight_width] = accuracy, small.estimate().lut
    assert points[8, 6][0] > points[3, 2][0] + 0.05
    assert points[8, 6][1] > points[8, 2][1] > points[3, 2][1]
    # No trial disturbs another: the same as of a model that was only quantized once.
    alone = mo.load(DIGITS / "mlp.mlir").calibrate(array("mlp_calibration.npz", "x"))
    alone = alone.quantize(data_width=8, weight_width=6)
    assert alone.evaluate(x_test, y_test) == points[8, 6][0]


def test_models_do_not_change(calibrated: mo.Model, x_test: Any):
    text = str(calibrated.ir)
    small = calibrated.quantize(width=5)
    quantized = str(small.ir)
    small.run(x_test[:2], level="rtl")
    small.apply("canonicalize")
    small.estimate()
    net = small.to_torch()
    with torch.no_grad():
        for buffer in net.buffers():
            buffer.zero_()
    assert str(calibrated.ir) == text
    assert str(small.ir) == quantized
    assert mo.Model(small.ir).run(x_test[:2]).any()


def test_data_in_every_form(calibrated: mo.Model, x_test: Any, y_test: Any):
    small = calibrated.quantize()
    expected = small.run(x_test).tolist()
    tensor = torch.from_numpy(x_test)
    loader = DataLoader(TensorDataset(tensor, torch.from_numpy(y_test)), batch_size=50)
    for data in (
        tensor,
        [x_test],
        (tensor,),
        {"x": x_test},
        loader,
        DIGITS / "mlp_test.npz",
        str(DIGITS / "mlp_test.npz"),
        x_test[:, None],
    ):
        assert small.run(data).tolist() == expected
    assert small.run(x_test[:1].tolist()).tolist() == expected[:1]
    accuracy = small.evaluate(x_test, y_test)
    for data in (
        loader,
        DIGITS / "mlp_test.npz",
        {"x": x_test, "y": y_test},
        [{"x": x_test, "labels": y_test}].__iter__(),
    ):
        assert small.evaluate(data) == accuracy
    first = small.evaluate(x_test[:10], y_test[:10])
    assert small.evaluate(loader, samples=10) == first
    assert small.evaluate(x_test, y_test, metric=lambda s, y: len(y)) == 360
    float_model = calibrated
    assert float_model.evaluate(
        x_test, y_test, metric="cross_entropy"
    ) == pytest.approx(
        nn.functional.cross_entropy(
            torch.from_numpy(float_model.run(x_test)), torch.from_numpy(y_test).long()
        ).item(),
        rel=1e-5,
    )


def test_calibration_from_every_source_is_the_same(calibrated: mo.Model, x_train: Any):
    model = mo.load(DIGITS / "mlp.mlir")
    loader = DataLoader(torch.from_numpy(x_train), batch_size=64)  # pyright: ignore[reportArgumentType]
    for data in (loader, DIGITS / "mlp_calibration.npz", torch.from_numpy(x_train)):
        assert model.calibrate(data).ir.is_structurally_equivalent(calibrated.ir)


class Two(nn.Module):
    def forward(self, a: torch.Tensor, b: torch.Tensor) -> Any:
        return torch.relu(a + b), a - b


def test_several_inputs_and_results():
    model = mo.import_torch(Two(), (torch.zeros(2, 3), torch.zeros(2, 3)))
    a, b = np.arange(12.0).reshape(4, 3), np.full((4, 3), 5.0)
    small = model.calibrate((a, b)).quantize(width=8)
    for data in ((a, b), {"b": b, "a": a}):
        relu, difference = small.run(data)
        assert relu.tolist() == (a + b).tolist()
        assert difference.tolist() == (a - b).tolist()
    for level in ("lowered", "rtl"):
        codes = small.run((a, b), level=level, codes=True)
        for mine, theirs in zip(codes, small.run((a, b), codes=True), strict=True):
            assert mine.tolist() == theirs.tolist()


def test_masters_are_codes_in_hardware(calibrated: mo.Model, x_test: Any):
    trained = mo.from_torch(calibrated.quantize(width=5, masters=True).to_torch())
    plain = calibrated.quantize(width=5)
    expected = plain.run(x_test[:20], codes=True).tolist()
    for level in ("quantized", "lowered", "rtl"):
        assert trained.run(x_test[:20], level=level, codes=True).tolist() == expected
    assert trained.estimate() == plain.estimate()
    assert trained.emit(verify=4).report.totals == plain.emit().report.totals


def test_saved_and_loaded(calibrated: mo.Model, x_test: Any, tmp_path: Path):
    small = calibrated.quantize(width=5)
    small.save(tmp_path / "small.mlir")
    loaded = mo.load(tmp_path / "small.mlir")
    assert loaded.ir.is_structurally_equivalent(small.ir)
    assert loaded.recipe == mo.Recipe(width=5)


def test_shown(calibrated: mo.Model):
    small = calibrated.quantize(width=5)
    for text in (repr(small), small._repr_html_()):
        for part in ("digits_mlp", "fc1", "linear", "ufixed", "2048"):
            assert part in text, text
    assert "fc1" in repr(calibrated)
    assert max(map(len, repr(small).splitlines())) <= 80


@pytest.mark.parametrize(
    ("action", "message"),
    [
        (lambda m: mo.load("no.mlir"), "cannot read 'no.mlir': no such file"),
        (lambda m: m.quantize(widht=6), r"quantize\(\): unknown key 'widht'; did you"),
        (lambda m: m.quantize({"width": 0}), "width must be between 1 and 64, got 0"),
        (lambda m: m.quantize(width=6, layers={"fc3": {}}), "no layer 'fc3'; did you"),
        (lambda m: m.apply("quantise"), "unknown pass 'mase-quantise'; did you mean"),
        (lambda m: m.apply("prune", x=1), "pass 'mase-prune' has no option 'x'"),
        (lambda m: m.calibrate(np.zeros((3, 5))), "has shape 3x5, expected Nx1x64 or"),
        (lambda m: m.calibrate("no.npz"), "data 'no.npz': no such file"),
        (lambda m: m.calibrate([]), "shape 0, expected Nx1x64 or Nx64"),
        (lambda m: m.calibrate(iter([])), "the loader gives no batches"),
        (
            lambda m: m.run(np.zeros((1, 64)), level="rtl"),
            "is in floating point: quant",
        ),
        (
            lambda m: m.run(np.zeros((1, 64)), level="rlt"),
            "level is 'rlt', expected one",
        ),
        (lambda m: m.estimate(), "is in floating point: quantize"),
        (lambda m: m.evaluate(X), "there are no labels in the data"),
        (
            lambda m: m.evaluate(np.zeros((1, 64)), [3], metric="f1"),
            "unknown metric 'f1'",
        ),
        (lambda m: m.evaluate(np.zeros((2, 64)), [3]), "one label for each of the 2"),
        (lambda m: m.quantize().emit(depth=3), "unknown option 'depth'"),
        (lambda m: m.quantize().emit(verify=-1), "verify is -1, expected at least 0"),
        (lambda m: mo.Model(3), "ir is int, expected a ModuleOp"),  # pyright: ignore[reportArgumentType]
        (lambda m: mo.import_torch(3), "module is int, expected a torch.nn.Module"),
        (lambda m: mo.from_torch(nn.ReLU()), "module is ReLU, expected what Model.to"),  # pyright: ignore[reportArgumentType]
        (lambda m: mo.Model(m.ir, plugins=["no.py"]), "plug-in 'no.py': no such file"),
    ],
)
def test_mistakes_are_one_family(
    calibrated: mo.Model, action: Any, message: str, tmp_path: Path, monkeypatch: Any
):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(mo.UserError, match=message):
        action(calibrated)


def test_legality_comes_before_the_search(monkeypatch: pytest.MonkeyPatch):
    """What has no circuit is said at once."""
    model = mo.import_torch(
        nn.Sequential(nn.Linear(3, 2), nn.Softmax(-1)), (torch.zeros(1, 3),)
    )
    small = model.calibrate(np.ones((4, 3))).quantize()

    def search(*_: Any) -> None:
        raise AssertionError("searched")

    name = "mase_opt.lib.transforms.mase_build_adder_graphs.MaseBuildAdderGraphsPass"
    monkeypatch.setattr(f"{name}.apply", search)
    for action in (small.estimate, small.emit, lambda: small.circuit):
        with pytest.raises(mo.UserError, match="softmax"):
            action()


def test_warnings_are_pythons():
    model = mo.load(DIGITS / "mlp.mlir")
    with pytest.warns(UserWarning, match="no calibration data"):
        small = model.quantize()
    with pytest.warns(UserWarning, match="has no effect"):
        small.quantize()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.calibrate(np.zeros((2, 64)))


def test_nothing_is_printed(
    calibrated: mo.Model, capfd: pytest.CaptureFixture[str], x_test: Any
):
    small = calibrated.quantize(width=4)
    small.run(x_test[:3], level="rtl")
    small.emit(verify=2)
    small.estimate()
    assert capfd.readouterr() == ("", "")


def test_plugins(monkeypatch: pytest.MonkeyPatch):
    posit = Path(__file__).parents[2] / "examples" / "plugins" / "posit.py"
    monkeypatch.setattr(spec, "FAMILIES", dict(spec.FAMILIES))
    monkeypatch.setattr(spec, "EXAMPLES", list(spec.EXAMPLES))
    # Again and again, as in a notebook.
    mo.load(DIGITS / "mlp.mlir", plugins=[str(posit)])
    model = mo.load(DIGITS / "mlp.mlir", plugins=[str(posit)])
    model = model.calibrate(array("mlp_calibration.npz", "x"))
    small = model.quantize(format="posit<8, 1>")
    x = array("mlp_test.npz", "x")
    assert small.run(x[:5], level="lowered").tolist() == small.run(x[:5]).tolist()
    assert "posit" in str(small.apply("canonicalize").ir)
    with pytest.raises(mo.UserError, match="has no circuit"):
        small.emit()
    del sys.modules["mase_opt_plugin_posit"]


ROOT = Path(__file__).parents[2]
WITHOUT_TORCH = """
import sys
sys.modules["torch"] = None
import mase_opt as mo
model = mo.load("examples/digits/mlp.mlir").calibrate(samples=8)
for use in (
    lambda: model.quantize(width=4).to_torch(),
    lambda: mo.import_torch(None),
    lambda: mo.from_torch(None),
    lambda: mo.learn_widths(
        model, [[0.0] * 64] * 4, [[0.0] * 64] * 4, [0, 1, 2, 3], steps=1
    ),
):
    try:
        use()
    except mo.UserError as error:
        print(error)
"""


def test_torch_is_an_extra():
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", WITHOUT_TORCH],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    message = 'this needs torch: pip install "mase-opt[torch]"'
    assert done.stdout.splitlines() == [message] * 4
