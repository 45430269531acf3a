"""GPTQ: weights rounded one by one, the others make up for the errors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from mase_opt.lib.analysis.layers import Floats, numbers, set_parameters
from mase_opt.lib.analysis.moments import MatrixLayer, as_matrices, input_moments
from mase_opt.lib.analysis.observation import calibration_inputs
from mase_opt.lib.console import progress
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import FormatError
from mase_opt.lib.formats.format import Format
from mase_opt.lib.formats.grid import Grid, grid_of
from mase_opt.lib.model_function import describe
from mase_opt.lib.quantization.quantized_copy import (
    CalibrationData,
    prepare,
    quantized_copy,
    quantized_matrices,
    quantized_weight,
    warn_of_no_effect,
    weight_format,
)

BLOCK = 128
"""Columns whose errors are carried to the others in one matrix product."""


@dataclass(frozen=True)
class MaseGptqPass(CalibrationData, ModulePass):
    """
    Round the weights of linear and conv layers so that the errors of outputs are small.

    Frantar et al., GPTQ: Accurate Post-Training Quantization for Generative Pre-trained
    Transformers, 2022. Run before `mase-quantize`: weights
    are rounded to the format that they would get, column by column, those with the
    largest inputs first; after each column, the error that it causes on the data is
    made up for by the columns that are left. The result is in f32, of numbers that
    `mase-quantize` keeps. Batch norms are folded, and the function stays calibrated.

    ```mlir
    %w = mase.constant <f32, [0.7, 0.2]> : tensor<1x2xf32>
    ```
    becomes, for `fixed<3, 1>` and inputs that are always alike,
    ```mlir
    %w = mase.constant <f32, [0.5, 0.5]> : tensor<1x2xf32>
    ```
    """

    name = "mase-gptq"

    damping: float = 0.01
    """Added to the second moments of inputs, in means of their diagonal."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if not 0 < self.damping < np.inf:
            raise UserError(f"damping is {self.damping}, expected a positive number")
        function = prepare(op, self.name, self)
        formats = {
            layer: weight_format(quantized)
            for layer, quantized in quantized_matrices(function, quantized_copy(op))
        }
        if not formats:
            warn_of_no_effect(self.name)
            return
        inputs = calibration_inputs(
            function, data=self.data, samples=self.samples, seed=self.seed
        )
        moments = input_moments(function, list(formats), inputs)
        rounded = {
            layer: self._rounded(layer, format, moments[layer])
            for layer, format in progress(list(formats.items()), "rounding weights")
        }
        for layer, weight in rounded.items():
            set_parameters(layer, weight=weight)
        for layer, quantized in quantized_matrices(function, quantized_copy(op)):
            kept = quantized_weight(quantized)
            # Parameters are float32; another code is further away than that.
            if not np.allclose(rounded[layer], kept, rtol=1e-6, atol=0):
                raise PassFailedException(
                    f"{describe(layer.result)}: mase-quantize would not keep weights "
                    f"rounded for {formats[layer]}: use method=minmax, so that it "
                    "chooses the same scales for them, and rounding=nearest_even"
                )

    def _rounded(self, op: MatrixLayer, format: Format[Any], moments: Floats) -> Floats:
        """The weight of `op` on the grid of its format."""
        weight = numbers(op.weight)
        try:
            grid = grid_of(format, weight)
        except FormatError as error:
            raise PassFailedException(f"{describe(op.result)}: {error}") from error
        groups = [
            round_columns(matrix, moment, _columns(op, grid, group), self.damping)
            for group, (matrix, moment) in enumerate(
                zip(as_matrices(op, weight), moments, strict=True)
            )
        ]
        return np.stack(groups).reshape(weight.shape)


Nearest = Callable[[Floats, int], Floats]
"""The nearest values that the entries of a column may take."""


def _columns(op: MatrixLayer, grid: Grid, group: int) -> Nearest:
    """The grid of the columns of one of the matrices of `op`."""
    scales, fixed = (as_matrices(op, a)[group] for a in (grid.scales, grid.fixed))
    matrix = replace(grid, scales=scales, fixed=fixed)
    return lambda values, column: matrix.nearest(values, (slice(None), column))


def round_columns(
    weight: Floats, moments: Floats, nearest: Nearest, damping: float
) -> Floats:
    """
    `weight`, `[O, K]`, with its columns rounded in order of falling moments.

    With U the upper Cholesky factor of the inverse of `moments`, `[K, K]`, the error e
    of column j is made up for best by adding -e / U[j, j] · U[j, k] to columns k > j.
    """
    order = np.argsort(-moments.diagonal(), kind="stable")
    hessian = moments[order][:, order]
    diagonal = hessian.diagonal()
    # Inputs that are always zero: nothing to make up for, and nothing to do it with.
    silent = diagonal == 0
    mean = 1.0 if silent.all() else float(diagonal.mean())
    hessian = hessian + np.diag(damping * mean + silent * mean)
    try:
        upper = np.linalg.cholesky(np.linalg.inv(hessian)).T
    except np.linalg.LinAlgError as error:
        raise UserError(
            f"damping is {damping}, which is not enough for moments that are singular "
            f"but for rounding ({error}); 0.01 is usual"
        ) from error
    left = weight[:, order]
    rounded = np.empty_like(weight)
    count = len(order)
    for start in range(0, count, BLOCK):
        stop = min(start + BLOCK, count)
        errors = np.empty((len(weight), stop - start))
        for j in range(start, stop):
            column = nearest(left[:, j], int(order[j]))
            error = (left[:, j] - column) / upper[j, j]
            left[:, j + 1 : stop] -= np.outer(error, upper[j, j + 1 : stop])
            errors[:, j - start] = error
            rounded[:, order[j]] = column
        left[:, stop:] -= errors @ upper[start:stop, stop:]
    return rounded
