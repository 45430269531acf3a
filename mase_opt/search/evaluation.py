"""Accuracy and loss of a trial's model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from mase_opt.lib.errors import UserError
from mase_opt.search.runner import Metric, Runner, RunnerContext, Trial


class Evaluation(Runner):
    """
    Results of the model, in torch, against labels.

    `data_loader` names the data, `num_samples` says how many are taken.
    """

    name = "evaluation"
    metrics: ClassVar[Mapping[str, Metric]] = {
        "accuracy": Metric("maximize"),
        "loss": Metric("minimize"),
    }
    keys = ("data_loader", "num_samples")

    def __init__(self, table: Mapping[str, Any], context: RunnerContext):
        self.samples = context.samples(table, self.name)
        if self.samples.labels is None:
            raise UserError(f"{self.name}: the data has no labels")
        self.size = len(self.samples)

    def measure(self, trial: Trial) -> dict[str, float]:
        import torch

        samples = self.samples.first(trial.samples)
        net = trial.model.to_torch()
        # The batch of the IR, one, is that of torch.
        inputs = [a.reshape(-1, *a.shape[2:]) for a in samples.inputs]
        with torch.no_grad():
            scores = net(*map(torch.as_tensor, inputs))
            scores = scores.reshape(len(samples), -1).double()
            labels = torch.as_tensor(samples.labels).long()
            hits = (scores.argmax(1) == labels).double().mean()
            loss = torch.nn.functional.cross_entropy(scores, labels)
        return {"accuracy": float(hits), "loss": float(loss)}
