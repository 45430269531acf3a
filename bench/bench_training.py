"""
Training by `mase` over a bare torch loop of the same model, data, batch and optimizer.

Both train an epoch and evaluate the validation data, in turn, on one thread; `mase`
logs and saves checkpoints besides. CPU time of each epoch after the first, since the
machine may be shared; the smallest counts. Two more figures: what a training of few
steps takes over importing torch and Lightning alone, and an epoch in 8 bits over one in
floating point. One JSON line per figure; ResNet-18 needs the extra `models`.

`python bench/bench_training.py [digits] [resnet18] [quantized] [start]`; all if none.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn
from torch.nn.functional import cross_entropy

import mase_opt
from mase_opt.training import DatasetInfo, MaseDataModule, Splits, find_model
from mase_opt.training.config import Config
from mase_opt.training.run_folder import RunFolder
from mase_opt.training.torchvision_ops import declare_torchvision_ops

DIGITS_EPOCHS = 12
RESNET_EPOCHS = 3
RUNS = 2


def by_mase(model: nn.Module, data: MaseDataModule, epochs: int) -> float:
    """The shortest epoch after the first."""
    from lightning.pytorch.callbacks import LambdaCallback

    from mase_opt.training.fitting import fitting_trainer, quiet_lightning
    from mase_opt.training.wrappers import Classification

    starts: list[float] = []

    def note(trainer: object, module: object) -> None:
        starts.append(time.process_time())

    times = LambdaCallback(on_train_epoch_start=note)
    config = Config(max_epochs=epochs, accelerator="cpu", log_level="error")
    with tempfile.TemporaryDirectory() as folder, quiet_lightning():
        trainer = fitting_trainer(config, RunFolder(Path(folder)), [times])
        trainer.fit(Classification(model, config, data.dataset_info), data)
    return shortest(starts)


def shortest(starts: Sequence[float]) -> float:
    return min(b - a for a, b in pairwise(starts[1:]))


def by_hand(model: nn.Module, data: MaseDataModule, epochs: int) -> float:
    """The same of a plain loop."""
    optimizer = torch.optim.Adam(model.parameters(), lr=1e-5)
    training, validation = data.train_dataloader(), data.val_dataloader()
    starts: list[float] = []
    for _ in range(epochs):
        starts.append(time.process_time())
        model.train()
        for x, y in training:
            optimizer.zero_grad()
            loss: Any = cross_entropy(model(x), y)
            loss.backward()
            cast(Any, optimizer).step()
        model.eval()
        losses: list[float] = []
        right = 0
        with torch.no_grad():
            for x, y in validation:
                scores = model(x)
                losses.append(float(cross_entropy(scores, y)))
                right += int((scores.argmax(1) == y).sum())
    return shortest(starts)


def compare(name: str, make: Any, data: MaseDataModule, epochs: int) -> None:
    """Print the figure of a model."""
    pairs = [
        (by_mase(make(), data, epochs), by_hand(make(), data, epochs))
        for _ in range(RUNS)
    ]
    ours, theirs = (min(times) for times in zip(*pairs, strict=True))
    tell(f"train_{name}", ours, theirs, 1.1, "mase_s", "loop_s")


def tell(
    name: str, ours: float, theirs: float, target: float, mine: str, other: str
) -> None:
    figure = {
        "benchmark": name,
        mine: round(ours, 4),
        other: round(theirs, 4),
        "ratio": round(ours / theirs, 3),
        "target": target,
    }
    print(json.dumps(figure), flush=True)


def digits_data() -> MaseDataModule:
    return MaseDataModule("digits")


def digits() -> None:
    """The CNN on digits."""
    data = digits_data()
    entry = find_model("digits-cnn")
    compare("digits_cnn", lambda: entry(data.dataset_info), data, DIGITS_EPOCHS)


def resnet18() -> None:
    """ResNet-18 on images of CIFAR's shape."""
    import torchvision

    from mase_opt.training.data.module import LoaderOptions

    rng = np.random.default_rng(0)
    x = rng.standard_normal((96, 3, 32, 32)).astype(np.float32)
    y = rng.integers(0, 10, 96)
    splits = Splits((x, y), val=(x[:32], y[:32]), test=(x[:32], y[:32]))
    info = DatasetInfo((3, 32, 32), 10)
    splits = Splits(splits.train, splits.val, splits.test, info=info)
    data = MaseDataModule(splits, options=LoaderOptions(32))
    models: Any = torchvision.models
    compare("resnet18", lambda: models.resnet18(num_classes=10), data, RESNET_EPOCHS)


def quantized() -> None:
    """An epoch of the digits' CNN in 8 bits, over one in floating point."""
    data = digits_data()
    net = find_model("digits-cnn")(data.dataset_info)
    model = mase_opt.import_torch(net.eval(), (torch.zeros(1, 1, 8, 8),))
    model = model.calibrate(data.samples("train", 256)["x"]).quantize(masters=True)
    ours = min(by_mase(model.to_torch(), data, DIGITS_EPOCHS) for _ in range(RUNS))
    theirs = min(
        by_mase(find_model("digits-cnn")(data.dataset_info), data, DIGITS_EPOCHS)
        for _ in range(RUNS)
    )
    tell("train_8_bits", ours, theirs, 2.5, "quantized_s", "float_s")


def start() -> None:
    """A training of one step, over imports alone."""

    def seconds(*arguments: str) -> float:
        before = time.perf_counter()
        subprocess.run([sys.executable, *arguments], check=True, capture_output=True)
        return time.perf_counter() - before

    shim = "from mase_opt.training.torchvision_ops import declare_torchvision_ops as d"
    with tempfile.TemporaryDirectory() as folder:
        run = ("-m", "mase_opt.tools.mase", "train", "digits-cnn", "digits")
        options = ("--debug", "--max-epochs", "1", "--project-dir", folder)
        pairs = [
            (
                seconds(*run, *options),
                seconds("-c", f"{shim}; _ = d(); import torch, lightning"),
            )
            for _ in range(RUNS)
        ]
    ours, theirs = (min(times) for times in zip(*pairs, strict=True))
    tell("train_start", ours, theirs, 2.0, "mase_s", "imports_s")


FIGURES = {
    "digits": digits,
    "resnet18": resnet18,
    "quantized": quantized,
    "start": start,
}


def main() -> None:
    """Measure what the command line names."""
    declare_torchvision_ops()
    torch.set_num_threads(1)
    for name in sys.argv[1:] or FIGURES:
        FIGURES[name]()


if __name__ == "__main__":
    main()
