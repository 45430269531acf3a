"""One bit and two bits."""

from __future__ import annotations

from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest
from format_reference import check_codes

from mase_opt.lib.formats import Fixed, FormatError, Overflow, RoundingMode
from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.ternary import Ternary

VALUES = np.array(
    [-inf, -1e300, -1.5, -1.0, -0.5, -5e-324, -0.0, 0.0, 5e-324, 0.5, inf]
)


@pytest.mark.parametrize("f", [Binary(), Binary(signed=False), Ternary()], ids=str)
def test_every_code(f):
    check_codes(f)
    codes = np.arange(f.min_code, f.max_code + 1)
    assert f.encode(f.decode(codes)).tolist() == codes.tolist()
    assert f.encode(np.zeros((2, 0, 3))).shape == (2, 0, 3)
    for shape in ((), (1,), (2, 3), (1, 2, 2), (2, 1, 2, 1), (2,) * 5):
        assert f.encode(np.ones(shape)).tolist() == np.ones(shape).tolist()
    with pytest.raises(FormatError, match=f"NaN has no code in {f}"):
        f.encode(np.array([1.0, nan]))
    for mode in (Overflow.WRAP, Overflow.INFINITY):
        with pytest.raises(FormatError, match=str(f)):
            f.encode(np.ones(1), overflow=mode)


@pytest.mark.parametrize("rounding", RoundingMode)
def test_sign(rounding: RoundingMode):
    f = Binary()
    assert f.decode(np.array([0, 1])).tolist() == [-1, 1]
    for overflow in (Overflow.SATURATE, Overflow.ERROR):
        codes = f.encode(VALUES, rounding, overflow)
        assert codes.tolist() == [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 1]
    assert f.cast(np.array([nan]), nan_to_zero=True).tolist() == [1]


@pytest.mark.parametrize("rounding", RoundingMode)
def test_zero_and_one(rounding: RoundingMode):
    f, fixed = Binary(signed=False), Fixed(1, 0, signed=False)
    assert np.array_equal(f.encode(VALUES, rounding), fixed.encode(VALUES, rounding))
    assert not np.signbit(f.cast(VALUES, rounding)).any()
    with pytest.raises(FormatError, match=r"overflows binary<unsigned>"):
        f.encode(VALUES, rounding, Overflow.ERROR)


@pytest.mark.parametrize("rounding", RoundingMode)
def test_ternary_with_a_threshold(rounding: RoundingMode):
    f = Ternary(0.5)
    edge = np.nextafter(0.5, 1)
    values = np.array([-inf, -edge, -0.5, -0.0, 0.0, 0.5, edge, 1e300])
    assert f.encode(values, rounding).tolist() == [-1, -1, 0, 0, 0, 0, 1, 1]
    assert not np.signbit(f.cast(values[3:4])).any()
    assert Ternary(0.0).encode(values[1:]).tolist() == [-1, -1, 0, 0, 1, 1, 1]
    assert f == Ternary()


@pytest.mark.parametrize("scale", [1e-270, 1e-3, 1.0, 1e300])
@pytest.mark.parametrize("count", [1, 2, 1000, 4097])
def test_ternary_threshold_is_from_the_mean(scale: float, count: int):
    values = np.random.default_rng(count).standard_normal(count) * scale
    mean = sum(abs(Fraction(v)) for v in values.tolist()) / count
    wanted = [
        (v > 0) - (v < 0) if abs(Fraction(v)) > Fraction(7, 10) * mean else 0
        for v in values.tolist()
    ]
    assert Ternary().encode(values).tolist() == wanted
    assert Ternary().encode(np.zeros(count)).tolist() == [0] * count


def test_ternary_errors():
    with pytest.raises(
        FormatError, match="mean magnitude is infinite: give a threshold"
    ):
        Ternary().encode(np.array([1.0, inf]))
    for bad in (-1.0, nan, inf):
        with pytest.raises(FormatError, match="threshold must be a number"):
            Ternary(bad)
