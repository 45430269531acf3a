"""Recording of the values that occur: sketches of what the interpreter computes."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import CalibrationAttr, DenseAttr, is_float
from mase_opt.dialects.mase.base import show
from mase_opt.dialects.mase.normalization import SoftmaxOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.analysis.calibration import channel_axis, record
from mase_opt.lib.analysis.masks import DEPTH, masked_scores, softmax_axis
from mase_opt.lib.analysis.observation import (
    Inputs,
    calibration_inputs,
    observe_batches,
)
from mase_opt.lib.analysis.sketch import ChannelSketch, Sketch
from mase_opt.lib.data.samples import Data
from mase_opt.lib.model_function import describe, model_function

LARGEST = np.finfo(np.float32).max
"""Stands for infinity, which masks of attention overflow to."""


def calibrate(
    module: ModuleOp,
    *,
    data: Data | None = None,
    samples: int | None = None,
    seed: int = 0,
    channels: bool = False,
) -> None:
    """
    Put calibrations on the ops and arguments of the function in `module`.

    `calibration_of` reads them, and with `channels` also `channels_of`. Raises
    `UserError` for data that does not fit, `PassFailedException` for values that are
    not finite.
    """
    function = model_function(module)
    inputs = calibration_inputs(function, data=data, samples=samples, seed=seed)
    record(function, observe_all(function, inputs, seed, channels=channels))


class _Observed:
    """The sketches of a value."""

    def __init__(self, value: SSAValue, axis: int | None, seed: np.random.SeedSequence):
        self.value = value
        self.whole = Sketch()
        self.softmax_axis = softmax_axis(value)
        self.masked = False
        self.axis = axis
        self.channels = None if axis is None else ChannelSketch(seed)

    def add(self, array: NDArray[Any]) -> None:
        """Take in samples of the value, [samples, *shape]."""
        if self.softmax_axis is not None:
            masked = masked_scores(array, self.softmax_axis)
            self.masked |= bool(masked.any())
            self.whole.add(array[~masked])
            array = np.where(masked, -LARGEST, array)
        else:
            self.whole.add(array)
        if self.channels is not None and self.axis is not None:
            last = np.moveaxis(array, self.axis + 1, -1)
            self.channels.add(last.reshape(-1, last.shape[-1]))

    def calibration(self) -> CalibrationAttr:
        quantiles = self.whole.quantiles()
        if np.abs(quantiles).min() == LARGEST:
            raise PassFailedException(
                f"{describe(self.value)} is infinite for all of the calibration data"
            )
        if self.masked:
            # Of the scores that count; masks are the lowest, however many.
            quantiles[1], quantiles[0] = quantiles[0], -LARGEST
        data = DenseAttr.from_array(quantiles, "calibration")
        if self.channels is None:
            return CalibrationAttr(data)
        channels = DenseAttr.from_array(self.channels.quantiles(), "channels")
        return CalibrationAttr(data, self.axis, channels)


def observe_all(
    function: FuncOp, inputs: Inputs, seed: int, *, channels: bool = False
) -> dict[SSAValue, CalibrationAttr]:
    """Calibrations of all floating-point values, `inputs` fed in bounded batches."""
    observed: dict[SSAValue, _Observed] = {}
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
        if isinstance(value.owner, SoftmaxOp):
            # Of what is masked out, whatever the mask.
            array = np.where(array < np.exp(-DEPTH), 0, array)
        if value not in observed:
            axis = channel_axis(value) if channels else None
            observed[value] = _Observed(value, axis, random.spawn(1)[0])
        observed[value].add(array)

    observe_batches(function, inputs, observe, "calibrating")
    return {value: seen.calibration() for value, seen in observed.items()}
