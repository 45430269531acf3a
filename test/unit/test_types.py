"""Element types are values: equal exactly when they print the same."""

from itertools import product

from mase_opt.dialects.mase.formats import element_type
from mase_opt.dialects.mase.types import FixedType, UFixedType
from mase_opt.lib.formats import (
    E8M0,
    Binary,
    Block,
    Exponent,
    Fixed,
    Kind,
    Log,
    MiniFloat,
    Scaled,
    ScaleLayout,
    Ternary,
)


def test_equality_follows_the_parameters():
    types = [
        cls(width, frac)
        for cls, width, frac in product((FixedType, UFixedType), (4, 8), (-1, 3))
    ]
    for a, b in product(types, types):
        assert (a == b) == (str(a) == str(b))
    assert len(set(types)) == len(types)


def test_formats_and_their_types_are_one_to_one():
    formats = [
        MiniFloat(4, 3, Kind.FN),
        MiniFloat(4, 3, Kind.FN, 9),
        Log(4),
        Log(4, zero=False),
        Binary(),
        Binary(signed=False),
        Ternary(),
        Block(Fixed(8, 6), E8M0, (32,)),
        Block(Fixed(8, 6), E8M0, (32,), bump=True),
        Block(Log(4), Exponent(4, 7), (1, -1)),
        Scaled(Fixed(8, 0), 0.5),
        Scaled(Fixed(8, 0), [0.5, 0.25], ScaleLayout(0)),
        Scaled(Fixed(8, 0), [[0.5, 0.25]], ScaleLayout(1, 2)),
        Fixed(8, 4),
        Fixed(8, 4, signed=False),
    ]
    types = [element_type(format) for format in formats]
    assert [type.format for type in types] == formats
    assert len(set(types)) == len({str(type) for type in types}) == len(types)
    for type, format in zip(types, formats, strict=True):
        assert type == element_type(format)
    storages = [type.storage for type in types]
    assert storages == ["ui8"] * 6 + ["i8"] * 3 + ["ui8"] + ["i8"] * 4 + ["ui8"]
