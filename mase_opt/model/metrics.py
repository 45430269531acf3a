"""What tells how good results are."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from mase_opt.lib.data.samples import Array
from mase_opt.lib.errors import UserError


def accuracy(scores: Array, labels: Array) -> float:
    """
    The share of samples whose highest score (or predicted class) is the label.

    `scores` are `[samples, …, classes]`, or `[samples]` predicted classes. Raises
    `UserError` for labels that are no class, and predictions that are none.
    """
    flat = scores.reshape(len(scores), -1)
    classes = flat.shape[1]
    if classes == 1:
        predicted = flat[:, 0]
        if (predicted != np.floor(predicted)).any():
            raise UserError(
                "accuracy needs scores of classes, but the model's result is a single "
                "number: leave --labels out"
            )
    else:
        predicted = flat.argmax(axis=1)
        _check_classes(labels, classes)
    return float((predicted == labels).mean())


def cross_entropy(scores: Array, labels: Array) -> float:
    """The mean of -log softmax(scores)[label], scores `[samples, …, classes]`."""
    flat = scores.reshape(len(scores), -1)
    _check_classes(labels, flat.shape[1])
    # Samples last, of which there are more: so NumPy is several times as fast.
    shifted = np.ascontiguousarray(flat.T, np.float64)
    shifted -= shifted.max(axis=0)
    logs = np.log(np.exp(shifted).sum(axis=0))
    picked = shifted[labels.astype(np.int64), np.arange(len(flat))]
    return float((logs - picked).mean())


def _check_classes(labels: Array, classes: int) -> None:
    wrong = (labels < 0) | (labels >= classes)
    if wrong.any():
        raise UserError(
            f"label {labels[wrong][0]} of sample {wrong.argmax()} is no class: the "
            f"model has {classes}, counted from 0 on"
        )


METRICS: dict[str, Callable[[Array, Array], float]] = {
    "accuracy": accuracy,
    "cross_entropy": cross_entropy,
}
"""Metrics by name: `(results, labels) -> number`."""
