"""Quantization to every family of formats: next to nothing is lost in wide ones."""

import re
from pathlib import Path

import numpy as np
import pytest
from quantize_models import LAYERS, VECTOR, model, quantize, run
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.transforms.canonicalize import CanonicalizePass
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import DenseAttr
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of
from mase_opt.lib.data.samples import random_samples
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import aliases
from mase_opt.lib.model_function import model_function
from mase_opt.lib.quantization.batch_norm import fold_batch_norms
from mase_opt.lib.quantization.calibrate import calibrate

WIDE = {
    "fixed": {"format": "fixed<32, auto>"},
    "minifloat": {"format": "minifloat<8, 23, ieee>"},
    "block": {"format": "block<fixed<28, 26>, e8m0, [4]>"},
    "block_minifloat": {"format": "block<minifloat<8, 23, finite>, exp<8, 127>, [3]>"},
    "block_fp": {"format": "block<minifloat<0, 23, no_implicit>, exp<8, 127>, [2]>"},
    "scaled": {"format": "scaled<fixed<28, 0>, auto>"},
    "affine": {"format": "scaled<ufixed<28, 0>, auto, zero_point = auto>"},
    "power_of_two": {"format": "scaled<fixed<28, 0>, power_of_two>"},
    "per_channel": {"format": "scaled<fixed<28, 0>, auto, axis = 0>"},
    "per_group": {"format": "scaled<fixed<28, 0>, auto, axis = -1, group = 3>"},
}


@pytest.mark.parametrize("family", WIDE)
@pytest.mark.parametrize("layer", LAYERS)
def test_wide_formats_change_next_to_nothing(layer, family):
    """Catches lost biases, affine parameters and running statistics."""
    module = model(*LAYERS[layer])
    inputs = random_samples(model_function(module), 100, seed=0)
    expected = run(module, inputs)
    # minmax: the samples are those of calibration, so that nothing is cut off.
    quantize(module, method="minmax", samples=100, **WIDE[family])
    assert "f32>" not in str(module)
    actual = run(module, inputs)
    error = np.abs(actual - expected).max() / np.abs(expected).max()
    assert error < 1e-5


def constant_ops(module: ModuleOp) -> list[ConstantOp]:
    ops = model_function(module).body.block.ops
    return [op for op in ops if isinstance(op, ConstantOp)]


@pytest.mark.parametrize(
    "name", ["log<5>", "binary", "ternary", "scaled<ternary, auto, axis = 0>", "mxint4"]
)
@pytest.mark.parametrize(
    "layer",
    [
        "linear",
        "conv1d",
        "conv2d",
        "conv_transpose2d",
        "matmul",
        "embedding",
        "batch_norm",
        "layer_norm",
        "group_norm",
    ],
)
def test_narrow_weights_change_nothing_else(layer, name):
    """Float layers with the numbers that weights have become are the same."""
    module, reference = model(*LAYERS[layer]), model(*LAYERS[layer])
    inputs = random_samples(model_function(module), 100, seed=0)
    # Floats, since results may be larger than those with the weights themselves.
    quantize(module, data_format="fp32", weight_format=name, samples=100)
    fold_batch_norms(reference)
    pairs = zip(constant_ops(module), constant_ops(reference), strict=True)
    for quantized, constant in pairs:
        element = element_of(quantized.result)
        numbers = element.numbers(quantized.array()).astype(np.float32)
        constant.value = DenseAttr.from_array(numbers)
    expected = run(reference, inputs)
    error = np.abs(run(module, inputs) - expected).max() / np.abs(expected).max()
    assert error < 1e-5


NAMES = [
    *aliases.names(),
    "binary",
    "ternary",
    "log<5>",
    "scaled<ternary, auto, axis=0>",
]
AFFINE = ["linear", "conv2d", "embedding", "layer_norm"]


