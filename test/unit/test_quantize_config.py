"""Quantize configs: both spellings, selection of layers, errors with a remedy."""

import re
import warnings
from dataclasses import replace
from pathlib import Path

import pytest
from xdsl.dialects.builtin import TensorType, f32
from xdsl.dialects.test import TestOp as Source

from mase_opt.dialects.mase.elementwise import ReluOp, SigmoidOp
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import Fixed, FormatSpec, Overflow, RoundingMode
from mase_opt.lib.quantization.classic import NAMES
from mase_opt.lib.quantization.config import (
    OPERANDS,
    LayerConfig,
    QuantizeConfig,
    parse_layer,
)
from mase_opt.lib.quantization.recipe import Recipe

SOURCE = Source(result_types=[TensorType(f32, [2])])
OPS = [
    ReluOp(SOURCE.results[0], layer="features.0"),
    ReluOp(SOURCE.results[0], layer="features.1"),
    SigmoidOp(SOURCE.results[0], layer="head"),
]


def widths(config) -> list[int | None]:
    """The data width that each of `OPS` gets."""
    selected = config.select(OPS)
    return [spec.width if (spec := selected[op].data_in) else None for op in OPS]


def parse_config(table: dict) -> QuantizeConfig:
    return Recipe.from_table(table, "x").config


def data(width: int) -> dict:
    return {"config": {"data_in": f"fixed<{width}, auto>"}}


def test_both_spellings_mean_the_same():
    text = parse_layer(
        {"data_in": "fixed<8,4>", "weight": "fixed<6,auto>", "bias": "fixed<auto,3>"},
        "x",
    )
    classic = parse_layer(
        {
            "name": "integer",
            "data_in_width": 8,
            "data_in_frac_width": 4,
            "weight_width": 6,
            "weight_frac_width": "auto",
            "bias_frac_width": 3,
        },
        "x",
    )
    assert text == classic
    assert text.data_in == FormatSpec(True, 8, 4)
    assert text.bias == FormatSpec(True, None, 3)


CLASSIC = [
    ("integer", {"width": 8, "frac_width": 4}, "fixed<8, 4>"),
    ("fixed", {"width": 8}, "fixed<8, auto>"),
    (
        "minifloat_ieee",
        {"width": 8, "exponent_width": 4, "exponent_bias": 6},
        "minifloat<4, 3, ieee, 6>",
    ),
    (
        "minifloat_denorm",
        {"width": 8, "exponent_width": 4},
        "minifloat<4, 3, no_implicit>",
    ),
    ("log", {"width": 6, "exponent_bias": 20}, "log<6, 20>"),
    (
        "block_fp",
        {"width": 8, "exponent_width": 6, "exponent_bias": 40, "block_size": [1, 16]},
        "block<minifloat<0, 7, no_implicit>, exp<6, 40>, [1, 16]>",
    ),
    (
        "block_minifloat",
        {"width": 6, "exponent_width": 3, "exponent_bias_width": 8, "block_size": 16},
        "block<minifloat<3, 2, ieee>, exp<8, 127>, [16]>",
    ),
    (
        "block_log",
        {"width": 4, "exponent_bias_width": 5, "block_size": -1},
        "block<log<4>, exp<5, 15>, [-1]>",
    ),
    ("binary", {"width": 1}, "binary"),
    ("ternary", {"width": 2}, "ternary"),
    ("mxint", {"width": 8}, "mxint8"),
    (
        "mxint",
        {"width": 4, "exponent_width": 4, "block_size": 16},
        "block<fixed<4, 2>, exp<4, 7>, [16]>",
    ),
    ("mxfp", {"exponent_width": 4, "frac_width": 3}, "mxfp8_e4m3"),
    ("mxfp", {"width": 8, "exponent_width": 5}, "mxfp8_e5m2"),
    ("mxfp", {"width": 4, "exponent_width": 2}, "mxfp4_e2m1"),
    ("scale_integer", {"width": 8}, "int8"),
]


