"""P rows: models as YAML, adversarial training, evaluation, traces, and circuits."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import warnings
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn
from training_runs import columns, mase, mistake

import mase_opt as mo
from mase_opt.lib.errors import UserError
from mase_opt.testing import assert_levels_agree
from mase_opt.training.registry import DataRequest, Splits
from mase_opt.training.torchvision_ops import declare_torchvision_ops

declare_torchvision_ops()

from mase_opt.training.architecture.build import (  # noqa: E402
    ArchitectureModel,
    architecture_model,
)
from mase_opt.training.architecture.schema import read_architecture  # noqa: E402

GAN = Path(__file__).parents[2] / "examples/training/gan"
STEPS = 8
"""Batches of an epoch: 192 of 320 samples by 24."""


def chain(prefix: str, *layers: Any, inputs: Any = None, skips: Any = None) -> Any:
    """A submodel of layers, each a name or a name with arguments."""
    listed = [one if isinstance(one, tuple) else (one, None) for one in layers]
    return {
        "submodel_inputs": inputs or {"input_size": [2, 4, 4]},
        "layer_name_prefix": prefix,
        "layers": [{"layer_type": t, "layer_params": p} for t, p in listed],
        "skip_connections": skips or {},
    }


def skip(*targets: str, kind: str = "add") -> dict[str, Any]:
    return {
        "future_layers": [*targets],
        "connection_types": [kind] * len(targets),
    }


CONV = ("Conv2d", {"out_channels": 2, "kernel_size": 3, "padding": 1})


def write(path: Path, components: Any = None, **submodels: Any) -> str:
    listed = components or {"main": {"submodels": [*submodels]}}
    path.write_text(yaml.safe_dump({"model_components": listed, **submodels}))
    return str(path)


# ---- P6 to P11: what a file says ----------------------------------------------------


def test_p9_p10_sizes_are_inferred_and_layers_named(tmp_path: Path):
    path = write(
        tmp_path / "net.yaml",
        net=chain(
            "net",
            ("Conv2d", {"out_channels": 6, "kernel_size": [3, 1], "stride": 2}),
            "BatchNorm2d",
            ("GroupNorm", {"num_groups": 3}),
            ("ResidualBlock", {"out_channels": 4}),
            "LayerNorm",
            "Flatten",
            ("Linear", {"out_features": 3}),
        ),
    )
    model = architecture_model(path)
    layers: Any = model.model_components["main"]["net"]  # pyright: ignore
    assert [*layers] == [
        *("net_Conv2d_0", "net_BatchNorm2d_1", "net_GroupNorm_2"),
        *("net_ResidualBlock_3", "net_LayerNorm_4", "net_Flatten_5", "net_Linear_6"),
    ]
    assert layers["net_Conv2d_0"].in_channels == 2
    assert layers["net_GroupNorm_2"].num_channels == 6
    # In and out channels of the block differ: its skip has a convolution.
    assert layers["net_ResidualBlock_3"].skip.weight.shape == (4, 6, 1, 1)
    assert layers["net_LayerNorm_4"].normalized_shape == (4, 1, 2)
    assert layers["net_Linear_6"].in_features == 8
    assert model(torch.randn(5, 2, 4, 4)).shape == (5, 3)
    # Building a model has taught its batch norm nothing.
    assert layers["net_BatchNorm2d_1"].num_batches_tracked == 1


def test_p9_layers_of_the_users_own(tmp_path: Path):
    (tmp_path / "layers.py").write_text(
        "from torch import nn\n"
        "class Twice(nn.Module):\n"
        "    def __init__(self, in_features):\n"
        "        super().__init__()\n"
        "        self.size = in_features\n"
        "    def forward(self, x):\n"
        "        return 2 * x\n"
    )
    path = write(tmp_path / "net.yaml", net=chain("net", "Twice"))
    x = torch.randn(1, 2, 4, 4)
    assert torch.equal(architecture_model(path)(x), 2 * x)


def test_p11_skips_inside_a_submodel(tmp_path: Path):
    """Several of one source, both kinds; the input is a source, too."""
    path = write(
        tmp_path / "net.yaml",
        net=chain(
            *("n", CONV, "ReLU", CONV, "Tanh", CONV),
            skips={
                "n_Conv2d_0": {
                    "future_layers": ["n_Conv2d_2", "n_Tanh_3"],
                    "connection_types": ["add", "cat"],
                },
                "n_input": skip("n_Conv2d_4"),
            },
        ),
    )
    model = architecture_model(path)
    layers: Any = model.model_components["main"]["net"]  # pyright: ignore
    assert layers["n_Conv2d_4"].in_channels == 4
    x = torch.randn(3, 2, 4, 4)
    first = layers["n_Conv2d_0"](x)
    third = layers["n_Conv2d_2"](first.relu()) + first
    expected = layers["n_Conv2d_4"](torch.cat([third.tanh(), first], 1)) + x
    assert torch.equal(model(x), expected)


def two(tmp_path: Path, **component: Any) -> ArchitectureModel:
    path = write(
        tmp_path / "net.yaml",
        {"main": {"submodels": ["a", "b"], **component}},
        a=chain("a", CONV, "ReLU", skips={"a_Conv2d_0": skip("b_Conv2d_0")}),
        b=chain("b", CONV, "ReLU", inputs={"a": "output"}),
    )
    return architecture_model(path)


def test_p11_p12_skips_across_submodels_leave_nothing_behind(tmp_path: Path):
    model = two(tmp_path)
    a, b = (model.model_components["main"][n] for n in "ab")  # pyright: ignore
    x = torch.randn(3, 2, 4, 4)
    first = a["a_Conv2d_0"](x)
    expected = (b["b_Conv2d_0"](first.relu()) + first).relu()
    assert torch.equal(model(x), expected)
    assert model.global_skip_outputs == {}
    # A flow of one's own: the dictionary of a pass, and what is shared.
    skips: dict[str, Tensor] = {}
    assert torch.equal(b(a(x, skips), skips), expected)
    assert [*model.global_skip_outputs] == ["a_Conv2d_0"]
    model.global_skip_outputs.clear()
    # The gradient goes both ways, and a second pass does not see the first one's.
    first, second = (torch.randn(1, 2, 4, 4, requires_grad=True) for _ in "12")
    model(first)
    model(second).sum().backward()
    assert first.grad is None
    assert second.grad is not None
    assert bool(second.grad.any())


def test_p7_skips_can_be_zero(tmp_path: Path):
    model = two(tmp_path, zero_out_skips=True)
    a, b = (model.model_components["main"][n] for n in "ab")  # pyright: ignore
    x = torch.randn(3, 2, 4, 4)
    assert torch.equal(model(x), b["b_Conv2d_0"](a["a_Conv2d_0"](x).relu()).relu())


def test_p12_a_flow_of_the_users_own(tmp_path: Path):
    (tmp_path / "flow.py").write_text(
        "from mase_opt.training.architecture.build import ArchitectureModel\n"
        "class Flow(ArchitectureModel):\n"
        "    def forward(self, x):\n"
        "        out = self.model_components['main']['net'](x, {})\n"
        "        self.global_skip_outputs.clear()\n"
        "        return -out\n"
    )
    path = write(tmp_path / "net.yaml", net=chain("net", "ReLU"))
    flow = str(tmp_path / "flow.py")
    x = torch.randn(1, 2, 4, 4)
    for name in (flow, f"{flow}:Flow"):
        assert torch.equal(architecture_model(path, name)(x), -x.relu())
    with pytest.raises(UserError, match=r"one subclass .* called 'Other', found 0"):
        architecture_model(path, f"{flow}:Other")


def test_p8_both_spellings_of_inputs(tmp_path: Path):
    net = chain("net", "ReLU")
    inputs = net.pop("submodel_inputs")
    net["submodel_input"] = {"input_data": {"data_Key": "d", "input_size": [2, 4, 4]}}
    read = read_architecture(write(tmp_path / "net.yaml", net=net))
    assert read.submodels["net"].submodel_inputs.data_key == "d"  # pyright: ignore
    net["submodel_inputs"] = inputs
    with pytest.raises(UserError, match="net: submodel_inputs and submodel_input are"):
        read_architecture(write(tmp_path / "net.yaml", net=net))


def without(key: str) -> Any:
    made = chain("net", CONV)
    del made[key]
    return made


GOOD = chain("net", CONV, "ReLU")
MISTAKES: dict[str, tuple[Any, Any, str]] = {
    "no layers": (None, {"net": without("layers")}, "net.layers: missing"),
    "no prefix": (
        *(None, {"net": without("layer_name_prefix")}),
        "net.layer_name_prefix: missing",
    ),
    "unknown key": (
        *(None, {"net": {**GOOD, "layer": []}}),
        "net.layer: unknown key; did you mean 'layers'?",
    ),
    "unknown layer": (
        *(None, {"net": chain("net", CONV, "ReLu")}),
        "net.layers[1].layer_type: 'ReLu' is neither in torch.nn nor in .*layers.py; "
        "did you mean 'ReLU'",
    ),
    "unknown argument": (
        *(None, {"net": chain("net", ("Conv2d", {"out_chanels": 2}))}),
        "net.layers[0].layer_params.out_chanels: Conv2d has no such argument; did you "
        "mean 'out_channels'?",
    ),
    "missing argument": (
        *(None, {"net": chain("net", ("Conv2d", {"out_channels": 2}))}),
        "net.layers[0].layer_params: Conv2d: missing 1 required positional argument: "
        "'kernel_size'",
    ),
    "does not fit": (
        *(None, {"net": chain("net", ("Conv2d", {**CONV[1], "in_channels": 3}))}),
        r"net.layers[0]: Conv2d does not take samples (2x4x4)",
    ),
    "unknown submodel": (
        *({"main": {"submodels": ["net", "nett"]}}, {"net": GOOD}),
        "model_components.main.submodels[1]: there is no submodel 'nett'; did you mean",
    ),
    "unused submodel": (
        *({"main": {"submodels": ["net"]}}, {"net": GOOD, "b": chain("b", CONV)}),
        "b: is in no component",
    ),
    "later submodel": (
        None,
        {"a": chain("a", CONV, inputs={"b": "output"}), "b": chain("b", CONV)},
        "a.submodel_inputs: 'a' reads 'b', which runs later",
    ),
    "same prefix": (
        *(None, {"a": chain("x", CONV), "b": chain("x", CONV)}),
        "b.layer_name_prefix: 'x' is that of submodel 'a', too",
    ),
    "unknown source": (
        *(None, {"net": {**GOOD, "skip_connections": {"net_Conv2d_1": skip("x")}}}),
        "net.skip_connections.net_Conv2d_1: there is no layer 'net_Conv2d_1'; did you "
        "mean 'net_Conv2d_0'?",
    ),
    "backwards": (
        None,
        {"net": {**GOOD, "skip_connections": {"net_ReLU_1": skip("net_Conv2d_0")}}},
        "net.skip_connections.net_ReLU_1: 'net_Conv2d_0' runs before 'net_ReLU_1'",
    ),
    "other shape": (
        None,
        {
            "net": chain(
                *("net", CONV, ("Conv2d", {"out_channels": 5, "kernel_size": 3})),
                skips={"net_Conv2d_0": skip("net_Conv2d_1")},
            )
        },
        r"net.layers[1]: skip 'add' from 'net_Conv2d_0' (2x4x4) does not fit "
        r"'net_Conv2d_1' (5x2x2)",
    ),
    "not paired": (
        None,
        {
            "net": {
                **GOOD,
                "skip_connections": {
                    "net_Conv2d_0": {
                        "future_layers": ["net_ReLU_1"],
                        "connection_types": [],
                    }
                },
            }
        },
        "net.skip_connections.net_Conv2d_0: 1 future_layers, but 0 connection_types",
    ),
    "other kind of skip": (
        None,
        {
            "net": {
                **GOOD,
                "skip_connections": {"net_Conv2d_0": skip("net_ReLU_1", kind="mul")},
            }
        },
        "net.skip_connections.net_Conv2d_0.connection_types[0]: Input should be 'add'",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_p7_p8_p9_p11_mistakes_name_the_key(name: str, tmp_path: Path):
    components, submodels, message = MISTAKES[name]
    path = write(tmp_path / "net.yaml", components, **submodels)
    with pytest.raises(UserError) as caught:
        architecture_model(path)
    said = str(caught.value)
    assert said.startswith(f"architecture '{path}': ")
    first, _, last = message.partition(" nor in .*")
    assert first in said
    assert last in said


# ---- P1 to P5, P13 to P19: training -------------------------------------------------


def settings(path: Path, **changes: Any) -> Path:
    """The example's file of a training with other tables, beside copies of its own."""
    for name in ("architecture.yaml", "dataset_functions.py"):
        shutil.copy(GAN / name, path / name)
    tree = yaml.safe_load((GAN / "training.yaml").read_text())
    for table, values in changes.items():
        tree[table] = {**tree[table], **values} if values is not None else None
    made = path / "training.yaml"
    made.write_text(yaml.safe_dump(tree))
    return made


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the example's training, two epochs of it."""
    folder = tmp_path_factory.mktemp("gan")
    file = settings(folder, training={"n_epochs": 2, "batch_size": 24})
    arguments = ("--log-every-n-steps", "1", "--project", "gan")
    assert mase(folder, "train", "-t", file, *arguments) == 0
    return folder / "gan"


