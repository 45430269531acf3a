"""The summary of a quantized model: sizes and errors against numbers made by hand."""

from __future__ import annotations

import csv
import json
from math import inf, log10
from pathlib import Path

import numpy as np
import pytest
from mase_text import parse
from xdsl.dialects.builtin import ModuleOp, f16, f32, i1, i64

from mase_opt.dialects.mase.formats import element_type
from mase_opt.frontend.load_model import load_model
from mase_opt.lib.analysis.quantization import Noise, storage_bits, summary
from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.format import Format
from mase_opt.lib.formats.scaled import Scaled, ScaleLayout
from mase_opt.lib.formats.spec import parse_spec
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.lib.model_function import model_function
from mase_opt.lib.transforms.mase_lower_to_lookup import MaseLowerToLookupPass
from mase_opt.lib.transforms.mase_quantize import MaseQuantizePass
from mase_opt.lib.transforms.mase_summarize_quantization import (
    MaseSummarizeQuantizationPass,
)
from mase_opt.registry import load_universe, new_context

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
FLOAT = """
func.func @f(%x: tensor<1x4xf32> {mase.name = "x"}) -> tensor<1x2xf32> {
  %w = mase.constant <f32, [1.0, -1.0, 0.5, 0.3, 0.0, 0.0, 0.0, 2.0]> : tensor<2x4xf32>
  %b = mase.constant <f32, [0.25, 0.0]> : tensor<2xf32>
  %0 = mase.linear %x, %w, %b {layer = "fc"}
    : (tensor<1x4xf32>, tensor<2x4xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %1 = mase.gelu %0 {layer = "act"} : (tensor<1x2xf32>) -> tensor<1x2xf32>
  func.return %1 : tensor<1x2xf32>
}
"""
# Of the weights 0.3 has become 0.5, of the inputs everything is in halves.
QUANTIZED = """
func.func @f(%x: tensor<1x4x!mase.fixed<8, 1>> {mase.name = "x"})
    -> tensor<1x2x!mase.fixed<8, 4>> {
  %w = mase.constant <i8, [2, -2, 1, 1, 0, 0, 0, 4]> : tensor<2x4x!mase.fixed<8, 1>>
  %b = mase.constant <i16, [1, 0]> : tensor<2x!mase.fixed<16, 2>>
  %0 = mase.linear %x, %w, %b {layer = "fc"}
    : (tensor<1x4x!mase.fixed<8, 1>>, tensor<2x4x!mase.fixed<8, 1>>,
       tensor<2x!mase.fixed<16, 2>>) -> tensor<1x2x!mase.fixed<16, 8>>
  %1 = mase.gelu %0 {layer = "act"}
    : (tensor<1x2x!mase.fixed<16, 8>>) -> tensor<1x2x!mase.fixed<8, 4>>
  func.return %1 : tensor<1x2x!mase.fixed<8, 4>>
}
"""


def rows(module: ModuleOp, tmp_path: Path, **options) -> dict[str, dict]:
    """The rows of the JSON summary by layer, and the total."""
    path = tmp_path / "summary.json"
    MaseSummarizeQuantizationPass(format="json", output=str(path), **options).apply(
        new_context(load_universe()), module
    )
    summary = json.loads(path.read_text())
    return {row["layer"]: row for row in (*summary["rows"], summary["total"])}


@pytest.fixture
def reference(tmp_path: Path) -> str:
    path = tmp_path / "float.mlir"
    path.write_text(FLOAT)
    return str(path)


@pytest.mark.parametrize(
    ("name", "shape", "bits"),
    [
        ("fp6_e3m2", (3, 5), 15 * 6),
        ("ternary", (3, 5), 15 * 2),
        ("binary", (3, 5), 15),
        # 8.25 bits, and with tails of 8 more.
        ("mxint8", (2, 64), 128 * 8 + 4 * 8),
        ("mxint8", (2, 40), 80 * 8 + 4 * 8),
        ("mxfp4_e2m1", (2, 32), 64 * 4 + 2 * 8),
        ("msfp12", (3, 16), 48 * 4 + 3 * 8),
    ],
)
def test_bits_of_formats(name: str, shape: tuple[int, ...], bits: int) -> None:
    format = parse_spec(name)
    assert isinstance(format, Format)
    assert storage_bits(element_type(format), shape) == bits


