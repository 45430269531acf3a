"""Running a function on calibration data, with a look at every value."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.func import FuncOp
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.console import progress
from mase_opt.lib.data.samples import (
    Data,
    as_samples,
    encode_inputs,
    inputs_of,
    random_samples,
)
from mase_opt.lib.errors import UserError
from mase_opt.lib.interpreters.mase import Observer, evaluate

BATCH_ELEMENTS = 1 << 22
"""About how many elements of values one batch may hold."""
RANDOM_SAMPLES = 256

Inputs = Sequence[NDArray[Any]]


def calibration_inputs(
    function: FuncOp, *, data: Data | None, samples: int | None, seed: int
) -> Inputs:
    """
    The numbers in `data` for each argument, or random ones with a warning.

    Raises `UserError` for options out of range and data that does not fit.
    """
    if samples is not None and samples < 1:
        raise UserError(f"samples is {samples}, expected at least 1")
    if seed < 0:
        raise UserError(f"seed is {seed}, expected at least 0")
    if data is not None:
        return as_samples(data, inputs_of(function), samples)
    count = samples or RANDOM_SAMPLES
    warnings.warn(
        f"no calibration data: using {count} inputs from a normal distribution "
        f"(seed {seed}); give samples with data=FILE.npz",
        stacklevel=1,  # shown once, whoever asks
    )
    return random_samples(function, count, seed)


def observe_batches(
    function: FuncOp, inputs: Inputs, observe: Observer, title: str
) -> None:
    """
    Run `function` on `inputs` in batches of bounded memory.

    A progress bar with `title` shows if someone watches. Raises `UserError` where the
    function cannot be run.
    """
    for batch in batches(function, inputs, title):
        try:
            evaluate(function, encode_inputs(function, batch), observe=observe)
        except InterpretationError as error:
            raise UserError(f"{title}: {error}") from error


def batches(
    function: FuncOp, inputs: Inputs, title: str
) -> Iterator[list[NDArray[Any]]]:
    elements = sum(
        prod(shape_of(value))
        for op in function.body.block.ops
        if not isinstance(op, ConstantOp)
        for value in op.results
    )
    step = min(max(BATCH_ELEMENTS // max(elements, 1), 1), 1024)
    count = max((len(array) for array in inputs), default=1)
    for start in progress(range(0, count, step), title):
        # Copies of what files hold, which may lie anywhere in them.
        yield [np.array(array[start : start + step]) for array in inputs]
