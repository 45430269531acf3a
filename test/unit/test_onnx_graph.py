"""ONNX operators that torch-mlir reads as something else: right, or refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from xdsl.context import Context

from mase_opt.frontend.load_model import load_model
from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass
from mase_opt.lib.errors import UserError
from mase_opt.lib.interpreters.mase import evaluate

onnx = pytest.importorskip("onnx", reason="needs the package onnx")
ONES = -np.ones((1, 2, 2), np.float32)


def run(
    folder: Path,
    op_type: str,
    x: NDArray[Any],
    *constants: NDArray[Any],
    opset: int = 17,
    **attributes: Any,
) -> NDArray[Any]:
    """The result of a model with one operator, imported."""
    helper = onnx.helper
    kind = helper.np_dtype_to_tensor_dtype(x.dtype)
    names = [f"c{index}" for index in range(len(constants))]
    graph = helper.make_graph(
        [helper.make_node(op_type, ["x", *names], ["y"], "/a/op", **attributes)],
        "net",
        [helper.make_tensor_value_info("x", kind, x.shape)],
        [helper.make_tensor_value_info("y", kind, x.shape)],
        [onnx.numpy_helper.from_array(c, n) for c, n in zip(constants, names)],
    )
    opsets = [helper.make_opsetid("", opset)]
    file = folder / "net.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=8), str(file))
    module = load_model(str(file))
    ConvertTorchToMasePass().apply(Context(), module)
    module.verify()
    return evaluate(module, [x[None]])[0][0]


@pytest.mark.parametrize(
    ("slope", "expected"),
    [
        ([0.25, 0.5], [[[-0.25, -0.5], [-0.25, -0.5]]]),
        ([[[0.25], [0.5]]], [[[-0.25, -0.25], [-0.5, -0.5]]]),
        ([0.5], [[[-0.5, -0.5], [-0.5, -0.5]]]),
    ],
)
def test_prelu_aligns_slopes_at_the_right(
    tmp_path: Path, slope: Any, expected: Any
) -> None:
    result = run(tmp_path, "PRelu", ONES, np.array(slope, np.float32))
    assert result.tolist() == expected
    assert run(tmp_path, "PRelu", -ONES, np.array(slope, np.float32)).min() == 1


@pytest.mark.parametrize("opset", [17, 22])
@pytest.mark.parametrize(("p", "norm"), [(1, 7), (2, 5)])
def test_norm_of_zeros(tmp_path: Path, opset: int, p: int, norm: float) -> None:
    x = np.array([[3, -4], [0, 0]], np.float32)
    result = run(tmp_path, "LpNormalization", x, p=p, opset=opset)
    expected = [[3 / norm, -4 / norm], [0, 0]]
    np.testing.assert_allclose(result, expected, rtol=1e-6)


def test_integers(tmp_path: Path) -> None:
    x, three = np.array([7, -7, 8], np.int32), np.array(3, np.int32)
    assert run(tmp_path, "Div", x, three).tolist() == [2, -2, 2]
    assert run(tmp_path, "Mod", x, three).tolist() == [1, 2, 2]
    assert run(tmp_path, "Mod", x, three, fmod=1).tolist() == [1, -1, 2]
    bytes_, many = np.array([100, 1], np.uint8), np.array(200, np.uint8)
    assert run(tmp_path, "Add", bytes_, many).tolist() == [44, 201]


@pytest.mark.parametrize(
    ("op_type", "constants", "attributes", "reason"),
    [
        (
            "Pad",
            [np.array([0, 0, 1, 0, 0, 1])],
            {"mode": "wrap", "opset": 19},
            r"Pad \('/a/op'\): mode 'wrap' is not supported: use Concat",
        ),
        (
            "PRelu",
            [np.ones(2, np.float32)],
            {"opset": 8},
            r"PRelu \('/a/op'\) needs opset 9 or later",
        ),
    ],
)
def test_refused(
    tmp_path: Path, op_type: str, constants: Any, attributes: Any, reason: str
) -> None:
    with pytest.raises(UserError, match=reason):
        run(tmp_path, op_type, ONES, *constants, **attributes)
