"""What values occur where: quantiles of every floating-point value."""

from __future__ import annotations

import sys
import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import InterpretationError, PassFailedException

from mase_opt.dialects.mase.attrs import CalibrationAttr, DenseAttr, is_float
from mase_opt.dialects.mase.base import show
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.analysis.calibration import record
from mase_opt.lib.analysis.model import describe, model_function
from mase_opt.lib.analysis.samples import (
    encode_inputs,
    inputs_of,
    load_samples,
    random_samples,
)
from mase_opt.lib.analysis.sketch import Sketch
from mase_opt.lib.errors import UserError
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.lib.transforms.mase_fold_batch_norm import fold_batch_norms

BATCH_ELEMENTS = 1 << 22
"""About how many elements of values one batch may hold."""
RANDOM_SAMPLES = 256
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
    if samples is not None and samples < 1:
        raise UserError(f"samples is {samples}, expected at least 1")
    if seed < 0:
        raise UserError(f"seed is {seed}, expected at least 0")
    function = model_function(module)
    if data is not None:
        inputs = load_samples(data, inputs_of(function), samples)
    else:
        count = samples or RANDOM_SAMPLES
        warnings.warn(
            f"no calibration data: using {count} inputs from a normal distribution "
            f"(seed {seed}); give samples with data=FILE.npz",
            stacklevel=2,
        )
        inputs = random_samples(function, count, seed)
    sketches = observe_all(function, encode_inputs(function, inputs), seed)
    record(
        function,
        {
            value: CalibrationAttr(
                DenseAttr.from_array(sketch.quantiles(), "calibration")
            )
            for value, sketch in sketches.items()
        },
    )


def observe_all(
    function: FuncOp, inputs: Sequence[NDArray[Any]], seed: int
) -> dict[SSAValue, Sketch]:
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

    for batch in _batches(function, inputs):
        try:
            evaluate(function, batch, observe=observe)
        except InterpretationError as error:
            raise UserError(f"calibration: {error}") from error
    for value, sketch in sketches.items():
        if np.abs(sketch.quantiles()).min() == LARGEST:
            raise PassFailedException(
                f"{describe(value)} is infinite for all of the calibration data"
            )
    return sketches


def _batches(
    function: FuncOp, inputs: Sequence[NDArray[Any]]
) -> Iterator[list[NDArray[Any]]]:
    """Slices of the samples, with a progress bar if someone watches."""
    elements = sum(
        prod(shape_of(value))
        for op in function.body.block.ops
        if not isinstance(op, ConstantOp)
        for value in op.results
    )
    step = min(max(BATCH_ELEMENTS // max(elements, 1), 1), 1024)
    count = max((len(array) for array in inputs), default=1)
    starts = range(0, count, step)
    if len(starts) > 1 and sys.stderr.isatty():
        from rich.console import Console
        from rich.progress import track

        console = Console(stderr=True)
        starts = track(starts, "calibrating", console=console, transient=True)
    for start in starts:
        yield [array[start : start + step] for array in inputs]
