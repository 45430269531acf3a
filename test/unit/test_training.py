"""`mase train` and `mase test` on real data: checkpoints, logs, schedules, mistakes."""

from __future__ import annotations

import logging
import os
import pickle
import re
import resource
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
import torch
import yaml
from torch import Tensor, nn
from training_runs import MODEL, columns, digits_file, mase, mistake

from mase_opt import training
from mase_opt.lib.errors import UserError
from mase_opt.training.torchvision_ops import declare_torchvision_ops

declare_torchvision_ops()

EPOCHS = 6
PROJECT = "run"
QUICK = ("--lr", "1e-2", "--max-epochs", str(EPOCHS), "--project", PROJECT)


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a training."""
    folder = tmp_path_factory.mktemp("trained")
    steps = ("--log-every-n-steps", "3")
    assert mase(folder, "train", *MODEL, *QUICK, *steps) == 0
    return folder / PROJECT


def checkpoint(path: Path) -> dict[str, Any]:
    return torch.load(path, weights_only=True)


def test_t4_t17_o2_o3_checkpoints(trained: Path):
    folder = trained / "software/training_ckpts"
    for name in ("best.ckpt", "last.ckpt"):
        assert "pytorch-lightning_version" in checkpoint(folder / name)
    assert (trained / "hardware").is_dir()


def test_t15_the_three_best_epochs_are_kept(trained: Path):
    losses = columns(trained)["val_loss"]
    assert len(losses) == EPOCHS
    kept = (trained / "software/training_ckpts").glob("epoch=*.ckpt")
    best = sorted(range(EPOCHS), key=lambda epoch: losses[epoch])[:3]
    assert {p.name for p in kept} == {
        f"epoch={epoch}-val_loss={losses[epoch]:.2f}.ckpt" for epoch in best
    }
    best_one = checkpoint(trained / "software/training_ckpts/best.ckpt")
    assert best_one["epoch"] == best[0]


def test_t1_t27_o4_logs(trained: Path):
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    log = columns(trained)
    assert len(log["train_loss"]) == len(log["train_acc"]) == EPOCHS * 9 // 3
    assert set(log["lr-Adam"]) == {1e-2}
    folder = trained / "software/training_ckpts/logs/version_0"
    events = EventAccumulator(str(folder))
    events.Reload()
    board = [event.value for event in events.Scalars("val_acc")]
    assert board == pytest.approx(log["val_acc"], rel=1e-6)
    assert {"train_loss", "train_acc", "val_loss", "test_acc"} <= set(
        events.Tags()["scalars"]
    )


def test_t26_hyper_parameters_are_logged(trained: Path):
    logs = trained / "software/training_ckpts/logs/version_0/hparams.yaml"
    values = yaml.safe_load(logs.read_text())
    assert values["learning_rate"] == 1e-2
    assert values["model"] == "digits-mlp"


def test_t16_k5_the_best_model_is_tested(trained: Path, capsys: Any):
    """The metrics of training are those of its best checkpoint, loaded again."""
    log = columns(trained)
    best = trained / "software/training_ckpts/best.ckpt"
    capsys.readouterr()
    assert mase(trained.parent, "test", *MODEL, "--load", best, "--project", "t") == 0
    said = capsys.readouterr().out
    loss, accuracy = re.findall(r"[\d.]+", said.partition("test_loss")[2])
    assert float(loss) == pytest.approx(log["test_loss"][0], rel=1e-5)
    assert float(accuracy) == pytest.approx(log["test_acc"][0], rel=1e-5)
    assert float(accuracy) > 0.85
    with np.load(trained.parent / "t/software/test/outputs.npz") as outputs:
        share = (outputs["scores"].argmax(1) == outputs["labels"]).mean()
        assert len(outputs["labels"]) == 360
    assert float(accuracy) == pytest.approx(share, abs=1e-6)


def test_t28_accuracy_equals_sklearns(trained: Path):
    from sklearn.metrics import accuracy_score

    from mase_opt.training.data.module import MaseDataModule
    from mase_opt.training.find import find_model

    data = MaseDataModule("digits")
    weights = checkpoint(trained / "software/training_ckpts/best.ckpt")["state_dict"]
    model = find_model("digits-mlp")(data.dataset_info)
    model.load_state_dict({k[len("model.") :]: v for k, v in weights.items()})
    arrays = data.samples("test")
    scores = model(torch.from_numpy(arrays["x"])).detach()
    accuracy = accuracy_score(arrays["labels"], scores.argmax(1))
    assert columns(trained)["test_acc"][0] == pytest.approx(accuracy, rel=1e-6)


def test_o7_c11_log_file(trained: Path):
    (path,) = (trained / "software/logs").glob("*.log")
    assert re.fullmatch(rf"{PROJECT}\.\d{{8}}-\d{{6}}\.log", path.name)
    text = path.read_text()
    assert "Running with the following configuration" in text
    assert re.search(r"^learning_rate +0\.01 +command line$", text, re.M)
    assert re.search(r"^seed +0 +0$", text, re.M)


def test_o7_messages_of_other_libraries_and_own_files(tmp_path: Path):
    from mase_opt.training.logs import logging_to

    with logging_to(tmp_path, "a", "info") as first:
        logging.getLogger("other").info("said by %s", "another")
        with logging_to(tmp_path, "a", "info") as second:
            pass
    assert "said by another" in first.read_text()
    assert first != second


def test_written_configuration_repeats_the_run_to_the_bit(trained: Path):
    """T21: the same configuration, the same weights."""
    folder = trained.parent
    config = trained / "train.yaml"
    assert mase(folder, "train", "--config", config, "--project", "again") == 0
    name = "software/training_ckpts/best.ckpt"
    one, other = checkpoint(trained / name), checkpoint(folder / "again" / name)
    assert one["state_dict"].keys() == other["state_dict"].keys()
    for key, weights in one["state_dict"].items():
        assert torch.equal(weights, other["state_dict"][key])
    assert mase(folder, "train", *MODEL, *QUICK, "--seed", "1", "--project", "b") == 0
    third = checkpoint(folder / "b" / name)["state_dict"]
    assert not torch.equal(one["state_dict"][key], third[key])


def test_o4_a_second_run_keeps_what_the_first_left(tmp_path: Path):
    line = ("train", "toy", "iris", "--max-epochs", "1", "--project", "p")
    assert mase(tmp_path, *line) == 0
    before = (tmp_path / "p/software/training_ckpts/best.ckpt").read_bytes()
    assert mase(tmp_path, *line, "--seed", "3") == 0
    folder = tmp_path / "p/software/training_ckpts"
    assert (folder / "logs/version_0/best.ckpt").read_bytes() == before
    assert (folder / "best.ckpt").read_bytes() != before
    assert (folder / "logs/version_1").is_dir()


def test_o1_default_name_of_the_folder(tmp_path: Path):
    assert mase(tmp_path, "train", "toy", "toy-tiny", "--max-steps", "1") == 0
    (path,) = (p for p in tmp_path.iterdir() if not p.is_symlink())
    name = r"toy_classification_toy-tiny_\d{4}-\d\d-\d\d"
    assert re.fullmatch(name, path.name)
    assert (tmp_path / "latest").resolve() == path.resolve()


def test_two_runs_at_once_do_not_collide(tmp_path: Path, capsys: Any):
    from mase_opt.training.config import Config
    from mase_opt.training.run_folder import run_folder

    for config in (
        Config(project_dir=str(tmp_path), project="p"),
        Config(project_dir=str(tmp_path), model="a/b", dataset="c"),
    ):
        with run_folder(config, new=True) as first:
            if config.project is not None:
                with (
                    pytest.raises(UserError, match="another run uses folder"),
                    run_folder(config, new=True),
                ):
                    pass
                continue
            with run_folder(config, new=True) as second:
                assert second.path.name == f"{first.path.name}_2"
            assert first.path.name.startswith("a-b_classification_c_")


def test_o8_run_id_is_not_overwritten(tmp_path: Path, capsys: Any):
    line = ("train", "toy", "iris", "--max-steps", "1", "--project", "p")
    assert mase(tmp_path, *line, "--run-id", "one") == 0
    assert (tmp_path / "p/one/software/training_ckpts/best.ckpt").is_file()
    said = mistake(capsys, tmp_path, *line, "--run-id", "one")
    assert "run 'one' exists already" in said


# Optimizers, schedules, length.


def fit(folder: Path, *arguments: str, project: str = "p") -> dict[str, list[float]]:
    """What a training of the smallest model logs."""
    line = ("train", "toy", "iris", "--project", project, "--log-every-n-steps", "1")
    assert mase(folder, *line, *arguments) == 0
    return columns(folder / project)


OPTIMIZERS = {
    "adam": torch.optim.Adam,
    "AdamW": torch.optim.AdamW,
    "SGD": torch.optim.SGD,
    "Adadelta": torch.optim.Adadelta,
    "Adagrad": torch.optim.Adagrad,
    "Adamax": torch.optim.Adamax,
    "ASGD": torch.optim.ASGD,
    "RMSprop": torch.optim.RMSprop,
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_t7_optimizers(name: str):
    from mase_opt.training.merge import merge
    from mase_opt.training.schedule import optimizers

    config = merge({"training_optimizer": name, "learning_rate": 0.1}).config
    model = nn.Linear(2, 2)
    before = model.weight.detach().clone()
    optimizer = optimizers(model, config)
    assert type(optimizer) is OPTIMIZERS[name]
    model(torch.ones(1, 2)).square().sum().backward()
    optimizer.step()
    assert not torch.equal(before, model.weight)
    (group,) = optimizer.param_groups
    assert group["weight_decay"] == (5e-4 if name == "SGD" else 0)
    assert group.get("nesterov", False) == (name == "SGD")


def test_t8_plateau(tmp_path: Path):
    """With a rate that changes nothing, the loss never gets better."""
    rates = fit(
        tmp_path,
        *("--lr", "1e-7", "--lr-scheduler", "--lr-patience", "1"),
        *("--max-epochs", "5", "--lr-factor", "0.5"),
    )["lr-Adam"]
    assert rates[0] == 1e-7
    assert rates[-1] == 1e-7 / 2
    assert rates == sorted(rates, reverse=True)


def test_t9_t10_cosine_and_step():
    from mase_opt.training.merge import merge
    from mase_opt.training.schedule import optimizers

    def rates(**given: Any) -> list[float]:
        config = merge({"learning_rate": 1.0, "max_epochs": 4, **given}).config
        made = optimizers(nn.Linear(1, 1), config)
        found: list[float] = []
        for _ in range(4):
            found.append(made["optimizer"].param_groups[0]["lr"])
            made["optimizer"].step()
            made["lr_scheduler"]["scheduler"].step()
        return found

    wanted = [(1 + np.cos(np.pi * epoch / 4)) / 2 for epoch in range(4)]
    assert rates(lr_scheduler="cosine") == pytest.approx(wanted)
    step = rates(lr_scheduler="step", lr_step=2, lr_factor=0.1)
    assert step == pytest.approx([1, 1, 0.1, 0.1])


def test_t12_max_steps_and_accumulation(tmp_path: Path):
    """Iris has 96 samples to train on: 6 batches of 16."""
    options = ("--batch-size", "16", "--max-epochs", "2")
    fit(tmp_path, *options, "--accumulate-grad-batches", "2")
    last = "software/training_ckpts/last.ckpt"
    assert checkpoint(tmp_path / "p" / last)["global_step"] == 2 * 3
    fit(tmp_path, *options, "--max-steps", "7", project="q")
    assert checkpoint(tmp_path / "q" / last)["global_step"] == 7


def test_t13_validation_interval(tmp_path: Path):
    log = fit(tmp_path, "--max-epochs", "4", "--val-interval", "2")
    assert len(log["val_loss"]) == 2


def test_t14_early_stopping(tmp_path: Path, capsys: Any):
    log = fit(tmp_path, "--lr", "1e-12", "--max-epochs", "20", "--patience", "2")
    assert len(log["val_loss"]) == 3
    assert (
        "did not improve in the last 2 records. Best score" in capsys.readouterr().err
    )


@pytest.mark.parametrize(
    ("optimizer", "precision", "distance"),
    # Nesterov's first step is 1.9 times as long.
    [("asgd", "32", 0.5), ("sgd", "32", 0.95), ("sgd", "bf16", 0.95)],
)
def test_t11_gradient_clipping(
    optimizer: str, precision: str, distance: float, tmp_path: Path
):
    """A step moves the weights by rate times gradient."""

    class Watched(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc = nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return 1e3 * self.fc(x)

    model = Watched()
    before = [p.detach().clone() for p in model.parameters()]
    training.train(
        model,
        "iris",
        project_dir=str(tmp_path),
        learning_rate=1.0,
        max_steps=1,
        training_optimizer=optimizer,
        weight_decay=0.0,
        trainer_precision=precision,
        gradient_clip_val=0.5,
    )
    moved = torch.cat(
        [(p.detach() - b).flatten() for p, b in zip(model.parameters(), before)]
    )
    assert float(moved.norm()) == pytest.approx(distance, rel=1e-3)


def test_precision_64(tmp_path: Path):
    outcome = training.train(
        "toy", "iris", project_dir=str(tmp_path), trainer_precision="64", max_epochs=1
    )
    assert outcome.path is not None
    weights = checkpoint(outcome.path)["state_dict"]
    assert {w.dtype for k, w in weights.items() if k.startswith("model.")} == {
        torch.float64
    }


def test_precision_16_needs_a_gpu(tmp_path: Path, capsys: Any):
    if torch.cuda.is_available():
        pytest.skip("there is one")
    line = ("train", "toy", "iris", "--trainer-precision", "16")
    assert "needs a GPU: bf16" in mistake(capsys, tmp_path, *line)


def test_t18_weights_are_averaged(tmp_path: Path):
    options = ("--max-epochs", "5", "--lr", "1e-2")
    fit(tmp_path, *options, "--stochastic_weight_avg")
    fit(tmp_path, *options, project="q")
    last = "software/training_ckpts/last.ckpt"
    one, other = (checkpoint(tmp_path / p / last)["state_dict"] for p in ("p", "q"))
    assert any(not torch.equal(one[key], other[key]) for key in other)


class Recurrent(nn.Module):
    """A state that is added up, and how long the part was that it has seen."""

    def __init__(self):
        super().__init__()
        self.rnn = nn.RNN(2, 4, batch_first=True)
        self.fc = nn.Linear(4, 2)
        self.seen: list[tuple[int, bool]] = []

    def forward(self, x: Tensor, state: Tensor | None = None) -> tuple[Tensor, Tensor]:
        has_history = state is not None and state.requires_grad
        self.seen.append((x.shape[1], has_history))
        values, state = self.rnn(x, state)
        return self.fc(values), state


def test_t19_truncated_backpropagation(tmp_path: Path):
    rng = np.random.default_rng(0)
    x = rng.standard_normal((20, 7, 2)).astype(np.float32)
    y = (x.sum(-1) > 0).astype(np.int64)
    info = training.DatasetInfo((7, 2), 2)
    splits = training.Splits((x, y), info=info)
    model = Recurrent()
    before = model.rnn.weight_hh_l0.detach().clone()
    training.train(
        model,
        splits,
        project_dir=str(tmp_path),
        tbtt_steps=3,
        max_epochs=1,
        learning_rate=0.01,
        gradient_clip_val=1.0,
    )
    trained_parts = model.seen[:3]
    assert [steps for steps, _ in trained_parts] == [3, 3, 1]
    assert not any(history for _, history in trained_parts)
    assert not torch.equal(before, model.rnn.weight_hh_l0)


def test_t20_t24_x5_debug(tmp_path: Path, capsys: Any):
    """Two stages, nothing saved; the loss of the same five batches falls."""
    outcome = training.train(
        "digits-mlp",
        "digits",
        project_dir=str(tmp_path),
        to_debug=True,
        learning_rate=1e-2,
        max_epochs=3,
    )
    said = capsys.readouterr().err
    assert "Running in debug mode: Fast run on 5 batches" in said
    assert "Running in debug mode: Overfitting 5 batches" in said
    assert "no gradient reaches" not in said
    assert outcome.metrics["last_loss"] < outcome.metrics["first_loss"]
    assert list(tmp_path.rglob("*.ckpt")) == []


def test_t24_weights_without_a_gradient_are_named(tmp_path: Path, capsys: Any):
    class Dead(nn.Module):
        def __init__(self):
            super().__init__()
            self.used, self.unused = nn.Linear(4, 3), nn.Linear(4, 3)

        def forward(self, x: Tensor) -> Tensor:
            return self.used(x) + 0 * self.unused(x)

    options = {"project_dir": str(tmp_path), "to_debug": True, "max_epochs": 1}
    training.train(Dead(), "iris", **options)
    said = capsys.readouterr().err
    assert "no gradient reaches unused.bias, unused.weight\n" in said


# Checkpoints.


def test_k4_k5_k6_types_of_checkpoints(trained: Path, tmp_path: Path, capsys: Any):
    """A state dict, one in a dict, Lightning's, and a pickle give the same outputs."""
    from safetensors import torch as safetensors

    from mase_opt.training.data.module import MaseDataModule

    best = trained / "software/training_ckpts/best.ckpt"
    weights = {
        key.removeprefix("model."): value
        for key, value in checkpoint(best)["state_dict"].items()
    }
    model = training.find_model("digits-mlp")(MaseDataModule("digits").dataset_info)
    model.load_state_dict(weights)
    torch.save(weights, tmp_path / "a.ckpt")
    torch.save({"state_dict": weights, "epoch": 3}, tmp_path / "b.pt")
    cast(Any, safetensors).save_file(weights, tmp_path / "c.safetensors")
    torch.save(model, tmp_path / "d.pkl")
    with (tmp_path / "e.pkl").open("wb") as stream:
        pickle.dump(model, stream)
    results: list[Any] = []
    for path, kind in (
        (best, ()),
        (best, ("--load-type", "pl")),
        (tmp_path / "a.ckpt", ()),
        (tmp_path / "a.ckpt", ("--load-type", "pt")),
        (tmp_path / "b.pt", ()),
        (tmp_path / "c.safetensors", ()),
        (tmp_path / "d.pkl", ("--load-type", "pkl")),
        (tmp_path / "e.pkl", ("--load-type", "pkl")),
    ):
        line = ("test", *MODEL, "--load", path, *kind, "--project", "p")
        assert mase(tmp_path, *line) == 0
        with np.load(tmp_path / "p/software/test/outputs.npz") as outputs:
            results.append(outputs["scores"])
    assert all((result == results[0]).all() for result in results)
    assert "runs the code that is in it" in capsys.readouterr().err


