"""The tables of files about architectures: losses, two sides, and what is kept."""

from __future__ import annotations

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    field_validator,
)

from mase_opt.lib.suggest import did_you_mean
from mase_opt.training.config import options
from mase_opt.training.schemas import Strict


class LossTable(Strict):
    """`[loss]`: what the generator makes small."""

    loss_fn: str = "example_loss"
    """Its name here or in `loss.py` beside the architecture, or `file.py:name`."""
    loss_args: dict[str, float] = Field(default_factory=dict)
    """Weights of terms; 0 leaves one out."""


class AdversarialTable(Strict):
    """`[adversarial]`: how the discriminator learns, and in which turns."""

    enable_adversarial_training: bool = False
    learning_rate: NonNegativeFloat | None = None
    learning_rate_gamma: PositiveFloat | None = Field(None, lt=1)
    learning_rate_step: PositiveInt | None = None
    optimizer: str | None = None
    train_disc_first: bool = False
    n_gen_iterations: PositiveInt = 1
    n_disc_iterations: PositiveInt = 1

    @field_validator("optimizer")
    @classmethod
    def known(cls, name: str | None) -> str | None:
        """One of those of the generator, however it is spelled."""
        choices = options()["training_optimizer"].choices
        if name is not None and name.lower() not in choices:
            raise ValueError(
                f"'{name}', expected one of {', '.join(choices)}"
                f"{did_you_mean(name.lower(), choices)}"
            )
        return name and name.lower()


class SavingTable(Strict):
    """`[saving]`: checkpoints beside the best ones."""

    save_epoch_increment: PositiveInt | None = None
    save_filename_prefix: str = "checkpoint"
    save_folder_name: str = "epochs"


class SaveParams(Strict):
    """What an evaluation writes."""

    save_correction: bool = True
    save_filename: str = "outputs"


class PreprocessingParams(Strict):
    """What is done to a loss before it is drawn."""

    loss_average_window: PositiveInt = 1


class SavingParams(Strict):
    """What an evaluation of a training writes."""

    save_output: bool = True
    filename: str = "losses"


class EvaluationTable(Strict):
    """`[evaluation]`: of outputs (`mase test`), and of a training (`mase plot`)."""

    model_checkpoint_filename: str | None = None
    save_params: SaveParams = SaveParams()
    checkpoint_dir: str | None = None
    checkpoints: list[str] = Field(default_factory=list)
    preprocessing_params: PreprocessingParams = PreprocessingParams()
    saving_params: SavingParams = SavingParams()