def test_bits_of_scales() -> None:
    four, eight = Fixed(4, 0), Fixed(8, 0, signed=False)
    one = Scaled(four, 0.5)
    grouped = Scaled(four, np.ones((2, 3)), ScaleLayout(-1, 128))
    affine = Scaled(eight, 0.5, zero_point=3)
    assert storage_bits(element_type(one), (2, 5)) == 10 * 4 + 32
    assert storage_bits(element_type(grouped), (2, 300)) == 600 * 4 + 6 * 32
    assert storage_bits(element_type(affine), (10,)) == 10 * 8 + 32 + 8


def test_bits_of_builtin_types() -> None:
    assert [storage_bits(t, (2, 3)) for t in (f32, f16, i64, i1)] == [192, 96, 384, 6]


def test_noise() -> None:
    noise = Noise()
    assert noise.sqnr == inf
    noise.add(np.array([3.0]), np.array([3.0]))
    assert noise.sqnr == inf
    noise.add(np.array([1.0]), np.array([0.0]))
    assert noise.sqnr == 10
    masked = Noise()
    masked.add(np.array([-np.inf, -3e38, 1.0]), np.array([-8.0, -8.0, 0.0]))
    assert masked.sqnr == 0
    silent = Noise()
    silent.add(np.zeros(2), np.ones(2))
    assert silent.sqnr == -inf


def test_formats_and_memory(tmp_path: Path) -> None:
    found = rows(parse(QUANTIZED), tmp_path)
    assert found["fc"] == {
        "layer": "fc",
        "operation": "linear",
        "input": "fixed<8, 1>",
        "weight": "fixed<8, 1>",
        "bias": "fixed<16, 2>",
        "output": "fixed<16, 8>",
        "accumulator": "",
        "weights": 8,
        "bits_per_weight": 8.0,
        "parameter_bits": 8 * 8 + 2 * 16,
        "parameter_bytes": 12,
        "weight_sqnr_db": None,
        "output_sqnr_db": None,
    }
    assert found["act"]["output"] == "fixed<8, 4>"
    assert found["act"]["bits_per_weight"] is None
    assert found["total"]["parameter_bits"] == 96
    assert found["total"]["weights"] == 8
    assert found["total"]["bits_per_weight"] == 8.0


def test_weights_against_the_reference(tmp_path: Path, reference: str) -> None:
    found = rows(parse(QUANTIZED), tmp_path, reference=reference)
    signal = 1 + 1 + 0.25 + 0.09 + 4
    assert found["fc"]["weight_sqnr_db"] == pytest.approx(10 * log10(signal / 0.04))
    assert found["act"]["weight_sqnr_db"] is None
    assert found["fc"]["output_sqnr_db"] is None


def test_results_against_the_reference(tmp_path: Path, reference: str) -> None:
    data = tmp_path / "x.npz"
    np.savez(data, x=np.array([[1, 0, 0, 0.5], [0, 0.3, 0, 0]]))
    found = rows(parse(QUANTIZED), tmp_path, reference=reference, data=str(data))
    # 1 + 0.25 + 0.15 and 1, -0.05 and 0; for them 1.5 and 1, -0.25 and 0.
    signal, error = 1.4**2 + 1 + 0.05**2, 0.1**2 + 0.2**2
    expected = 10 * log10(signal / error)
    assert found["fc"]["output_sqnr_db"] == pytest.approx(expected, rel=1e-6)
    first = rows(
        parse(QUANTIZED), tmp_path, reference=reference, data=str(data), samples=1
    )
    expected = 10 * log10((1.4**2 + 1) / 0.1**2)
    assert first["fc"]["output_sqnr_db"] == pytest.approx(expected, rel=1e-6)
    assert first["act"]["output_sqnr_db"] < inf


def test_nothing_is_lost_between_batches() -> None:
    x = np.random.default_rng(0).integers(-100, 100, (2500, 1, 4)) / 4
    quantized, floats = (model_function(parse(text)) for text in (QUANTIZED, FLOAT))
    x = x.astype(np.float32)
    table = summary(quantized, floats, [x])
    [expected] = evaluate(floats, [x])
    [codes] = evaluate(quantized, [Fixed(8, 1).encode(x)])
    noise = Noise()
    noise.add(expected, codes / 16)
    assert table.rows[1][-1] == pytest.approx(noise.sqnr, rel=1e-9)