def test_x4_k7_types_that_an_action_cannot_load(
    trained: Path, tmp_path: Path, capsys: Any
):
    from mase_opt.training.checkpoints import ALLOWED, TYPES

    best = trained / "software/training_ckpts/best.ckpt"
    for action, allowed in ALLOWED.items():
        if action in ("simulate", "search"):
            continue
        for kind in sorted(set(TYPES) - set(allowed)):
            line = (action, *MODEL, "--load", best, "--load-type", kind)
            passes = tmp_path / "p.toml"
            passes.write_text("[passes.quantize]\nwidth = 8\n")
            said = mistake(capsys, tmp_path, *line, "--config", passes)
            assert f"of type {kind}: it takes {', '.join(allowed)}" in said


def wrong_checkpoints(trained: Path, folder: Path) -> list[tuple[Path, str, str]]:
    """Paths, types and what is said of them."""
    best = trained / "software/training_ckpts/best.ckpt"
    whole = best.read_bytes()
    (folder / "cut.ckpt").write_bytes(whole[: len(whole) // 2])
    (folder / "text.ckpt").write_text("hello")
    (folder / "empty.ckpt").write_bytes(b"")
    (folder / "cut.pkl").write_bytes(pickle.dumps([1, 2, 3])[:-4])
    (folder / "list.pkl").write_bytes(pickle.dumps([1, 2, 3]))
    (folder / "cut.safetensors").write_bytes(b"\x08\0\0\0\0\0\0\0{}")
    (folder / "folder").mkdir()
    torch.save(nn.Linear(2, 2), folder / "module.pt")
    torch.save([1], folder / "list.pt")
    weights = {
        key.removeprefix("model."): value
        for key, value in checkpoint(best)["state_dict"].items()
    }
    weights["layers.0.weight"] = torch.zeros(32, 63)
    weights["other"] = weights.pop("layers.2.bias")
    torch.save(weights, folder / "other.pt")
    return [
        (folder / "none.ckpt", "", "no such file or folder"),
        (folder / "cut.ckpt", "", "is damaged or no checkpoint"),
        (folder / "text.ckpt", "", "is damaged or no checkpoint"),
        (folder / "empty.ckpt", "", "is damaged or no checkpoint"),
        (folder / "cut.safetensors", "", "is damaged or no checkpoint"),
        (folder / "cut.pkl", "pkl", "is damaged or no checkpoint"),
        (folder / "list.pkl", "pkl", "holds list, expected a whole torch.nn.Module"),
        (folder / "list.pkl", "", "add --load-type pkl if you trust"),
        (folder / "list.pt", "", "holds list, expected weights by name"),
        (folder / "module.pt", "", "holds Python objects beside weights"),
        (folder / "folder", "", "give --load-type, one of hf, pt, pl, pkl, mase"),
        (folder / "folder", "pt", "it is a folder; hf is a folder"),
        (best, "pt", "is no checkpoint of type pt: use --load-type pl"),
        (best, "hf", "it is a file; hf is a folder"),
        (folder / "other.pt", "pl", "is no checkpoint of type pl: use --load-type pt"),
        (
            folder / "other.pt",
            "",
            "is not of model 'digits-mlp': missing layers.2.bias; unexpected other; of "
            "another shape layers.0.weight (32x63 for 32x64)",
        ),
    ]


def test_wrong_checkpoints(trained: Path, tmp_path: Path, capsys: Any):
    for path, kind, message in wrong_checkpoints(trained, tmp_path):
        line = ["test", *MODEL, "--load", path]
        said = mistake(
            capsys, tmp_path, *line, *(("--load-type", kind) if kind else ())
        )
        assert message in said


def test_x3_of_another_model(trained: Path, tmp_path: Path, capsys: Any):
    best = trained / "software/training_ckpts/best.ckpt"
    said = mistake(capsys, tmp_path, "test", "digits-cnn", "digits", "--load", best)
    assert "is not of model 'digits-cnn': missing conv.weight, conv.bias" in said
    assert "unexpected layers.0.weight" in said


def test_k8_load_type_without_load_does_not_matter(tmp_path: Path):
    line = ("train", "toy", "iris", "--load-type", "hf", "--max-steps", "1")
    assert mase(tmp_path, *line) == 0


def test_k11_test_needs_a_checkpoint(tmp_path: Path, capsys: Any):
    assert "test needs --load" in mistake(capsys, tmp_path, "test", *MODEL)


def test_k2_no_pretrained_weights(tmp_path: Path, capsys: Any):
    said = mistake(capsys, tmp_path, "test", *MODEL, "--pretrained")
    assert "model 'digits-mlp' has no pretrained weights" in said


def test_x19_k12_checkpoint_in_the_file(trained: Path, tmp_path: Path):
    path = tmp_path / "test.toml"
    best = trained / "software/training_ckpts/best.ckpt"
    path.write_text(
        f'model = "digits-mlp"\ndataset = "digits"\nload_name = "{best}"\n'
        'load_type = "pl"\n'
    )
    assert mase(tmp_path, "test", "--config", path) == 0


# Own models and data.


OWN = '''
import numpy as np
from torch import nn
from mase_opt.training import DatasetInfo, Splits, dataset, model

@model("own")
class Own(nn.Sequential):
    """A linear layer."""
    def __init__(self, info: DatasetInfo, bias: bool = True):
        super().__init__(nn.Flatten(), nn.Linear(info.features, info.num_classes, bias))

def plain(info):
    return Own(info)

@dataset("own-data", info=DatasetInfo((2,), 2))
def own_data(count: int = 40):
    x = np.random.default_rng(0).standard_normal((count, 2)).astype(np.float32)
    return x, (x.sum(1) > 0).astype(np.int64)
'''


def test_own_model_and_data(tmp_path: Path, capsys: Any):
    path = tmp_path / "own_things.py"
    path.write_text(OWN)
    for model in (f"{path}:Own", f"{path}:plain"):
        line = ("train", model, f"{path}:own_data", "--max-epochs", "1")
        assert mase(tmp_path, *line) == 0
    config = tmp_path / "c.toml"
    config.write_text(
        '[model]\nname = "own"\nbias = false\n'
        '[dataset]\nname = "own-data"\ncount = 30\n'
    )
    line = ("train", "--config", config, "--load-plugin", path, "--max-epochs", "1")
    assert mase(tmp_path, *line, "--project", "p") == 0
    best = checkpoint(tmp_path / "p/software/training_ckpts/best.ckpt")
    assert [k for k in best["state_dict"] if k.startswith("model")] == [
        "model.1.weight"
    ]
    config.write_text('[model]\nname = "own"\nbiass = false\n')
    line = ("train", "--config", config, "--load-plugin", path)
    said = mistake(capsys, tmp_path, *line, "own", "own-data")
    assert "model 'own' has no argument 'biass'; did you mean 'bias'?" in said
    said = mistake(capsys, tmp_path, "train", f"{path}:Onw", "iris")
    assert "has no model 'Onw'; did you mean 'Own'?" in said


def test_unknown_names(tmp_path: Path, capsys: Any):
    said = mistake(capsys, tmp_path, "train", "digit-mlp", "digits")
    assert "unknown model 'digit-mlp'; did you mean 'digits-mlp'?" in said
    said = mistake(capsys, tmp_path, "train", "toy", "digit")
    assert "unknown dataset 'digit'; did you mean 'digits'?" in said


def test_files_of_data(tmp_path: Path):
    path = digits_file(tmp_path / "own.npz")
    assert mase(tmp_path, "train", "digits-mlp", path, "--max-epochs", "1") == 0
    rows = np.random.default_rng(0).standard_normal((30, 3))
    labels = (rows[:, :1] > 0).astype(int)
    table = tmp_path / "own.csv"
    np.savetxt(table, np.hstack([rows, labels]), delimiter=",", header="a,b,c,class")
    assert mase(tmp_path, "train", "toy", table, "--max-epochs", "1") == 0


def test_wrong_files_of_data(tmp_path: Path, capsys: Any):
    whole = digits_file(tmp_path / "whole.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(whole[: len(whole) // 2])
    x, y = np.zeros((8, 2), np.float32), np.zeros(8, np.int64)
    np.savez(tmp_path / "no_labels.npz", x=x)
    np.savez(tmp_path / "fewer.npz", x=x, y=y[:7])
    np.savez(tmp_path / "nan.npz", x=np.full_like(x, np.nan), y=y)
    np.savez(tmp_path / "parts.npz", x=x, y=y + 0.5)
    (tmp_path / "cut.csv").write_text("1,2,0\n3,4,1\n5,")
    for name, message in (
        ("none.npz", "no such file"),
        ("cut.npz", "is no whole .npz file"),
        ("no_labels.npz", "has no array 'y'"),
        ("fewer.npz", "samples of shape (8, 2) and labels of shape (7,)"),
        ("nan.npz", "NaN or infinite"),
        ("parts.npz", "labels are not whole numbers"),
        ("cut.csv", "line 3: could not convert"),
    ):
        said = mistake(capsys, tmp_path, "train", "toy", tmp_path / name)
        assert message in said


def test_labels_outside_the_classes(tmp_path: Path, capsys: Any):
    path = tmp_path / "wrong.py"
    text = OWN.replace("(x.sum(1) > 0)", "2 * (x.sum(1) > 0)")
    path.write_text(text.replace('"own', '"wrong'))
    said = mistake(capsys, tmp_path, "train", "toy", f"{path}:own_data")
    assert re.search(r"\d+ of 24 labels are outside 0 to 1, the first is 2, of", said)


@pytest.mark.parametrize(
    ("given", "sizes"),
    [((), (60, 20, 20)), (("val",), (80, 10, 20)), (("test",), (80, 20, 10))],
)
def test_d1_missing_splits(given: tuple[str, ...], sizes: tuple[int, ...]):
    from mase_opt.training.data.module import MaseDataModule

    def arrays(count: int) -> Any:
        return np.arange(count, dtype=np.float32)[:, None], np.zeros(count, np.int64)

    parts = {name: arrays(10) for name in given}
    info = training.DatasetInfo((1,), 1)
    splits = MaseDataModule(training.Splits(arrays(100), info=info, **parts)).splits
    assert tuple(len(s) for s in (splits.train, splits.val, splits.test)) == sizes
    own = torch.cat([splits.train.tensors[0], splits.val.tensors[0]]).flatten()
    if given != ("val",):
        assert len(set(own.tolist())) == len(own)


def test_d2_d3_batches():
    from mase_opt.training.data.module import LoaderOptions, MaseDataModule

    options = LoaderOptions(batch_size=100, drop_last=True)
    data = MaseDataModule("digits", options=options)
    assert [len(x) for x, _ in data.train_dataloader()] == [100] * 11
    assert [len(x) for x, _ in data.val_dataloader()] == [100, 100, 87]
    options = LoaderOptions(batch_size=100, batch_size_eval=300)
    data = MaseDataModule("digits", options=options)
    assert [len(x) for x, _ in data.val_dataloader()] == [287]


def test_d6_d7_data_module_and_input_generator():
    module = training.MaseDataModule(
        "digits", 16, model_name="digits-mlp", num_workers=0
    )
    module.prepare_data()
    module.setup()
    assert module.dataset_info.num_classes == 10
    assert module.dataset_info.image_size == (1, 8, 8)
    generator = training.InputGenerator(module, None, "cls", which_dataloader="val")
    dummy = next(iter(generator))
    model = training.find_model("digits-mlp")(module.dataset_info)
    assert model(**dummy).shape == (16, 10)


# T2, T3: wrappers.


def test_t2_wrappers_by_family_and_task():
    from mase_opt.training.registry import MODELS, ModelEntry
    from mase_opt.training.wrappers import get_model_wrapper, wrapper_for

    assert "digits-mlp" in MODELS.entries
    assert get_model_wrapper("digits-mlp", "classification").metric == "acc"
    text = ModelEntry("text", nn.Identity, "nlp")
    metrics = {
        task: wrapper_for(text, task).metric
        for task in ("classification", "language_modeling", "translation")
    }
    assert list(metrics.values()) == ["acc", "perplexity", "bleu"]
    with pytest.raises(UserError, match="task detection is not implemented for NLP"):
        wrapper_for(text, "detection")
    with pytest.raises(UserError, match="unknown model 'resnet19'"):
        get_model_wrapper("resnet19", "classification")


class NextToken(nn.Module):
    """Scores of the next of 5 tokens."""

    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(5, 5)

    def forward(self, input_ids: Tensor, labels: Tensor | None = None) -> Tensor:
        return self.table(input_ids)


@pytest.mark.parametrize("task", ["language_modeling", "translation"])
def test_t3_metrics_of_text(task: str, tmp_path: Path):
    from torch.utils.data import Dataset

    class Text(Dataset[dict[str, Tensor]]):
        def __init__(self, count: int):
            self.count = count

        def __len__(self) -> int:
            return self.count

        def __getitem__(self, index: int) -> dict[str, Tensor]:
            tokens = (torch.arange(6) + index) % 5
            return {"input_ids": tokens, "labels": tokens}

    @training.model(f"next-{task}", family="nlp", tasks=(cast(Any, task),))
    def build() -> nn.Module:
        return NextToken()

    info = training.DatasetInfo((6,), task=cast(Any, task), names=("input_ids",))
    outcome = training.train(
        f"next-{task}",
        training.Splits(Text(40), Text(5), Text(5), info=info),
        task=task,
        project_dir=str(tmp_path),
        num_workers=0,
        learning_rate=0.3,
        max_epochs=30,
    )
    assert build is not None
    if task == "translation":
        # The text is its own translation: all 4-grams are right in the end.
        assert outcome.metrics["test_bleu"] == pytest.approx(1.0)
    else:
        loss = outcome.metrics["test_loss"]
        assert outcome.metrics["test_perplexity"] == pytest.approx(np.exp(loss), 1e-4)
        assert loss < 0.1


# Runs that go wrong.


def test_nan_loss_names_step_and_layer(tmp_path: Path, capsys: Any):
    class Bad(nn.Module):
        def __init__(self):
            super().__init__()
            self.first, self.second = nn.Linear(4, 3), nn.Linear(3, 3)
            self.calls = 0

        def forward(self, x: Tensor) -> Tensor:
            self.calls += self.training
            x = self.first(x)
            return self.second(x / 0 if self.calls > 8 else x)

    with pytest.raises(UserError) as caught:
        training.train(
            Bad(),
            "iris",
            project_dir=str(tmp_path),
            project="p",
            batch_size=16,
            max_epochs=3,
        )
    assert "the loss is nan at step 8 (epoch 1): layer 'second' gives" in str(
        caught.value
    )
    last = tmp_path / "p/software/training_ckpts/last.ckpt"
    assert f"last good checkpoint: {last}" in str(caught.value)
    assert checkpoint(last)["epoch"] == 0


def test_resume_goes_on(tmp_path: Path, capsys: Any):
    line = ("train", "toy", "iris", "--project", "p", "--lr", "1e-2")
    line += ("--log-every-n-steps", "1")
    assert mase(tmp_path, *line, "--max-epochs", "2") == 0
    last = tmp_path / "p/software/training_ckpts/last.ckpt"
    assert checkpoint(last)["epoch"] == 2
    again = ("train", "--project", "p", "--resume", "--max-epochs", "4")
    assert mase(tmp_path, *again) == 0
    assert checkpoint(last)["epoch"] == 4
    assert columns(tmp_path / "p", 1)["epoch"][0] == 2
    assert set(columns(tmp_path / "p", 1)["lr-Adam"]) == {1e-2}
    line = ("train", "toy", "iris", "--resume", "--project", "q")
    said = mistake(capsys, tmp_path, *line)
    assert "--resume: there is no earlier run" in said


def test_full_disk_while_saving(tmp_path: Path, capsys: Any):
    """A limit on the size of files: the write fails, the earlier checkpoint stays."""
    from mase_opt.training.checkpoints import AtomicCheckpoints

    path = tmp_path / "a.ckpt"
    AtomicCheckpoints().save_checkpoint({"a": torch.zeros(4)}, path)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write .*a\.ckpt': File too la"):
            AtomicCheckpoints().save_checkpoint({"a": torch.zeros(4096)}, path)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)
    assert torch.equal(checkpoint(path)["a"], torch.zeros(4))
    assert [p.name for p in tmp_path.iterdir()] == ["a.ckpt"]


RANKS = '''
import os
import torch
from torch import nn
from mase_opt.training import DatasetInfo

class Told(nn.Module):
    """Writes its weights when it is evaluated."""
    def __init__(self, info: DatasetInfo, folder: str):
        super().__init__()
        self.fc, self.folder = nn.Linear(info.features, info.num_classes), folder
    def forward(self, x):
        if not self.training:
            torch.save(self.state_dict(), f"{self.folder}/{os.environ['RANK']}.pt")
        return self.fc(x)
'''


@pytest.mark.slow
def test_t22_two_processes_under_torchrun(tmp_path: Path):
    """Both have the same weights in the end, and one of them writes."""
    (tmp_path / "told.py").write_text(RANKS)
    config = tmp_path / "c.toml"
    config.write_text(
        f'[model]\nname = "{tmp_path}/told.py:Told"\nfolder = "{tmp_path}"\n'
        '[trainer]\nstrategy = "ddp"\naccelerator = "cpu"\ngpus = 2\n'
        '[dataset]\nname = "iris"\n[optim]\nlr = 0.1\n'
    )
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    done = subprocess.run(
        [
            *torchrun,
            *("--nproc_per_node=2", "-m", "mase_opt.tools.mase", "train"),
            *("--config", str(config), "--project-dir", str(tmp_path / "out")),
            *("--max-epochs", "1", "--project", "p"),
        ],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    assert done.returncode == 0, done.stderr
    assert len(re.findall(r"^train: test_loss", done.stdout, re.M)) == 1
    one, other = (checkpoint(tmp_path / f"{rank}.pt") for rank in (0, 1))
    assert all(torch.equal(one[key], other[key]) for key in one)
    folder = tmp_path / "out/p/software"
    best = checkpoint(folder / "training_ckpts/best.ckpt")["state_dict"]
    assert torch.equal(best["model.fc.weight"], one["fc.weight"])
    assert len(list(folder.glob("training_ckpts/logs/version_*"))) == 1
    # Each of them has taken half of the 96 samples in an epoch.
    assert checkpoint(folder / "training_ckpts/last.ckpt")["global_step"] == 1


def until(done: Callable[[], bool], process: subprocess.Popen[str]) -> None:
    while not done():
        assert process.poll() is None, "it has ended"
        time.sleep(0.05)


@pytest.mark.slow
def test_kill_while_training_leaves_a_checkpoint_to_resume_from(tmp_path: Path):
    command = [sys.executable, "-m", "mase_opt.tools.mase", "train", "toy", "iris"]
    options = ["--project-dir", str(tmp_path), "--project", "p"]
    last = tmp_path / "p/software/training_ckpts/last.ckpt"
    process = subprocess.Popen(
        [*command, *options, "--max-epochs", "100000"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    )
    until(last.is_file, process)
    os.kill(process.pid, signal.SIGKILL)
    process.communicate()
    epoch = checkpoint(last)["epoch"]
    again = ("train", "--project", "p", "--resume", "--max-epochs", str(epoch + 2))
    assert mase(tmp_path, *again) == 0
    assert checkpoint(last)["epoch"] == epoch + 2


def test_t25_wandb_is_an_extra(tmp_path: Path, capsys: Any):
    if find_spec("wandb") is not None:
        pytest.skip("it is installed")
    line = ("train", "toy", "iris", "--wandb-project", "w", "--offline")
    assert "--wandb-project needs wandb" in mistake(capsys, tmp_path, *line)


def test_t23_auto_requeue_is_slurms(monkeypatch: pytest.MonkeyPatch):
    import lightning
    from lightning.fabric.plugins.environments.slurm import SLURMEnvironment

    from mase_opt.training.config import Config
    from mase_opt.training.fitting import new_trainer

    given: dict[str, Any] = {}
    monkeypatch.setattr(lightning, "Trainer", lambda **more: given.update(more))
    for wanted in (True, False):
        new_trainer(Config(is_to_auto_requeue=wanted, accelerator="cpu"))
        found = [p for p in given["plugins"] if isinstance(p, SLURMEnvironment)]
        assert [p.auto_requeue for p in found] == ([True] if wanted else [])


def test_what_lightning_cannot_do_is_a_mistake(tmp_path: Path, capsys: Any):
    line = ("train", "toy", "iris", "--strategy", "none_such")
    assert "none_such" in mistake(capsys, tmp_path, *line)
