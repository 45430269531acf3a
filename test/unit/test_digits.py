"""The examples on their held-out digits: quantized models are as good as the float."""

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from test_quantize import quantize, run
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from mase_opt.frontend.load_model import load_torch_text
from mase_opt.lib.analysis.model import model_function
from mase_opt.lib.analysis.samples import inputs_of, load_samples
from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass

DIGITS = Path(__file__).parents[2] / "examples" / "digits"


@cache
def imported(name: str) -> ModuleOp:
    path = DIGITS / f"{name}.mlir"
    module = load_torch_text(path.read_text(), str(path))
    ConvertTorchToMasePass().apply(Context(), module)
    return module


def accuracy(module: ModuleOp, name: str) -> float:
    """Percent of the test split that is classified correctly."""
    path = str(DIGITS / f"{name}_test.npz")
    scores = run(module, load_samples(path, inputs_of(model_function(module))))
    with np.load(path) as data:
        labels = data["labels"]
    assert len(labels) == len(scores) == 360
    return 100 * float((scores.reshape(360, 10).argmax(axis=1) == labels).mean())


def quantized(name: str, **options) -> ModuleOp:
    module = imported(name).clone()
    quantize(module, data=str(DIGITS / f"{name}_calibration.npz"), **options)
    assert "f32" not in str(module)
    return module


@pytest.mark.parametrize("name", ["mlp", "cnn"])
# Percentage points: a sample is 0.28 of one.
@pytest.mark.parametrize(("width", "bound"), [(8, 0.5), (6, 1.0), (4, 2.0)])
def test_accuracy(name: str, width: int, bound: float):
    expected = accuracy(imported(name), name)
    actual = accuracy(quantized(name, width=width), name)
    print(f"{name}: float {expected:.2f} %, {width} bits {actual:.2f} %")
    assert actual >= expected - bound


@pytest.mark.parametrize("name", ["mlp", "cnn"])
def test_the_default_method_is_no_worse_than_the_others(name: str):
    """At 4 bits clipping pays, which only the squared error can weigh."""
    best = accuracy(quantized(name, width=4), name)
    for method in ("minmax", "percentile"):
        assert best >= accuracy(quantized(name, width=4, method=method), name)


def test_the_example_config():
    config = DIGITS.parents[1] / "configs" / "digits_mixed.toml"
    module = quantized("cnn", config=str(config))
    text = str(module)
    assert "%x: tensor<1x1x8x8x!mase.ufixed<5, 4>>" in text
    assert "-> tensor<1x6x8x8x!mase.ufixed<6, " in text
    assert "tensor<10x96x!mase.fixed<5, " in text
    assert "tensor<10x!mase.fixed<12, " in text
    assert accuracy(module, "cnn") >= accuracy(imported("cnn"), "cnn") - 1
