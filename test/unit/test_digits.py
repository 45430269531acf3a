"""The digits examples: what the files hold is what training has reported."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from xdsl.context import Context

from mase_opt.frontend.load_model import load_model
from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass
from mase_opt.lib.interpreters.mase import evaluate

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@pytest.mark.parametrize(
    ("name", "shape", "correct"), [("mlp", (64,), 349), ("cnn", (1, 8, 8), 347)]
)
def test_float_accuracy(name: str, shape: tuple[int, ...], correct: int) -> None:
    module = load_model(str(DIGITS / f"{name}.mlir"))
    ConvertTorchToMasePass().apply(Context(), module)
    with np.load(DIGITS / f"{name}_test.npz") as data:
        x, labels = data["x"], data["labels"]
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
