"""Each method of post-training quantization makes quantized trained models better."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mase_opt.dialects.mase.normalization import LayerNormOp
from mase_opt.dialects.mase.types import element_of
from mase_opt.frontend.load_model import load_model
from mase_opt.lib.analysis.layers import Layer
from mase_opt.lib.analysis.scaling import scalable
from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass
from mase_opt.lib.data.samples import encode_inputs
from mase_opt.lib.interpreters.kernels.values import decode
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.lib.model_function import model_function
from mase_opt.lib.quantization.batch_norm import fold_batch_norms
from mase_opt.lib.transforms.mase_clip import MaseClipPass
from mase_opt.lib.transforms.mase_correct_bias import MaseCorrectBiasPass
from mase_opt.lib.transforms.mase_equalize import MaseEqualizePass
from mase_opt.lib.transforms.mase_gptq import MaseGptqPass
from mase_opt.lib.transforms.mase_quantize import MaseQuantizePass
from mase_opt.lib.transforms.mase_set_recipe import MaseSetRecipePass
from mase_opt.lib.transforms.mase_smooth import MaseSmoothPass

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
DATA = {"mlp": "mlp", "cnn": "cnn", "transformer": "cnn"}
"""Whose files have the data of each model."""
SAMPLES = 128
"""For calibration, and for tests."""

Floats = np.ndarray[Any, np.dtype[np.float64]]


@cache
def loaded(name: str) -> ModuleOp:
    module = load_model(str(DIGITS / f"{name}.mlir"))
    ConvertTorchToMasePass().apply(Context(), module)
    fold_batch_norms(module)
    return module


def trained(name: str) -> ModuleOp:
    """A digits model in f32, batch norms folded."""
    return loaded(name).clone()


def uneven(name: str) -> ModuleOp:
    """
    A digits model that computes the same with channels of very different scales.

    Each channel between two layers is divided by a power of two from 1/8 to 8 in the
    first, and multiplied by it in the others; which changes no result.
    """
    module = trained(name)
    rng = np.random.default_rng(0)
    for op in model_function(module).body.block.ops:
        if isinstance(op, Layer) and (pair := scalable(op)) is not None:
            pair.move(np.exp2(rng.integers(-3, 4, pair.count)))
    return module


def with_outliers(name: str) -> ModuleOp:
    """
    A digits model that computes the same with outliers in the results of layer norms.

    Three channels of each are 32 times as large, and the weights that read them 32
    times smaller: what Xiao et al. (2022) find in large transformers.
    """
    module = trained(name)
    rng = np.random.default_rng(0)
    for op in model_function(module).body.block.ops:
        if isinstance(op, LayerNormOp):
            move = scalable(op)
            assert move is not None
            scale = np.ones(move.count)
            scale[rng.choice(move.count, 3, replace=False)] = 1 / 32
            move.move(scale)
    return module


def calibration(name: str) -> dict[str, Any]:
    """The options of all methods that say which data they use."""
    path = DIGITS / f"{DATA[name]}_calibration.npz"
    return {"data": str(path), "samples": SAMPLES}


def outputs(module: ModuleOp, name: str) -> Floats:
    """The numbers that `module` gives for the test samples."""
    with np.load(DIGITS / f"{DATA[name]}_test.npz") as data:
        samples = data["x"][:SAMPLES, None]
    function = model_function(module)
    [result] = evaluate(module, encode_inputs(function, [samples]))
    returned = function.get_return_op()
    assert returned is not None
    numbers = decode(result, element_of(returned.operands[0]))
    return numbers.astype(np.float64)


def apply(module: ModuleOp, method: ModulePass) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        method.apply(Context(), module)
    module.verify()


def sqnr(module: ModuleOp, name: str, **options: Any) -> float:
    """How far quantized outputs are from those of the trained model in float, in dB."""
    quantized = module.clone()
    apply(quantized, MaseQuantizePass(**calibration(name), **options))
    reference = outputs(loaded(name), name)
    error = outputs(quantized, name) - reference
    return float(10 * np.log10((reference**2).sum() / (error**2).sum()))


def check_gain(
    label: str,
    name: str,
    module: ModuleOp,
    method: ModulePass,
    options: dict[str, Any],
) -> None:
    """`method` brings the outputs of `module`, quantized, nearer to float."""
    before = sqnr(module, name, **options)
    apply(module, MaseSetRecipePass(**options))
    apply(module, method)
    after = sqnr(module, name, **options)
    settings = " ".join(f"{k}={v}" for k, v in options.items())
    print(f"{label} {name} {settings}: {before:.2f} dB -> {after:.2f} dB")
    assert after > before


WEIGHTS = (
    ("mlp", {"weight_width": 3}),
    ("cnn", {"weight_width": 4}),
    ("cnn", {"weight_width": 4, "data_width": 6}),
    ("cnn", {"weight_format": "mxfp4_e2m1"}),
    ("transformer", {"weight_width": 4}),
    ("transformer", {"weight_format": "mxint4"}),
)


@pytest.mark.parametrize(("name", "options"), WEIGHTS)
def test_bias_correction(name: str, options: dict[str, Any]) -> None:
    method = MaseCorrectBiasPass(**calibration(name))
    check_gain("bias correction:", name, trained(name), method, options)


@pytest.mark.parametrize(
    ("name", "options"), [*WEIGHTS, ("cnn", {"weight_format": "int4_g128"})]
)
def test_gptq(name: str, options: dict[str, Any]) -> None:
    method = MaseGptqPass(**calibration(name))
    check_gain("GPTQ:", name, trained(name), method, options)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("mlp", {"weight_width": 4, "method": "minmax"}),
        ("cnn", {"weight_format": "scaled<fixed<4, 0>, auto, axis = 0>"}),
        ("cnn", {"weight_format": "mxint4"}),
        ("transformer", {"weight_format": "int4_g128"}),
    ],
)
def test_clip(name: str, options: dict[str, Any]) -> None:
    method = MaseClipPass(**calibration(name))
    check_gain("clip search:", name, trained(name), method, options)


@pytest.mark.parametrize(
    ("name", "width"),
    [("mlp", 4), ("mlp", 6), ("cnn", 4), ("cnn", 6), ("transformer", 4)],
)
def test_equalization(name: str, width: int) -> None:
    options = {"weight_width": width, "data_width": 8}
    check_gain("equalization:", name, uneven(name), MaseEqualizePass(), options)


@pytest.mark.parametrize(("weight_width", "data_width"), [(8, 8), (8, 6), (4, 8)])
def test_smoothing(weight_width: int, data_width: int) -> None:
    name = "transformer"
    options: dict[str, Any] = {"weight_width": weight_width, "data_width": data_width}
    method = MaseSmoothPass(**calibration(name))
    check_gain("SmoothQuant:", name, with_outliers(name), method, options)


def test_all_of_them() -> None:
    """One after the other, on a model that needs each."""
    name = "transformer"
    options: dict[str, Any] = {"weight_width": 4, "data_width": 8}
    module = with_outliers(name)
    figures = [sqnr(module, name, **options)]
    apply(module, MaseSetRecipePass(**options))
    data = calibration(name)
    for method in (
        MaseSmoothPass(**data),
        MaseGptqPass(**data),
        MaseCorrectBiasPass(**data),
    ):
        apply(module, method)
        figures.append(sqnr(module, name, **options))
    print("outliers, smoothing, GPTQ, bias correction:", np.round(figures, 2), "dB")
    assert figures == sorted(set(figures))


@pytest.mark.parametrize("make", [trained, uneven])
@pytest.mark.parametrize("name", ["mlp", "cnn", "transformer"])
@pytest.mark.parametrize("kind", ["equalize", "smooth", "multiply"])
def test_float_function_stays(make: Any, name: str, kind: str) -> None:
    module = make(name)
    data = calibration(name)
    method = {
        "equalize": MaseEqualizePass(),
        "smooth": MaseSmoothPass(**data),
        "multiply": MaseSmoothPass(**data, multiply=True),
    }[kind]
    before = outputs(module, name)
    text = str(module)
    apply(module, method)
    assert str(module) != text
    np.testing.assert_allclose(outputs(module, name), before, rtol=0, atol=2e-5)
