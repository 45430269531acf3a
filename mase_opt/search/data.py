"""Data of a search, by name."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any, cast

import numpy as np
from xdsl.dialects.func import FuncOp

from mase_opt.lib.data.samples import as_labels, as_samples, inputs_of, labels_in
from mase_opt.lib.errors import UserError
from mase_opt.search.runner import Samples

CALIBRATION = "calibration"
"""What models are calibrated with, which needs no labels."""


def read_data(named: Mapping[str, Any], function: FuncOp) -> dict[str, Samples]:
    """
    The arrays of each name but `calibration`.

    A value is the name of a file, `(data, labels)`, or whatever else
    `Model.calibrate` takes. Raises `UserError` for what does not fit the model.
    """
    inputs = inputs_of(function)
    found: dict[str, Samples] = {}
    for name, value in named.items():
        if name == CALIBRATION:
            continue
        data, labels = value, None
        if isinstance(value, tuple):
            parts = cast("tuple[Any, ...]", value)
            if len(parts) != 2:
                raise UserError(
                    f"data.{name} has {len(parts)} parts, expected data and labels"
                )
            data, labels = parts
        else:
            data, labels = _labels_of(value)
        try:
            arrays = as_samples(data, inputs)
            if labels is not None:
                labels = as_labels(labels, len(arrays[0]), classes=False)
        except UserError as error:
            raise UserError(f"data.{name}: {error}") from error
        found[name] = Samples(tuple(map(np.ascontiguousarray, arrays)), labels)
    return found


def _labels_of(value: Any) -> tuple[Any, Any]:
    try:
        return labels_in(value)
    except UserError:
        return value, None  # what needs labels says so


def hash_of(data: Mapping[str, Samples]) -> str:
    """The same text for the same numbers."""
    digest = hashlib.sha256()
    for name, samples in sorted(data.items()):
        digest.update(name.encode())
        labels = () if samples.labels is None else (np.asarray(samples.labels),)
        for array in (*samples.inputs, *labels):
            digest.update(f"{array.dtype}{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()
