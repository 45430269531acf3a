"""Training a trial's model in the formats that it computes with, before measuring."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean
from mase_opt.search.runner import Runner, RunnerContext, Trial
from mase_opt.search.runners.evaluation import (
    METRICS,
    Evaluation,
    batch_of,
    first_result,
    labelled,
)

if TYPE_CHECKING:
    from mase_opt.frontend.to_torch import MaseModule
    from mase_opt.model.model import Model

OPTIMIZERS = {"adam": "Adam", "adamw": "AdamW", "sgd": "SGD"}


class Training(Runner):
    """
    `steps` steps of `optimizer` at `learning_rate`, on `batch_size` samples each.

    `data_loader` (`train`) and `num_samples` say which samples those are, chosen anew
    for each pass through them; weights, biases and scales are learned. What is measured
    then, by all runners, is the trained model; the metrics are those of `evaluation`,
    on the data `val`. The same seed gives the same model.
    """

    name = "training"
    metrics = METRICS
    trains = True
    keys = (
        *("data_loader", "num_samples", "steps", "batch_size"),
        *("learning_rate", "optimizer"),
    )

    def __init__(self, table: Mapping[str, Any], context: RunnerContext):
        own = {"data_loader": "train", **table}
        self.samples = labelled(self.name, own, context)
        self.evaluation = Evaluation({}, context)
        self.seed = context.seed
        self.size = self.evaluation.size
        self.steps = self._whole(table, "steps", 100)
        self.batch = self._whole(table, "batch_size", 64)
        self.rate: Any = table.get("learning_rate", 1e-3)
        if type(self.rate) not in (int, float) or not self.rate > 0:
            raise UserError(
                f"{self.name}: learning_rate is {self.rate!r}, expected a number above "
                "0"
            )
        self.optimizer = str(table.get("optimizer", "adam"))
        if self.optimizer not in OPTIMIZERS:
            raise UserError(
                f"{self.name}: unknown optimizer '{self.optimizer}'"
                f"{did_you_mean(self.optimizer, OPTIMIZERS)} (optimizers: "
                f"{', '.join(OPTIMIZERS)})"
            )

    def _whole(self, table: Mapping[str, Any], key: str, default: int) -> int:
        value: Any = table.get(key, default)
        if type(value) is not int or value < 1:
            raise UserError(f"{self.name}: {key} is {value!r}, expected at least 1")
        return value

    def prepare(self, trial: Trial) -> Model:
        from mase_opt.model.model import from_torch

        net = trial.masters().to_torch(learn_scales=True)
        self._train(net)
        # Masters become the codes that were trained.
        return from_torch(net).apply("canonicalize")

    def _train(self, net: MaseModule) -> None:
        import torch

        labels = torch.as_tensor(self.samples.labels).long()
        chance = torch.Generator().manual_seed(self.seed)
        made = getattr(torch.optim, OPTIMIZERS[self.optimizer])
        optimizer = made(net.parameters(), lr=self.rate)
        batches: Iterator[torch.Tensor] = iter(())
        net.train()
        for _ in range(self.steps):
            batch = next(batches, None)
            if batch is None:
                order: Any = torch.randperm(len(labels), generator=chance)
                batches = iter(order.split(self.batch))
                batch = next(batches)
            optimizer.zero_grad()
            wanted = labels[batch].reshape(-1)
            inputs = batch_of(self.samples.inputs, batch.numpy())
            scores = first_result(net, *inputs)
            flat = scores.reshape(len(wanted), -1).float()
            loss: Any = torch.nn.functional.cross_entropy(flat, wanted)
            loss.backward()
            optimizer.step()
        net.eval()

    def measure(self, trial: Trial) -> dict[str, float]:
        return self.evaluation.measure(trial)