def test_no_noise_is_infinite(tmp_path: Path, reference: str) -> None:
    module = parse(FLOAT)
    assert rows(module, tmp_path)["fc"]["weight_sqnr_db"] is None
    assert rows(module, tmp_path, reference=reference)["fc"]["weight_sqnr_db"] == "inf"
    path = tmp_path / "summary.csv"
    MaseSummarizeQuantizationPass(
        reference=reference, format="csv", output=str(path)
    ).apply(new_context(load_universe()), module)
    with path.open() as file:
        [first, *_] = csv.DictReader(file)
    assert float(first["weight_sqnr_db"]) == inf
    assert first["weight"] == "f32"
    assert first["bits_per_weight"] == "32.0"


def test_the_module_stays(tmp_path: Path, reference: str) -> None:
    module = parse(QUANTIZED)
    before = str(module)
    rows(module, tmp_path, reference=reference)
    assert str(module) == before


def test_a_shared_weight_is_stored_once(tmp_path: Path) -> None:
    module = parse("""
func.func @f(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %w = mase.constant <i8, [1, 2, 3, 4]> : tensor<2x2x!mase.fixed<8, 4>>
  %0 = mase.linear %x, %w {layer = "a"}
    : (tensor<1x2xf32>, tensor<2x2x!mase.fixed<8, 4>>) -> tensor<1x2xf32>
  %1 = mase.linear %0, %w {layer = "b"}
    : (tensor<1x2xf32>, tensor<2x2x!mase.fixed<8, 4>>) -> tensor<1x2xf32>
  func.return %1 : tensor<1x2xf32>
}""")
    found = rows(module, tmp_path)
    assert [found[name]["parameter_bits"] for name in ("a", "b", "total")] == [32] * 3
    assert found["total"]["weights"] == 4


def test_masters_are_a_reference(tmp_path: Path) -> None:
    data = tmp_path / "x.npz"
    np.savez(data, x=np.ones((3, 4)))
    plain, masters = parse(FLOAT), parse(FLOAT)
    for module, keep in ((plain, False), (masters, True)):
        options = MaseQuantizePass(width=4, data=str(data), masters=keep)
        options.apply(new_context(load_universe()), module)
    found = rows(masters, tmp_path)["fc"]
    assert found["weight"].startswith("fixed<4, ")
    assert found["parameter_bits"] == 8 * 4 + 2 * 8
    reference = tmp_path / "float.mlir"
    reference.write_text(FLOAT)
    expected = rows(plain, tmp_path, reference=str(reference))["fc"]
    assert 0 < found["weight_sqnr_db"] < 40
    assert found["weight_sqnr_db"] == expected["weight_sqnr_db"]


def test_tables_are_memory_but_no_weights(tmp_path: Path, reference: str) -> None:
    data = tmp_path / "x.npz"
    np.savez(data, x=np.ones((3, 4)))
    module = parse(FLOAT)
    MaseQuantizePass(width=6, data=str(data)).apply(
        new_context(load_universe()), module
    )
    MaseLowerToLookupPass().apply(new_context(load_universe()), module)
    found = rows(module, tmp_path, reference=reference, data=str(data))
    assert found["act"]["operation"] == "lookup"
    assert found["act"]["parameter_bits"] == 64 * 6
    assert found["act"]["weights"] == 0
    assert found["act"]["output_sqnr_db"] is None
    assert found["fc"]["output_sqnr_db"] > 20
    assert found["total"]["bits_per_weight"] == 6