def weights(path: Path) -> dict[str, Tensor]:
    return torch.load(path, weights_only=True)["state_dict"]


def test_p1_p18_checkpoints_of_every_epoch(trained: Path):
    folder = trained / "software/training_ckpts"
    kept = sorted((folder / "gan").iterdir())
    assert [path.name[:11] for path in kept] == ["gan_epoch0_", "gan_epoch1_"]
    assert (folder / "best.ckpt").is_file()
    first, second = map(weights, kept)
    assert any(not torch.equal(first[name], second[name]) for name in first)


def test_p15_each_side_has_its_turns(trained: Path):
    """One step of the generator, then two of the discriminator, across epochs."""
    from mase_opt.training.config import Config
    from mase_opt.training.generative import Generative
    from mase_opt.training.registry import DatasetInfo

    model = architecture_model(str(GAN / "architecture.yaml"))

    def turns(**table: Any) -> list[bool]:
        table = {"enable_adversarial_training": True, **table}
        made = Generative(
            model, Config(adversarial=table, loss={}), DatasetInfo((1, 4, 4))
        )
        return [made.is_discriminators(step) for step in range(7)]

    assert turns(n_disc_iterations=2) == [False, True, True] * 2 + [False]
    first = turns(train_disc_first=True, n_gen_iterations=2)
    assert first == [True, False, False] * 2 + [True]
    # So many entries as steps: the log has the loss of the side that has learned.
    log = columns(trained)
    assert len(log["lr-Adam"]) == len(log["lr-Adam-1"]) == 2 * STEPS


