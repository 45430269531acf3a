"""Scaled formats against rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from math import inf, nan

import numpy as np
import pytest

from mase_opt.lib.formats import Fixed, FormatError, Overflow, RoundingMode
from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.log import Log
from mase_opt.lib.formats.minifloat import Kind, MiniFloat
from mase_opt.lib.formats.rounding import round_ratio
from mase_opt.lib.formats.scaled import Scaled, ScaleLayout, quotient
from mase_opt.lib.formats.ternary import Ternary

SCALES = [1.0, 0.25, 1 / 3, 0.1, 2.0**-126, 1e38, float(np.nextafter(np.float32(1), 2))]


def test_quotients_round_as_the_exact_ones():
    """Numbers next to ties: the float quotient alone would be a tie."""
    rng = np.random.default_rng(0)
    scales = rng.uniform(1, 2, 20_000).astype(np.float32).astype(np.float64)
    halves = rng.integers(-(2**22), 2**22, 20_000) + 0.5
    ties = halves * scales
    assert (ties / scales == halves).all()
    for values, wanted in (
        (ties, 0),
        (np.nextafter(ties, inf), 1),
        (np.nextafter(ties, -inf), -1),
    ):
        side = np.sign(quotient(values, scales) - halves)
        assert (side == wanted).all()
    # Elsewhere: at most one unit away, and odd unless exact.
    values = rng.standard_normal(2000)
    scales = scales[:2000]
    for v, s, q in zip(
        values.tolist(), scales.tolist(), quotient(values, scales).tolist(), strict=True
    ):
        exact = Fraction(v) / Fraction(s)
        odd = int(np.array(q).view(np.int64)) & 1 == 1
        assert Fraction(q) == exact or odd
        low, high = np.nextafter(q, -inf), np.nextafter(q, inf)
        assert Fraction(float(low)) < exact < Fraction(float(high))


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize(
    "element", [Fixed(8, 0), Fixed(4, 2), Fixed(8, 0, signed=False)], ids=str
)
def test_every_code_and_midpoint(element: Fixed, scale: float):
    f = Scaled(element, scale)
    s = Fraction(float(f.scales)) * Fraction(2) ** -element.frac
    steps = range(4 * element.min_code - 9, 4 * element.max_code + 10)
    values = [float(Fraction(n, 4) * s) for n in steps]
    values = np.array([np.nextafter(v, d) for v in values for d in (-inf, v, inf)])
    ratios = [Fraction(v) / s for v in values.tolist()]
    numerators = np.array([r.numerator for r in ratios], dtype=object)
    denominators = np.array([r.denominator for r in ratios], dtype=object)
    for mode in RoundingMode:
        whole = round_ratio(numerators, denominators, mode)
        wanted = np.clip(whole, element.min_code, element.max_code)
        codes = f.encode(values, mode)
        assert codes.tolist() == wanted.tolist(), mode
        decoded = [float(c * s) for c in codes.tolist()]
        assert f.decode(codes).tolist() == decoded
        fits = whole == wanted
        assert f.encode(values[fits], mode, Overflow.ERROR).tolist() == (
            wanted[fits].tolist()
        )
        with pytest.raises(FormatError, match="overflows"):
            f.encode(values[~fits][:1], mode, Overflow.ERROR)
        for zero in (element.max_code, element.min_code, 3):
            g = Scaled(element, scale, zero_point=zero)
            moved = np.clip(whole + zero, element.min_code, element.max_code)
            codes = g.encode(values, mode)
            assert codes.tolist() == moved.tolist()
            decoded = [float((c - zero) * s) for c in codes.tolist()]
            assert g.decode(codes).tolist() == decoded


@pytest.mark.parametrize("scale", [0.25, 1 / 3, 1e-3])
@pytest.mark.parametrize(
    "element",
    [
        MiniFloat(4, 3, Kind.FN),
        MiniFloat(2, 1, Kind.FINITE),
        MiniFloat(5, 2),
        Log(6),
        Binary(),
        Binary(signed=False),
        Ternary(0.3),
    ],
    ids=str,
)
def test_other_elements(element, scale: float):
    f = Scaled(element, scale)
    s = float(f.scales)
    codes = np.arange(element.min_code, element.max_code + 1)
    values = element.decode(codes)
    assert np.array_equal(f.decode(codes), values * s, equal_nan=True)
    finite = np.isfinite(values)
    if element != Ternary() or scale > 0.3:
        cast = f.cast(values[finite] * s, overflow=Overflow.ERROR)
        assert cast.tolist() == (values[finite] * s).tolist()
    # Powers of two don't change the rounding.
    if f.power_of_two and element != Ternary():
        normal = np.random.default_rng(3).standard_normal(1000)
        assert np.array_equal(f.encode(normal * s), element.encode(normal))


@pytest.mark.parametrize(
    ("shape", "layout", "scales_shape"),
    [
        ((), ScaleLayout(), ()),
        ((0,), ScaleLayout(0), (0,)),
        ((3,), ScaleLayout(0), (3,)),
        ((3, 5), ScaleLayout(0), (3,)),
        ((3, 5), ScaleLayout(-1), (5,)),
        ((3, 5), ScaleLayout(1, 2), (3, 3)),
        ((3, 5), ScaleLayout(-1, 5), (3, 1)),
        ((3, 5), ScaleLayout(0, 1), (3, 5)),
        ((3, 0), ScaleLayout(1, 2), (3, 0)),
        ((3, 0), ScaleLayout(0), (3,)),
        ((0,), ScaleLayout(), ()),
        ((2, 3, 4), ScaleLayout(1), (3,)),
        ((2, 3, 4, 5), ScaleLayout(1, 2), (2, 2, 4, 5)),
        ((2, 1, 2, 3, 4), ScaleLayout(4, 3), (2, 1, 2, 3, 2)),
    ],
)
def test_layouts(shape, layout: ScaleLayout, scales_shape):
    rng = np.random.default_rng(4)
    values = rng.standard_normal(shape) * np.exp2(rng.integers(-9, 9, shape))
    scales = rng.uniform(0.01, 1, scales_shape)
    f = Scaled(Fixed(8, 0), scales, layout)
    assert layout.scales_shape(shape) == scales_shape
    codes = f.encode(values)
    got = f.decode(codes)
    assert codes.shape == got.shape == shape
    for at in np.ndindex(shape):
        index = list(at)
        if layout.axis is None:
            scale = scales
        elif layout.group is None:
            scale = scales[at[layout.axis]]
        else:
            index[layout.axis] //= layout.group
            scale = scales[tuple(index)]
        alone = Scaled(Fixed(8, 0), scale)
        assert codes[at] == alone.encode(values[at])
        assert got[at] == alone.decode(codes[at])


def test_infinity_and_nan():
    f = Scaled(Fixed(8, 0), 0.1)
    s = float(f.scales)
    assert f.cast(np.array([inf, -inf, 1e308])).tolist() == [127 * s, -128 * s, 127 * s]
    with pytest.raises(
        FormatError, match=r"NaN has no code in scaled<fixed<8, 0>, 0.1>"
    ):
        f.encode(np.array([nan]))
    assert f.cast(np.array([nan]), nan_to_zero=True) == 0
    for mode in (Overflow.ERROR, Overflow.WRAP, Overflow.INFINITY):
        with pytest.raises(FormatError, match="fixed<8, 0>"):
            f.encode(np.array([inf]), overflow=mode)
    fp8 = Scaled(MiniFloat(4, 3, Kind.FN), 0.1)
    assert np.isnan(fp8.cast(np.array([nan])))
    assert fp8.cast(np.array([-0.0, -1e-300])).tolist() == [0, 0]
    tiny = np.array([5e-324, -5e-324])
    for g in (f, Scaled(Fixed(8, 0), 1e38)):
        assert g.encode(tiny, RoundingMode.CEIL).tolist() == [1, 0]
        assert g.encode(tiny, RoundingMode.FLOOR).tolist() == [0, -1]
    with pytest.raises(FormatError, match="the mean magnitude is infinite"):
        Scaled(Ternary(), 1.0).encode(np.array([inf]))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Scaled(Fixed(8, 0), 0.0), "must be positive normal .* got 0.0"),
        (lambda: Scaled(Fixed(8, 0), -1.0), "must be positive normal .* got -1.0"),
        (lambda: Scaled(Fixed(8, 0), nan), "must be positive normal .* got nan"),
        (lambda: Scaled(Fixed(8, 0), inf), "must be positive normal .* got inf"),
        (lambda: Scaled(Fixed(8, 0), 1e39), r"must be positive normal .* got 1e\+39"),
        (lambda: Scaled(Fixed(8, 0), 1e-45), "must be positive normal .* got 1e-45"),
        (
            lambda: Scaled(Fixed(8, 0), [1, 0.0], ScaleLayout(0)),
            "positive normal .* got 0",
        ),
        (lambda: Scaled(Fixed(8, 0), [1.0]), r"expected one scale, got shape \[1\]"),
        (
            lambda: Scaled(Fixed(8, 0), 1.0, ScaleLayout(0)),
            r"expected a list .* shape \[\]",
        ),
        (lambda: Scaled(Fixed(33, 0), 1.0), "more than 32 bits"),
        (
            lambda: Scaled(Fixed(8, 0), 1.0, zero_point=128),
            "128 is not a code of fixed",
        ),
        (lambda: Scaled(Binary(), 1.0, zero_point=1), "binary takes no zero point"),
        (lambda: ScaleLayout(group=4), "a group size needs an axis"),
        (lambda: ScaleLayout(0, 0), "group size must be positive, got 0"),
        (
            lambda: Scaled(Fixed(8, 0), [1.0], ScaleLayout(1)).encode(np.ones(1)),
            "the tensor has rank 1, so there is no axis 1",
        ),
        (
            lambda: Scaled(Fixed(8, 0), [1.0], ScaleLayout(0)).encode(np.ones(2)),
            r"scales have shape \[1\], but a tensor of shape \[2\] needs \[2\]",
        ),
    ],
)
def test_errors(make, message: str):
    with pytest.raises(FormatError, match=message):
        make()


def test_properties():
    f = Scaled(Fixed(8, 0), 0.25)
    assert str(f) == "scaled<fixed<8, 0>, 0.25>"
    assert f.power_of_two
    assert (f.min_value, f.max_value, f.step) == (-32.0, 31.75, 0.25)
    assert f.bits_per_element == 8
    g = Scaled(Fixed(8, 0), 0.1, zero_point=-128)
    assert not g.power_of_two
    assert str(g).startswith("scaled<fixed<8, 0>, 0.1")
    assert str(g).endswith(", zero_point = -128>")
    assert (g.min_value, g.max_value) == (0.0, 255 * float(np.float32(0.1)))
    g = Scaled(Fixed(4, 0), np.ones((2, 3)), ScaleLayout(-1, 128))
    assert g.bits_per_element == 4.25
    assert str(g) == "scaled<fixed<4, 0>, [1.0, 1.0, 1.0, …], axis = -1, group = 128>"
    assert f == Scaled(Fixed(8, 0), np.float32(0.25))
    assert hash(f) == hash(Scaled(Fixed(8, 0), 0.25))
    assert f != Scaled(Fixed(8, 0), 0.5)
    assert f != Scaled(Fixed(8, 0), 0.25, zero_point=1)
