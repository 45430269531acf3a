"""Quantization: values stay close, layers are left alone, a second run is nothing."""

import re
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from mase_text import parse
from quantize_models import LAYERS, VECTOR, model, quantize, run
from xdsl.context import Context
from xdsl.utils.exceptions import PassFailedException

from mase_opt.lib.data.samples import random_samples
from mase_opt.lib.errors import UserError
from mase_opt.lib.model_function import model_function
from mase_opt.lib.quantization.calibrate import calibrate
from mase_opt.lib.transforms.mase_quantize import MaseQuantizePass
from mase_opt.testing import assert_levels_agree


@pytest.mark.parametrize("layer", LAYERS)
def test_wide_formats_change_next_to_nothing(layer):
    """Catches lost biases, affine parameters and running statistics."""
    module = model(*LAYERS[layer])
    inputs = random_samples(model_function(module), 100, seed=0)
    expected = run(module, inputs)
    # minmax: the samples are those of calibration, so that nothing is cut off.
    quantize(module, width=26, bias_width=40, method="minmax", samples=100)
    assert "f32" not in str(module)
    actual = run(module, inputs)
    error = np.abs(actual - expected).max() / np.abs(expected).max()
    assert error < 1e-5


MLP = """
func.func @f(%x: tensor<1x3xf32> {mase.name = "x"}) -> tensor<1x2xf32> {
  %w1 = mase.constant <f32, [0.5, -0.25, 0.125, 0.9, 0.3, -0.7]> : tensor<2x3xf32>
  %b1 = mase.constant <f32, [0.1, -0.2]> : tensor<2xf32>
  %w2 = mase.constant <f32, [0.5, -0.25, 1.125, 0.9]> : tensor<2x2xf32>
  %0 = mase.linear %x, %w1, %b1 {layer = "fc1"}
    : (tensor<1x3xf32>, tensor<2x3xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %1 = mase.relu %0 {layer = "act"} : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %2 = mase.linear %1, %w2 {layer = "fc2"}
    : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  %3 = mase.add %2, %1 : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  func.return %3 : tensor<1x2xf32>
}
"""


def config(tmp_path: Path, text: str) -> str:
    path = tmp_path / "q.toml"
    path.write_text(text)
    return str(path)


@given(
    st.integers(2, 20),
    st.sampled_from(["mse", "minmax", "percentile"]),
    st.sampled_from(["saturate", "wrap", "error"]),
    st.sampled_from(["nearest_even", "floor", "zero"]),
)
@settings(max_examples=20, deadline=None)
def test_a_second_run_changes_nothing(width, method, overflow, rounding):
    module = parse(MLP)
    options = {
        "width": width,
        "method": method,
        "overflow": overflow,
        "rounding": rounding,
        "samples": 50,
    }
    quantize(module, **options)
    text = str(module)
    assert "f32" not in text
    with pytest.warns(UserWarning, match="has no effect: no value in floating point"):
        MaseQuantizePass(**options).apply(Context(), module)
    assert str(module) == text


def test_options_reach_the_ops():
    module = parse(MLP)
    quantize(module, weight_width=5, bias_width=9, data_width=7, rounding="floor")
    text = str(module)
    assert "tensor<2x3x!mase.fixed<5, " in text
    assert "tensor<2x!mase.fixed<9, " in text
    assert "%x: tensor<1x3x!mase.fixed<7, " in text
    assert text.count("#mase.rounding<floor, saturate>") == 4


def test_without_saturation_a_relu_keeps_its_input():
    module = parse(MLP)
    quantize(module, overflow="wrap")
    relu = next(line for line in str(module).splitlines() if "mase.relu" in line)
    assert re.search(r"\(tensor<1x2x!mase\.fixed<8, (.*)>>\) -> .*ufixed<7, \1>", relu)


def test_a_layer_that_is_left_alone(tmp_path: Path):
    path = config(
        tmp_path,
        '[passes.quantize]\nby = "name"\n[passes.quantize.fc2.config]\nname = "NA"\n',
    )
    module = parse(MLP)
    quantize(module, config=path)
    lines = [line.strip() for line in str(module).splitlines()]
    position = next(i for i, line in enumerate(lines) if '"fc2"' in line)
    before, layer, after = lines[position - 1 : position + 2]
    assert re.fullmatch(r"%\d+ = mase.cast .*ufixed<8, \d+>>\) -> .*xf32>", before)
    assert "mase.linear" in layer
    assert "!mase" not in layer
    assert re.search(r"mase.cast .*xf32>\) -> tensor<1x2x!mase.fixed<8, ", after)
    # Again with the same settings: the casts are what they were.
    text = str(module)
    with pytest.warns(UserWarning, match="has no effect"):
        MaseQuantizePass(config=path).apply(Context(), module)
    assert str(module) == text


def test_data_that_is_not_looked_at(tmp_path: Path):
    module = parse(MLP)
    data = str(tmp_path / "x.npy")
    np.save(data, np.ones((4, 3), np.float32))
    calibrate(module, data=data)
    calibrated = module.clone()
    with pytest.warns(UserWarning, match="data other.npy is not looked at"):
        MaseQuantizePass(data="other.npy").apply(Context(), module)
    quantize(calibrated)
    assert str(module) == str(calibrated)


def test_a_layer_that_is_left_alone_at_the_input(tmp_path: Path):
    path = config(
        tmp_path,
        '[passes.quantize]\nby = "name"\n[passes.quantize.fc1.config]\nbypass = true\n',
    )
    module = parse(MLP)
    quantize(module, config=path)
    assert "%x: tensor<1x3xf32>" in str(module)
    assert len(re.findall("mase.cast", str(module))) == 1