def test_p15_only_the_active_side_changes():
    import lightning
    from lightning.pytorch.callbacks import Callback
    from torch.utils.data import DataLoader, TensorDataset

    from mase_opt.training.config import Config
    from mase_opt.training.generative import Generative
    from mase_opt.training.registry import DatasetInfo

    changed: list[set[str]] = []

    class Watch(Callback):
        def on_train_batch_start(self, trainer: Any, pl_module: Any, *rest: Any):
            self.before = {k: v.clone() for k, v in pl_module.state_dict().items()}

        def on_train_batch_end(self, trainer: Any, pl_module: Any, *rest: Any):
            after = pl_module.state_dict()
            different = [
                k for k, v in self.before.items() if bool((v != after[k]).any())
            ]
            changed.append({name.split(".")[2] for name in different})
            assert all(p.requires_grad for p in pl_module.parameters())

    model = architecture_model(str(GAN / "architecture.yaml"))
    table = {"enable_adversarial_training": True, "n_disc_iterations": 2}
    wrapper = Generative(
        model, Config(adversarial=table, learning_rate=0.01), DatasetInfo((1, 4, 4))
    )
    assert {name.partition(".")[0] for name in wrapper.state_dict()} == {"model"}
    x = torch.randn(16, 1, 4, 4)
    trainer = lightning.Trainer(
        max_steps=4,
        logger=False,
        callbacks=[Watch()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        accelerator="cpu",
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        trainer.fit(wrapper, DataLoader(TensorDataset(x, x.flip(0)), batch_size=4))
    judge = {"discriminator"}
    assert changed == [{"generator"}, judge, judge, {"generator"}]


def test_p17_a_training_goes_on_from_a_checkpoint(trained: Path, tmp_path: Path):
    (first, _) = sorted((trained / "software/training_ckpts/gan").iterdir())
    file = settings(
        tmp_path,
        training={"n_epochs": 2, "batch_size": 24},
        model={"model_checkpoint_filename": str(first)},
    )
    arguments = ("--log-every-n-steps", "1", "--project", "on")
    assert mase(tmp_path, "train", "-t", file, *arguments) == 0
    # The second epoch alone, with the steps and the moments of before.
    steps = columns(tmp_path / "on")["step"]
    assert (min(steps), max(steps)) == (STEPS, 2 * STEPS)
    last = torch.load(
        tmp_path / "on/software/training_ckpts/last.ckpt", weights_only=True
    )
    assert last["epoch"] == 1 or last["global_step"] == 2 * STEPS
    moments = [s["state"][0]["step"] for s in last["optimizer_states"]]
    # Of 16 steps, 0 3 6 9 12 15 are the generator's.
    assert [int(count) for count in moments] == [6, 10]


def test_p4_outputs_are_drawn(trained: Path):
    project = ("--project", "gan")
    evaluation = GAN / "evaluation.yaml"
    assert mase(trained.parent, "test", "-e", evaluation, *project) == 0
    folder = trained / "software/test"
    assert (folder / "generated.png").read_bytes().startswith(b"\x89PNG\r\n")
    with np.load(folder / "outputs.npz") as outputs:
        assert outputs["scores"].shape == (64, 1, 4, 4)


def test_p3_losses_are_drawn(trained: Path):
    from mase_opt.training.pictures import averaged, losses_of

    evaluation = GAN / "training_evaluation.yaml"
    assert mase(trained.parent, "plot", "-te", evaluation, "--project", "gan") == 0
    path = trained / "software/plot/losses.png"
    assert path.read_bytes().startswith(b"\x89PNG\r\n")
    losses = losses_of(trained / "software/training_ckpts/csv_logs")
    assert set(losses) == {"train_loss", "train_disc_loss", "val_loss"}
    assert len(losses["val_loss"]) >= 2
    assert averaged([1.0, 3.0, 5.0, 9.0], 2) == [1.0, 2.0, 4.0, 7.0]


def test_p3_what_cannot_be_drawn(trained: Path, tmp_path: Path, capsys: Any):
    def refused(evaluation: str) -> str:
        file = tmp_path / "evaluation.yaml"
        file.write_text(evaluation)
        assert mase(trained.parent, "plot", "-te", file, "--project", "gan") == 1
        return capsys.readouterr().err

    (tmp_path / "cut.ckpt").write_bytes(b"PK")
    torch.save({"weight": torch.zeros(1)}, tmp_path / "other.ckpt")
    of_folder = f"evaluation: {{checkpoint_dir: {tmp_path}, checkpoints: "
    assert "is damaged or no checkpoint" in refused(f"{of_folder}[cut.ckpt]}}")
    assert "is no checkpoint of a training" in refused(f"{of_folder}[other.ckpt]}}")
    assert "there is no" in refused(f"{of_folder}[none.ckpt]}}")
    nothing = "evaluation: {saving_params: {save_output: false}}"
    assert "save_output is false" in refused(nothing)


def test_p5_a_trace_runs_without_its_code(trained: Path, capsys: Any):
    project = ("--project", "gan")
    best = trained / "software/training_ckpts/best.ckpt"
    file = trained.parent / "training.yaml"
    shape = ("-i", "1", "1", "4", "4")
    assert mase(trained.parent, "trace", "-t", file, "-c", best, *shape, *project) == 0
    folder = trained / "software/trace"
    raw = np.fromfile(folder / "best.raw", "<f4").reshape(1, 1, 4, 4)
    x = torch.from_numpy(raw)
    model = architecture_model(str(GAN / "architecture.yaml")).eval()
    held = {k.removeprefix("model."): v for k, v in weights(best).items()}
    model.load_state_dict(held)
    exact = model(x)
    jit: Any = torch.jit
    with pytest.warns(DeprecationWarning, match="deprecated"):
        traced = jit.load(str(folder / "best_jit.pt"))
    assert torch.equal(traced(x), exact)
    exported: Any = torch.export.load(str(folder / "best.pt2")).module()
    assert torch.equal(exported(x), exact)
    said = mistake(capsys, trained.parent, "trace", "-i", "2", "3", *project)
    assert "cannot be traced on 2x3" in said


@pytest.mark.slow
def test_p20_the_generator_is_the_same_at_every_level():
    """Interpreter, torch and circuit agree on corners and random codes."""
    torch.manual_seed(5)
    net = architecture_model(str(GAN / "architecture.yaml")).eval()
    x = np.random.default_rng(3).normal(size=(32, 1, 4, 4)).astype(np.float32)
    imported = mo.import_torch(net, [torch.zeros(1, 1, 4, 4)])
    exact = net(torch.from_numpy(x)).detach().numpy()
    assert np.allclose(imported.run(x), exact, atol=1e-6)
    model = imported.calibrate(x).quantize(width=3)
    # The skip from within, and the discriminator that is no part of the circuit.
    kinds = [row["operation"] for row in model.operations().records()]
    assert kinds == ["conv2d", "relu", "conv2d", "relu", "add", "conv2d"]
    assert_levels_agree(model.ir, torch=True, samples=8)


@pytest.mark.slow
def test_p20_the_trained_generator_becomes_a_circuit(trained: Path):
    """Interpreter, torch and circuit agree on the digits of the trained generator."""
    project = ("--project", "gan")
    assert mase(trained.parent, "emit", *project) == 0
    assert mase(trained.parent, "simulate", "--samples", "16", *project) == 0
    model = mo.load(trained / "software/emit/model.mlir")
    with np.load(trained / "software/simulate/outputs.npz") as outputs:
        scores = outputs["scores"]
    x = np.random.default_rng(3).normal(size=(4, 1, 4, 4)).astype(np.float32)
    wanted = model.run(x)
    with torch.no_grad():
        evaluated = model.to_torch()(torch.from_numpy(x))
    assert np.array_equal(np.asarray(evaluated), wanted)
    assert scores.shape == (16, 16)


def test_p16_without_a_discriminators_turn(tmp_path: Path):
    """Plain training by the same loop: the loss falls, the discriminator stays."""
    file = settings(
        tmp_path,
        training={"n_epochs": 2, "learning_rate": 0.02},
        adversarial={"enable_adversarial_training": False},
        loss={
            "loss_fn": "reconstruction_loss",
            "loss_args": {"target_l1": 0.0, "target_l2": 2.0},
        },
    )
    arguments = ("--log-every-n-steps", "1", "--project", "plain")
    assert mase(tmp_path, "train", "-t", file, *arguments) == 0
    log = columns(tmp_path / "plain")
    assert log["val_loss"][-1] < 0.8 * log["train_loss"][0]
    assert "train_disc_loss" not in log


# ---- P13: losses --------------------------------------------------------------------


def test_p13_weight_0_removes_a_term():
    from mase_opt.training.losses import weighted

    terms = {"a": torch.tensor(2.0), "b": torch.tensor(float("nan"))}
    assert weighted(terms, {"a": 3.0, "b": 0.0}) == 6.0
    with pytest.raises(UserError, match=r"loss_args\.c: .*no such term.*terms: a, b"):
        weighted(terms, {"c": 1.0})
    with pytest.raises(UserError, match="all weights are 0"):
        weighted(terms, {"a": 0, "b": 0})


def test_p13_losses_by_name(tmp_path: Path):
    from mase_opt.training.losses import adversarial_loss, find_loss

    (tmp_path / "loss.py").write_text(
        "def mine(result, target, scores):\n"
        "    return {'sum': (result - target).abs().sum()}\n"
    )
    result, target = torch.tensor([1.0, 2.0]), torch.tensor([0.0, 4.0])
    assert find_loss("mine", tmp_path)(result, target, None)["sum"] == 3.0
    known = find_loss("reconstruction_loss", tmp_path)(result, target, None)
    assert {k: float(v) for k, v in known.items()} == {
        "target_l1": 1.5,
        "target_l2": 2.5,
    }
    with pytest.raises(UserError, match=r"'mime' is neither in .*loss\.py nor one of"):
        find_loss("mime", tmp_path)
    scores = torch.tensor([[0.25]])
    assert adversarial_loss(scores, real=True) == pytest.approx(np.log(4))
    with pytest.raises(UserError, match="between 0 and 1: end it with Sigmoid"):
        adversarial_loss(torch.tensor([[1.5]]), real=True)


# ---- P14, P19, D10, D11: files ------------------------------------------------------


def splits_of(streams: dict[str, Any], folder: Path) -> Splits:
    from mase_opt.training.find import find_dataset

    arguments = {"streams": streams, "folder": str(folder)}
    return find_dataset("streams")(DataRequest(folder), arguments)


def read(about: dict[str, Any], folder: Path) -> np.ndarray:
    return splits_of({"one": about}, folder).train[0]


def test_p19_d10_streams_of_files_folders_and_functions(tmp_path: Path):
    x = np.arange(24, dtype=np.float32).reshape(6, 2, 2)
    np.save(tmp_path / "a.npy", x[:4])
    np.savez(tmp_path / "b.npz", data=x[4:], other=x)
    (tmp_path / "each").mkdir()
    for index, sample in enumerate(x):
        np.save(tmp_path / f"each/{index}.npy", sample)
    (tmp_path / "dataset_functions.py").write_text(
        "import numpy as np\n"
        "def double(array):\n"
        "    return 2 * array\n"
        "def read(path, times):\n"
        "    return times * np.load(path)\n"
    )
    assert np.array_equal(read({"data_path": ["a.npy", "b.npz"]}, tmp_path), x)
    each = {
        "data_read_type": "folder",
        "data_path": ["each"],
        "multiple_samples_per_file": False,
        "data_read_postprocessing_fn": "double",
        "n_inputs": 5,
    }
    assert np.array_equal(read(each, tmp_path), 2 * x[:5])
    own = {
        "data_path": ["a.npy"],
        "file_reader": "read",
        "file_reader_args": {"times": 3},
    }
    assert np.array_equal(read(own, tmp_path), 3 * x[:4])
    mixed = read({"data_path": ["a.npy"], "randomize_inputs": True}, tmp_path)
    assert not np.array_equal(mixed, x[:4])
    assert np.array_equal(np.sort(mixed, axis=0), x[:4])


@pytest.mark.skipif(find_spec("h5py") is None, reason="needs h5py")
def test_d10_streams_of_hdf5_files(tmp_path: Path):
    import h5py

    x = np.arange(24, dtype=np.float64).reshape(6, 2, 2)
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file["data"] = x[:4]
        file["images/others"] = x[4:].astype(np.uint8)
    assert np.array_equal(read({"data_path": ["a.h5"]}, tmp_path), x[:4])
    other = {"data_read_type": "h5", "file_reader_args": {"key": "images/others"}}
    assert np.array_equal(read({**other, "data_path": ["a.h5"]}, tmp_path), x[4:])
    (tmp_path / "half.h5").write_bytes((tmp_path / "a.h5").read_bytes()[:700])
    for name, more in (("half.h5", {}), ("a.h5", {"file_reader_args": {"key": "no"}})):
        with pytest.raises(UserError, match=r"_default_reader failed: \w+Error: "):
            read({"data_path": [name], **more}, tmp_path)


def test_d10_hdf5_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "a.h5").touch()
    with pytest.raises(UserError, match=r"a\.h5' needs h5py: pip install h5py"):
        read({"data_path": ["a.h5"]}, tmp_path)


def test_d11_batches_are_transformed(tmp_path: Path):
    """What is done to the inputs of a batch, and to its targets, with arguments."""
    x = np.arange(8, dtype=np.float32).reshape(4, 2)
    np.save(tmp_path / "x.npy", x)
    (tmp_path / "dataset_functions.py").write_text(
        "def brighter(batch, by, times=1):\n    return times * batch + by\n"
    )
    inputs = {
        "data_path": ["x.npy"],
        "data_batch_transform": "brighter",
        "data_batch_transform_args": {"by": 3, "times": 2},
    }
    tables = {"inputs": inputs, "targets": {"data_path": ["x.npy"]}}
    splits = splits_of(tables, tmp_path)
    assert splits.collate is not None
    batch = torch.tensor(x[:3])
    seen, wanted = splits.collate((batch, batch))
    assert torch.equal(seen, 2 * batch + 3)
    assert torch.equal(wanted, batch)


@pytest.mark.parametrize(
    ("about", "message"),
    [
        ({"data_path": ["none.npy"]}, r"dataset\.one\.data_path: there is no 'none"),
        ({}, r"dataset\.one: data_path is missing"),
        ({"data_read_type": "function"}, "data_generating_function is missing"),
        ({"data_pth": []}, r"dataset\.one\.data_pth: unknown key; did you mean 'data_"),
        (
            {"data_path": ["a.npy"], "file_reader": "raed"},
            r"one\.file_reader: 'raed' is not in .*functions\.py; did you mean 'read'",
        ),
        ({"data_path": ["a.npy"], "file_reader": "read"}, "read failed: .*oops"),
    ],
)
def test_p19_mistakes(about: dict[str, Any], message: str, tmp_path: Path):
    np.save(tmp_path / "a.npy", np.zeros((2, 2), np.float32))
    (tmp_path / "dataset_functions.py").write_text(
        "def read(path):\n    raise RuntimeError('oops')\n"
    )
    with pytest.raises(UserError, match=message):
        read(about, tmp_path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"training": {"n_epoch": 3}}, "training.n_epoch: unknown key"),
        ({"training": {"learning_rate_gamma": 2.0}}, "training.learning_rate_gamma: "),
        ({"adversarial": {"optimizer": "Adm"}}, "adversarial.optimizer: 'Adm', expect"),
        ({"loss": {"loss_args": {"target_avd": 1.0}}}, "did you mean 'target_adv'"),
        ({"loss": {"loss_fn": "exampel_loss"}}, "did you mean 'example_loss'"),
        ({"saving": {"save_epoch_increment": 0}}, "saving.save_epoch_increment: "),
        ({"dataset": {"targets": None}}, "dataset.targets"),
    ],
)
def test_p14_mistakes_name_the_key(
    changes: Any, message: str, tmp_path: Path, capsys: Any
):
    file = settings(tmp_path, **changes)
    assert message in mistake(capsys, tmp_path, "train", "-t", file)


