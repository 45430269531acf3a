"""Helpers for tests of `mase`: the command in this process, on small data."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np

from mase_opt.tools.mase import run

MODEL = ("digits-mlp", "digits")


def mase(folder: Path, *arguments: str | Path) -> int:
    """`mase` with its runs in `folder`: the exit code."""
    return run([*map(str, arguments), "--project-dir", str(folder)])


def mistake(capsys: Any, folder: Path, *arguments: str | Path) -> str:
    """The one line that a user's mistake ends in."""
    capsys.readouterr()
    assert mase(folder, *arguments) == 1
    said = capsys.readouterr().err
    lines = [line for line in said.splitlines() if line.startswith("error: ")]
    assert "Traceback" not in said
    assert "internal error" not in said
    assert len(lines) == 1
    return lines[0]


def columns(run_folder: Path, version: int = 0) -> dict[str, list[float]]:
    """What the CSV log of a training says, by the names of its columns."""
    path = (
        run_folder / f"software/training_ckpts/csv_logs/version_{version}/metrics.csv"
    )
    found: dict[str, list[float]] = {}
    with path.open(newline="") as stream:
        for row in csv.DictReader(stream):
            for key, text in row.items():
                if text:
                    found.setdefault(key, []).append(float(text))
    return found


def digits_file(path: Path, count: int = 256) -> Path:
    """The first digits as a user's file."""
    from sklearn.datasets import load_digits

    x, y = load_digits(return_X_y=True)
    np.savez(path, x=(x[:count] / 16).astype(np.float32), y=y[:count])
    return path
