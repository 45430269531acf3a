"""What quantization will make of a module: for passes that prepare weights for it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp

from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import ElementType, element_of
from mase_opt.lib.analysis.layers import Floats, Layer, in_float, layers
from mase_opt.lib.analysis.moments import MatrixLayer
from mase_opt.lib.formats.format import Format
from mase_opt.lib.interpreters.kernels.values import decode
from mase_opt.lib.model_function import model_function
from mase_opt.lib.transforms.mase_calibrate import calibrate
from mase_opt.lib.transforms.mase_fold_batch_norm import fold_batch_norms
from mase_opt.lib.transforms.mase_quantize import (
    MaseQuantizePass,
    check_constants,
    is_calibrated,
)


def prepare(module: ModuleOp, options: MaseQuantizePass) -> FuncOp:
    """
    Do what `mase-quantize` does before it chooses formats.

    Batch norms are folded, and a function without calibration is calibrated. It stays
    so, such that `mase-quantize` behind chooses formats from the same calibration, and
    knows for which options; raises `UserError` if it is prepared for others.
    """
    function = model_function(module)
    options.mark_prepared(function)
    check_constants(function)
    fold_batch_norms(module)
    if not is_calibrated(function):
        calibrate(module, data=options.data, samples=options.samples, seed=options.seed)
    return function


def quantized_copy(module: ModuleOp, options: MaseQuantizePass) -> FuncOp:
    """The function of `module` as `mase-quantize` with `options` makes it."""
    copy = module.clone()
    # Masters would hide the weights behind casts.
    replace(options, masters=False).quantize(copy)
    return model_function(copy)


def quantized_layers(function: FuncOp, copy: FuncOp) -> Iterator[tuple[Layer, Layer]]:
    """The layers in f32 of `function` that are quantized in its copy, with those."""
    for op, quantized in zip(layers(function), layers(copy), strict=True):
        if in_float(op) and isinstance(element_of(quantized.weight), ElementType):
            yield op, quantized


def quantized_matrices(
    function: FuncOp, copy: FuncOp
) -> Iterator[tuple[MatrixLayer, Layer]]:
    """Those whose weights are matrices: all but transposed convolutions."""
    for op, quantized in quantized_layers(function, copy):
        if isinstance(op, MatrixLayer):
            yield op, quantized


def weight_format(op: Layer) -> Format[Any]:
    """The format of a quantized weight."""
    element = element_of(op.weight)
    assert isinstance(element, ElementType), "quantized"
    return element.format


def quantized_weight(op: Layer) -> Floats:
    """The numbers that a quantized weight stands for."""
    assert isinstance(op.weight.owner, ConstantOp), "weights are constants"
    return decode(op.weight.owner.array(), element_of(op.weight))


def warn_of_no_effect(name: str) -> None:
    """Say that the pass `name` found no layer to work on."""
    warnings.warn(
        f"{name} has no effect: no layer in f32 with constant weights is to be "
        "quantized",
        stacklevel=2,
    )
