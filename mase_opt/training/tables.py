"""The tables of files: losses, two sides, what is kept, and streams of data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Self, cast

from pydantic import (
    Field,
    NonNegativeFloat,
    PositiveFloat,
    PositiveInt,
    field_validator,
    model_validator,
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


class Stream(Strict):
    """One of the things that a sample consists of."""

    n_inputs: int = -1
    """How many samples to take; negative: all."""
    randomize_inputs: bool = False
    """Whether they come in another order than they lie."""
    data_read_type: Literal["folder", "h5", "file", "function"] = "file"
    data_path: list[str] = Field(default_factory=list)
    file_reader: str | None = None
    file_reader_args: dict[str, Any] | None = None
    data_generating_function: str | None = None
    data_generating_function_args: dict[str, Any] | None = None
    data_read_postprocessing_fn: str | None = None
    data_batch_transform: str | None = None
    data_batch_transform_args: dict[str, Any] | None = None
    multiple_samples_per_file: bool = True

    @model_validator(mode="before")
    @classmethod
    def defaults(cls, tree: Any) -> Any:
        """Null is the default."""
        if not isinstance(tree, Mapping):
            return tree
        named = cast("Mapping[str, Any]", tree)
        return {key: value for key, value in named.items() if value is not None}

    @model_validator(mode="after")
    def sourced(self) -> Self:
        """There is something to read or to call."""
        if self.data_read_type == "function":
            if self.data_generating_function is None:
                raise ValueError("data_generating_function is missing")
        elif not self.data_path:
            raise ValueError("data_path is missing")
        return self