def test_settings_of_a_folded_batch_norm(tmp_path: Path):
    path = config(
        tmp_path,
        '[passes.quantize]\n[passes.quantize.batch_norm.config]\nname = "NA"\n',
    )
    module = model(*LAYERS["batch_norm"])
    with pytest.warns(UserWarning, match="'batch_norm' has no effect: batch norms go"):
        quantize(module, config=path)
    assert "f32" not in str(module)


def test_settings_of_inputs_and_results(tmp_path: Path):
    path = config(
        tmp_path,
        """
        [passes.quantize]
        by = "name"
        [passes.quantize.fc1.config]
        data_in = "fixed<6,3>"
        weight = "fixed<4,auto>"
        bias = "fixed<auto,2>"
        data_out = "fixed<12,7>"
        rounding = "half_up"
        [passes.quantize.fc2.config]
        data_in = "ufixed<5,auto>"
        """,
    )
    module = parse(MLP)
    quantize(module, config=path)
    text = str(module)
    # The input has no other use, so it has the format itself.
    assert "%x: tensor<1x3x!mase.fixed<6, 3>>" in text
    assert "tensor<2x3x!mase.fixed<4, 3>>" in text
    # 0.1 and -0.2 are 0 and -1 quarters.
    assert "<i8, [0, -1]> : tensor<2x!mase.fixed<1, 2>>" in text
    assert "#mase.rounding<half_up, saturate>" in text
    assert "-> tensor<1x2x!mase.fixed<12, 7>>" in text
    # The relu's result has another use, so fc2 casts it.
    assert re.search(
        r"mase.cast .*\(tensor<1x2x!mase.ufixed<11, 7>>\) -> "
        r"tensor<1x2x!mase.ufixed<5, ",
        text,
    )


def test_weights_that_are_not_finite():
    module = parse(MLP.replace("0.125, 0.9", "nan, inf"))
    message = (
        "layer 'fc1' (mase.linear): weight 'data' holds 1 NaN and 1 infinite values of "
        "6; train or export the model again"
    )
    with pytest.raises(PassFailedException, match=re.escape(message)):
        quantize(module)


def test_padding_that_has_no_code():
    module = model(
        """%y = mase.pad %x {low = array<i64: 0, 0>, high = array<i64: 0, 1>,
             value = 0.1 : f64} : tensor<1x6xf32> -> tensor<1x7xf32>""",
        VECTOR[0],
        "tensor<1x7xf32>",
    )
    with pytest.raises(PassFailedException, match=r"pads with 0\.1, which fixed<8, 5>"):
        quantize(module)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "options: data-width: width must be between 1 and 64, got 0"),
        ({"bias_width": 65}, "options: bias-width: width must be between 1 and 64"),
        ({"method": "max"}, "options: method is 'max', expected one of mse, minmax,"),
        ({"rounding": "up"}, "options: rounding is 'up', expected one of nearest_even"),
        ({"percentile": 12.0}, "options: percentile is 12.0, expected above 50, to"),
        ({"by": "kind"}, "options: by is 'kind', expected one of type, name, regex"),
        ({"data": "nowhere.npz"}, "data 'nowhere.npz': no such file"),
    ],
)
def test_options_without_meaning(options, message):
    with pytest.raises(UserError, match=re.escape(message)):
        quantize(parse(MLP), **options)


def test_masks_leave_bits_for_the_scores():
    module = model(
        """%m = mase.constant <f32, [0.0, 0.0, 0.0, 0.0, -3.4e+38, -3.4e+38]>
             : tensor<6xf32>
           %0 = mase.add %x, %m : (tensor<1x6xf32>, tensor<6xf32>) -> tensor<1x6xf32>
           %y = mase.softmax %0 {axis = 1 : i64}
             : (tensor<1x6xf32>) -> tensor<1x6xf32>""",
        *VECTOR,
    )
    inputs = random_samples(model_function(module), 100, seed=0)
    expected = run(module, inputs)
    quantize(module, width=10)
    actual = run(module, inputs)
    # Half a step of 2^-5 in a score is 1.6 % of a probability.
    assert np.abs(actual - expected).max() < 0.016
    assert (actual[..., 4:] == 0).all()


@pytest.mark.parametrize(
    ("options", "element"),
    [
        # 8 bits for 256 numbers of a normal distribution.
        ({}, "!mase.fixed<8, 5>"),
        ({"width": 6}, "!mase.fixed<6, 3>"),
        ({"data_format": "ufixed<4, 2>"}, "!mase.ufixed<4, 2>"),
        # Between -0.5 and 0.25.
        ({"data": "samples.npz", "method": "minmax"}, "!mase.fixed<8, 8>"),
    ],
)
@pytest.mark.parametrize("computes", [False, True])
def test_an_input_that_nothing_uses(
    options, element, computes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    np.savez(
        "samples.npz",
        x=np.arange(4, dtype=np.float32 if computes else np.int32).reshape(2, 1, 2),
        y=np.array([-0.5, 0.25], np.float32).reshape(2, 1),
    )
    type = "f32" if computes else "i8"
    module = parse(f"""
func.func @f(%x: tensor<1x2x{type}> {{mase.name = "x"}},
             %y: tensor<1xf32> {{mase.name = "y"}}) -> tensor<1x2x{type}> {{
  %0 = mase.relu %x : (tensor<1x2x{type}>) -> tensor<1x2x{type}>
  func.return %0 : tensor<1x2x{type}>
}}""")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="no calibration data")
        MaseQuantizePass(**options).apply(Context(), module)
    module.verify()
    assert str(model_function(module).args[1].type) == f"tensor<1x{element}>"
    assert "mase.calibration" not in str(module)
    layout = assert_levels_agree(module)
    assert [port.name for port in layout.inputs] == ["x", "y"]
