"""Logarithmic formats against rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
from format_reference import Table, check_codes, probes

from mase_opt.lib.formats import FormatError, Overflow, RoundingMode
from mase_opt.lib.formats.log import SQRT_TWO, Log

FORMATS = [
    Log(width, bias, zero)
    for width in range(2, 9)
    for bias in ((None, -3, 40) if width < 5 else (None,))
    for zero in (True, False)
]


def logarithmic(x: Fraction, low: Fraction, high: Fraction) -> int:
    """Below or above the geometric mean, by squares; zero stands for low / 2."""
    low = low or high / 2
    return (x * x > low * high) - (x * x < low * high)


def table_of(f: Log) -> Table:
    assert f.bias is not None
    fields = range(f.zero, 2 ** (f.width - 1) + 1)
    magnitudes = [Fraction(2) ** (field - f.bias) for field in fields]
    return Table([Fraction(0)] * f.zero + magnitudes)


def wanted_of(f: Log, table: Table, x: float, mode: RoundingMode) -> float:
    """The value of `x` after rounding, by definition."""
    smallest = float(table.magnitudes[f.zero])
    if not f.zero and abs(x) <= smallest:
        if mode is RoundingMode.FLOOR:
            return smallest if x == smallest else -smallest
        if mode is RoundingMode.CEIL:
            return -smallest if x == -smallest else smallest
        return -smallest if x < 0 else smallest
    sign, magnitude = table.cast(Fraction(x), mode, logarithmic)
    return sign * float(magnitude)


@pytest.mark.parametrize("f", FORMATS, ids=str)
def test_every_code_and_midpoint(f: Log):
    table = table_of(f)
    middles = [float(m) * s for m in table.magnitudes for s in (SQRT_TWO, -SQRT_TWO)]
    middles += [float(np.nextafter(m, 0)) for m in middles]
    values = np.array([*probes(table), *middles])
    for mode in RoundingMode:
        rounded = np.array([wanted_of(f, table, v, mode) for v in values.tolist()])
        over = np.abs(rounded) > f.max_value
        wanted = np.clip(rounded, f.min_value, f.max_value)
        codes = f.encode(values, mode)
        got = f.decode(codes)
        assert np.array_equal(got, wanted), mode
        if f.zero:
            assert np.array_equal(np.signbit(got), np.signbit(values))
        again = f.encode(values[~over], mode, Overflow.ERROR)
        assert again.tolist() == codes[~over].tolist()
        with pytest.raises(FormatError, match="overflows log"):
            f.encode(values[over][:1], mode, Overflow.ERROR)


@pytest.mark.parametrize("f", FORMATS, ids=str)
def test_every_code(f: Log):
    check_codes(f)
    codes = np.arange(2**f.bits)
    values = f.decode(codes)
    assert f.encode(values, overflow=Overflow.ERROR).tolist() == codes.tolist()
    table = [float(m) for m in table_of(f).magnitudes[:-1]]
    assert values.tolist() == table + [-m for m in table]


@pytest.mark.parametrize(
    ("mode", "wanted"),
    [
        (RoundingMode.NEAREST_EVEN, [-0.25, 0.25, 0.25, 0.25]),
        (RoundingMode.ZERO, [-0.25, 0.25, 0.25, 0.25]),
        (RoundingMode.FLOOR, [-0.25, -0.25, -0.25, -0.25]),
        (RoundingMode.CEIL, [0.25, 0.25, 0.25, 0.25]),
    ],
)
def test_small_numbers_without_zero(mode: RoundingMode, wanted: list[float]):
    values = np.array([-0.1, -0.0, 0.0, 0.1])
    assert Log(4, 2, zero=False).cast(values, mode).tolist() == wanted


def test_special_values():
    f = Log(8)
    assert str(f) == "log<8, 63>"
    assert str(Log(4, 2, zero=False)) == "log<4, 2, no_zero>"
    assert f.cast(np.array([inf, -inf])).tolist() == [2.0**64, -(2.0**64)]
    with pytest.raises(FormatError, match=r"NaN has no code in log<8, 63>"):
        f.encode(np.array(nan))
    assert f.cast(np.array(nan), nan_to_zero=True) == 0
    for mode in (Overflow.WRAP, Overflow.INFINITY):
        with pytest.raises(FormatError, match="log<8, 63>"):
            f.encode(np.array([1.0]), overflow=mode)
    assert f.cast(np.full((2, 0, 3), 0.5)).shape == (2, 0, 3)
    assert f.cast(np.array(3.0)).shape == ()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1,), "width must be between 2 and 9, got 1"),
        ((10,), "width must be between 2 and 9, got 10"),
        ((8, 301), "bias must be between -300 and 300, got 301"),
    ],
)
def test_impossible(arguments: tuple, message: str):
    with pytest.raises(FormatError, match=message):
        Log(*arguments)
