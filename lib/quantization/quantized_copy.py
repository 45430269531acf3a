"""What quantization will make of a module: for passes that prepare weights for it."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass
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
from mase_opt.lib.quantization.batch_norm import fold_batch_norms
from mase_opt.lib.quantization.calibrate import calibrate
from mase_opt.lib.quantization.decision import decide, mark_prepared, recipe_of
from mase_opt.lib.quantization.quantize import quantize
from mase_opt.lib.quantization.recipe import Recipe
from mase_opt.lib.quantization.subject import Subject


@dataclass(frozen=True)
class CalibrationData:
    """The options of passes that look at data."""

    data: str | None = None
    """Calibration data, as for mase-calibrate."""
    samples: int | None = None
    """At most this many calibration samples."""
    seed: int = 0
    """For inputs without data."""


def prepare(module: ModuleOp, name: str, data: CalibrationData) -> FuncOp:
    """
    Do what `mase-quantize` does before it chooses formats, for the pass `name`.

    Batch norms are folded, and a function without calibration is calibrated. It stays
    so, such that `mase-quantize` behind chooses formats from the same calibration, and
    carries the recipe that its parameters are prepared for.
    """
    function = model_function(module)
    decide(function, recipe_of(function) or Recipe())
    mark_prepared(function, name, data.data)
    Subject(function).check_constants()
    fold_batch_norms(module)
    if not Subject(function).is_calibrated:
        calibrate(module, data=data.data, samples=data.samples, seed=data.seed)
    return function


def quantized_copy(module: ModuleOp) -> FuncOp:
    """The function of `module`, which is prepared, as `mase-quantize` makes it."""
    copy = module.clone()
    function = model_function(copy)
    quantize(copy, recipe_of(function) or Recipe())
    return function


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
