"""Impossible formats and numbers without codes: an error, or what is documented."""

from __future__ import annotations

import re
from math import inf, nan

import numpy as np
import pytest
import torch
from mase_text import parse
from reference import value_of
from xdsl.context import Context
from xdsl.dialects.builtin import f32
from xdsl.ir import Attribute
from xdsl.utils.exceptions import (
    InterpretationError,
    ParseError,
    PassFailedException,
    VerifyException,
)

from mase_opt.dialects.mase.elementwise import CastOp, DivOp
from mase_opt.dialects.mase.formats import element_type
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import ElementType
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import (
    Block,
    Fixed,
    Format,
    FormatError,
    FormatSpec,
    Overflow,
    Scaled,
    ScaledSpec,
    ScaleLayout,
    parse_spec,
)
from mase_opt.lib.formats.torch_cast import cast
from mase_opt.lib.interpreters.mase import evaluate_op
from mase_opt.lib.transforms.mase_quantize import MaseQuantizePass

IMPOSSIBLE = {
    "fixed<0, 0>": "width must be between 1 and 64, got 0",
    "fixed<65, 0>": "width must be between 1 and 64, got 65",
    "ufixed<8, 257>": "frac must be between -256 and 256, got 257",
    "minifloat<0, 0, ieee>": "exponent must have between 1 and 8 bits",
    "minifloat<4, 0, fn>": "mantissa must have between 1 and 23 bits",
    "minifloat<0, 0, no_implicit>": "mantissa must have between 1 and 23 bits",
    "log<1, 0>": "width must be between 2 and 9, got 1",
    "scaled<fixed<8, 0>, 0.0>": "scales must be positive normal float32 numbers, got 0",
    "scaled<fixed<8, 0>, -1.0>": "scales must be positive normal float32 numbers",
    "scaled<fixed<8, 0>, 1.0e39>": "scales must be positive normal float32 numbers",
    "scaled<fixed<8, 0>, 1.0e-46>": "scales must be positive normal float32 numbers",
    "scaled<binary, 1.0, zero_point = 1>": "binary takes no zero point",
    "block<fixed<8, 6>, e8m0, [0]>": "block sizes must be positive, or -1",
    "block<fixed<8, 6>, exp<0, 0>, [32]>": "must have between 1 and 9 bits, got 0",
    "block<binary, e8m0, [32]>": "no blocks of binary",
}
MODEL = """func.func @f(%x: tensor<1x4xf32>) -> tensor<1x2xf32> {
  %w = mase.constant <f32, [WEIGHT]> : tensor<2x4xf32>
  %0 = mase.linear %x, %w {layer = "fc"}
    : (tensor<1x4xf32>, tensor<2x4xf32>) -> tensor<1x2xf32>
  func.return %0 : tensor<1x2xf32>
}"""
CONFIG = """[passes.quantize.default.config]
weight = "SPEC"
"""


def model(first: str) -> str:
    return MODEL.replace("WEIGHT", ", ".join([first, *["1.0"] * 7]))


@pytest.mark.parametrize(("text", "reason"), IMPOSSIBLE.items())
def test_impossible_formats(text: str, reason: str, tmp_path):
    """In Python, as an option, in a configuration, and as a type."""
    reason = re.escape(reason)
    with pytest.raises(FormatError, match=reason):
        parse_spec(text)
    with pytest.raises(UserError, match=reason):
        MaseQuantizePass(weight_format=text).apply(Context(), parse(model("2.0")))
    file = tmp_path / "config.toml"
    file.write_text(CONFIG.replace("SPEC", text))
    with pytest.raises(UserError, match=reason):
        MaseQuantizePass(config=str(file)).apply(Context(), parse(model("2.0")))
    type = re.sub(r"\b(u?fixed|minifloat|log|binary|scaled|block)\b", r"!mase.\1", text)
    module = f"func.func @f(%x: tensor<1x4x{type}>) {{\n  func.return\n}}"
    with pytest.raises((ParseError, VerifyException), match=reason):
        parse(module)


@pytest.mark.parametrize("first", ["nan", "inf", "-inf"])
@pytest.mark.parametrize("format", ["fixed<8, auto>", "mxint8", "fp8_e5m2", "int8"])
def test_weights_that_are_no_numbers(format: str, first: str):
    with pytest.raises(PassFailedException, match="weight 'data' holds"):
        MaseQuantizePass(weight_format=format).apply(Context(), parse(model(first)))


def formats() -> list[Format]:
    names = [
        *("fixed<8, 4>", "ufixed<8, 4>", "fp8_e4m3", "fp8_e5m2", "fp4_e2m1", "bf16"),
        *("log<8>", "log<8, 63, no_zero>", "binary", "ternary"),
        *("scaled<fixed<8, 0>, 0.1>", "scaled<ternary, 0.1>", "scaled<fp8_e4m3, 0.1>"),
        *("mxint8", "mxfp8_e4m3", "mxfp8_e5m2", "mxfp4_e2m1", "msfp12"),
    ]
    specs = [parse_spec(name) for name in names]
    return [
        Fixed(spec.width or 0, spec.frac or 0, spec.signed is not False)
        if isinstance(spec, FormatSpec)
        else spec
        for spec in specs
        if not isinstance(spec, ScaledSpec)
    ]


