"""What `mase --info` prints: models and data sets by name."""

from __future__ import annotations

import sys
from importlib.util import find_spec

from mase_opt.lib.table import Cell, Column, Table
from mase_opt.training.find import data, models
from mase_opt.training.registry import DATASETS, MODELS

__all__ = ["data", "listing", "models"]


def listing(kind: str) -> str:
    """The tables of `kind`: all, model or dataset."""
    tables = {"model": _models, "dataset": _datasets}
    wanted = tables if kind == "all" else {kind: tables[kind]}
    return "\n".join(make().text_for(sys.stdout) for make in wanted.values())


def _models() -> Table:
    rows: list[tuple[Cell, ...]] = [
        (m.name, m.family, ", ".join(m.tasks), m.summary, _missing(m.needs))
        for m in MODELS.entries.values()
    ]
    return Table("models", _columns("name", "family", "tasks"), rows)


def _datasets() -> Table:
    rows: list[tuple[Cell, ...]] = []
    for entry in DATASETS.entries.values():
        info = entry.info
        shape = "x".join(map(str, info.shape)) if info else None
        classes = info.num_classes if info else None
        missing = _missing(entry.needs)
        rows.append((entry.name, shape, classes, entry.summary, missing))
    return Table("data sets", _columns("name", "sample", "classes"), rows)


def _columns(*names: str) -> list[Column]:
    return [Column(name) for name in (*names, "what", "missing")]


def _missing(needs: tuple[str, ...]) -> str:
    return ", ".join(package for package in needs if find_spec(package) is None)
