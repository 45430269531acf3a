"""Optimizers and schedules of the learning rate."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import lr_scheduler

from mase_opt.lib.errors import UserError
from mase_opt.training.config import Config

OPTIMIZERS: dict[str, Callable[..., torch.optim.Optimizer]] = {
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "sgd": torch.optim.SGD,
    "adadelta": torch.optim.Adadelta,
    "adagrad": torch.optim.Adagrad,
    "adamax": torch.optim.Adamax,
    "asgd": torch.optim.ASGD,
    "rmsprop": torch.optim.RMSprop,
}
ADAMS = ("adam", "adamw", "adamax")
"""Those with running means of gradients and of their squares."""
FUSED = ("adam", "adamw", "sgd", "adagrad")
"""Those that torch computes in one call: a small model's step takes half the time."""
SGD_DECAY = 5e-4


def optimizers(
    model: nn.Module, config: Config, *, betas: tuple[float, float] | None = None
) -> Any:
    """
    What Lightning's `configure_optimizers` returns.

    `betas` are for optimizers of Adam's kind; None: torch's own.
    """
    parameters = [p for p in model.parameters() if p.requires_grad]
    if not parameters:
        raise UserError(
            "the model has no weights to train: a transformed one needs masters, which "
            "[passes.quantize] masters = true leaves in it"
        )
    name = config.training_optimizer
    decay = config.weight_decay
    more: dict[str, Any] = {"lr": config.learning_rate}
    if name == "sgd":
        more |= {"momentum": 0.9, "nesterov": True}
        decay = SGD_DECAY if decay is None else decay
    if betas is not None and name in ADAMS:
        more["betas"] = betas
    # In mixed precision Lightning clips no gradients of fused ones.
    if name in FUSED and config.trainer_precision in ("32", "64"):
        more["fused"] = True
    optimizer = OPTIMIZERS[name](parameters, weight_decay=decay or 0.0, **more)
    if config.lr_scheduler == "none":
        return optimizer
    return {
        "optimizer": optimizer,
        "lr_scheduler": {
            "scheduler": _schedule(optimizer, config),
            "interval": "epoch",
            "monitor": "val_loss",
            "frequency": config.check_val_every_n_epoch
            if config.lr_scheduler == "plateau"
            else 1,
        },
    }


def _schedule(optimizer: torch.optim.Optimizer, config: Config) -> Any:
    match config.lr_scheduler:
        case "plateau":
            return lr_scheduler.ReduceLROnPlateau(
                optimizer,
                factor=config.lr_factor,
                patience=config.lr_patience,
                cooldown=config.lr_cooldown,
                min_lr=config.min_lr,
            )
        case "cosine":
            return lr_scheduler.CosineAnnealingLR(
                optimizer, config.max_epochs, eta_min=config.min_lr
            )
        case _:
            return lr_scheduler.StepLR(
                optimizer, config.lr_step, gamma=config.lr_factor
            )
