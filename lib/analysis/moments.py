"""Second moments of what layers read: with them, errors of outputs need no data."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.mase.layers import ConvOp, LinearOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.analysis.layers import Floats
from mase_opt.lib.analysis.observation import Inputs, observe_batches
from mase_opt.lib.interpreters.exact import pad_spatial, windows
from mase_opt.lib.model_function import describe

MatrixLayer = LinearOp | ConvOp
"""A layer whose result is its weight, as a matrix, times columns of its input."""


def as_matrices(op: MatrixLayer, weight: Floats) -> Floats:
    """The weight as `[groups, O / groups, K]`: one matrix for each group."""
    groups = op.groups.value.data if isinstance(op, ConvOp) else 1
    return weight.reshape(groups, len(weight) // groups, -1)


def _columns(op: MatrixLayer, inputs: NDArray[Any]) -> Floats:
    """
    What the matrices are multiplied with: `[groups, columns, K]`.

    Of `inputs` shaped `[samples, *shape]`; a convolution is unfolded.
    """
    inputs = inputs.astype(np.float64)
    if isinstance(op, LinearOp):
        return inputs.reshape(1, -1, inputs.shape[-1])
    images = inputs.reshape(-1, *inputs.shape[2:])
    images = pad_spatial(images, ints(op.padding), (0,) * op.SPATIAL, 0)
    kernel, positions = shape_of(op.weight)[2:], shape_of(op.result)[2:]
    view = windows(images, kernel, ints(op.strides), ints(op.dilation), positions)
    # [N, C, *positions, *kernel] -> [N, *positions, C, *kernel]
    view = np.moveaxis(view, 1, 1 + op.SPATIAL)
    groups, size = op.groups.value.data, prod(shape_of(op.weight)[1:])
    return np.moveaxis(view.reshape(-1, groups, size), 1, 0)


def _key(op: MatrixLayer) -> tuple[Any, ...]:
    """Layers with the same key read the same columns."""
    if isinstance(op, LinearOp):
        return (op.input,)
    windows = (op.strides, op.padding, op.dilation, op.groups)
    return (op.input, *windows, shape_of(op.weight)[2:])


def input_moments(
    function: FuncOp, ops: Sequence[MatrixLayer], inputs: Inputs
) -> dict[MatrixLayer, Floats]:
    """
    E[x xᵀ] of the columns x that each of `ops` reads: `[groups, K, K]`.

    An error D of a weight makes the mean squared error D E[x xᵀ] Dᵀ of the outputs.
    Raises `PassFailedException` for inputs of layers that are not finite.
    """
    readers = {_key(op): op for op in ops}
    totals: dict[tuple[Any, ...], Floats] = {}
    counts = dict.fromkeys(readers, 0)

    def observe(value: SSAValue, array: NDArray[Any]) -> None:
        for key, op in readers.items():
            if op.input is not value:
                continue
            columns = _columns(op, array)
            total = columns.swapaxes(1, 2) @ columns
            if not np.isfinite(total).all():
                raise PassFailedException(
                    f"{describe(op.result)}: its input is NaN or infinite for some of "
                    "the calibration data"
                )
            totals[key] = totals[key] + total if key in totals else total
            counts[key] += columns.shape[1]

    observe_batches(function, inputs, observe, "collecting moments")
    return {op: totals[_key(op)] / counts[_key(op)] for op in ops}
