"""
A trial of a search over the bare evaluation that it contains: JSON lines.

`overhead` is what a trial takes beyond running its model, as a torch module that exists
already, on the same samples: choosing the point, building the model, metrics, keeping
the results. Little of it (`overhead_ms`) grows with the samples. `rebuild` are trials
by hand, which load, calibrate and quantize the model each time. CPU time on one thread,
medians; compare ratios. Names of models (`cnn`, `resnet18`) measure only those;
ResNet-18 needs torchvision.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import numpy as np
import torch

import mase_opt as mo
from mase_opt.model.model import BATCH
from mase_opt.search.runner import Samples
from mase_opt.search.runners.evaluation import results

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "examples" / "digits"
FORMATS = [f"fixed<{width}, auto>" for width in range(3, 11)]


@dataclass(frozen=True)
class Case:
    """A model, data to measure it on, and how often."""

    file: Path
    calibration: Any
    x: Any
    labels: Any
    trials: int

    @property
    def batches(self) -> int:
        """About as many as the search makes of the samples."""
        return -(-len(self.x) // BATCH)


def cnn() -> Case:
    """The digits CNN on the held-out samples, five times."""
    with np.load(DIGITS / "cnn_test.npz") as data:
        x, labels = (np.concatenate([data[name]] * 5) for name in ("x", "labels"))
    return Case(DIGITS / "cnn.mlir", DIGITS / "cnn_calibration.npz", x, labels, 64)


def resnet18(folder: Path) -> Case:
    """ResNet-18 with random weights, on random images of the shape of CIFAR."""
    sys.path.insert(0, str(ROOT / "test" / "models"))
    module, _ = cast("tuple[Any, Any]", import_module("zoo").MODELS["resnet18"]())
    rng = np.random.default_rng(0)
    x = rng.standard_normal((128, 3, 32, 32), dtype=np.float32)
    mo.import_torch(module, [torch.zeros(1, 3, 32, 32)]).save(folder / "resnet18.mlir")
    return Case(folder / "resnet18.mlir", x[:8], x, rng.integers(0, 1000, 128), 4)


def seconds(action: Callable[[], object]) -> float:
    """CPU seconds of one run."""
    start = time.process_time()
    action()
    return time.process_time() - start


def bench(name: str, case: Case) -> dict[str, float | str]:
    model = mo.load(case.file).calibrate(case.calibration)
    samples = Samples((case.x.reshape(len(case.x), 1, *case.x.shape[-3:]),))
    config: dict[str, Any] = {
        "search_space": {
            "name": "mixed_precision",
            "setup": {"by": "type"},
            "seed": {
                kind: {"config": {"data_in": FORMATS, "weight": FORMATS}}
                for kind in ("conv2d", "linear")
            },
        },
        "strategy": {
            "sw_runner": {"evaluation": {}},
            "setup": {"sampler": "random"},
            "metrics": {"accuracy": {}},
        },
    }

    def search(trials: int) -> tuple[float, int]:
        """CPU seconds, and how many points were measured: some come twice."""
        start = time.process_time()
        found = model.search(config, data=(case.x, case.labels), n_trials=trials)
        measured = sum(trial.seconds > 0 for trial in found.trials)
        return time.process_time() - start, measured

    def rebuild() -> None:
        fresh = mo.load(case.file).calibrate(case.calibration)
        results(fresh.quantize(width=6), samples)

    # What happens once, such as the results in floating point, is in both.
    search(2)
    few, many = search(2), search(2 + case.trials)
    trial = (many[0] - few[0]) / (many[1] - few[1])
    net = model.quantize(width=6).to_torch()
    batches = [torch.as_tensor(part) for part in np.array_split(case.x, case.batches)]

    def evaluate() -> None:
        for batch in batches:
            net(batch)

    with torch.no_grad():
        evaluate()
        bare = statistics.median(seconds(evaluate) for _ in range(case.trials))
    again = statistics.median(seconds(rebuild) for _ in range(3))
    return {
        "bench": "search",
        "model": name,
        "samples": len(case.x),
        "bare_ms": round(bare * 1e3, 1),
        "trial_ms": round(trial * 1e3, 1),
        "overhead_ms": round((trial - bare) * 1e3, 1),
        "overhead": round(trial / bare - 1, 3),
        "trials_per_s": round(1 / trial, 2),
        "rebuild_trials_per_s": round(1 / again, 2),
    }


def main() -> None:
    torch.set_num_threads(1)
    chosen = sys.argv[1:] or ["cnn", "resnet18"]
    if "cnn" in chosen:
        print(json.dumps(bench("cnn", cnn())), flush=True)
    if "resnet18" in chosen:
        with TemporaryDirectory() as folder:
            print(json.dumps(bench("resnet18", resnet18(Path(folder)))), flush=True)


if __name__ == "__main__":
    main()
