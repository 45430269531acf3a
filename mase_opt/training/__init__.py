"""Training, and everything else that `mase` does, as functions."""

from typing import TYPE_CHECKING

from mase_opt.training.find import find_dataset, find_model
from mase_opt.training.registry import (
    DataRequest,
    DatasetInfo,
    Splits,
    dataset,
    model,
)

if TYPE_CHECKING:
    from mase_opt.training.actions import (
        Outcome,
        emit,
        plot,
        search,
        simulate,
        test,
        trace,
        train,
        transform,
    )
    from mase_opt.training.data.corpus import corpus
    from mase_opt.training.data.module import InputGenerator, MaseDataModule
    from mase_opt.training.scripts import make_cli_parser, options_of, parse_config
    from mase_opt.training.wrappers import get_model_wrapper

__all__ = [
    "DataRequest",
    "DatasetInfo",
    "InputGenerator",
    "MaseDataModule",
    "Outcome",
    "Splits",
    "corpus",
    "dataset",
    "emit",
    "find_dataset",
    "find_model",
    "get_model_wrapper",
    "make_cli_parser",
    "model",
    "options_of",
    "parse_config",
    "plot",
    "search",
    "simulate",
    "test",
    "trace",
    "train",
    "transform",
]

_HOMES = {
    "Outcome": "mase_opt.training.actions",
    "emit": "mase_opt.training.actions",
    "search": "mase_opt.training.actions",
    "plot": "mase_opt.training.actions",
    "simulate": "mase_opt.training.actions",
    "trace": "mase_opt.training.actions",
    "test": "mase_opt.training.actions",
    "train": "mase_opt.training.actions",
    "transform": "mase_opt.training.actions",
    "make_cli_parser": "mase_opt.training.scripts",
    "options_of": "mase_opt.training.scripts",
    "parse_config": "mase_opt.training.scripts",
    "get_model_wrapper": "mase_opt.training.wrappers",
    "corpus": "mase_opt.training.data.corpus",
    "InputGenerator": "mase_opt.training.data.module",
    "MaseDataModule": "mase_opt.training.data.module",
}


def __getattr__(name: str) -> object:
    # torch and Lightning come with the first use of what needs them.
    if name in _HOMES:
        from importlib import import_module

        from mase_opt.training.torchvision_ops import declare_torchvision_ops

        declare_torchvision_ops()
        return getattr(import_module(_HOMES[name]), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
