"""Programs of one ONNX operator each: the node tests of the package onnx."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Mapping
from functools import cache, partial
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import sweeps
from numpy.typing import NDArray
from onnx import numpy_helper
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from mase_opt.frontend.load_model import load_model
from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass

CONSTANT = " with constants"
"""Marks the form of a test in which all inputs but the first are initializers."""


@cache
def _tests() -> dict[str, Any]:
    from onnx.backend.test.loader import load_model_tests

    with warnings.catch_warnings():
        # Casts that overflow, divisions by zero: what the tests are about.
        warnings.simplefilter("ignore", RuntimeWarning)
        tests = load_model_tests(kind="node")
    return {test.name.removeprefix("test_"): test for test in tests}


def _arrays(values: Any) -> list[NDArray[Any]]:
    return [_array(value) for value in values]


def _array(value: Any) -> NDArray[Any]:
    if value is None or isinstance(value, list):
        return np.empty(0)  # a sequence or an option: not imported
    if isinstance(value, onnx.TensorProto):
        value = numpy_helper.to_array(value)
    return np.asarray(value)


def _own(array: NDArray[Any]) -> NDArray[Any]:
    """Integers of 2 and 4 bits are not of a dtype of NumPy's own."""
    return array.astype(np.int64) if array.dtype.name.endswith(("t2", "t4")) else array


def _with_constants(model: onnx.ModelProto, inputs: list[Any]) -> onnx.ModelProto:
    result = onnx.ModelProto()
    result.CopyFrom(model)
    for value, array in zip(model.graph.input[1:], inputs[1:], strict=True):
        result.graph.initializer.append(numpy_helper.from_array(array, value.name))
    del result.graph.input[1:]
    return result


def _load(model: onnx.ModelProto) -> ModuleOp:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model.onnx"
        onnx.save(model, str(path))
        module = load_model(str(path))
    ConvertTorchToMasePass().apply(Context(), module)
    return module


def _program(name: str, constant: bool) -> sweeps.Program:
    test = _tests()[name]
    inputs, expected = map(_arrays, test.data_sets[0])
    model = test.model
    if constant:
        model, inputs = _with_constants(model, inputs), inputs[:1]
    return sweeps.Program(
        partial(_load, model),
        [_own(array) for array in inputs],
        [_own(array) for array in expected],
        # Float32 as well, computed in another order.
        tolerance=2e-5,
    )


WRONG_BEFORE = (
    "l2normalization_axis_0",
    "mod_float_edge_cases_fmod_0_float32",
    "mod_mixed_sign_float32",
    "prelu_broadcast",
    "prelu_example",
    "reduce_max_empty_set",
    "reduce_min_empty_set",
    "sce_mean_weight",
    "spacetodepth_crd_mode_example",
    "wrap_pad",
)
"""What has once been imported as something else, or never ended."""


def programs(batch: str) -> Mapping[str, Callable[[], sweeps.Program]]:
    """
    `batch` is a part of the operators: the first and the last one's initial.

    Of each operator the first test, in one form, unless the sweep is wide.
    """
    first, last = batch.split("-")
    result: dict[str, Callable[[], sweeps.Program]] = {}
    seen: set[str] = set()
    for name, test in _tests().items():
        operator = test.model.graph.node[-1].op_type
        if not first <= operator[0] <= last:
            continue
        every = sweeps.WIDE or name in WRONG_BEFORE
        # Expanded forms consist of other operators.
        if not every and ("_expanded" in name or operator in seen):
            continue
        seen.add(operator)
        several = len(test.model.graph.input) > 1
        if every or not several:
            result[name] = partial(_program, name, False)
        if several:
            result[name + CONSTANT] = partial(_program, name, True)
    return result
