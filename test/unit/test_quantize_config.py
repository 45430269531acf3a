"""Quantize configs: both spellings, selection of layers, errors with a remedy."""

import re
import warnings
from pathlib import Path

import pytest
from xdsl.dialects.builtin import TensorType, f32
from xdsl.dialects.test import TestOp as Source

from mase_opt.dialects.mase.elementwise import ReluOp, SigmoidOp
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import FormatSpec, Overflow, RoundingMode
from mase_opt.lib.transforms.quantize_config import (
    LayerConfig,
    load_config,
    parse_config,
    parse_layer,
)

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


def test_modes_and_bypass():
    layer = parse_layer({"rounding": "floor", "overflow": "wrap"}, "x")
    assert layer.rounding is RoundingMode.FLOOR
    assert layer.overflow is Overflow.WRAP
    assert not layer.bypass
    assert parse_layer({"name": "NA"}, "x").bypass
    assert parse_layer({"bypass": True}, "x").bypass


def test_by_type():
    config = parse_config({"relu": data(5), "mase.sigmoid": data(6)}, "x")
    assert widths(config) == [5, 5, 6]


def test_by_name():
    table = {"by": "name", "default": data(4), "head": data(6), "features.1": data(5)}
    assert widths(parse_config(table, "x")) == [4, 5, 6]


def test_by_regex_the_first_match_wins():
    table = {"by": "regex_name", r"features\.0": data(5), r"features\..*": data(6)}
    assert widths(parse_config(table, "x")) == [5, 6, None]


def test_a_regex_matches_whole_names():
    with pytest.raises(UserError, match="there is no layer that matches 'features'"):
        parse_config({"by": "regex_name", "features": data(5)}, "x").check(OPS)


def test_by_can_be_overridden():
    config = parse_config({"by": "type", "head": data(6)}, "x", by="name")
    assert widths(config) == [None, None, 6]


def test_settings_of_its_own_take_a_layer_out_of_the_default():
    table = {"default": {"config": {"name": "NA"}}, "relu": data(5)}
    selected = parse_config(table, "x").select(OPS)
    assert [bool(selected[op].bypass) for op in OPS] == [False, False, True]


def test_a_layer_keeps_the_default_where_it_is_silent():
    layer = LayerConfig(weight=FormatSpec(True, 4, None), bypass=False)
    merged = layer.over(LayerConfig(data_in=FormatSpec(True, 8, None)))
    assert merged.data_in == FormatSpec(True, 8, None)
    assert merged.weight == FormatSpec(True, 4, None)


def test_a_type_that_the_model_lacks_is_a_warning():
    with pytest.warns(UserWarning, match="the model has no layer of type 'conv2d'"):
        parse_config({"conv2d": data(5)}, "x").check(OPS)


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
        ({"relu": 3}, "relu: expected a table with a table 'config'"),
        ({"relu": {"data_in": "fixed<8,4>"}}, "expected a table with a table 'conf"),
        ({"relu": {"config": {}, "confg": {}}}, "unknown key 'confg'; did you mean"),
    ],
)
def test_tables_without_meaning(table, message):
    with pytest.raises(UserError, match=re.escape(message)):
        parse_config(table, "x").check(OPS)


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"data_inn": "fixed<8,4>"}, "unknown key 'data_inn'; did you mean 'data_in'?"),
        ({"weight": "mxint"}, "weight: unknown format 'mxint' in 'mxint', expected one"),
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
        (b"[passes.prune]\n", r"has no table \[passes\.quantize\]"),
        (b"passes = 3\n", r"has no table \[passes\.quantize\]"),
    ],
)
def test_files_without_a_config(tmp_path: Path, content, message):
    path = tmp_path / "q.toml"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(UserError, match=message):
        load_config(str(path))


def test_a_file(tmp_path: Path):
    path = tmp_path / "q.toml"
    path.write_text("""
model = "anything else is for others"
[passes.quantize]
by = "name"
[passes.quantize.default.config]
name = "NA"
[passes.quantize."head".config]
data_in_width = 6
""")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert widths(load_config(str(path))) == [None, None, 6]