@pytest.mark.parametrize(("name", "parts", "text"), CLASSIC)
@pytest.mark.parametrize("operand", OPERANDS)
def test_classic_names(operand, name, parts, text):
    keys = {f"{operand}_{part}": value for part, value in parts.items()}
    classic = parse_layer({"name": name, **keys}, "x")
    assert classic == parse_layer({operand: text}, "x")


def test_every_classic_name_is_tested():
    assert {name for name, _, _ in CLASSIC} == set(NAMES)


def test_names_that_are_formats():
    assert parse_layer({"name": "ternary"}, "x") == parse_layer(
        {"data_in": "ternary", "weight": "ternary"}, "x"
    )
    only_weights = parse_layer({"name": "binary", "weight_width": 1}, "x")
    assert only_weights == parse_layer({"weight": "binary"}, "x")


def test_accumulators():
    assert parse_layer({"accumulator": "fixed<24, 8>"}, "x").accumulator == Fixed(24, 8)


def test_modes_and_bypass():
    layer = parse_layer({"rounding": "floor", "overflow": "wrap"}, "x")
    assert layer.rounding is RoundingMode.FLOOR
    assert layer.overflow is Overflow.WRAP
    assert not layer.bypass
    assert parse_layer({"name": "NA"}, "x").bypass
    assert parse_layer({"bypass": True}, "x").bypass


def test_by_type():
    config = parse_config({"relu": data(5), "mase.sigmoid": data(6)})
    assert widths(config) == [5, 5, 6]


def test_by_name():
    table = {"by": "name", "default": data(4), "head": data(6), "features.1": data(5)}
    assert widths(parse_config(table)) == [4, 5, 6]


def test_by_regex_the_first_match_wins():
    table = {"by": "regex_name", r"features\.0": data(5), r"features\..*": data(6)}
    assert widths(parse_config(table)) == [5, 6, None]


def test_a_regex_matches_whole_names():
    with pytest.raises(UserError, match="there is no layer that matches 'features'"):
        parse_config({"by": "regex_name", "features": data(5)}).check(OPS)


def test_by_can_be_overridden():
    recipe = Recipe.from_table({"by": "type", "head": data(6)}, "x")
    assert widths(replace(recipe, by="name").config) == [None, None, 6]


def test_settings_of_its_own_take_a_layer_out_of_the_default():
    table = {"default": {"config": {"name": "NA"}}, "relu": data(5)}
    selected = parse_config(table).select(OPS)
    assert [bool(selected[op].bypass) for op in OPS] == [False, False, True]


def test_a_layer_keeps_the_default_where_it_is_silent():
    layer = LayerConfig(weight=FormatSpec(True, 4, None), bypass=False)
    merged = layer.over(LayerConfig(data_in=FormatSpec(True, 8, None)))
    assert merged.data_in == FormatSpec(True, 8, None)
    assert merged.weight == FormatSpec(True, 4, None)


