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
    from mase_opt.training.data.module import InputGenerator, MaseDataModule

__all__ = [
    "DataRequest",
    "DatasetInfo",
    "InputGenerator",
    "MaseDataModule",
    "Splits",
    "dataset",
    "find_dataset",
    "find_model",
    "model",
]

_HOMES = {
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