def test_a_batch_norm_is_folded_in_the_reference(tmp_path: Path) -> None:
    text = """
func.func @f(%x: tensor<1x1x2x2xf32> {mase.name = "x"}) -> tensor<1x1x2x2xf32> {
  %w = mase.constant <f32, [1.0]> : tensor<1x1x1x1xf32>
  %p = mase.constant <f32, [0.0]> : tensor<1xf32>
  %q = mase.constant <f32, [4.0]> : tensor<1xf32>
  %g = mase.constant <f32, [1.0]> : tensor<1xf32>
  %0 = mase.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0>,
      dilation = array<i64: 1, 1>, layer = "conv"}
    : (tensor<1x1x2x2xf32>, tensor<1x1x1x1xf32>) -> tensor<1x1x2x2xf32>
  %1 = mase.batch_norm %0, %p, %q, %g, %p {eps = 0.0 : f64, layer = "bn"}
    : (tensor<1x1x2x2xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>,
       tensor<1xf32>) -> tensor<1x1x2x2xf32>
  func.return %1 : tensor<1x1x2x2xf32>
}"""
    reference = tmp_path / "float.mlir"
    reference.write_text(text)
    data = tmp_path / "x.npz"
    np.savez(data, x=np.ones((3, 1, 2, 2)))
    module = parse(text)
    MaseQuantizePass(data=str(data)).apply(new_context(load_universe()), module)
    found = rows(module, tmp_path, reference=str(reference), data=str(data))
    assert "bn" not in found
    assert found["conv"]["weight_sqnr_db"] == "inf"
    assert found["conv"]["output_sqnr_db"] == "inf"


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"format": "cvs"}, "format is 'cvs', expected one of table, csv, json; did"),
        ({"data": "x.npz"}, "data has no meaning without reference=MODEL"),
        ({"samples": 3}, "samples has no meaning without data=FILE.npz"),
        ({"reference": "a", "data": "b", "samples": 0}, "samples is 0, expected at le"),
    ],
)
def test_options_without_meaning(options, message: str) -> None:
    with pytest.raises((ValueError, UserError), match=message):
        MaseSummarizeQuantizationPass(**options)


def test_references_that_do_not_fit(tmp_path: Path, reference: str) -> None:
    module = parse(QUANTIZED.replace('"fc"', '"a"').replace('"act"', '"b"'))
    with pytest.raises(UserError, match="no layer in floating point that the model"):
        rows(module, tmp_path, reference=reference)
    quantized = tmp_path / "quantized.mlir"
    quantized.write_text(QUANTIZED)
    with pytest.raises(UserError, match="no layer in floating point that the model"):
        rows(parse(QUANTIZED), tmp_path, reference=str(quantized))
    other = tmp_path / "other.mlir"
    other.write_text(FLOAT.replace("1x", "3x"))
    with pytest.raises(
        UserError, match=r"other\.mlir' takes other inputs than the mod"
    ):
        rows(module, tmp_path, reference=str(other))
    with pytest.raises(UserError, match=r"cannot read 'nowhere\.mlir'"):
        rows(module, tmp_path, reference="nowhere.mlir")


@pytest.mark.parametrize(
    ("options", "bits", "sqnr"),
    [
        # Rows of 64 and 32 weights, in 32x64 and 10x32: whole blocks.
        ({"format": "mxint8"}, (2048 * 8.25, 320 * 8.25), 35),
        # A short group for each of the 32 and 10 rows.
        ({"weight_format": "int4_g128"}, (2048 * 4 + 32 * 32, 320 * 4 + 320), 15),
    ],
)
def test_digits(options, bits: tuple[int, int], sqnr: float, tmp_path: Path) -> None:
    model = str(DIGITS / "mlp.mlir")
    module = load_model(model)
    ConvertTorchToMasePass().apply(new_context(load_universe()), module)
    data = str(DIGITS / "mlp_calibration.npz")
    MaseQuantizePass(data=data, **options).apply(new_context(load_universe()), module)
    found = rows(module, tmp_path, reference=model, data=data)
    biases = (32 * 16, 10 * 16)
    for name, weight_bits, bias_bits in zip(("fc1", "fc2"), bits, biases, strict=True):
        assert found[name]["parameter_bits"] == weight_bits + bias_bits
        assert sqnr < found[name]["weight_sqnr_db"] < sqnr + 15
    # The negative part of fc1 is cut off before the relu does it.
    for name in ("relu", "fc2"):
        assert sqnr < found[name]["output_sqnr_db"] < sqnr + 15
    assert found["total"]["bits_per_weight"] == sum(bits) / 2368
    assert found["total"]["parameter_bits"] == sum(bits) + 42 * 16
