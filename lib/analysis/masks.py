"""Which scores of a softmax are masked out: so low that their weight is zero."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from mase_opt.dialects.mase.normalization import SoftmaxOp

DEPTH = 45.0
"""exp(-45) < 2^-64: so far below the highest score of its row, a weight is zero."""


def softmax_axis(value: SSAValue) -> int | None:
    """The axis along which softmax reads `value`; None if anything else reads it."""
    readers = [use.operation for use in value.uses]
    axes = {op.axis.value.data for op in readers if isinstance(op, SoftmaxOp)}
    if len(axes) != 1 or not all(isinstance(op, SoftmaxOp) for op in readers):
        return None
    return axes.pop()


def masked_scores(scores: NDArray[Any], axis: int) -> NDArray[np.bool_]:
    """
    Which of `scores`, [samples, *shape], are masked out of a softmax along `axis`.

    Those `DEPTH` below the highest of their row; and all of rows that are that far
    below all that counts in the highest row of the sample, since a padded position has
    everything masked.
    """
    rows = np.moveaxis(scores, axis + 1, -1).astype(np.float64)
    top = rows.max(axis=-1, keepdims=True)
    counted = rows >= top - DEPTH
    lowest = np.where(counted, rows, np.inf).min(axis=-1).reshape(len(rows), -1)
    tops = top.reshape(len(rows), -1)
    best = np.take_along_axis(lowest, tops.argmax(axis=1)[:, None], axis=1)
    empty = (tops < best - DEPTH).reshape(top.shape)
    return np.moveaxis(~counted | empty, -1, axis + 1)
