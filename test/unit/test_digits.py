"""The digits examples: what the files hold is what training has reported."""

from __future__ import annotations

import runpy
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from mase_opt import load
from mase_opt.dialects.mase.elementwise import GeluOp
from mase_opt.dialects.mase.layers import LinearOp
from mase_opt.dialects.mase.normalization import AttentionOp, LayerNormOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.frontend.load_model import load_model
from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass
from mase_opt.lib.interpreters.mase import evaluate

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


def imported(name: str) -> ModuleOp:
    module = load_model(str(DIGITS / f"{name}.mlir"))
    ConvertTorchToMasePass().apply(Context(), module)
    return module


@pytest.mark.parametrize(
    ("name", "data", "shape", "correct"),
    [
        ("mlp", "mlp", (64,), 349),
        ("cnn", "cnn", (1, 8, 8), 347),
        ("transformer", "cnn", (1, 8, 8), 352),
    ],
)
def test_float_accuracy(
    name: str, data: str, shape: tuple[int, ...], correct: int
) -> None:
    module = imported(name)
    with np.load(DIGITS / f"{data}_test.npz") as file:
        x, labels = file["x"], file["labels"]
    assert x.shape == (360, *shape)
    assert x.dtype == np.float32
    assert x.min() == 0
    assert x.max() == 1
    # Values have a sample axis before the batch of 1.
    (scores,) = evaluate(module, [x[:, None]])
    assert (scores[:, 0].argmax(1) == labels).sum() == correct


@pytest.mark.parametrize(("name", "shape"), [("mlp", (64,)), ("cnn", (1, 8, 8))])
def test_calibration_samples_are_not_test_samples(
    name: str, shape: tuple[int, ...]
) -> None:
    with np.load(DIGITS / f"{name}_calibration.npz") as data:
        calibration = data["x"]
    with np.load(DIGITS / f"{name}_test.npz") as data:
        test = data["x"]
    assert calibration.shape == (256, *shape)
    assert not {x.tobytes() for x in calibration} & {x.tobytes() for x in test}


def test_the_transformer_is_whole_layers() -> None:
    counts = Counter(type(op) for op in imported("transformer").walk())
    assert counts[AttentionOp] == 2
    assert counts[LayerNormOp] == 4
    assert counts[GeluOp] == 2
    assert counts[LinearOp] == 14


def test_the_transformer_equals_torch() -> None:
    module = imported("transformer")
    model = runpy.run_path(str(DIGITS / "train.py"))["transformer"]()
    constants = [op for op in module.walk() if isinstance(op, ConstantOp)]
    model.load_state_dict(
        {op.value.label: torch.from_numpy(op.array().copy()) for op in constants}
    )
    with np.load(DIGITS / "cnn_test.npz") as data:
        x = data["x"]
    (scores,) = evaluate(module, [x[:, None]])
    with torch.no_grad():
        expected = model.eval()(torch.from_numpy(x)).numpy()
    # Two orders of summation in float32; the scores are about 10.
    np.testing.assert_allclose(scores[:, 0], expected, rtol=0, atol=1e-4)


def test_the_transformer_keeps_accuracy_at_8_bits() -> None:
    model = load(DIGITS / "transformer.mlir")
    model = model.calibrate(DIGITS / "cnn_calibration.npz").quantize()
    with np.load(DIGITS / "cnn_test.npz") as data:
        x, labels = data["x"], data["labels"]
    # One in a hundred less than the 352 in floating point.
    assert (model.run(x).argmax(1) == labels).sum() >= 349