def test_p2_so_many_processes_as_gpus(
    tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch
):
    """Under torchrun with three processes, a file for two is refused."""
    file = settings(tmp_path, training={"gpus": [0, 1]})
    for name, value in (
        ("WORLD_SIZE", "3"),
        ("RANK", "0"),
        ("LOCAL_RANK", "0"),
        ("GROUP_RANK", "0"),
        ("LOCAL_WORLD_SIZE", "3"),
        ("TORCHELASTIC_RUN_ID", "1"),
        ("MASTER_ADDR", "localhost"),
        ("MASTER_PORT", "1"),
    ):
        monkeypatch.setenv(name, value)
    said = mistake(capsys, tmp_path, "train", "-t", file, "--accelerator", "cpu")
    assert "torchrun has started 3 processes, but the options say 2" in said


FLOW = '''
import os
import torch
from mase_opt.training.architecture.build import ArchitectureModel

class Told(ArchitectureModel):
    """Writes its weights when it is evaluated."""
    def forward(self, *args, **kwargs):
        if not self.training:
            folder, rank = os.environ["TOLD"], os.environ["RANK"]
            torch.save(self.state_dict(), f"{folder}/{rank}.pt")
        return super().forward(*args, **kwargs)
'''


def test_p12_a_flow_is_beside_the_file_that_names_it(tmp_path: Path):
    from mase_opt.training.base_pipeline import pipeline_options

    (tmp_path / "flow.py").write_text(FLOW)
    for name in ("flow.py", "flow.py:Told"):
        file = settings(tmp_path, model={"model_flow_path": name})
        options = pipeline_options(yaml.safe_load(file.read_text()), str(file))
        assert options["model_args"] == {"flow": str(tmp_path / name)}


