"""A user's samples and labels from a `.npz` or `.csv` file."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.errors import UserError
from mase_opt.training.registry import Splits

SPLITS = ("train", "val", "test", "pred")
EXPECTED = (
    "expected arrays x and y (or labels), or x_train, y_train and so on, samples along "
    "axis 0"
)


def read_file(path: str) -> Splits:
    """
    The data of a file.

    `.npz`: arrays `x` and `y` (or `labels`), or those of each split, `x_train`,
    `y_train`, `x_val` and so on. `.csv`: a line per sample, numbers, the class in the
    last column; a first line of names is skipped. Raises `UserError`.
    """
    if not Path(path).is_file():
        raise UserError(f"data '{path}': no such file")
    return _npz(path) if path.endswith(".npz") else Splits(_csv(path))


def _npz(path: str) -> Splits:
    try:
        with open(path, "rb") as stream, np.load(stream) as file:
            arrays = {key: file[key] for key in file.files}
    except Exception as error:  # whatever a damaged archive makes its reader raise
        raise UserError(f"data '{path}' is no whole .npz file: {error}") from error
    parts: dict[str, Any] = {}
    for split in ("", *SPLITS):
        ending = f"_{split}" if split else ""
        x = arrays.get(f"x{ending}")
        y = arrays.get(f"y{ending}", arrays.get(f"labels{ending}"))
        if (x is None) != (y is None):
            missing = f"x{ending}" if x is None else f"y{ending}"
            raise UserError(f"data '{path}' has no array '{missing}': {EXPECTED}")
        if x is not None and y is not None:
            parts[split or "train"] = _checked(path, x, y)
    if "train" not in parts:
        held = ", ".join(arrays) or "nothing"
        raise UserError(f"data '{path}' holds {held}: {EXPECTED}")
    return Splits(**parts)


def _csv(path: str) -> tuple[NDArray[Any], NDArray[Any]]:
    try:
        with open(path, newline="", encoding="utf-8") as stream:
            rows = [row for row in csv.reader(stream) if row]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise UserError(f"data '{path}' is not CSV: {error}") from error
    numbers: list[list[float]] = []
    for index, row in enumerate(rows):
        try:
            numbers.append([float(cell) for cell in row])
        except ValueError as error:
            if index > 0:
                raise UserError(f"data '{path}', line {index + 1}: {error}") from error
        if numbers and len(numbers[-1]) != len(numbers[0]):
            raise UserError(
                f"data '{path}', line {index + 1}: {len(numbers[-1])} columns, "
                f"expected {len(numbers[0])} as before; is the file cut off?"
            )
    if not numbers or len(numbers[0]) < 2:
        raise UserError(
            f"data '{path}' holds no samples: expected numbers, the class in the last "
            "column"
        )
    array = np.asarray(numbers)
    return _checked(path, array[:, :-1], array[:, -1])


def _checked(
    path: str, x: NDArray[Any], y: NDArray[Any]
) -> tuple[NDArray[Any], NDArray[Any]]:
    """Samples as float32 and classes as integers; raises `UserError`."""
    where = f"data '{path}'"
    if x.ndim < 2 or y.shape != x.shape[:1]:
        raise UserError(
            f"{where} has samples of shape {x.shape} and labels of shape {y.shape}: "
            f"{EXPECTED}"
        )
    if x.dtype.kind not in "iubf" or y.dtype.kind not in "iubf":
        raise UserError(f"{where} holds {x.dtype} and {y.dtype}, expected numbers")
    if not np.isfinite(x.astype(np.float32)).all():
        raise UserError(f"{where} holds samples that are NaN or infinite in float32")
    if y.dtype.kind == "f" and (y != np.floor(y)).any():
        raise UserError(f"{where}: labels are not whole numbers, which count classes")
    return x.astype(np.float32), y.astype(np.int64)
