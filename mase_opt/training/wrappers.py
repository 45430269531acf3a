"""Models as Lightning trains and tests them, by what they learn."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from typing import Any, cast

import lightning
import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, mse_loss
from torch.utils._pytree import tree_map
from torchmetrics import MeanMetric, MeanSquaredError
from torchmetrics.classification import MulticlassAccuracy
from torchmetrics.text import BLEUScore, Perplexity

from mase_opt.lib.errors import UserError
from mase_opt.training.config import Config
from mase_opt.training.find import find_model
from mase_opt.training.registry import DatasetInfo, ModelEntry
from mase_opt.training.schedule import optimizers

PARTS = ("val", "test")
IGNORED = -100
"""The label of tokens that do not count."""


class Wrapper(lightning.LightningModule):
    """
    A model with its loss, metrics, optimizer and schedule.

    Batches are `x, y` with further arguments of the model behind them, or mappings
    whose `labels` are the targets. Logs `train_loss`
    and the task's metric each step, `val_` and `test_` ones each epoch. Raises
    `UserError` when the loss is no number.
    """

    metric = ""
    """What the task's metric is called behind `train_`, `val_` and `test_`."""

    def __init__(self, model: nn.Module, config: Config, info: DatasetInfo):
        super().__init__()
        self.model = model
        self.config = config
        self.info = info
        self.outputs: list[Tensor] = []
        """Scores of the test data, batch by batch."""
        self.labels: list[Tensor] = []
        metrics = {part: self.new_metric() for part in PARTS}
        losses = {part: MeanMetric() for part in PARTS}
        self.metrics = nn.ModuleDict(
            {part: m for part, m in metrics.items() if m is not None}
        )
        self.losses = nn.ModuleDict(cast(Any, losses))

    @abstractmethod
    def new_metric(self) -> Any:
        """
        What is updated with scores and labels, and computes the task's metric.

        None: there is none but the loss.
        """

    def batch_metric(self, scores: Tensor, labels: Tensor, loss: Tensor) -> Any:
        """The metric of one batch of training; None: none is logged."""
        return None

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """What training makes small."""
        return cross_entropy(scores, labels)

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model computes."""
        return self.model(*args, **kwargs)

    def scores_and_labels(self, batch: Any) -> tuple[Tensor, Tensor]:
        """Numbers for each class, and the right ones."""
        if not isinstance(batch, Mapping):
            # Behind the labels, lengths and masks may follow.
            x, labels, *more = batch
            return _matched(self.model(x, *more), labels)
        named = dict(cast("Mapping[str, Tensor]", batch))
        labels = named.pop("labels")
        result = self.model(**named)
        return getattr(result, "logits", result), labels

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of a batch."""
        scores, labels = self.scores_and_labels(batch)
        return self.checked_loss(scores, labels, batch)

    def checked_loss(self, scores: Tensor, labels: Tensor, batch: Any) -> Tensor:
        """The loss, logged; raises `UserError` if it is no number."""
        loss = self.loss(scores, labels)
        if not bool(torch.isfinite(loss)):
            self.stop(batch, loss)
        trainer = self.trainer
        # Logging takes longer than a step of a small model.
        if (trainer.global_step + 1) % cast(Any, trainer).log_every_n_steps == 0:
            self._log_step(scores, labels, loss)
        return loss

    def _log_step(self, scores: Tensor, labels: Tensor, loss: Tensor) -> None:
        values: dict[str, Any] = {"train_loss": loss.detach()}
        metric = self.batch_metric(scores.detach(), labels, loss.detach())
        if metric is not None:
            values[f"train_{self.metric}"] = metric
        self.log_dict(values, prog_bar=True)

    def stop(self, batch: Any, loss: Tensor) -> None:
        """Raise the `UserError` of a loss that is no number."""
        place = first_bad_layer(self, batch)
        trainer = self.trainer
        callback = cast(Any, trainer).checkpoint_callback
        last = getattr(callback, "last_model_path", "") or "none was written yet"
        raise UserError(
            f"the loss is {float(loss.detach())} at step {trainer.global_step} (epoch "
            f"{trainer.current_epoch}): {place}; lower --lr or set --clip-grad-norm; "
            f"last good checkpoint: {last}"
        )

    def validation_step(self, batch: Any, batch_idx: int) -> None:
        """Loss and metric of validation data."""
        self.evaluated("val", batch)

    def test_step(self, batch: Any, batch_idx: int) -> None:
        """Loss and metric of test data; scores are kept."""
        scores, labels = self.evaluated("test", batch)
        self.outputs.append(scores.detach().cpu())
        self.labels.append(labels.cpu())

    def on_test_start(self) -> None:
        """Forget what an earlier test kept."""
        self.outputs, self.labels = [], []

    def evaluated(self, part: str, batch: Any) -> tuple[Tensor, Tensor]:
        """Scores and labels of a batch, counted in loss and metric."""
        scores, labels = self.scores_and_labels(batch)
        cast(Any, self.losses[part]).update(self.loss(scores, labels), len(labels))
        cast(Any, self.metrics[part]).update(scores, labels)
        return scores, labels

    def on_validation_epoch_end(self) -> None:
        """Log what the batches gave."""
        self.log_epoch("val")

    def on_test_epoch_end(self) -> None:
        """Log what the batches gave."""
        self.log_epoch("test")

    def log_epoch(self, part: str) -> None:
        """Log what the batches of an epoch gave."""
        # Once: logging each batch takes longer than a small model's results.
        for name, held in (("loss", self.losses), (self.metric, self.metrics)):
            metric = cast(Any, held[part])
            self.log(f"{part}_{name}", metric.compute(), prog_bar=True)
            metric.reset()

    def configure_optimizers(self) -> Any:
        """As the configuration says."""
        return optimizers(self.model, self.config)


