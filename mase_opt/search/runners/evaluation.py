"""How good the results of a trial's model are."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from math import exp, prod
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from xdsl.dialects.func import FuncOp

from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.analysis.quantization import Noise
from mase_opt.lib.data.samples import Array, as_labels
from mase_opt.lib.errors import UserError
from mase_opt.model.metrics import accuracy, cross_entropy
from mase_opt.model.model import Model
from mase_opt.search.runner import Metric, Runner, RunnerContext, Samples, Trial

if TYPE_CHECKING:
    from torch import Tensor

    from mase_opt.frontend.to_torch import MaseModule

NUMBERS = 1 << 23
"""How many the largest value of a batch may have: few batches, tens of megabytes."""
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
    the share of labels that have the highest score, `loss` the cross entropy,
    `perplexity` its exponential, `sqnr` signal over quantization noise of all results.
    A sample may have several labels, as many as places that scores are for.
    """

    name = "evaluation"
    metrics = METRICS
    keys = ("data_loader", "num_samples")

    def __init__(self, table: Mapping[str, Any], context: RunnerContext):
        self.samples = labelled(self.name, table, context)
        self.size = len(self.samples)
        self.model = context.model
        self.batch = batch_size(context.model.function)

    @cached_property
    def _expected(self) -> Array:
        """The results in floating point."""
        return results(self.model.unquantized, self.samples, self.batch)

    def measure(self, trial: Trial) -> dict[str, float]:
        samples = self.samples.first(trial.samples)
        found = results(trial.model, samples, self.batch)
        noise = Noise()
        noise.add(self._expected[: len(samples)], found)
        assert samples.labels is not None, "checked"
        labels = samples.labels.reshape(-1)
        scores = found.reshape(len(labels), -1)
        loss = cross_entropy(scores, labels)
        return {
            "accuracy": accuracy(scores, labels),
            "loss": loss,
            "perplexity": exp(loss),
            "sqnr": noise.sqnr,
        }


def labelled(name: str, table: Mapping[str, Any], context: RunnerContext) -> Samples:
    """
    The samples of a runner, with labels `[samples, …]`, classes.

    Raises `UserError` where there are none.
    """
    samples = context.samples(table, name)
    if samples.labels is None:
        raise UserError(f"{name}: the data has no labels")
    as_labels(samples.labels.reshape(-1), samples.labels.size, f"{name}: labels")
    return samples


def batch_of(inputs: Sequence[Array], chosen: Any) -> list[Tensor]:
    """The `chosen` samples of `inputs`, as a torch module takes them."""
    import torch

    # The batch of the IR joins that of samples.
    arrays = (array[chosen] for array in inputs)
    return [
        torch.as_tensor(a.reshape(-1, *a.shape[2:]) if a.ndim > 1 else a)
        for a in arrays
    ]


def first_result(net: MaseModule, *inputs: Tensor) -> Tensor:
    """The first result of `net`."""
    outputs: Any = net(*inputs)
    return cast("Any", outputs)[0] if isinstance(outputs, tuple) else outputs


def batch_size(function: FuncOp) -> int:
    """How many samples a function takes at a time, by the largest value that it has."""
    block = function.body.block
    values = [
        r for op in block.ops if not isinstance(op, ConstantOp) for r in op.results
    ]
    largest = max(prod(shape_of(value)) for value in (*block.args, *values))
    return max(NUMBERS // max(largest, 1), 1)


def results(model: Model, samples: Samples, batch: int) -> Array:
    """The first result on all samples, `batch` at a time, `[samples, …]`."""
    import torch

    net = model.to_torch()
    parts: list[Array] = []
    with torch.no_grad():
        for start in range(0, len(samples), batch):
            inputs = batch_of(samples.inputs, slice(start, start + batch))
            parts.append(first_result(net, *inputs).numpy())
    return np.concatenate(parts).reshape(len(samples), -1)