def element_of(format: Format) -> Format:
    return format.element if isinstance(format, Block | Scaled) else format


def interpreted(x: np.ndarray, format: Format) -> np.ndarray:
    """By a cast of the interpreter, as numbers."""
    element: Attribute = element_type(format)
    assert isinstance(element, ElementType)
    op = CastOp(value_of(f32, x.shape), element=element)
    return element.numbers(evaluate_op(op, [x[None].astype(np.float32)]))[0]


@pytest.mark.parametrize("format", formats(), ids=str)
def test_nan(format: Format):
    x = np.array([1.0, nan])
    assert format.cast(x, nan_to_zero=True)[1] == format.cast(np.array([1.0, 0.0]))[1]
    if format.has_nan:
        assert np.isnan(format.cast(x)).tolist() == [False, True]
        assert np.isnan(interpreted(x, format)).tolist() == [False, True]
        return
    with pytest.raises(FormatError, match="NaN has no code in"):
        format.encode(x)
    with pytest.raises(InterpretationError, match=r"mase.cast: NaN has no code in"):
        interpreted(x, format)


@pytest.mark.parametrize("format", formats(), ids=str)
def test_infinity(format: Format):
    x = np.array([inf, -inf])
    if "ternary" in str(format):
        with pytest.raises(FormatError, match="mean magnitude is infinite"):
            format.encode(x)
        with pytest.raises(InterpretationError, match="mean magnitude is infinite"):
            interpreted(x, format)
        return
    ends = [format.max_value, format.min_value]
    assert format.cast(x).tolist() == ends
    assert interpreted(x, format).tolist() == ends
    assert cast(torch.from_numpy(x), format).tolist() == ends
    # What has an infinity does not overflow.
    if isinstance(format, Fixed) or not format.has_nan:
        if str(format) != "binary":
            with pytest.raises(FormatError):
                format.encode(x, overflow=Overflow.ERROR)


@pytest.mark.parametrize("format", formats(), ids=str)
def test_tiny_numbers(format: Format):
    """Zeros, and numbers that no format has: by the rounding mode."""
    for x in ([0.0, 0.0, 0.0], [5e-324, 1e-310, -5e-324], [1e-45, -1e-45, 3e-42]):
        array = np.array(x)
        got = format.cast(array)
        assert np.isfinite(got).all()
        assert got.tolist() == cast(torch.from_numpy(array), format).tolist()
        assert got.tolist() == format.cast(got).tolist()
        if str(format) == "binary":
            assert got.tolist() == [-1.0 if v < 0 else 1.0 for v in x]
        elif "no_zero" in str(format):
            assert np.abs(got).tolist() == [format.step] * 3
        elif "ternary" in str(format):
            continue  # relative to the mean
        elif max(x) < format.step / 2:
            assert got.tolist() == [0.0] * 3
        if isinstance(format, Block) and not any(x):
            assert format.encode(array).scales.tolist() == [0]


@pytest.mark.parametrize("other", [1.0, inf, nan])
def test_division_by_zero_is_an_error_whatever_else_there_is(other: float):
    element = element_type(parse_spec("fp8_e5m2"))
    x, y = value_of(element, (2,)), value_of(element, (2,))
    arrays = [np.array([[1.0, other]]), np.array([[0.0, 2.0]])]
    with pytest.raises(InterpretationError, match=r"mase.div: division by zero"):
        evaluate_op(DivOp(x, y), arrays)


def test_sizes_of_parts_may_be_large():
    """Blocks and groups beyond a tensor are whole, whatever their size."""
    x = np.random.default_rng(0).normal(size=(3, 5))
    for size in (10**6, 10**30):
        blocks = parse_spec(f"block<fixed<8, 6>, e8m0, [{size}]>")
        whole = parse_spec("block<fixed<8, 6>, e8m0, [-1]>")
        assert isinstance(blocks, Block)
        assert isinstance(whole, Block)
        assert np.array_equal(blocks.cast(x), whole.cast(x))
        scaled = Scaled(Fixed(8, 0), np.full((3, 1), 0.1), ScaleLayout(1, size))
        assert np.array_equal(scaled.cast(x), Scaled(Fixed(8, 0), 0.1).cast(x))


def test_codes_that_do_not_exist():
    def constant(data: str, type: str) -> str:
        return f"""func.func @f() {{
  %0 = mase.constant {data} : tensor<2x{type}>
  func.return
}}"""

    for data, type, reason in (
        ("<i8, [4, -5]>", "!mase.fixed<3, 0>", "the code -5, expected -4 to 3"),
        (
            "<ui8, [16, 0]>",
            "!mase.minifloat<2, 1, finite>",
            "code 16, expected 0 to",
        ),
        ("<i8, [2, 0]>", "!mase.ternary", "the code 2, expected -1 to 1"),
        (
            "<i8, [1, 1]>",
            "!mase.block<!mase.fixed<8, 6>, e8m0, [2]>",
            "has no scales",
        ),
        ("<i8, [1, 1]>", "!mase.block<!mase.fixed<8, 6>, e8m0, [1, 2]>", "rank 1"),
    ):
        with pytest.raises(VerifyException, match=reason):
            parse(constant(data, type))
    with pytest.raises(ValueError, match=r"not all values are of !mase.log"):
        ConstantOp.of(np.array([3.0]), element_type(parse_spec("log<8>")))