def constants(module: ModuleOp) -> dict[str, bytes]:
    """The data and scales of all constants with their types."""
    return {
        f"{op.value.label}: {op.result.type}": op.value.array().tobytes()
        + (b"" if op.scales is None else op.scales.array().tobytes())
        for op in constant_ops(module)
    }


@pytest.mark.parametrize("rounding", ["nearest_even", "stochastic<7>"])
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("layer", AFFINE)
def test_masters_fold_into_the_same_codes(layer, name, rounding):
    codes, masters = model(*LAYERS[layer]), model(*LAYERS[layer])
    options = {"format": name, "rounding": rounding, "samples": 10}
    quantize(codes, **options)
    quantize(masters, **options, masters=True)
    inputs = random_samples(model_function(codes), 10, seed=1)
    expected = run(codes, inputs)
    assert np.array_equal(run(masters, inputs), expected)
    assert constants(masters) != constants(codes)
    CanonicalizePass().apply(Context(), masters)
    assert constants(masters) == constants(codes)
    assert np.array_equal(run(masters, inputs), expected)


def weight(values: list[float], name: str) -> np.ndarray:
    """The numbers that `values` become as a weight in the format `name`."""
    module = model(
        f"""%w = mase.constant <f32, {values}> : tensor<1x{len(values)}xf32>
            %y = mase.linear %x, %w
              : (tensor<1x{len(values)}xf32>, tensor<1x{len(values)}xf32>)
              -> tensor<1x1xf32>""",
        f"%x: tensor<1x{len(values)}xf32>",
        "tensor<1x1xf32>",
    )
    quantize(module, weight_format=name, samples=5)
    (constant,) = (
        op for op in model_function(module).body.block.ops if isinstance(op, ConstantOp)
    )
    element = element_of(constant.result)
    return element.numbers(constant.array())[0]


@pytest.mark.parametrize("name", NAMES)
def test_weights_of_zeros(name):
    expected = [1.0, 1.0] if name == "binary" else [0.0, 0.0]
    assert weight([0.0, 0.0], name).tolist() == expected


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("fixed<8, auto>", [2.0**-140, -(2.0**-141)]),
        ("fp8_e4m3", [0.0, 0.0]),
        # Steps of the smallest normal number.
        ("int8", [0.0, 0.0]),
        # The lowest shared exponent is -127, steps are 2^-6 of it.
        ("mxint8", [0.0, 0.0]),
        ("binary", [1.0, -1.0]),
        ("ternary", [1.0, 0.0]),
    ],
)
def test_weights_of_denormal_numbers(name, expected):
    assert weight([2.0**-140, -(2.0**-141)], name).tolist() == expected


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "mxin8"}, "options: format: unknown format 'mxin8'"),
        ({"weight_format": "fixed<0, 0>"}, "options: weight-format: width must be"),
        ({"data_format": "minifloat<1, 0>"}, "options: data-format: mantissa must"),
        (
            {"data_format": "mxint8", "data_width": 8},
            "options: both data-format and data-width are given, keep one",
        ),
        (
            {"accumulator": "fixed<32, auto>"},
            "options: accumulator is 'fixed<32, auto>', expected fixed<W, F> with num",
        ),
    ],
)
def test_options_without_meaning(options, message):
    with pytest.raises(UserError, match=re.escape(message)):
        quantize(model(*LAYERS["linear"]), **options)


@pytest.mark.parametrize(
    ("layer", "options", "message"),
    [
        (
            "linear",
            {"format": "block<fixed<8, 6>, e8m0, [1, 4, 4]>"},
            "mase.linear: data_in from argument 'arg0': the tensor has rank 2, which",
        ),
        (
            "linear",
            {"format": "fp8_e4m3", "overflow": "wrap"},
            "minifloat<4, 3, fn> does not wrap, only fixed point does",
        ),
        (
            "linear",
            {"weight_format": "scaled<fixed<4, 0>, [0.5, 0.5], axis = 0>"},
            "mase.linear: weight 'data': scales have shape [2], but a tensor of shape",
        ),
        (
            "binary",
            {"weight_format": "fp4_e2m1"},
            "mase.div: weight 'data': 0.232779 becomes zero in minifloat<2, 1, finite>",
        ),
    ],
)
def test_formats_that_a_layer_cannot_have(layer, options, message):
    with pytest.raises(PassFailedException, match=re.escape(message)):
        quantize(model(*LAYERS[layer]), samples=10, **options)


