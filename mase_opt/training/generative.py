"""Architectures as Lightning trains them: a generator, and whoever judges it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor, nn

from mase_opt.lib.errors import UserError
from mase_opt.training.architecture.build import ArchitectureModel
from mase_opt.training.config import Config
from mase_opt.training.losses import adversarial_loss, find_loss, weighted
from mase_opt.training.registry import DatasetInfo
from mase_opt.training.schedule import optimizers
from mase_opt.training.schemas import validated
from mase_opt.training.tables import AdversarialTable, LossTable
from mase_opt.training.wrappers import Wrapper

BETAS = 0.5, 0.999
"""Of Adam, for both sides: with the usual 0.9, they swing."""


class Generative(Wrapper):
    """
    A generator that learns a loss, against a discriminator if there is one.

    Batches are `x, y`: `y` are real samples where they have the shape of results, else
    `x` are. Each batch is one step of one side; the other one's weights stay. Logs
    `train_loss` and `train_disc_loss`, each epoch `val_loss` and `test_loss`.
    """

    def __init__(self, model: nn.Module, config: Config, info: DatasetInfo):
        super().__init__(model, config, info)
        assert isinstance(model, ArchitectureModel)
        where = f"model '{model.architecture.path}'"
        table = validated(LossTable, config.loss, where, "loss")
        folder = Path(model.architecture.path).parent
        self._loss_function = find_loss(table.loss_fn, folder)
        self._weights = table.loss_args
        self._sides = validated(
            AdversarialTable, config.adversarial, where, "adversarial"
        )
        self._against = self._sides.enable_adversarial_training
        if self._against and model.discriminator is None:
            raise UserError(
                f"{where}: adversarial: no component has adv_type 'discriminator'"
            )
        if config.accumulate_grad_batches != 1:
            raise UserError(
                "--accumulate-grad-batches is not for models with tables [loss] and "
                "[adversarial]: each batch is a step of one side"
            )
        self.automatic_optimization = False

    @property
    def net(self) -> ArchitectureModel:
        """The model."""
        return cast(ArchitectureModel, self.model)

    def new_metric(self) -> Any:
        """There is none but the loss."""
        return None

    def scores_and_labels(self, batch: Any) -> tuple[Tensor, Tensor]:
        """What is generated, and what is real."""
        x, y = batch
        result = self.net(x)
        real = y if y.shape == result.shape else x
        if real.shape != result.shape:
            raise UserError(
                f"results have the shape {tuple(result.shape[1:])}, but samples "
                f"{tuple(x.shape[1:])} and targets {tuple(y.shape[1:])}: nothing real "
                "to compare with"
            )
        return result, real

    def loss(self, scores: Tensor, labels: Tensor) -> Tensor:
        """The generator's loss for its results and what is real."""
        judged = self.net.discriminate(scores) if self._against else None
        terms = self._loss_function(scores, labels, judged)
        return weighted(terms, self._weights)

    def is_discriminators(self, step: int) -> bool:
        """Whose turn step `step` is, counted over all epochs."""
        if not self._against:
            return False
        sides = self._sides
        place = step % (sides.n_gen_iterations + sides.n_disc_iterations)
        if sides.train_disc_first:
            return place < sides.n_disc_iterations
        return place >= sides.n_gen_iterations

    def training_step(self, batch: Any, batch_idx: int) -> Tensor:
        """The loss of the side whose turn it is."""
        judging = self.is_discriminators(self.trainer.global_step)
        optimizer: Any = self.optimizers()
        if self._against:
            optimizer = optimizer[judging]
        self.toggle_optimizer(optimizer)
        result, real = self.scores_and_labels(batch)
        if judging:
            loss = self._judging_loss(result.detach(), real)
            self.log("train_disc_loss", loss.detach(), prog_bar=True)
        else:
            loss = self.loss(result, real)
            self.log("train_loss", loss.detach(), prog_bar=True)
        if not bool(torch.isfinite(loss)):
            self.stop(batch, loss)
        optimizer.zero_grad()
        self.manual_backward(loss)
        if self.config.gradient_clip_val:
            self.clip_gradients(optimizer, self.config.gradient_clip_val, "norm")
        optimizer.step()
        self.untoggle_optimizer(optimizer)
        return loss.detach()

    def _judging_loss(self, generated: Tensor, real: Tensor) -> Tensor:
        judge = self.net.discriminate
        return adversarial_loss(judge(real), real=True) + adversarial_loss(
            judge(generated), real=False
        )

    def evaluated(self, part: str, batch: Any) -> tuple[Tensor, Tensor]:
        """Results and what is real, their loss counted."""
        result, real = self.scores_and_labels(batch)
        cast(Any, self.losses[part]).update(self.loss(result, real), len(real))
        return result, real

    def log_epoch(self, part: str) -> None:
        """The loss of the epoch."""
        loss = cast(Any, self.losses[part])
        self.log(f"{part}_loss", loss.compute(), prog_bar=True)
        loss.reset()

    def on_train_epoch_end(self) -> None:
        """Rates fall once an epoch."""
        # One alone is no list.
        found: Any = self.lr_schedulers() or ()
        several = isinstance(found, list | tuple)
        for scheduler in cast("list[Any]", found if several else [found]):
            if isinstance(scheduler, torch.optim.lr_scheduler.ReduceLROnPlateau):
                cast(Any, scheduler).step(self.trainer.callback_metrics["val_loss"])
            else:
                scheduler.step()

    def configure_optimizers(self) -> Any:
        """The generator's, then the discriminator's."""
        parts = self.net.model_components
        generator = [p for n, p in parts.items() if n != self.net.discriminator]
        made = [_optimizer(nn.ModuleList(generator), self.config)]
        if self._against:
            assert self.net.discriminator is not None
            judge = parts[self.net.discriminator]
            made.append(_optimizer(judge, self._config_of_judge()))
        return made

    def _config_of_judge(self) -> Config:
        sides, config = self._sides, self.config
        return replace(
            config,
            learning_rate=config.learning_rate
            if sides.learning_rate is None
            else sides.learning_rate,
            lr_factor=sides.learning_rate_gamma or config.lr_factor,
            lr_step=sides.learning_rate_step or config.lr_step,
            training_optimizer=cast(Any, sides.optimizer or config.training_optimizer),
        )


def _optimizer(module: nn.Module, config: Config) -> dict[str, Any]:
    """An optimizer, with its schedule if it has one, for steps by hand."""
    made = optimizers(module, config, betas=BETAS)
    if not isinstance(made, dict):
        return {"optimizer": made}
    schedule = cast("dict[str, Any]", made)["lr_scheduler"]["scheduler"]
    return {"optimizer": made["optimizer"], "lr_scheduler": schedule}
