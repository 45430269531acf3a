"""Formats are read from their own text, and from everyday names."""

from __future__ import annotations

import numpy as np
import pytest

from mase_opt.lib.formats import FormatError, aliases
from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.block import E8M0, Block, Exponent
from mase_opt.lib.formats.choose import choose_format
from mase_opt.lib.formats.clipping import Method
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.log import Log
from mase_opt.lib.formats.minifloat import Kind, MiniFloat
from mase_opt.lib.formats.scaled import Scaled, ScaleLayout
from mase_opt.lib.formats.spec import (
    FAMILIES,
    FormatSpec,
    ScaledSpec,
    add_family,
    parse_spec,
)
from mase_opt.lib.formats.ternary import Ternary

FORMATS = [
    MiniFloat(4, 3, Kind.FN),
    MiniFloat(4, 3, Kind.FN, 11),
    MiniFloat(0, 3, Kind.NO_IMPLICIT, -2),
    Log(8),
    Log(4, -2, zero=False),
    Binary(),
    Binary(signed=False),
    Ternary(),
    Block(Fixed(8, 6), E8M0, (32,)),
    Block(MiniFloat(2, 1, Kind.FINITE), Exponent(4, 7), (-1, 16), bump=True),
    Block(Log(4), E8M0, ()),
    Scaled(Fixed(8, 0), 0.1),
    Scaled(Fixed(8, 0, signed=False), 1e-6, zero_point=3),
    Scaled(Ternary(), [0.5, 0.25], ScaleLayout(-2)),
    ScaledSpec(Fixed(8, 0)),
    ScaledSpec(Fixed(8, 0, signed=False), affine=True),
    ScaledSpec(Binary(), ScaleLayout(1, 64)),
    ScaledSpec(Fixed(8, 0), power_of_two=True),
    FormatSpec(True, 8, None),
]


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_text_is_read_back(format):
    text = str(format)
    assert parse_spec(text) == format
    assert parse_spec(f"!mase.{text}") == format
    assert parse_spec(f" {text.replace(' ', '').replace('<', ' < ')} ") == format
    nested = text.replace("<fixed", "<!mase.fixed").replace("<ufixed", "<!mase.ufixed")
    assert parse_spec(nested) == format


@pytest.mark.parametrize(
    ("name", "format", "bits"),
    [
        ("mxint8", Block(Fixed(8, 6), E8M0, (32,)), 8.25),
        ("mxint4", Block(Fixed(4, 2), E8M0, (32,)), 4.25),
        ("mxfp8_e4m3", Block(MiniFloat(4, 3, Kind.FN), E8M0, (32,)), 8.25),
        ("mxfp8_e5m2", Block(MiniFloat(5, 2), E8M0, (32,)), 8.25),
        ("mxfp6_e3m2", Block(MiniFloat(3, 2, Kind.FINITE), E8M0, (32,)), 6.25),
        ("mxfp6_e2m3", Block(MiniFloat(2, 3, Kind.FINITE), E8M0, (32,)), 6.25),
        ("mxfp4_e2m1", Block(MiniFloat(2, 1, Kind.FINITE), E8M0, (32,)), 4.25),
        (
            "msfp12",
            Block(MiniFloat(0, 3, Kind.NO_IMPLICIT), Exponent(8, 127), (16,)),
            4.5,
        ),
        (
            "msfp16",
            Block(MiniFloat(0, 7, Kind.NO_IMPLICIT), Exponent(8, 127), (16,)),
            8.5,
        ),
        ("fp8_e4m3", MiniFloat(4, 3, Kind.FN), 8),
        ("fp8_e5m2", MiniFloat(5, 2), 8),
        ("fp6_e3m2", MiniFloat(3, 2, Kind.FINITE), 6),
        ("fp6_e2m3", MiniFloat(2, 3, Kind.FINITE), 6),
        ("fp4_e2m1", MiniFloat(2, 1, Kind.FINITE), 4),
        ("bf16", MiniFloat(8, 7), 16),
        ("fp16", MiniFloat(5, 10), 16),
        ("tf32", MiniFloat(8, 10), 19),
        ("fp32", MiniFloat(8, 23), 32),
    ],
)
def test_everyday_names(name: str, format, bits: float):
    assert parse_spec(name) == format
    assert parse_spec(name).bits_per_element == bits


