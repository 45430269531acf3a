"""Lightning's trainer, as a configuration asks for it."""

from __future__ import annotations

import os
import warnings
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import datetime
from typing import Any, cast

import lightning
import torch
from lightning.fabric.plugins.environments.slurm import SLURMEnvironment
from lightning.pytorch.callbacks import (
    Callback,
    EarlyStopping,
    LearningRateMonitor,
    ModelCheckpoint,
    RichProgressBar,
    StochasticWeightAveraging,
)
from lightning.pytorch.loggers import CSVLogger, Logger, TensorBoardLogger
from loguru import logger

from mase_opt.lib.console import is_watched
from mase_opt.lib.errors import UserError
from mase_opt.training.checkpoints import IR_KEY, AtomicCheckpoints
from mase_opt.training.config import TABLES, Config
from mase_opt.training.run_folder import BEST, RunFolder, is_first_process
from mase_opt.training.schemas import validated
from mase_opt.training.tables import SavingTable
from mase_opt.training.wrappers import Wrapper

MONITORED = "val_loss"
DEBUG_BATCHES = 5
"""Of each stage of `--debug`."""
PRECISIONS: dict[str, Any] = {
    "16": "16-mixed",
    "32": "32-true",
    "64": "64-true",
    "bf16": "bf16-mixed",
}
SWA_START = 0.8
"""The share of epochs after which weights are averaged."""


ADVICE = (
    "does not have many workers",
    "number of training batches",
    "Checkpoint directory .* exists",
    "checkpoint directory has changed",
    "The dirpath has changed",
    # One of two sides may have had no turn yet.
    "Detected call of `lr_scheduler.step",
    "requested to overfit",
    "GPU available but not used",
    "treespec, LeafSpec",
    "Experiment logs directory",
    "DistributedSampler",
    "sync_dist=True",
    "barrier.. using the device",
    # A run may end before its first validation.
    "could not find the monitored key",
)
"""Of Lightning and torch, for other people than those who run `mase`."""


class BestCheckpoint(ModelCheckpoint):
    """The best one, and the last: a class of its own, as Lightning tells them apart."""


class Transformed(Callback):
    """Keeps the IR of a transformed model in its checkpoints, which then are whole."""

    def __init__(self, text: str):
        self.text = text

    def on_save_checkpoint(
        self, trainer: Any, pl_module: Any, checkpoint: dict[str, Any]
    ) -> None:
        """Add the IR."""
        checkpoint[IR_KEY] = self.text


class Stopping(EarlyStopping):
    """Early stopping that says so in the log of the run."""

    @staticmethod
    def _log_info(trainer: Any, message: str, log_rank_zero_only: bool) -> None:
        if is_first_process():
            logger.info(message)


class GradientFlow(Callback):
    """Looks whether each weight has had a gradient that is not zero."""

    def __init__(self) -> None:
        self.still: set[str] = set()

    def on_fit_start(self, trainer: Any, pl_module: Any) -> None:
        """None has had one yet."""
        named = cast("Wrapper", pl_module).model.named_parameters()
        self.still = {name for name, p in named if p.requires_grad}

    def on_after_backward(self, trainer: Any, pl_module: Any) -> None:
        """Strike out those that have one now."""
        for name, parameter in cast("Wrapper", pl_module).model.named_parameters():
            if name in self.still and parameter.grad is not None:
                if bool(parameter.grad.any()):
                    self.still.discard(name)


def new_trainer(
    config: Config,
    *,
    callbacks: Sequence[Callback] = (),
    loggers: Sequence[Logger] = (),
    **more: Any,
) -> lightning.Trainer:
    """Lightning's trainer without checkpoints; `more` are arguments of its own."""
    if config.trainer_precision == "16" and not torch.cuda.is_available():
        raise UserError("--trainer-precision 16 needs a GPU: bf16 works on CPUs, too")
    processes = max(config.num_devices, 1) * config.num_nodes
    started = (
        os.environ.get("WORLD_SIZE") if "TORCHELASTIC_RUN_ID" in os.environ else None
    )
    if started is not None and int(started) != processes:
        raise UserError(
            f"torchrun has started {started} processes, but the options say "
            f"{processes}: --nproc_per_node and --gpus (training.gpus) must agree"
        )
    is_cpu = config.accelerator == "cpu" or config.num_devices == 0
    plugins: list[Any] = [AtomicCheckpoints()]
    if config.is_to_auto_requeue:
        plugins.append(SLURMEnvironment(auto_requeue=True))
    strategy = config.strategy
    if config.adversarial and strategy == "auto" and processes > 1:
        strategy = "ddp_find_unused_parameters_true"  # those of the other side
    watched = is_watched() and is_first_process()
    arguments: dict[str, Any] = {
        "accelerator": "cpu" if is_cpu else config.accelerator,
        "devices": max(config.num_devices, 1),
        "num_nodes": config.num_nodes,
        "strategy": strategy,
        "precision": PRECISIONS[config.trainer_precision],
        "logger": list(loggers) or False,
        "callbacks": [*callbacks, *([RichProgressBar()] if watched else [])],
        "enable_progress_bar": watched,
        "enable_model_summary": False,
        "enable_checkpointing": False,
        "plugins": plugins,
        "log_every_n_steps": config.log_every_n_steps,
        **more,
    }
    try:
        return lightning.Trainer(**arguments)
    except (ValueError, RuntimeError, ModuleNotFoundError) as error:
        # Lightning says what it cannot do.
        raise UserError(" ".join(str(error).split())) from error
    except Exception as error:
        if type(error).__name__ != "MisconfigurationException":
            raise
        raise UserError(" ".join(str(error).split())) from error


