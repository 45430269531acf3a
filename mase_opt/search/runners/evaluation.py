"""How good the results of a trial's model are."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from math import exp
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from mase_opt.lib.analysis.quantization import Noise
from mase_opt.lib.data.samples import Array
from mase_opt.lib.errors import UserError
from mase_opt.model.metrics import accuracy, cross_entropy
from mase_opt.model.model import BATCH, Model
from mase_opt.search.runner import Metric, Runner, RunnerContext, Samples, Trial

if TYPE_CHECKING:
    from torch import Tensor

    from mase_opt.frontend.to_torch import MaseModule

METRICS = {
    "accuracy": Metric("maximize"),
    "loss": Metric("minimize", "nats"),
    "perplexity": Metric("minimize"),
    "sqnr": Metric("maximize", "dB"),
}


class Evaluation(Runner):
    """
    Results of the model, in torch, against labels, and against those in floating point.

    `data_loader` names the data, `num_samples` says how many are taken. `accuracy` is
    the share of samples whose highest score is the label, `loss` the cross entropy,
    `perplexity` its exponential, `sqnr` signal over quantization noise of all results.
    """

    name = "evaluation"
    metrics = METRICS
    keys = ("data_loader", "num_samples")

    def __init__(self, table: Mapping[str, Any], context: RunnerContext):
        self.samples = context.samples(table, self.name)
        self.model = context.model
        if self.samples.labels is None:
            raise UserError(f"{self.name}: the data has no labels")

    @cached_property
    def _expected(self) -> Array:
        """The results in floating point."""
        return results(self.model.unquantized, self.samples)

    def measure(self, trial: Trial) -> dict[str, float]:
        samples = self.samples.first(trial.samples)
        assert samples.labels is not None, "checked"
        scores = results(trial.model, samples)
        loss = cross_entropy(scores, samples.labels)
        noise = Noise()
        noise.add(self._expected[: len(samples)], scores)
        return {
            "accuracy": accuracy(scores, samples.labels),
            "loss": loss,
            "perplexity": exp(loss),
            "sqnr": noise.sqnr,
        }


def first_result(net: MaseModule, *inputs: Tensor) -> Tensor:
    """The first result of `net`."""
    outputs: Any = net(*inputs)
    return cast("Any", outputs)[0] if isinstance(outputs, tuple) else outputs


def results(model: Model, samples: Samples) -> Array:
    """The first result of the model on all samples, `[samples, …]`."""
    import torch

    net = model.to_torch()
    parts: list[Array] = []
    with torch.no_grad():
        for start in range(0, len(samples), BATCH):
            batch = (torch.as_tensor(a[start : start + BATCH]) for a in samples.inputs)
            parts.append(first_result(net, *batch).numpy())
    return np.concatenate(parts).reshape(len(samples), -1)
