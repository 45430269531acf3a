"""Bias correction: the mean errors of quantized layers, taken off their biases."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase.types import element_of
from mase_opt.lib.analysis.layers import (
    Floats,
    Layer,
    channel_axis,
    numbers,
    set_parameters,
)
from mase_opt.lib.analysis.observation import (
    Inputs,
    calibration_inputs,
    observe_batches,
)
from mase_opt.lib.console import progress
from mase_opt.lib.data.samples import encode_inputs
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import FormatError
from mase_opt.lib.interpreters.kernels.values import decode, from_float
from mase_opt.lib.interpreters.mase import evaluate_op
from mase_opt.lib.quantization.quantized_copy import (
    CalibrationData,
    prepare,
    quantized_copy,
    quantized_layers,
    warn_of_no_effect,
)


@dataclass(frozen=True)
class MaseCorrectBiasPass(CalibrationData, ModulePass):
    """
    Correct biases by the mean errors that quantization will cause.

    The empirical bias correction of Nagel et al., Data-Free Quantization Through Weight
    Equalization and Bias Correction, 2019, section 4.2 and appendix D. Run before
    `mase-quantize`: what that makes of the function is run on
    the data beside the function itself, and the mean error of each output channel of
    each `linear`, `conv` and `conv_transpose2d` is subtracted from its bias, layer by
    layer, so that each sees the others' corrections. A layer without bias gets one.
    The rounding of results, which may do what a relu does, is left out. All samples
    are held in memory at once. Batch norms are folded, and the function stays
    calibrated.

    ```mlir
    %0 = mase.linear %x, %w {layer = "fc"} : ...
    ```
    becomes, if the rounded weights make the results 0.5 too large on average,
    ```mlir
    %b = mase.constant <f32, [-0.5]> : tensor<1xf32>
    %0 = mase.linear %x, %w, %b {layer = "fc"} : ...
    ```
    """

    name = "mase-correct-bias"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = prepare(op, self.name, self)
        copy = quantized_copy(op)
        pairs: dict[Operation, Layer] = {
            quantized: layer for layer, quantized in quantized_layers(function, copy)
        }
        if not pairs:
            warn_of_no_effect(self.name)
            return
        inputs = calibration_inputs(
            function, data=self.data, samples=self.samples, seed=self.seed
        )
        means = _mean_results(function, pairs.values(), inputs)
        for layer, error in _mean_errors(copy, pairs, means, inputs).items():
            bias = 0.0 if layer.bias is None else numbers(layer.bias)
            set_parameters(layer, bias=bias - error)


def _mean(op: Layer, results: NDArray[Any]) -> Floats:
    """The mean of each output channel of results with a sample axis."""
    axis = channel_axis(op) + 1
    others = tuple(i for i in range(results.ndim) if i != axis)
    return results.mean(axis=others, dtype=np.float64)


def _mean_results(
    function: FuncOp, ops: Collection[Layer], inputs: Inputs
) -> dict[Layer, Floats]:
    """The mean of each output channel of `ops` on `inputs`."""
    batches: dict[SSAValue, list[tuple[int, Floats]]] = {op.result: [] for op in ops}

    def observe(value: SSAValue, array: NDArray[Any]) -> None:
        if value in batches:
            assert isinstance(value.owner, Layer)
            batches[value].append((len(array), _mean(value.owner, array)))

    observe_batches(function, inputs, observe, "collecting means")
    return {
        op: np.average(means, axis=0, weights=counts)
        for op in ops
        for counts, means in [zip(*batches[op.result], strict=True)]
    }


def _mean_errors(
    copy: FuncOp,
    layers: Mapping[Operation, Layer],
    means: Mapping[Layer, Floats],
    inputs: Inputs,
) -> dict[Layer, Floats]:
    """
    By how much the results of quantized layers are too large on average.

    `copy` is run with each error subtracted before the result is rounded.
    """
    block = copy.body.block
    encoded = encode_inputs(copy, inputs)
    values: dict[SSAValue, NDArray[Any]] = dict(zip(block.args, encoded, strict=True))
    last_use = {v: op for op in block.ops for v in op.operands}
    errors: dict[Layer, Floats] = {}
    ops = [op for op in block.ops if op.results]
    for op in progress(ops, "correcting biases"):
        operands = [values[v] for v in op.operands]
        try:
            if op in layers:
                layer = layers[op]
                exact = _unrounded(op, layer, operands)
                errors[layer] = _mean(layer, exact) - means[layer]
                shape = (-1, *(1,) * (exact.ndim - 2 - channel_axis(layer)))
                result = from_float(op, exact - errors[layer].reshape(shape))
            else:
                result = evaluate_op(op, operands)
        except (FormatError, InterpretationError) as error:
            raise UserError(f"correcting biases: {error}") from error
        values[op.results[0]] = result
        for value in dict.fromkeys((*op.operands, *op.results)):
            if last_use.get(value, op) is op:
                del values[value]
    return errors


def _unrounded(
    op: Operation, layer: Layer, operands: Sequence[NDArray[Any]]
) -> NDArray[Any]:
    """The result of the quantized layer `op` in floating point: that of `layer`."""
    numbers = [
        decode(array, element_of(value))
        for array, value in zip(operands, op.operands, strict=True)
    ]
    return evaluate_op(layer, numbers)