class Classification(Wrapper):
    """Scores of classes: accuracy."""

    metric = "acc"

    def new_metric(self) -> Any:
        classes = self.info.num_classes
        if classes is None:
            raise UserError("task classification: the data has no classes")
        return MulticlassAccuracy(classes, average="micro", validate_args=False)

    def batch_metric(self, scores: Tensor, labels: Tensor, loss: Tensor) -> Any:
        return (scores.argmax(1) == labels).float().mean()


class Truncated(Classification):
    """
    Backpropagation through `tbtt_steps` steps of a sequence at a time.

    The model takes `x` `[N, steps, …]` and its state, None at first, and gives scores
    and the next state. Labels are one per step, or one per sequence.
    """

    def __init__(self, model: nn.Module, config: Config, info: DatasetInfo):
        super().__init__(model, config, info)
        self.automatic_optimization = False

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of the last part."""
        steps = self.config.tbtt_steps
        assert steps is not None
        x, labels = batch
        optimizer = cast(Any, self.optimizers())
        state: Any = None
        loss = torch.zeros(())
        for start in range(0, x.shape[1], steps):
            part = x[:, start : start + steps]
            wanted = labels if labels.ndim == 1 else labels[:, start : start + steps]
            scores, state = self.model(part, state)
            loss = self.checked_loss(*_matched(scores, wanted), (part, wanted))
            optimizer.zero_grad()
            self.manual_backward(loss)
            if self.config.gradient_clip_val:
                self.clip_gradients(optimizer, self.config.gradient_clip_val, "norm")
            optimizer.step()
            state = tree_map(_detached, state)
        return loss


def _detached(value: Any) -> Any:
    return value.detach() if isinstance(value, Tensor) else value


def _matched(result: Any, labels: Tensor) -> tuple[Tensor, Tensor]:
    """Scores `[N, classes]` and labels `[N]` of a result that may have a state."""
    result = getattr(result, "logits", result)
    scores: Tensor = cast(Any, result)[0] if isinstance(result, tuple) else result
    if labels.ndim == 2 and scores.ndim == 3:
        return scores.flatten(0, 1), labels.flatten()
    return scores, labels


def token_loss(scores: Tensor, labels: Tensor) -> Tensor:
    """The mean over tokens that count; scores `[N, tokens, vocabulary]`."""
    return cross_entropy(scores.flatten(0, 1), labels.flatten(), ignore_index=IGNORED)


class LanguageModeling(Wrapper):
    """Scores of each next token: perplexity."""

    metric = "perplexity"

    def new_metric(self) -> Any:
        return Perplexity(ignore_index=IGNORED)

    def batch_metric(self, scores: Tensor, labels: Tensor, loss: Tensor) -> Any:
        return loss.exp()

    def scores_and_labels(self, batch: Any) -> tuple[Tensor, Tensor]:
        scores, labels = super().scores_and_labels(batch)
        return scores[:, :-1], labels[:, 1:]

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        return token_loss(scores, labels)


class Reconstruction(Wrapper):
    """The samples themselves, whatever their labels are: mean squared error."""

    metric = "mse"

    def new_metric(self) -> Any:
        return MeanSquaredError()

    def scores_and_labels(self, batch: Any) -> tuple[Tensor, Tensor]:
        return self.model(batch[0]), batch[0]

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        return mse_loss(scores, labels)


def _words(tokens: Tensor) -> str:
    return " ".join(str(int(token)) for token in tokens)


class _Bleu(BLEUScore):
    """BLEU (4-grams) of the likeliest tokens, which count as words."""

    def update(self, scores: Tensor, labels: Tensor) -> None:  # pyright: ignore[reportIncompatibleMethodOverride]
        counts = labels != IGNORED
        pairs = list(zip(scores.argmax(-1), labels, counts, strict=True))
        said = [_words(found[kept]) for found, _, kept in pairs]
        super().update(said, [[_words(right[kept])] for _, right, kept in pairs])


class Translation(Wrapper):
    """Scores of the tokens of another text, each given those before it: BLEU."""

    metric = "bleu"

    def new_metric(self) -> Any:
        return _Bleu(n_gram=4)

    def scores_and_labels(self, batch: Any) -> tuple[Tensor, Tensor]:
        # The model shifts its labels to what the decoder reads.
        result = self.model(**batch)
        return getattr(result, "logits", result), batch["labels"]

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        return token_loss(scores, labels)


WRAPPERS: Mapping[tuple[str, str], type[Wrapper]] = {
    ("vision", "classification"): Classification,
    ("vision", "reconstruction"): Reconstruction,
    ("nlp", "classification"): Classification,
    ("nlp", "language_modeling"): LanguageModeling,
    ("nlp", "translation"): Translation,
}


def get_model_wrapper(name: str, task: str) -> type[Wrapper]:
    """What trains model `name` for a task; raises `UserError` where nothing does."""
    return wrapper_for(find_model(name), task)


def wrapper_for(entry: ModelEntry, task: str) -> type[Wrapper]:
    """As `get_model_wrapper`, of an entry."""
    found = WRAPPERS.get((entry.family, task))
    if found is None:
        tasks = ", ".join(t for family, t in WRAPPERS if family == entry.family)
        kind = "NLP" if entry.family == "nlp" else entry.family
        raise UserError(
            f"task {task} is not implemented for {kind} models: expected one of {tasks}"
        )
    return found


def first_bad_layer(wrapper: Wrapper, batch: Any) -> str:
    """Which layer of a model first gives numbers that are not finite."""
    for name, parameter in wrapper.model.named_parameters():
        if not bool(torch.isfinite(parameter).all()):
            return f"weight '{name}' is not finite"
    found: list[str] = []

    def look(name: str) -> Any:
        def hook(module: nn.Module, inputs: Any, result: Any) -> None:
            if isinstance(result, Tensor) and not bool(torch.isfinite(result).all()):
                found.append(name)

        return hook

    modules: list[tuple[str, Any]] = list(cast(Any, wrapper.model).named_modules())
    hooks: list[Any] = [
        module.register_forward_hook(look(name)) for name, module in modules if name
    ]
    try:
        with torch.no_grad():
            scores, _ = wrapper.scores_and_labels(batch)
    finally:
        for hook in hooks:
            hook.remove()
    if found:
        return f"layer '{found[0]}' gives numbers that are not finite"
    if not bool(torch.isfinite(scores).all()):
        return "the model's results are not finite"
    return "its results are finite, so the loss itself overflows"
