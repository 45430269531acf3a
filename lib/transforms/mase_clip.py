"""Clipping of weights, where that makes the errors of outputs smaller."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mase_opt.lib.analysis.layers import (
    Floats,
    Layer,
    layers,
    numbers,
    set_parameters,
)
from mase_opt.lib.analysis.moments import MatrixLayer, as_matrices, input_moments
from mase_opt.lib.analysis.observation import calibration_inputs
from mase_opt.lib.console import progress
from mase_opt.lib.formats.block import Block
from mase_opt.lib.formats.format import Format
from mase_opt.lib.formats.parts import Parts
from mase_opt.lib.formats.scaled import Scaled
from mase_opt.lib.model_function import model_function
from mase_opt.lib.quantization.quantized_copy import (
    CalibrationData,
    prepare,
    quantized_copy,
    quantized_matrices,
    quantized_weight,
    warn_of_no_effect,
    weight_format,
)

RATIOS = tuple(np.linspace(1, 0.3, 15).tolist())
"""Thresholds to try, relative to the largest weight."""


@dataclass(frozen=True)
class MaseClipPass(CalibrationData, ModulePass):
    """
    Clip weights of linear and conv layers where that makes outputs more precise.

    The search of Lin et al., AWQ: Activation-aware Weight Quantization, 2023. Run
    before `mase-quantize`: for each threshold, the weights are
    clipped and quantized as that would do it, and of those that share a scale, an
    exponent or a format, the ones with the smallest squared error of the layer's
    output on the data stay. That error is not the one of the weights: it counts which
    inputs are large, and that several go together. Errors of groups within one row are
    taken as independent. Batch norms are folded, and the function stays calibrated.

    ```mlir
    %w = mase.constant <f32, [1.0, 0.25]> : tensor<1x2xf32>
    ```
    becomes, for `scaled<fixed<3, 0>, auto>` and a second input that is much larger,
    ```mlir
    %w = mase.constant <f32, [0.75, 0.25]> : tensor<1x2xf32>
    ```
    """

    name = "mase-clip"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = prepare(op, self.name, self)
        searches = {
            layer: _Search(layer, quantized)
            for layer, quantized in quantized_matrices(function, quantized_copy(op))
        }
        if not searches:
            warn_of_no_effect(self.name)
            return
        inputs = calibration_inputs(
            function, data=self.data, samples=self.samples, seed=self.seed
        )
        moments = input_moments(function, list(searches), inputs)
        for ratio in progress(RATIOS, "searching thresholds"):
            candidate = op.clone()
            twins = layers(model_function(candidate))
            for layer, twin in zip(layers(function), twins, strict=True):
                if isinstance(layer, MatrixLayer) and layer in searches:
                    set_parameters(twin, weight=searches[layer].clipped(ratio))
            copy = quantized_copy(candidate)
            for layer, quantized in quantized_matrices(function, copy):
                result = quantized_weight(quantized)
                searches[layer].judge(ratio, result, moments[layer])
        for layer, search in searches.items():
            set_parameters(layer, weight=search.clipped(search.ratios))


class _Search:
    """The thresholds that are best so far for the weight of a layer."""

    def __init__(self, op: MatrixLayer, quantized: Layer):
        self.op = op
        self.weight = numbers(op.weight)
        self.parts = _parts(weight_format(quantized), self.weight.shape)
        self.largest = self.parts.largest(np.abs(self.weight))
        self.errors = np.full(self.parts.grid, np.inf)
        self.ratios = np.ones(self.parts.grid)
        # Which columns of the matrices share something: the same ones in each row.
        places = np.arange(self.errors.size, dtype=np.float64)
        spread = self.parts.spread(places.reshape(self.parts.grid))
        row = np.broadcast_to(spread, self.weight.shape)[0].reshape(-1)
        self.together = row[:, None] == row

    def clipped(self, ratio: Floats | float) -> Floats:
        """The weight within thresholds, `ratio` times the largest of each part."""
        limit = self.parts.spread(self.largest * ratio)
        return np.clip(self.weight, -limit, limit)

    def judge(self, ratio: float, result: Floats, moments: Floats) -> None:
        """Take `ratio` where `result`, which it leads to, makes smaller errors."""
        change = as_matrices(self.op, result - self.weight)
        products = change * (change @ np.where(self.together, moments, 0.0))
        errors = self.parts.total(products.reshape(self.weight.shape))
        better = errors < self.errors
        self.errors[better] = errors[better]
        self.ratios[better] = ratio


def _parts(format: Format[Any], shape: tuple[int, ...]) -> Parts:
    """What has a scale, an exponent or a fraction of its own."""
    match format:
        case Scaled():
            return format.layout.parts(shape)
        case Block():
            return format.parts(shape)
        case _:
            return Parts.whole(shape)
