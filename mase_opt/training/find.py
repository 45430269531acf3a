"""What a name stands for: a registered entry, something in a user's file, or a file."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean
from mase_opt.training import data, models
from mase_opt.training.data.files import read_file
from mase_opt.training.registry import (
    DATASETS,
    MODELS,
    DatasetEntry,
    ModelEntry,
    Table,
    summary_of,
)

if TYPE_CHECKING:
    from torch import nn

__all__ = ["data", "find_dataset", "find_model", "models"]


def find_model(name: str) -> ModelEntry:
    """The model `name`, `file.py:name`, or an architecture file; raises `UserError`."""
    if Path(name).suffix in (".yaml", ".yml"):
        return ModelEntry(name, partial(_of_architecture, name))
    found = _find(MODELS, name)
    if isinstance(found, ModelEntry):
        return found
    return ModelEntry(name, found, summary=summary_of(found))


def _of_architecture(path: str, flow: str | None = None) -> nn.Module:
    from mase_opt.training.architecture.build import architecture_model

    return architecture_model(path, flow)


def find_dataset(name: str) -> DatasetEntry:
    """The data set `name`, `file.py:name`, or a `.npz` or `.csv` file."""
    if Path(name).suffix in (".npz", ".csv"):
        return DatasetEntry(name, lambda: read_file(name), summary="a file")
    found = _find(DATASETS, name)
    if isinstance(found, DatasetEntry):
        return found
    return DatasetEntry(name, found, summary=summary_of(found))


def _find(table: Table, name: str) -> Any:
    """An entry, or what stands under a name in a file."""
    known = table.entries
    if (entry := known.get(name.lower())) is not None:
        return entry
    place, _, attribute = name.rpartition(":")
    if not place:
        names = [entry.name for entry in known.values()]
        raise UserError(
            f"unknown {table.kind} '{name}'{did_you_mean(name, names)} (mase --info "
            f"{table.kind} lists them; your own: file.py:name, or FILE.yaml)"
        )
    from mase_opt.frontend.load_model import python_module

    module = python_module(place)
    found = getattr(module, attribute, None)
    if found is None or not callable(found):
        names = [n for n, value in vars(module).items() if callable(value)]
        raise UserError(
            f"{place} has no {table.kind} '{attribute}'{did_you_mean(attribute, names)}"
        )
    return getattr(found, "mase_entry", found)