def test_a_type_that_the_model_lacks_is_a_warning():
    with pytest.warns(UserWarning, match="the model has no layer of type 'conv2d'"):
        parse_config({"conv2d": data(5)}).check(OPS)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"by": "kind"}, "by is 'kind', expected one of type, name, regex_name"),
        ({"linera": data(5)}, "unknown layer type 'linera'; did you mean 'linear'?"),
        (
            {"by": "name", "features.2": data(5)},
            "there is no layer 'features.2'; did you mean 'features.1'? "
            "(layers: features.0, features.1, head)",
        ),
        ({"by": "regex_name", "a(": data(5)}, "'a(' is not a regular expression"),
        ({"relu": 3}, "unknown key 'relu' (keys: width, data_width"),
        ({"relu": {"data_in": "fixed<8,4>"}}, "expected a table with a table 'conf"),
        ({"relu": {"config": {}, "confg": {}}}, "unknown key 'confg'; did you mean"),
    ],
)
def test_tables_without_meaning(table, message):
    with pytest.raises(UserError, match=re.escape(message)):
        parse_config(table).check(OPS)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"data_inn": "fixed<8,4>"}, "unknown key 'data_inn'; did you mean 'data_in'?"),
        (
            {"weight": "mxint"},
            "weight: unknown format 'mxint' in 'mxint', expected one",
        ),
        ({"weight": 8}, "weight: 8 is not a format"),
        ({"weight": "fixed<0,0>"}, "width must be between 1 and 64, got 0"),
        ({"weight": "fixed<8,300>"}, "frac must be between -256 and 256, got 300"),
        ({"weight_width": 65}, "width must be between 1 and 64, got 65"),
        ({"weight_width": True}, "weight_width is True, expected a whole number"),
        ({"weight_frac_width": "auto"}, "width and fraction are both open"),
        (
            {"weight": "fixed<8,4>", "weight_width": 8},
            "both weight and weight_width are given",
        ),
        ({"name": "mxint", "weight_width": "auto"}, "weight_width is not given"),
        (
            {"name": "mxint", "weight_frac_width": 4},
            "unknown key 'weight_frac_width' of name 'mxint'; did you mean 'weight_",
        ),
        (
            {"name": "log", "data_in_exponent_width": 4},
            "of name 'log'; did you mean 'data_in_exponent_bias'?",
        ),
        (
            {"name": "minifloat_ieee", "weight_width": 4, "weight_exponent_width": 3},
            "weight: mantissa must have between 1 and 23 bits in kind ieee, got 0",
        ),
        (
            {"name": "block_fp", "weight_width": 1},
            "weight: mantissa must have between 1 and 23 bits in kind no_implicit, got",
        ),
        (
            {"name": "mxint", "weight_width": 8, "weight_block_size": [0]},
            "weight: block sizes must be positive, or -1 for a whole dimension, got [0",
        ),
        (
            {"name": "mxint", "weight_width": 8, "weight_block_size": "16"},
            "weight_block_size is '16', expected a whole number or a list of them",
        ),
        (
            {"name": "mxint", "bias_width": 8, "bias_exponent_width": 12},
            "bias: a shared exponent has between 1 and 9 bits, not 12",
        ),
        ({"name": "binary", "weight_width": 2}, "weight: binary has width 1"),
        ({"weight": "minifloat<0, 0>"}, "exponent must have between 1 and 8 bits in"),
        ({"weight": "mxin8"}, "unknown format 'mxin8' in 'mxin8', expected one of"),
        ({"weight": "mxin8"}, "did you mean 'mxint8'?"),
        ({"name": "fixd"}, "unknown name 'fixd'; did you mean 'fixed'?"),
        ({"rounding": "flor"}, "rounding is 'flor', expected one of"),
        ({"overflow": "clip"}, "overflow is 'clip', expected one of saturate, wrap,"),
        ({"bypass": "yes"}, "bypass is 'yes', expected true or false"),
        ({"accumulator": "fixed<8,auto>"}, "accumulator is 'fixed<8,auto>', expected"),
        (
            {"data_in_block_size": 8},
            "unknown key 'data_in_block_size' of name 'integer'",
        ),
    ],
)
def test_settings_without_meaning(config, message):
    with pytest.raises(UserError, match=re.escape(message)):
        parse_layer(config, "x")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "No such file"),
        (b"[passes\n", "is not TOML: .*line 1"),
        (b"\xff", "is not TOML"),
        (b"[passes.prune]\n", r"unknown table passes 'prune' \(config= reads"),
        (b"[passes.quantise]\n", r"unknown table passes 'quantise'; did you mean 'qua"),
        (b"[search.x]\n", r"unknown table 'search' \(config= reads \[passes"),
        (b"passes = 3\n", r"has no table \[passes\.quantize\]"),
    ],
)
def test_files_without_a_config(tmp_path: Path, content, message):
    path = tmp_path / "q.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        Recipe.load(str(path))


def test_a_file(tmp_path: Path):
    path = tmp_path / "q.toml"
    path.write_text("""
[passes.quantize]
by = "name"
[passes.quantize.default.config]
name = "NA"
[passes.quantize."head".config]
data_in_width = 6
""")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert widths(Recipe.load(str(path)).config) == [None, None, 6]