@contextmanager
def quiet_lightning() -> Generator[None]:
    """Hide advice, within the block, that is not for whoever runs `mase`."""
    with warnings.catch_warnings():
        for text in ADVICE:
            warnings.filterwarnings("ignore", f".*{text}")
        yield


def fitting_trainer(
    config: Config,
    folder: RunFolder,
    extra: Sequence[Callback] = (),
    *,
    by_hand: bool = False,
) -> lightning.Trainer:
    """
    The trainer of a real run: checkpoints, logs, schedules.

    With `by_hand`, the wrapper steps and clips itself.
    """
    best = BestCheckpoint(
        dirpath=folder.checkpoints,
        filename=BEST.removesuffix(".ckpt"),
        monitor=MONITORED,
        save_last=True,
        enable_version_counter=False,
    )
    callbacks: list[Callback] = [best, LearningRateMonitor("step"), *extra]
    if config.save_top_k:
        callbacks.append(
            ModelCheckpoint(
                dirpath=folder.checkpoints,
                filename="{epoch}-{val_loss:.2f}",
                monitor=MONITORED,
                save_top_k=config.save_top_k,
            )
        )
    if config.saving:
        callbacks.append(_every_so_often(config, folder))
    if config.patience is not None:
        callbacks.append(
            Stopping(
                config.early_stop_on,
                patience=config.patience,
                mode=config.early_stop_mode,
                verbose=True,
            )
        )
    if config.stochastic_weight_avg:
        callbacks.append(
            StochasticWeightAveraging(config.learning_rate, swa_epoch_start=SWA_START)
        )
    return new_trainer(
        config,
        callbacks=callbacks,
        loggers=_loggers(config, folder),
        enable_checkpointing=True,
        max_epochs=config.max_epochs,
        max_steps=config.max_steps if config.max_steps > 0 else -1,
        accumulate_grad_batches=config.accumulate_grad_batches,
        gradient_clip_val=None if by_hand else config.gradient_clip_val or None,
        check_val_every_n_epoch=config.check_val_every_n_epoch,
        num_sanity_val_steps=0,
    )


class EpochCheckpoint(ModelCheckpoint):
    """One each so many epochs: a class of its own, as Lightning tells them apart."""


def _every_so_often(config: Config, folder: RunFolder) -> Callback:
    table = validated(SavingTable, config.saving, "options", "saving")
    stamp = datetime.now().strftime("%Y%m%d-%H%M%S")
    return EpochCheckpoint(
        dirpath=folder.checkpoints / table.save_folder_name,
        filename=f"{table.save_filename_prefix}_epoch{{epoch}}_{stamp}",
        auto_insert_metric_name=False,
        every_n_epochs=table.save_epoch_increment or 1,
        save_top_k=-1,
        save_on_train_epoch_end=True,
    )


def _loggers(config: Config, folder: RunFolder) -> list[Logger]:
    board = TensorBoardLogger(folder.checkpoints, name=folder.logs.name)
    version = board.version
    table = CSVLogger(folder.checkpoints, name="csv_logs", version=version)
    loggers: list[Logger] = [board, table]
    if config.wandb_project is not None:
        loggers.append(_wandb(config, folder))
    values = {k: v for k, v in asdict(config).items() if k not in TABLES}
    board.log_hyperparams(values)
    return loggers


def _wandb(config: Config, folder: RunFolder) -> Logger:
    try:
        from lightning.pytorch.loggers import WandbLogger

        return WandbLogger(
            project=config.wandb_project,
            save_dir=folder.software,
            offline=config.offline,
            tags=list(config.tags),
            group=config.experiment_group,
        )
    except ModuleNotFoundError as error:
        raise UserError("--wandb-project needs wandb: pip install wandb") from error


def debug_stages(config: Config, wrapper: Wrapper, data: Any) -> dict[str, float]:
    """
    A fast run on few batches, then overfit them; nothing is saved.

    Warns of weights without a gradient. The loss before and after.
    """
    logger.info(f"Running in debug mode: Fast run on {DEBUG_BATCHES} batches")
    new_trainer(config, fast_dev_run=DEBUG_BATCHES).fit(wrapper, data)
    logger.info(f"Running in debug mode: Overfitting {DEBUG_BATCHES} batches")
    flow, losses = GradientFlow(), Losses()
    trainer = new_trainer(
        config,
        callbacks=[flow, losses],
        overfit_batches=DEBUG_BATCHES,
        max_epochs=config.max_epochs,
        limit_val_batches=0,
    )
    trainer.fit(wrapper, data)
    if flow.still:
        logger.warning(f"no gradient reaches {', '.join(sorted(flow.still))}")
    first, last = losses.means[0], losses.means[-1]
    logger.info(
        f"loss of the batches: {first:.4g} in the first epoch, {last:.4g} in the last"
    )
    return {"first_loss": first, "last_loss": last}


class Losses(Callback):
    """The mean loss of each epoch."""

    def __init__(self) -> None:
        self.means: list[float] = []
        self._sum, self._count = 0.0, 0

    def on_train_batch_end(
        self, trainer: Any, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Add a batch's."""
        self._sum += float(outputs["loss"])
        self._count += 1

    def on_train_epoch_end(self, trainer: Any, pl_module: Any) -> None:
        """Take the mean."""
        self.means.append(self._sum / self._count)
        self._sum, self._count = 0.0, 0
