"""From training to a simulated circuit, by the command line, on real data."""

from __future__ import annotations

import json
import re
import runpy
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from test_training_data import cifar, jsc
from training_runs import MODEL, columns, mase, mistake

import mase_opt as mo
from mase_opt import training
from mase_opt.tools.mase import run

ROOT = Path(__file__).parents[2]
CONFIGS = ROOT / "configs" / "by_model"
QUANTIZE = """
[passes.quantize]
width = 8
"""


SEARCH = """
[search.search_space]
name = "mixed_precision"
setup.by = "type"
seed.linear.config.weight = ["fixed<4, auto>", "fixed<8, auto>"]

[search.strategy]
sw_runner.evaluation = {}
setup = {sampler = "brute_force", direction = "maximize"}
metrics.accuracy = {}
"""


def outputs(folder: Path, action: str) -> dict[str, Any]:
    with np.load(folder / f"software/{action}/outputs.npz") as file:
        return dict(file)


@pytest.fixture(scope="module")
def story(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Every step, and what it leaves: accuracies, outputs, IR."""
    base = tmp_path_factory.mktemp("story")
    config = base / "quantize.toml"
    config.write_text(QUANTIZE)
    folder = base / "run"
    project = ("--project", "run")
    found: dict[str, Any] = {"base": base, "folder": folder, "config": config}

    def test(name: str) -> None:
        assert mase(base, "test", *project) == 0
        found[name] = outputs(folder, "test")
        scores, labels = found[name]["scores"], found[name]["labels"]
        found[f"{name} accuracy"] = (scores.argmax(1) == labels).mean()

    fit = ("--lr", "1e-2", "--max-epochs", "20", "--batch-size", "64")
    assert mase(base, "train", *MODEL, *fit, *project) == 0
    test("float")
    assert mase(base, "transform", "--config", config, *project) == 0
    found["ir"] = mo.load(folder / "software/transform/model.mlir")
    test("quantized")
    assert mase(base, "train", "--lr", "1e-3", "--max-epochs", "3", *project) == 0
    test("trained")
    space = base / "search.toml"
    space.write_text(SEARCH)
    # Formats are searched for from the float model, which training has set aside.
    float_model = folder / "software/training_ckpts/logs/version_0/best.ckpt"
    line = (*MODEL, "--load", float_model, "--config", space)
    assert mase(base, "search", *line, *project) == 0
    test("searched")
    assert mase(base, "emit", *project) == 0
    assert mase(base, "simulate", *project) == 0
    found["simulated"] = outputs(folder, "simulate")
    return found


@pytest.mark.slow
def test_q7_accuracy_at_each_step(story: dict[str, Any]):
    assert story["float accuracy"] > 0.93
    assert story["quantized accuracy"] >= story["float accuracy"] - 0.01
    assert story["trained accuracy"] >= story["quantized accuracy"] - 0.01
    assert story["searched accuracy"] >= story["trained accuracy"] - 0.02


@pytest.mark.slow
def test_the_circuit_equals_the_last_test(story: dict[str, Any]):
    """Every number of all 360 samples."""
    assert (story["simulated"]["labels"] == story["trained"]["labels"]).all()
    assert story["simulated"]["scores"].shape == (360, 10)
    assert (story["simulated"]["scores"] == story["searched"]["scores"]).all()


def test_t6_training_goes_on_in_the_formats(story: dict[str, Any]):
    """From the transformed model's loss, with its formats; the numbers change."""
    import torch

    best = story["folder"] / "software/training_ckpts/best.ckpt"
    held = torch.load(best, weights_only=True)
    path = story["base"] / "held.mlir"
    path.write_text(held["mase_ir"])
    pattern = r"!mase\.\w+<.*?>"
    formats = [re.findall(pattern, str(m.ir)) for m in (mo.load(path), story["ir"])]
    assert formats[0] == formats[1] != []
    assert columns(story["folder"], 1)["val_loss"][0] < 0.5
    assert (story["quantized"]["scores"] != story["trained"]["scores"]).any()


def test_k9_transformed_models_as_ir_safetensors_and_pickle(story: dict[str, Any]):
    from safetensors.numpy import load_file

    base, folder = story["base"], story["folder"] / "software/transform"
    weights = load_file(folder / "model.safetensors")
    assert weights["layers.0.weight"].shape == (32, 64)
    for name, kind in (("model.mlir", ()), ("model.pkl", ("--load-type", "pkl"))):
        line = ("test", *MODEL, "--load", folder / name, *kind, "--project", "again")
        assert mase(base, *line) == 0
        again = outputs(base / "again", "test")["scores"]
        assert (again == story["quantized"]["scores"]).all()
    # And train goes on from a pickle.
    line = ("train", *MODEL, "--load", folder / "model.pkl", "--load-type", "pkl")
    assert mase(base, *line, "--max-steps", "1", "--project", "again") == 0


def test_h2_search_needs_its_table(story: dict[str, Any], capsys: Any):
    said = mistake(capsys, story["base"], "search", *MODEL)
    assert "name a file with the table [search] by --config" in said


def test_q1_transform_needs_passes(story: dict[str, Any], capsys: Any):
    said = mistake(capsys, story["base"], "transform", *MODEL)
    assert "transform needs passes: name a file with tables [passes.NAME]" in said


@pytest.mark.parametrize(
    ("passes", "message"),
    [
        ("[passes.quantise]\nwidth = 8\n", "unknown pass 'quantise'; did you mean"),
        ("[passes.quantize]\nwidt = 8\n", "did you mean 'width'?"),
        ("[passes.quantize]\nwidth = 'wide'\n", "width"),
    ],
)
def test_mistakes_in_passes(
    passes: str, message: str, story: dict[str, Any], capsys: Any
):
    path = story["base"] / "wrong.toml"
    path.write_text(passes)
    best = story["folder"] / "software/training_ckpts/best.ckpt"
    line = ("transform", *MODEL, "--load", best, "--config", path)
    assert message in mistake(capsys, story["base"], *line)


def test_passes_run_in_the_order_of_the_file(story: dict[str, Any], capsys: Any):
    path = story["base"] / "order.toml"
    path.write_text(
        "[passes.calibrate]\nsamples = 64\n"
        "[passes.quantize]\nwidth = 6\nmasters = false\n"
    )
    base = story["base"]
    folder = story["folder"] / "software/training_ckpts/logs/version_0/best.ckpt"
    line = ("transform", *MODEL, "--load", folder, "--config", path, "--project", "o")
    capsys.readouterr()
    assert mase(base, *line) == 0
    said = capsys.readouterr().err
    assert said.index("pass mase-calibrate") < said.index("pass mase-quantize")
    made = mo.load(base / "o/software/transform/model.mlir")
    assert made.is_quantized
    assert "fixed<6" in str(made.ir)


def test_q9_emit_after_train_without_naming_anything(tmp_path: Path, capsys: Any):
    """Eight bits are taken where no passes are named; the part is written down."""
    line = ("train", "jsc-tiny", "iris", "--max-epochs", "2", "--lr", "1e-2")
    assert mase(tmp_path, *line) == 0
    assert mase(tmp_path, "emit", "--target", "xc7a35t", "--num-targets", "2") == 0
    assert mase(tmp_path, "simulate") == 0
    assert "simulate: samples 30," in capsys.readouterr().out
    folder = tmp_path / "latest/hardware"
    assert list(folder.glob("*.sv"))
    target = json.loads((folder / "target.json").read_text())
    assert target == {"target": "xc7a35t", "num_targets": 2}


def test_github_ci_emits_without_simulating(tmp_path: Path, capsys: Any):
    line = ("train", "jsc-tiny", "iris", "--max-epochs", "1")
    assert mase(tmp_path, *line) == 0
    assert mase(tmp_path, "emit", "--github-ci") == 0
    assert "not verified" in capsys.readouterr().err


def test_simulate_needs_a_circuit(tmp_path: Path, capsys: Any):
    said = mistake(capsys, tmp_path, "simulate", *MODEL, "--project", "p")
    assert "there is no circuit in" in said


@pytest.mark.slow
def test_a_model_without_masters_cannot_be_trained(story: dict[str, Any], capsys: Any):
    base = story["base"]
    path = base / "codes.toml"
    path.write_text("[passes.quantize]\nwidth = 8\nmasters = false\n")
    line = ("transform", *MODEL, "--config", path, "--project", "codes")
    float_one = story["folder"] / "software/training_ckpts/logs/version_0/best.ckpt"
    assert mase(base, *line, "--load", float_one) == 0
    said = mistake(capsys, base, "train", "--project", "codes")
    assert "no weights to train" in said
    assert "masters = true" in said


@pytest.mark.slow
def test_c13_example_configurations(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Each of them runs, in the order in which they need each other."""
    monkeypatch.chdir(tmp_path)
    quick = ("--max-epochs", "1", "--max-steps", "9")
    done: set[Path] = set()
    for name, action, more in (
        ("digits-mlp/train", "train", quick),
        ("digits-mlp/test", "test", ()),
        ("digits-mlp/quantize", "transform", ()),
        ("digits-mlp/emit", "emit", ("--github-ci",)),
        ("lenet5/train", "train", quick),
        ("lenet5/quantize", "transform", ("--samples", "16")),
        ("lenet5/emit", "emit", ("--github-ci",)),
    ):
        path = CONFIGS / f"{name}.toml"
        assert run([action, "--config", str(path), *more]) == 0
        done.add(path)
    assert done >= set((CONFIGS / "digits-mlp").glob("*.toml"))
    assert done >= set((CONFIGS / "lenet5").glob("*.toml"))
    manifest = tmp_path / "mase_output/digits-mlp/hardware/manifest.json"
    assert json.loads(manifest.read_text())["sources"]


@pytest.mark.slow
@pytest.mark.skipif(find_spec("timm") is None, reason="needs the extra 'models'")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_c13_resnet18(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """On 24 images of CIFAR's format, with few channels and layers."""
    monkeypatch.chdir(tmp_path)
    cifar(tmp_path / "data")
    folder = CONFIGS / "resnet18"
    small: Any = {
        "model_args": {"layers": [1] * 4, "channels": [2] * 4},
        "num_workers": 0,
    }
    trained = training.train(config=folder / "train.toml", max_steps=1, **small)
    again = training.test(config=folder / "test.toml", **small)
    assert again.metrics["test_loss"] == pytest.approx(trained.metrics["test_loss"])
    done = training.transform(config=folder / "quantize.toml", **small)
    assert done.path is not None
    assert mo.load(done.path).is_quantized
    with (folder / "search_quantize.toml").open("rb") as stream:
        search = tomllib.load(stream)["search"]
    search["strategy"]["setup"]["n_trials"] = 1
    search["strategy"]["sw_runner"]["evaluation"]["num_samples"] = 4
    path = folder / "search_quantize.toml"
    searched = training.search(config=path, search=search, **small)
    assert "accuracy" in searched.metrics
    assert len(list(folder.glob("*.toml"))) == 4


@pytest.mark.slow
def test_c13_q2_jsc_toy_by_type(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its transformation quantizes linear layers alone; its search tries six points."""
    monkeypatch.chdir(tmp_path)
    jsc(tmp_path / "data")
    archived = ROOT / "configs/archive/test/train.toml"
    assert run(["train", "--config", str(archived), "--max-steps", "2"]) == 0
    line = ["train", "jsc-toy", "jsc", "--project", "jsc-toy", "--max-epochs", "1"]
    assert run(line) == 0
    config = ROOT / "configs/examples/jsc_toy_by_type.toml"
    assert run(["transform", "--config", str(config)]) == 0
    folder = tmp_path / "mase_output/jsc-toy/software"
    ir = str(mo.load(folder / "transform/model.mlir").ir)
    linear = [line for line in ir.splitlines() if "mase.linear" in line]
    others = [line for line in ir.splitlines() if "mase.batch_norm" in line]
    assert len(linear) == 3
    assert all("!mase.fixed<8, 4>" in line for line in linear)
    assert not any("!mase" in line for line in others)
    assert run(["search", "--config", str(config)]) == 0
    with (folder / "search_ckpts/trials.csv").open() as stream:
        assert len(stream.readlines()) == 1 + 6


@pytest.mark.slow
def test_c3_c12_example_script(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
):
    """The same actions as functions, with a script's own flag."""
    script = ROOT / "examples/training/toy.py"
    line = ["toy.py", "--hidden", "4", "--epochs", "1", "--lr", "1e-2"]
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", line)
    runpy.run_path(str(script), run_name="__main__")
    said = capsys.readouterr().out
    tested, simulated = (
        re.findall(rf"^{name}: .*_acc ([\d.]+)", said, re.M)[0]
        for name in ("8 bits", "simulated")
    )
    assert tested == simulated


@pytest.fixture(scope="module")
def lenet5(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """LeNet-5 on some of MNIST's digits, from training to a streamed circuit."""
    from mase_opt.training import MaseDataModule

    base = tmp_path_factory.mktemp("lenet5")
    data = MaseDataModule("mnist-5k", num_workers=0)
    held = {
        f"{letter}_{split}": value
        for split, count in (("train", 1200), ("test", 300))
        for letter, value in zip("xy", data.samples(split, count).values(), strict=True)
    }
    path = base / "mnist.npz"
    np.savez(path, **held)
    folder = base / "lenet5"
    found: dict[str, Any] = {"folder": folder, "images": held["x_test"]}
    usual = ("lenet5", path, "--project", "lenet5")
    best = folder / "software/training_ckpts/best.ckpt"
    model = folder / "software/transform/model.mlir"
    config = CONFIGS / "lenet5"
    fit = ("--lr", "3e-3", "--max-epochs", "2", "--batch-size", "64")
    assert mase(base, "train", *usual, *fit) == 0
    assert mase(base, "test", *usual, "--load", best) == 0
    found["float"] = outputs(folder, "test")
    quantize = ("--config", config / "quantize.toml", "--samples", "64")
    assert mase(base, "transform", *usual, "--load", best, *quantize) == 0
    assert mase(base, "test", *usual, "--load", model) == 0
    found["quantized"] = outputs(folder, "test")
    emit = ("--config", config / "emit.toml")
    assert mase(base, "emit", *usual, "--load", model, *emit) == 0
    assert mase(base, "simulate", *usual, "--samples", "12") == 0
    found["simulated"] = outputs(folder, "simulate")
    return found


@pytest.mark.slow
def test_lenet5_on_mnist_to_eight_bits(lenet5: dict[str, Any]):
    """What testing sees is what the interpreter computes."""
    right = [
        (lenet5[name]["scores"].argmax(1) == lenet5[name]["labels"]).mean()
        for name in ("float", "quantized")
    ]
    assert right[0] > 0.75
    assert right[1] > right[0] - 0.03
    model = mo.load(lenet5["folder"] / "software/transform/model.mlir")
    scores = model.run(lenet5["images"][:4]).reshape(4, 10)
    assert (scores == lenet5["quantized"]["scores"][:4]).all()


@pytest.mark.slow
def test_lenet5_on_mnist_as_a_streamed_circuit(lenet5: dict[str, Any]):
    """The numbers that testing saw, from multipliers that layers share."""
    manifest = json.loads((lenet5["folder"] / "hardware/manifest.json").read_text())
    # The second convolution: 16 x 6 x 25 products at 100 places, 12 at a time.
    assert manifest["initiation_interval"] == 16 * 6 * 25 * 100 // 12
    simulated = lenet5["simulated"]["scores"]
    assert simulated.shape == (12, 10)
    assert (simulated == lenet5["quantized"]["scores"][:12]).all()
