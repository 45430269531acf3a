"""
What formats are worth on samples that models have not seen: cross validation.

Each of four MLPs is trained on three quarters of the training samples, and evaluated in
the formats of a trial on the fourth.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, ClassVar

import numpy as np
import torch
from sklearn.model_selection import StratifiedKFold
from train import SEED, SHAPES, mlp, split, train

import mase_opt as mo
from mase_opt.lib.analysis.quantization import Noise
from mase_opt.model.metrics import accuracy
from mase_opt.search.measure import build
from mase_opt.search.runner import SOFTWARE, Metric, Runner, RunnerContext, Trial

FOLDS = 4

x_train, x_test, y_train, y_test = split(SHAPES["mlp"])


def trained(x: np.ndarray, y: np.ndarray) -> mo.Model:
    """The MLP, trained and calibrated on some samples."""
    torch.manual_seed(SEED)
    module = mlp()
    train(module, torch.from_numpy(x), torch.from_numpy(y))
    return mo.import_torch(module, [torch.zeros(1, *SHAPES["mlp"])]).calibrate(x)


@cache
def folds() -> list[tuple[mo.Model, np.ndarray, np.ndarray, np.ndarray]]:
    """Models, each with samples it has not seen, its scores of them, and labels."""
    parts = StratifiedKFold(FOLDS, shuffle=True, random_state=SEED)
    found: list[tuple[mo.Model, np.ndarray, np.ndarray, np.ndarray]] = []
    for fit, val in parts.split(x_train, y_train):
        model = trained(x_train[fit], y_train[fit])
        found.append((model, x_train[val], scores(model, x_train[val]), y_train[val]))
    return found


def scores(model: mo.Model, x: np.ndarray) -> np.ndarray:
    """What a model says of samples, `[samples, classes]`."""
    with torch.no_grad():
        return model.to_torch()(torch.from_numpy(x)).numpy()


@SOFTWARE.add
class Folds(Runner):
    """
    All training samples, each by the model that has not seen it.

    `accuracy` is the share of them that are right, `sqnr` the signal over quantization
    noise of all scores.
    """

    name = "folds"
    metrics: ClassVar[Mapping[str, Metric]] = {
        "accuracy": Metric("maximize"),
        "sqnr": Metric("maximize", "dB"),
    }

    def __init__(self, table: Mapping[str, Any], context: RunnerContext):
        folds()

    def measure(self, trial: Trial) -> dict[str, float]:
        noise, right = Noise(), 0.0
        for base, x, exact, labels in folds():
            found = scores(build(base, trial.decision), x)
            noise.add(exact, found)
            right += accuracy(found, labels) * len(labels)
        return {"accuracy": right / len(y_train), "sqnr": noise.sqnr}