@pytest.mark.parametrize(
    ("layer", "type", "settings", "message"),
    [
        (
            "linear",
            "linear",
            'accumulator = "fixed<32, 8>"',
            "mase.linear: accumulator fixed<32, 8> has no use: only linear, matmul and",
        ),
        (
            "linear",
            "linear",
            'data_in = "int4_g128"',
            "data has no scales for scaled<fixed<4, 0>, auto, axis = -1, group = 128>",
        ),
        (
            "shapes",
            "slice",
            'data_in = "mxint8"',
            "mase.slice moves elements, which cannot be in block<",
        ),
    ],
)
def test_settings_that_a_layer_cannot_have(
    tmp_path: Path, layer, type, settings, message
):
    path = tmp_path / "q.toml"
    path.write_text(f"[passes.quantize.{type}.config]\n{settings}\n")
    with pytest.raises(PassFailedException, match=re.escape(message)):
        quantize(model(*LAYERS[layer]), samples=10, config=str(path))


@pytest.mark.parametrize(
    ("options", "bias"),
    [
        ({"width": 6, "data_width": 9}, "ufixed<12, "),
        ({"format": "fixed<24, auto>"}, "ufixed<48, "),
        ({"format": "mxfp4_e2m1"}, "ufixed<16, "),
        ({"weight_format": "minifloat<5, 6>"}, "ufixed<24, "),
        ({"format": "fp8_e4m3", "bias_width": 9}, "ufixed<9, "),
        ({"format": "fp8_e4m3", "bias_format": "bf16"}, "minifloat<8, 7, ieee>"),
    ],
)
def test_biases_follow_from_the_other_formats(options, bias):
    module = model(*LAYERS["linear"])
    quantize(module, samples=10, **options)
    assert f"tensor<3x!mase.{bias}" in str(module)


def test_signs_of_numbers_without_one():
    module = model(
        """%w = CONST<3x6>
           %0 = mase.relu %x : (tensor<1x6xf32>) -> tensor<1x6xf32>
           %y = mase.linear %0, %w : (tensor<1x6xf32>, tensor<3x6xf32>)
             -> tensor<1x3xf32>""",
        VECTOR[0],
        "tensor<1x3xf32>",
    )
    with pytest.warns(UserWarning, match=r"mase.relu is never negative, so as binary"):
        quantize(module, samples=10, format="binary")


def test_an_accumulator_that_no_layer_has():
    with pytest.warns(UserWarning, match=r"accumulator fixed<32, 8> has no effect: no"):
        quantize(model(*LAYERS["linear"]), samples=10, accumulator="fixed<32, 8>")


def test_data_with_scales_of_channels(tmp_path: Path):
    path = tmp_path / "q.toml"
    path.write_text(
        "[passes.quantize.linear.config]\n"
        'data_in = "scaled<fixed<28, 0>, auto, axis = 1>"\n'
        'weight = "fixed<32, auto>"\n'
        'data_out = "fixed<32, auto>"\n'
    )
    module = model(*LAYERS["linear"])
    inputs = random_samples(model_function(module), 100, seed=0)
    inputs[0] *= np.float32(10.0) ** np.arange(-3, 3)
    expected = run(module, inputs)
    data = tmp_path / "x.npz"
    np.savez(data, x=inputs[0])
    calibrate(module, data=str(data), channels=True)
    quantize(module, config=str(path), data_width=40, method="minmax")
    assert "axis = 1>" in str(module)
    assert np.abs(run(module, inputs) / expected - 1).max() < 1e-5
