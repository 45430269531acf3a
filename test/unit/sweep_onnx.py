"""The node tests of the package onnx: one operator each, with inputs and outputs."""

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


def _arrays(values: Any) -> list[Any]:
    return [
        numpy_helper.to_array(value)
        if isinstance(value, onnx.TensorProto)
        else np.asarray(value)
        for value in values
    ]


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
    # The outputs are float32 results of another implementation.
    return sweeps.Program(partial(_load, model), inputs, expected, tolerance=2e-5)


def _operator(test: Any) -> str:
    return test.model.graph.node[-1].op_type


def _batches() -> dict[str, list[str]]:
    batches: dict[str, list[str]] = {}
    for name, test in _tests().items():
        batch = batches.setdefault(_operator(test)[0], [])
        batch.append(name)
        if len(test.model.graph.input) > 1:
            batch.append(name + CONSTANT)
    return batches


BATCHES = _batches()


def programs() -> Mapping[str, Callable[[], sweeps.Program]]:
    return {
        name: partial(_program, name.removesuffix(CONSTANT), name.endswith(CONSTANT))
        for names in BATCHES.values()
        for name in names
    }
