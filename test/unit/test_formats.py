"""Fixed point against an independent definition in rational arithmetic."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import brought_in, encoded, rounded

from mase_opt.lib.formats import Fixed, FormatError, Overflow, RoundingMode
from mase_opt.lib.formats.rounding import (
    compact,
    integers,
    max_magnitude,
    round_ratio,
    round_real,
    round_shift,
    shift_left,
)


def python_ints(array: np.ndarray[Any, Any]) -> list[int]:
    assert array.dtype in (np.dtype(np.int64), np.dtype(object)), array.dtype
    return [int(v) for v in array.ravel().tolist()]


MODES = st.sampled_from(list(RoundingMode))
FIXED_OVERFLOWS = (Overflow.SATURATE, Overflow.WRAP, Overflow.ERROR)
OVERFLOWS = st.sampled_from(FIXED_OVERFLOWS)
FORMATS = st.builds(Fixed, st.integers(1, 64), st.integers(-80, 130), st.booleans())
BORDERS = st.sampled_from(
    [
        s * (2**e + d)
        for e in (0, 31, 52, 53, 61, 62, 63, 64)
        for d in (-1, 0, 1)
        for s in (1, -1)
    ]
)
INTEGERS = st.one_of(
    st.integers(-40, 40),
    st.integers(-(2**63), 2**63 - 1),
    BORDERS,
    st.integers(-(2**100), 2**100),
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)


def array_of(values: list[int]) -> np.ndarray[Any, Any]:
    """As `int64` if the values fit, which takes the fast paths."""
    if all(-(2**63) <= v < 2**63 for v in values):
        return np.array(values, dtype=np.int64)
    return np.array(values, dtype=object)


@pytest.mark.parametrize("overflow", FIXED_OVERFLOWS)
@pytest.mark.parametrize("mode", RoundingMode)
@pytest.mark.parametrize("signed", [True, False])
def test_every_code_and_midpoint(signed: bool, mode: RoundingMode, overflow: Overflow):
    """Steps of 1/4 code from two ranges below to two ranges above the format."""
    for width in range(1, 9):
        quarters = np.arange(-(3 << (width + 1)), (3 << (width + 1)) + 1)
        for frac in (-3, 0, width, width + 5):
            format = Fixed(width, frac, signed)
            values = np.ldexp(quarters.astype(np.float64), -frac - 2)
            wanted = [
                encoded(Fraction(v), format, mode, overflow) for v in values.tolist()
            ]
            fits = np.array([w is not None for w in wanted])
            codes = format.encode(values[fits], mode, overflow)
            assert python_ints(codes) == [w for w in wanted if w is not None]
            again = format.cast_codes(quarters[fits], frac + 2, mode, overflow)
            assert again.tolist() == codes.tolist()
            ratio = format.cast_ratio(
                quarters[fits], np.array([-4]), frac, mode, Overflow.WRAP
            )
            negated = format.cast_codes(-quarters[fits], frac + 2, mode, Overflow.WRAP)
            assert ratio.tolist() == negated.tolist()
            for value in values[~fits][:3].tolist() + values[~fits][-3:].tolist():
                with pytest.raises(FormatError, match=f"fixed<{width}, {frac}>"):
                    format.encode(np.array([value]), mode, overflow)


@pytest.mark.parametrize("signed", [True, False])
def test_every_code_is_its_own_encoding(signed: bool):
    for width, mode in product(range(1, 9), RoundingMode):
        format = Fixed(width, 3, signed)
        codes = np.arange(format.min_code, format.max_code + 1)
        assert len(codes) == 2**width
        values = format.decode(codes)
        assert values.tolist() == [c / 8 for c in codes.tolist()]
        for overflow in FIXED_OVERFLOWS:
            assert format.encode(values, mode, overflow).tolist() == codes.tolist()


@given(FORMATS, st.lists(FINITE, max_size=4), MODES, OVERFLOWS)
def test_encode(
    format: Fixed, values: list[float], mode: RoundingMode, overflow: Overflow
):
    wanted = [encoded(Fraction(v), format, mode, overflow) for v in values]
    array = np.array(values, dtype=np.float64)
    if None in wanted:
        with pytest.raises(FormatError):
            format.encode(array, mode, overflow)
    else:
        assert python_ints(format.encode(array, mode, overflow)) == wanted


@given(FORMATS, st.data(), MODES, OVERFLOWS)
def test_encode_near_codes(
    format: Fixed, data: st.DataObject, mode: RoundingMode, overflow: Overflow
):
    """Neighbours in float64 of codes and midpoints, also around zero."""
    half_codes = st.one_of(
        st.integers(2 * format.min_code - 3, 2 * format.max_code + 3),
        st.integers(-3, 3),
    )
    value = float(np.ldexp(float(data.draw(half_codes)), -format.frac - 1))
    for x in (value, np.nextafter(value, -inf), np.nextafter(value, inf)):
        wanted = encoded(Fraction(float(x)), format, mode, overflow)
        if wanted is None:
            with pytest.raises(FormatError):
                format.encode(np.array([x]), mode, overflow)
        else:
            assert python_ints(format.encode(np.array([x]), mode, overflow)) == [wanted]


@given(FORMATS, st.lists(INTEGERS, max_size=4), st.integers(-70, 140), MODES, OVERFLOWS)
def test_cast_codes(
    format: Fixed,
    codes: list[int],
    frac: int,
    mode: RoundingMode,
    overflow: Overflow,
):
    scale = Fraction(2) ** -frac
    wanted = [encoded(c * scale, format, mode, overflow) for c in codes]
    if None in wanted:
        with pytest.raises(FormatError):
            format.cast_codes(array_of(codes), frac, mode, overflow)
    else:
        got = format.cast_codes(array_of(codes), frac, mode, overflow)
        assert python_ints(got) == wanted


@given(
    FORMATS,
    st.lists(INTEGERS, min_size=1, max_size=3),
    INTEGERS.filter(bool),
    st.integers(-70, 70),
    MODES,
    OVERFLOWS,
)
def test_cast_ratio(
    format: Fixed,
    numerators: list[int],
    denominator: int,
    frac: int,
    mode: RoundingMode,
    overflow: Overflow,
):
    scale = Fraction(2) ** -frac
    wanted = [
        encoded(Fraction(n, denominator) * scale, format, mode, overflow)
        for n in numerators
    ]
    arguments = array_of(numerators), array_of([denominator]), frac, mode, overflow
    if None in wanted:
        with pytest.raises(FormatError):
            format.cast_ratio(*arguments)
    else:
        assert python_ints(format.cast_ratio(*arguments)) == wanted


@given(st.lists(INTEGERS, max_size=4), st.integers(-70, 140), MODES)
def test_round_shift(codes: list[int], shift: int, mode: RoundingMode):
    got = round_shift(array_of(codes), shift, mode)
    assert python_ints(got) == [rounded(c / Fraction(2) ** shift, mode) for c in codes]


@given(st.lists(st.tuples(INTEGERS, INTEGERS.filter(bool)), max_size=4), MODES)
def test_round_ratio(pairs: list[tuple[int, int]], mode: RoundingMode):
    tops, bottoms = [p[0] for p in pairs], [p[1] for p in pairs]
    got = round_ratio(array_of(tops), array_of(bottoms), mode)
    assert python_ints(got) == [rounded(Fraction(*p), mode) for p in pairs]


EDGES = [
    s * (2**e + d)
    for e in (1, 31, 53, 61, 62, 63, 64)
    for d in (-1, 0, 1)
    for s in (1, -1)
]


@pytest.mark.parametrize("mode", RoundingMode)
def test_shifts_at_the_edge_of_int64(mode: RoundingMode):
    for shift in (1, 2, 31, 60, 61, 62, 63, 64, 65, -1, -30, -61, -62, -63):
        for codes in (EDGES, [e for e in EDGES if -(2**63) <= e < 2**63]):
            got = round_shift(array_of(codes), shift, mode)
            exact = [Fraction(c) / Fraction(2) ** shift for c in codes]
            assert python_ints(got) == [rounded(x, mode) for x in exact]


@pytest.mark.parametrize("mode", RoundingMode)
def test_ratios_at_the_edge_of_int64(mode: RoundingMode):
    for bound in (2**62, 2**63, 2**65):
        edges = [e for e in EDGES if -bound <= e < bound]
        got = round_ratio(array_of(edges)[:, None], array_of(edges)[None], mode)
        wanted = [rounded(Fraction(n, d), mode) for n, d in product(edges, edges)]
        assert python_ints(got) == wanted


def test_round_ratio_broadcasts():
    got = round_ratio(
        np.arange(6).reshape(2, 3), np.array([[2], [-2]]), RoundingMode.NEAREST_EVEN
    )
    assert got.tolist() == [[0, 0, 1], [-2, -2, -2]]


def test_division_by_zero_is_an_error():
    with pytest.raises(FormatError, match="division by zero"):
        round_ratio(np.array([1, 2]), np.array([1, 0]), RoundingMode.FLOOR)


@given(st.lists(FINITE, max_size=5), MODES)
def test_round_real(values: list[float], mode: RoundingMode):
    got = round_real(np.array(values, dtype=np.float64), mode)
    assert got.tolist() == [rounded(Fraction(v), mode) for v in values]


@pytest.mark.parametrize("mode", RoundingMode)
def test_round_real_just_below_the_tie(mode: RoundingMode):
    """Adding one half, or one, to these rounds to the tie itself."""
    values = [s * v for v in (0.5 - 2**-54, 0.5, 0.5 + 2**-53) for s in (1, -1)]
    got = round_real(np.array([*values, inf, -inf]), mode)
    assert got.tolist() == [*(rounded(Fraction(v), mode) for v in values), inf, -inf]
    assert np.isnan(round_real(np.array([nan]), mode)).all()


def test_infinity_saturates_or_is_an_error():
    values = np.array([inf, -inf])
    for width in (1, 8, 53, 62, 63, 64):
        for signed in (True, False):
            format = Fixed(width, 3, signed)
            codes = python_ints(format.encode(values))
            assert codes == [format.max_code, format.min_code]
            for overflow in (Overflow.WRAP, Overflow.ERROR):
                with pytest.raises(FormatError, match="infinity has no code in"):
                    format.encode(values, overflow=overflow)


def test_there_is_no_infinity():
    for act in (
        lambda f: f.encode(np.array([0.5]), overflow=Overflow.INFINITY),
        lambda f: f.fit(np.array([1]), Overflow.INFINITY),
    ):
        with pytest.raises(FormatError, match=r"fixed<8, 4> has no infinity"):
            act(Fixed(8, 4))


@pytest.mark.parametrize("overflow", FIXED_OVERFLOWS)
def test_nan_is_an_error(overflow: Overflow):
    with pytest.raises(FormatError, match="NaN has no code in ufixed<8, 4>"):
        Fixed(8, 4, signed=False).encode(np.array([1.0, nan]), overflow=overflow)


def test_finite_numbers_beyond_float64_once_scaled():
    format = Fixed(8, 200)
    values = np.array([1e300, -1e300, 5e-324])
    assert format.encode(values).tolist() == [127, -128, 0]
    assert format.encode(values, overflow=Overflow.WRAP).tolist() == [0, 0, 0]
    with pytest.raises(FormatError, match="1e\\+300 overflows fixed<8, 200>"):
        format.encode(values, overflow=Overflow.ERROR)


def test_subnormal_inputs_keep_their_sign():
    tiny = np.array([5e-324, -5e-324, 2.0**-1060, -(2.0**-1060)])
    for frac in (-200, -10, 0, 10):
        format = Fixed(8, frac)
        ceiled = format.encode(tiny, RoundingMode.CEIL).tolist()
        floored = format.encode(tiny, RoundingMode.FLOOR).tolist()
        assert (ceiled, floored) == ([1, 0, 1, 0], [0, -1, 0, -1])
        assert format.encode(tiny).tolist() == [0, 0, 0, 0]


@pytest.mark.parametrize("mode", RoundingMode)
@pytest.mark.parametrize("overflow", FIXED_OVERFLOWS)
def test_empty_arrays(mode: RoundingMode, overflow: Overflow):
    for width in (8, 63, 64):
        format = Fixed(width, 4)
        for dtype in (np.int64, object):
            empty = np.empty((2, 0), dtype=dtype)
            ones = np.ones((1, 1), dtype=dtype)
            for codes in (
                format.fit(empty, overflow),
                format.cast_codes(empty, 9, mode, overflow),
                format.cast_codes(empty, -70, mode, overflow),
                format.cast_ratio(empty, ones, 0, mode, overflow),
                format.encode(np.empty((2, 0)), mode, overflow),
            ):
                assert codes.shape == (2, 0)
                assert codes.dtype == np.int64


@given(
    INTEGERS,
    st.integers(-5, 5),
    st.sampled_from([1, 8, 62, 63, 64]),
    MODES,
    st.sampled_from([Overflow.SATURATE, Overflow.WRAP]),
)
def test_rank_0(
    code: int, shift: int, width: int, mode: RoundingMode, overflow: Overflow
):
    array = array_of([code])
    format = Fixed(width, 0)
    for one, many in (
        (shift_left(array[0:1].reshape(()), 7), shift_left(array, 7)),
        (round_shift(array.reshape(()), shift, mode), round_shift(array, shift, mode)),
        (
            format.cast_codes(array.reshape(()), shift, mode, overflow),
            format.cast_codes(array, shift, mode, overflow),
        ),
        (
            format.cast_ratio(array.reshape(()), np.array(3), shift, mode, overflow),
            format.cast_ratio(array, np.array([3]), shift, mode, overflow),
        ),
        (
            format.encode(np.array(float(code)), mode, overflow),
            format.encode(np.array([float(code)]), mode, overflow),
        ),
        (format.decode(array.reshape(())), format.decode(array)),
    ):
        assert isinstance(one, np.ndarray)
        assert one.shape == ()
        assert one.dtype == many.dtype
        assert one.item() == many[0]


@pytest.mark.parametrize(
    "dtype", ["bool", "int8", "uint8", "int16", "uint16", "int32", "uint32", "uint64"]
)
def test_narrow_dtypes_do_not_overflow(dtype: str):
    info = (0, 1) if dtype == "bool" else (np.iinfo(dtype).min, np.iinfo(dtype).max)
    codes = np.array(info, dtype=dtype)
    values = [int(v) for v in info]
    assert python_ints(integers(codes)) == values
    for mode in RoundingMode:
        wanted = [rounded(Fraction(v, 8), mode) for v in values]
        assert python_ints(round_shift(codes, 3, mode)) == wanted
        assert python_ints(round_ratio(codes, np.array([8]), mode)) == wanted
    assert python_ints(shift_left(integers(codes), 9)) == [v * 512 for v in values]
    assert python_ints(Fixed(64, 0, False).fit(codes, Overflow.SATURATE)) == [
        max(v, 0) for v in values
    ]


@pytest.mark.parametrize("exponent", [62, 63, 64])
def test_int64_borders(exponent: int):
    """Values at the edge of int64 stay exact, whichever dtype holds them."""
    values = [s * (2**exponent + d) for s in (1, -1) for d in (-1, 0, 1)]
    codes = np.array(values, dtype=object)
    assert max_magnitude(codes) == 2**exponent + 1
    assert python_ints(compact(codes)) == values
    for format in (Fixed(64, 0), Fixed(64, 0, False), Fixed(63, 0), Fixed(62, 0)):
        for overflow in (Overflow.SATURATE, Overflow.WRAP):
            wanted = [brought_in(v, format, overflow) for v in values]
            assert python_ints(format.fit(codes, overflow)) == wanted
            fits = [v for v in values if -(2**63) <= v < 2**63]
            got = format.fit(np.array(fits, dtype=np.int64), overflow)
            assert python_ints(got) == [brought_in(v, format, overflow) for v in fits]


def test_small_results_return_to_int64():
    codes = np.array([2**70, -(2**70)], dtype=object)
    assert round_shift(codes, 60, RoundingMode.FLOOR).tolist() == [1024, -1024]
    assert Fixed(8, 0).fit(codes, Overflow.SATURATE).dtype == np.int64
    assert compact(np.array([5], dtype=object)).dtype == np.int64
    assert compact(np.array([2**63], dtype=object)).dtype == object


@given(FORMATS, st.data())
@settings(max_examples=50)
def test_decode_is_correctly_rounded(format: Fixed, data: st.DataObject):
    code = data.draw(st.integers(format.min_code, format.max_code))
    value = format.decode(array_of([code])).item()
    assert value == float(Fraction(code) / Fraction(2) ** format.frac)
    assert format.step == float(Fraction(2) ** -format.frac)


def test_impossible_formats():
    for width in (0, 65, -1):
        with pytest.raises(ValueError, match=f"between 1 and 64, got {width}"):
            Fixed(width, 0)
    for frac in (-257, 257):
        with pytest.raises(ValueError, match=f"between -256 and 256, got {frac}"):
            Fixed(8, frac)
    assert (str(Fixed(8, -4)), str(Fixed(3, 9, False))) == (
        "fixed<8, -4>",
        "ufixed<3, 9>",
    )