@pytest.mark.slow
def test_p2_both_processes_have_the_same_weights(tmp_path: Path):
    """Generator and discriminator, and one process writes."""
    (tmp_path / "flow.py").write_text(FLOW)
    file = settings(
        tmp_path,
        training={"gpus": [0, 1], "n_epochs": 1},
        model={"model_flow_path": "flow.py:Told"},
    )
    done = subprocess.run(
        [
            *(sys.executable, "-m", "torch.distributed.run", "--standalone"),
            *("--nproc_per_node=2", "-m", "mase_opt.tools.mase", "train", "-t", file),
            *("--accelerator", "cpu", "--project-dir", tmp_path, "--project", "gan"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1", "TOLD": str(tmp_path)},
    )
    assert done.returncode == 0, done.stderr
    one, other = (
        torch.load(tmp_path / f"{rank}.pt", weights_only=True) for rank in (0, 1)
    )
    assert {name.split(".")[1] for name in one} >= {"generator", "discriminator"}
    assert all(torch.equal(one[name], other[name]) for name in one)
    folder = tmp_path / "gan/software/training_ckpts"
    assert len(list((folder / "gan").iterdir())) == 1
    best = weights(folder / "best.ckpt")
    assert all(torch.equal(best[f"model.{name}"], one[name]) for name in one)


def test_a_classifier_is_an_architecture_too(tmp_path: Path):
    """Without tables [loss] and [adversarial] it is a model like others."""
    path = write(
        tmp_path / "net.yaml",
        net=chain(
            *("net", "Flatten", ("Linear", {"out_features": 16}), "ReLU"),
            ("Linear", {"out_features": 10}),
            inputs={"input_size": [64]},
        ),
    )
    arguments = ("--lr", "1e-2", "--max-epochs", "4", "--project", "run")
    assert mase(tmp_path, "train", path, "digits", *arguments) == 0
    assert columns(tmp_path / "run")["test_acc"][0] > 0.6


def test_p13_losses_are_for_architectures(tmp_path: Path):
    from mase_opt import training

    options: dict[str, Any] = {"loss": {"loss_fn": "x"}, "project_dir": str(tmp_path)}
    with pytest.raises(UserError, match="are for models by an architecture file"):
        training.train("digits-mlp", "digits", **options)


def test_models_by_modules_are_not_changed_by_building(tmp_path: Path):
    """The same seed gives the same weights, whatever is tried while building."""
    path = write(tmp_path / "net.yaml", net=chain("net", CONV, "BatchNorm2d"))
    made = []
    for _ in "12":
        torch.manual_seed(4)
        made.append(architecture_model(path).state_dict())
    assert all(torch.equal(made[0][name], made[1][name]) for name in made[0])
    assert isinstance(architecture_model(path), nn.Module)