def test_names_whose_scales_are_open():
    assert parse_spec("int8") == ScaledSpec(Fixed(8, 0))
    assert parse_spec("uint4") == ScaledSpec(Fixed(4, 0, signed=False), affine=True)
    spec = parse_spec("int4_g128")
    assert spec == ScaledSpec(Fixed(4, 0), ScaleLayout(-1, 128))
    values = np.random.default_rng(0).standard_normal((3, 300))
    fitted = choose_format(spec, values, method=Method.MINMAX)
    assert isinstance(fitted, Scaled)
    assert fitted.scales.shape == (3, 3)
    assert fitted.bits_per_element == 4.25
    assert np.abs(fitted.cast(values) - values).max() < 0.3


def test_every_name_stands_for_something():
    for name in aliases.names():
        assert parse_spec(name) is not None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mxint", "unknown format 'mxint' in 'mxint', .*did you mean 'mxint8'"),
        ("minfloat<4, 3>", "did you mean 'minifloat'"),
        ("", "a name or number is missing"),
        ("8", "'8' is a number, not a format"),
        ("[8]", "is a list, not a format"),
        ("fixed<8, 4", "a '>' is missing"),
        ("fixed<8 4>", "a '>' is missing"),
        ("fixed<8, 4>>", "'>' is not expected in 'fixed<8, 4>>'"),
        ("fixed<8, ;>", "';' is not expected"),
        ("fixed<0, 4>", "width must be between 1 and 64, got 0"),
        ("mxint8<4>", "unknown format 'mxint8'"),
        ("mxint1", "width must be|no positive value"),
        ("msfp9", "mantissa must have between 1 and 23 bits"),
        ("minifloat<4>", "minifloat takes 2 to 4 parameters, not 1, in 'minifloat<4>'"),
        ("minifloat<0, 0, finite>", "exponent must have between 1 and 8 bits"),
        (
            "minifloat<4, 3, fin>",
            "'fin' is not ieee or .* in .*; did you mean 'fn'",
        ),
        ("minifloat<4, x>", "'x' is not a whole number in 'minifloat<4, x>'"),
        ("minifloat<4, 3, axis = 1>", "minifloat takes no option 'axis'"),
        ("log<1>", "width must be between 2 and 9"),
        ("log<8, 3, zro>", "'zro' is not zero or no_zero in .*; did you mean 'zero'"),
        ("ternary<2>", "ternary takes 0 parameters, not 1,"),
        ("block<fixed<8, 6>, e8m0>", "block takes 3 to 4 parameters, not 2,"),
        ("block<fixed<8, 6>, e8m0, 32>", "expected a list as the shape of a block"),
        ("block<fixed<8, 6>, e8m0, [32>", "a ']' is missing|expected numbers|missing"),
        ("block<fixed<8, 6>, e8m0, [x]>", "expected numbers in the list"),
        ("block<fixed<8, 6>, e8, [32]>", "expected e8m0 or exp<bits, bias>"),
        ("block<fixed<8, auto>, e8m0, [32]>", "'fixed<8, auto>' is no format of elem"),
        ("block<mxint8, e8m0, [32]>", "is no format of elements"),
        ("scaled<fixed<8, 0>>", "scaled takes 2 parameters, not 1,"),
        ("scaled<fixed<8, 0>, 0>", "scales must be positive normal"),
        ("scaled<fixed<8, 0>, -1>", "scales must be positive normal"),
        ("scaled<fixed<8, 0>, x>", "expected a scale, a list of scales, auto"),
        (
            "scaled<fixed<8, 0>, auto, axs = 1>",
            "unknown option 'axs' in .*; did you",
        ),
        ("scaled<fixed<8, 0>, auto, zero_point = 1>", "zero point is given, but no"),
        ("scaled<fixed<8, 0>, 1, zero_point = auto>", "is given, but no zero point"),
        ("scaled<fixed<8, 0>, [1], axis = 0, group = 2>", "scales of groups have no"),
        ("scaled<fixed<8, 0>, auto, group = 2>", "a group size needs an axis"),
    ],
)
def test_errors(text: str, message: str):
    with pytest.raises(FormatError, match=message):
        parse_spec(text)


def test_a_family_is_added():
    with pytest.raises(ValueError, match="there is a format named 'log' already"):
        add_family("log", lambda term: Binary(), "log")
    with pytest.raises(ValueError, match="there is a format named 'int8' already"):
        add_family("int8", lambda term: Binary(), "int8")
    add_family(
        "sign", lambda term: Binary(term.whole(term.arguments[0]) > 0), "sign<N>"
    )
    try:
        assert parse_spec("sign<1>") == Binary()
        block = parse_spec("scaled<sign<0>, 0.5>")
        assert block == Scaled(Binary(signed=False), 0.5)
    finally:
        del FAMILIES["sign"]
