"""
A trial of a search over the bare evaluation that it contains: JSON lines.

`overhead` is what a trial takes beyond running its model on the samples: choosing the
point, building the model, a torch module, metrics, keeping the results. Each trial runs
its model a second time, which is `bare`, so that both are measured at the same moment;
little of the difference (`overhead_ms`) grows with the samples. All formats have
occurred before, as they have in a search after a few trials: what the first trial with
a format takes more is `first_ms`. `rebuild` are trials by hand, which load, calibrate
and quantize the model each time. CPU time on one thread, medians; compare ratios. Names
of models (`cnn`, `resnet18`) measure only those; ResNet-18 needs torchvision.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from itertools import pairwise
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, ClassVar, cast

import numpy as np
import torch

import mase_opt as mo
from mase_opt.search.runner import SOFTWARE, Metric, RunnerContext, Samples, Trial
from mase_opt.search.runners.evaluation import Evaluation, batch_of, results
from mase_opt.search.search import search

ROOT = Path(__file__).resolve().parent.parent
DIGITS = ROOT / "examples" / "digits"
FORMATS = [f"fixed<{width}, auto>" for width in range(4, 8)]


@dataclass(frozen=True)
class Case:
    """A model, data to measure it on, and how often."""

    file: Path
    calibration: Any
    x: Any
    labels: Any
    trials: int


def cnn() -> Case:
    """The digits CNN on as many samples as there are digits."""
    with np.load(DIGITS / "cnn_test.npz") as data:
        x, labels = (np.concatenate([data[name]] * 5) for name in ("x", "labels"))
    return Case(DIGITS / "cnn.mlir", DIGITS / "cnn_calibration.npz", x, labels, 96)


def resnet18(folder: Path) -> Case:
    """ResNet-18 with random weights, on random images of the shape of CIFAR."""
    sys.path.insert(0, str(ROOT / "test" / "models"))
    module, _ = cast("tuple[Any, Any]", import_module("zoo").MODELS["resnet18"]())
    rng = np.random.default_rng(0)
    x = rng.standard_normal((128, 3, 32, 32), dtype=np.float32)
    mo.import_torch(module, [torch.zeros(1, 3, 32, 32)]).save(folder / "resnet18.mlir")
    return Case(folder / "resnet18.mlir", x[:8], x, rng.integers(0, 10, 128), 16)


def seconds(action: Callable[[], object]) -> float:
    """CPU seconds of one run."""
    start = time.process_time()
    action()
    return time.process_time() - start


@SOFTWARE.add
class Bare(Evaluation):
    """Runs a trial's model, as a torch module that exists already."""

    name = "bare"
    metrics: ClassVar[dict[str, Metric]] = {
        "bare": Metric("minimize", "s"),
        "apart": Metric("minimize", "s"),
    }

    def measure(self, trial: Trial) -> dict[str, float]:
        start = time.process_time()
        net = trial.model.to_torch()
        places = range(0, len(self.samples), self.batch)
        inputs = self.samples.inputs
        batches = [batch_of(inputs, slice(i, i + self.batch)) for i in places]

        def evaluate() -> None:
            for batch in batches:
                net(*batch)

        with torch.no_grad():
            bare = seconds(evaluate)
        return {"bare": bare, "apart": time.process_time() - start}


def bench(name: str, case: Case) -> dict[str, float | str]:
    model = mo.load(case.file).calibrate(case.calibration)
    samples = Samples((case.x.reshape(len(case.x), 1, *case.x.shape[-3:]),))
    context = RunnerContext(model, {"val": Samples(samples.inputs, case.labels)}, 0)
    evaluation = Evaluation({}, context)
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
            "sw_runner": {"evaluation": {}, "bare": {}},
            # So that one is over before the next is chosen.
            "setup": {"sampler": "random", "batch": 1},
            "metrics": {"accuracy": {}},
        },
    }

    def by_hand(base: mo.Model, form: str) -> None:
        layer = {"data_in": form, "weight": form}
        layers = {"conv2d": layer, "linear": layer}
        made = base.quantize(by="type", layers=layers)
        results(made, samples, evaluation.batch)

    def rebuild() -> None:
        by_hand(mo.load(case.file).calibrate(case.calibration), FORMATS[0])

    times: list[float] = []
    trials: list[tuple[float, Mapping[str, float]]] = []
    by_hand(model, "fixed<12, auto>")  # what happens once whatever the formats
    first = [
        seconds(lambda f=f: by_hand(model, f)) - seconds(lambda f=f: by_hand(model, f))
        for f in FORMATS
    ]
    study = search(
        model,
        config,
        data=(case.x, case.labels),
        n_trials=case.trials,
        told=lambda _: times.append(time.process_time()),
    )
    # The first has the results in floating point, too.
    for (start, end), trial in zip(pairwise(times), study.trials[1:], strict=True):
        assert trial.state == "complete", trial.reason
        if trial.seconds > 0:  # else it had been tried before
            trials.append((end - start - trial.values["apart"], trial.values))
    trial = statistics.median(took for took, _ in trials)
    bare = statistics.median(values["bare"] for _, values in trials)
    again = statistics.median(seconds(rebuild) for _ in range(3))
    return {
        "bench": "search",
        "model": name,
        "samples": len(case.x),
        "batch": evaluation.batch,
        "bare_ms": round(bare * 1e3, 1),
        "trial_ms": round(trial * 1e3, 1),
        "overhead_ms": round((trial - bare) * 1e3, 1),
        "overhead": round(
            statistics.median(took / values["bare"] for took, values in trials) - 1, 3
        ),
        "first_ms": round(statistics.median(first) * 1e3, 1),
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
