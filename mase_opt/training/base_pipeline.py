"""Files of a training as base PyTorch pipelines have them, as options of `mase`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from mase_opt.training.schemas import Strict, validated
from mase_opt.training.tables import AdversarialTable, LossTable, SavingTable

WEIGHT_DECAY = 0.01
"""Of these pipelines' Adam."""


class Training(Strict):
    """How the generator learns; what is null has the default of `mase`."""

    n_epochs: PositiveInt | None = None
    learning_rate: NonNegativeFloat | None = None
    learning_rate_gamma: PositiveFloat | None = Field(None, lt=1)
    learning_rate_step: PositiveInt | None = None
    gpus: list[int] = Field(default_factory=list[int])
    optimizer: str | None = None
    batch_size: PositiveInt | None = None


class ModelFiles(Strict):
    """Where the model comes from."""

    architecture_cfg_path: str
    model_flow_path: str | None = None
    model_checkpoint_filename: str | None = None
    """A checkpoint to go on from, epochs and optimizers included."""


class TrainingFile(Strict):
    """All of a file."""

    training: Training
    model: ModelFiles
    dataset: dict[str, Any]
    adversarial: AdversarialTable | None = None
    loss: LossTable | None = None
    saving: SavingTable | None = None


def pipeline_options(tree: Mapping[str, Any], path: str) -> dict[str, Any]:
    """
    The options that such a file stands for, by name.

    Files that it names are looked for beside it if they are not where it says. Raises
    `UserError` that names the key that is wrong.
    """
    file = validated(TrainingFile, tree, f"config '{path}'")
    training, model = file.training, file.model

    def found(name: str) -> str:
        file = name.rpartition(":")[0] if ".py:" in name else name
        beside = Path(path).parent
        is_beside = not Path(file).exists() and (beside / file).exists()
        return str(beside / name) if is_beside else name

    options: dict[str, Any] = {
        "model": found(model.architecture_cfg_path),
        "dataset": "streams",
        "dataset_args": {"streams": file.dataset, "folder": str(Path(path).parent)},
        "max_epochs": training.n_epochs,
        "learning_rate": training.learning_rate,
        "batch_size": training.batch_size,
        "training_optimizer": training.optimizer,
        "weight_decay": WEIGHT_DECAY,
        "num_devices": len(training.gpus),
        "lr_factor": training.learning_rate_gamma,
        "lr_step": training.learning_rate_step,
    }
    if training.learning_rate_gamma is not None:
        options["lr_scheduler"] = "step"
    if model.model_flow_path is not None:
        options["model_args"] = {"flow": found(model.model_flow_path)}
    if model.model_checkpoint_filename is not None:
        options |= {"load_name": found(model.model_checkpoint_filename), "resume": True}
    for name in ("adversarial", "loss", "saving"):
        table = getattr(file, name)
        if table is not None:
            options[name] = table.model_dump(exclude_none=True)
    if file.loss is None:
        options["loss"] = LossTable().model_dump()
    return {name: value for name, value in options.items() if value is not None}
