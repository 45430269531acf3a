"""Jet substructure: particles told by 16 numbers."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.errors import UserError
from mase_opt.training.data.expected import cut, folder_of, found, read_lines
from mase_opt.training.registry import DataRequest, DatasetInfo, Splits, dataset

FILE = "hls4ml_lhc_jets_hlf.arff"
FEATURES = 16
KINDS = ("g", "q", "w", "z", "t")
TESTED = 0.2
SPLIT_SEED = 42


@dataset("jsc", info=DatasetInfo((FEATURES,), len(KINDS)), needs=("sklearn",))
def jsc(request: DataRequest) -> Splits:
    """Jets of 830,000 collisions: gluon, light quark, W, Z or top."""
    from sklearn import model_selection

    folder = folder_of(
        request.folder, "jsc", FILE, origin="https://www.openml.org/d/42468"
    )
    x, y = _arff(found(folder, FILE))
    # The same jet must not be in both parts.
    rows = np.unique(np.column_stack([x, y]), axis=0)
    x, y = rows[:, :-1], rows[:, -1].astype(np.int64)
    divide = cast(Any, model_selection).train_test_split
    x_train, x_test, y_train, y_test = divide(
        x, y, test_size=TESTED, random_state=SPLIT_SEED
    )
    mean, deviation = x_train.mean(0), x_train.std(0)
    deviation[deviation == 0] = 1

    def scaled(part: NDArray[Any]) -> NDArray[Any]:
        return ((part - mean) / deviation).astype(np.float32)

    return Splits((scaled(x_train), y_train), test=(scaled(x_test), y_test))


def _arff(path: Path) -> tuple[NDArray[Any], NDArray[Any]]:
    """Numbers and kinds of a file whose last attribute is the kind."""
    lines = read_lines(path)
    heads = [line.strip().lower() for line in lines]
    if "@data" not in heads:
        raise UserError(f"'{path}' is no ARFF file: it has no line @DATA")
    start = heads.index("@data") + 1
    attributes = [head for head in heads[:start] if head.startswith("@attribute")]
    if len(attributes) != FEATURES + 1:
        raise UserError(
            f"'{path}' has {len(attributes)} attributes, expected {FEATURES} numbers "
            "and the class"
        )
    x: list[list[float]] = []
    y: list[int] = []
    for number, row in enumerate(csv.reader(lines[start:]), start + 1):
        if not row or row[0].startswith("%"):
            continue
        try:
            *numbers, kind = row
            if len(numbers) != FEATURES:
                raise ValueError(f"{len(row)} values")
            x.append([float(text) for text in numbers])
        except ValueError as error:
            raise cut(path, f"line {number}: {error}") from error
        kind = kind.strip().strip("'\"")
        if kind not in KINDS:
            raise UserError(
                f"'{path}', line {number}: class '{kind}' is none of {', '.join(KINDS)}"
            )
        y.append(KINDS.index(kind))
    return np.asarray(x), np.asarray(y)
