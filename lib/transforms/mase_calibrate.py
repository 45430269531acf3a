"""What values occur where: quantiles of every floating-point value."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import CalibrationAttr, DenseAttr, is_float
from mase_opt.dialects.mase.base import show
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.analysis.calibration import record
from mase_opt.lib.analysis.model import describe, model_function
from mase_opt.lib.analysis.observation import (
    Inputs,
    calibration_inputs,
    observe_batches,
)
from mase_opt.lib.analysis.sketch import Sketch
from mase_opt.lib.transforms.mase_fold_batch_norm import fold_batch_norms

LARGEST = np.finfo(np.float32).max
"""Stands for infinity, which masks of attention overflow to."""


@dataclass(frozen=True)
class MaseCalibratePass(ModulePass):
    """
    Record the quantiles of every floating-point value on data.

    Batch norms are folded first, as `mase-quantize` would. The function is run on the
    samples, batch by batch; every op result and argument then carries
    `mase.calibration`, which `mase-quantize` uses and removes. Without data, inputs
    are drawn from a standard normal distribution, with a warning.

    ```mlir
    %1 = mase.relu %0 : (tensor<1x4xf32>) -> tensor<1x4xf32>
    ```
    becomes
    ```mlir
    %1 = mase.relu %0 {mase.calibration = #mase.calibration<#mase.dense<f32, ...>>}
      : (tensor<1x4xf32>) -> tensor<1x4xf32>
    ```
    """

    name = "mase-calibrate"

    data: str | None = None
    """A .npz or .npy file: samples along axis 0, arrays named like the arguments."""
    samples: int | None = None
    """At most this many samples (all of the data; 256 random ones)."""
    seed: int = 0
    """For random inputs and for the choice of the values that quantiles are of."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        fold_batch_norms(op)
        calibrate(op, data=self.data, samples=self.samples, seed=self.seed)


def calibrate(
    module: ModuleOp,
    *,
    data: str | None = None,
    samples: int | None = None,
    seed: int = 0,
) -> None:
    """
    Put calibrations on the ops and arguments of the function in `module`.

    Raises `UserError` for data that does not fit, `PassFailedException` for values
    that are not finite.
    """
    function = model_function(module)
    inputs = calibration_inputs(function, data=data, samples=samples, seed=seed)
    sketches = observe_all(function, inputs, seed)
    record(
        function,
        {
            value: CalibrationAttr(
                DenseAttr.from_array(sketch.quantiles(), "calibration")
            )
            for value, sketch in sketches.items()
        },
    )


def observe_all(function: FuncOp, inputs: Inputs, seed: int) -> dict[SSAValue, Sketch]:
    """Sketches of all floating-point values, `inputs` fed in bounded batches."""
    sketches: dict[SSAValue, Sketch] = {}
    random = np.random.SeedSequence(seed)

    def observe(value: SSAValue, array: NDArray[Any]) -> None:
        if not is_float(element_of(value)) or isinstance(value.owner, ConstantOp):
            return
        if array.size == 0:
            raise PassFailedException(
                f"{describe(value)} has no elements: its shape is "
                f"{show(shape_of(value))}; leave it out of the model"
            )
        if np.isnan(array).any():
            raise PassFailedException(
                f"{describe(value)} is NaN for some of the calibration data; look for "
                "the op that divides by zero or overflows"
            )
        array = np.clip(array, -LARGEST, LARGEST)
        if value not in sketches:
            sketches[value] = Sketch(random.spawn(1)[0])
        sketches[value].add(array)

    observe_batches(function, inputs, observe, "calibrating")
    for value, sketch in sketches.items():
        if np.abs(sketch.quantiles()).min() == LARGEST:
            raise PassFailedException(
                f"{describe(value)} is infinite for all of the calibration data"
            )
    return sketches
