"""Minifloats against rational arithmetic, and against ml_dtypes."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import inf, nan

import ml_dtypes
import numpy as np
import pytest
from format_reference import Table, check_codes, probes

from mase_opt.lib.formats import FormatError, Overflow, RoundingMode
from mase_opt.lib.formats.minifloat import Kind, MiniFloat

OCP = {
    ml_dtypes.float8_e4m3fn: MiniFloat(4, 3, Kind.FN),
    ml_dtypes.float8_e5m2: MiniFloat(5, 2, Kind.IEEE),
    ml_dtypes.float6_e2m3fn: MiniFloat(2, 3, Kind.FINITE),
    ml_dtypes.float6_e3m2fn: MiniFloat(3, 2, Kind.FINITE),
    ml_dtypes.float4_e2m1fn: MiniFloat(2, 1, Kind.FINITE),
}
WIDE = {ml_dtypes.bfloat16: MiniFloat(8, 7), np.float16: MiniFloat(5, 10)}


def valid(exponent: int, mantissa: int, kind: Kind) -> bool:
    if kind is Kind.NO_IMPLICIT:
        return mantissa > 0
    return exponent > 0 and (mantissa > 0 or kind is Kind.FINITE)


SMALL = [
    MiniFloat(e, m, kind, bias)
    for e, m, kind in product(range(8), range(8), Kind)
    if e + m <= 7 and valid(e, m, kind)
    for bias in ((None, 9, -3) if e + m <= 4 else (None,))
]
"""Every minifloat of up to 8 bits, some with another bias."""


def magnitude(code: int, f: MiniFloat) -> Fraction:
    """By the definition of a code without its sign, special codes as numbers too."""
    field, mantissa = code >> f.mantissa, code % 2**f.mantissa
    bias = f.bias
    if bias is None:
        bias = 2 ** (f.exponent - 1) - 1 if f.exponent else 0
    part = Fraction(mantissa, 2**f.mantissa)
    if f.kind is Kind.NO_IMPLICIT:
        return Fraction(2) ** (field - bias) * part
    if field == 0:
        return Fraction(2) ** (1 - bias) * part
    return Fraction(2) ** (field - bias) * (1 + part)


def number_codes(f: MiniFloat) -> int:
    """How many codes without sign stand for numbers."""
    everything = 2 ** (f.exponent + f.mantissa)
    match f.kind:
        case Kind.IEEE:
            return everything - 2**f.mantissa
        case Kind.FN:
            return everything - 1
        case _:
            return everything


def table_of(f: MiniFloat) -> Table:
    count = number_codes(f)
    magnitudes = sorted({magnitude(code, f) for code in range(count)})
    # The next one, if there were more codes.
    if f.kind is Kind.NO_IMPLICIT:
        count += 2 ** (f.mantissa - 1)
    return Table([*magnitudes, magnitude(count, f)])


@pytest.mark.parametrize("f", SMALL, ids=str)
def test_every_code_and_midpoint(f: MiniFloat):
    table = table_of(f)
    assert f.max_value == table.magnitudes[-2]
    values = np.array(list(probes(table)))
    for mode in RoundingMode:
        pairs = [table.cast(Fraction(v), mode) for v in values.tolist()]
        over = np.array([m == table.magnitudes[-1] for _, m in pairs])
        rounded = np.array([s * float(m) for s, m in pairs])
        wanted = np.where(over, np.copysign(f.max_value, values), rounded)
        codes = f.encode(values, mode)
        assert codes.dtype == np.int64
        got = f.decode(codes)
        assert np.array_equal(got, wanted), mode
        assert np.array_equal(np.signbit(got), np.signbit(values)), mode
        assert f.encode(values[~over], mode, Overflow.ERROR).tolist() == (
            codes[~over].tolist()
        )
        for value in values[over][:4]:
            with pytest.raises(FormatError, match="overflows minifloat"):
                f.encode(np.array([value]), mode, Overflow.ERROR)
        if f.has_nan:
            beyond = f.decode(f.encode(values, mode, Overflow.INFINITY))
            special = np.where(values > 0, inf, -inf) if f.kind is Kind.IEEE else nan
            wanted = np.where(over, special, rounded)
            assert np.array_equal(beyond, wanted, equal_nan=True), mode


@pytest.mark.parametrize("f", SMALL, ids=str)
def test_every_code(f: MiniFloat):
    check_codes(f)
    codes = np.arange(2**f.bits)
    count, half = number_codes(f), 2 ** (f.bits - 1)
    wanted = [float(magnitude(code, f)) for code in range(count)]
    assert f.decode(codes[:count]).tolist() == wanted
    negative = f.decode(codes[half : half + count])
    assert (-negative).tolist() == wanted
    assert np.signbit(negative).all()
    special = f.decode(codes[count:half])
    if f.kind is Kind.IEEE:
        assert special[0] == inf
        special = special[1:]
    assert np.isnan(special).all()
    if f.kind is not Kind.NO_IMPLICIT:
        numbers = np.r_[codes[:count], codes[half : half + count]]
        assert f.encode(f.decode(numbers)).tolist() == numbers.tolist()
    else:
        # The lowest of the codes of a value.
        for code in range(count):
            same = next(c for c in range(count) if wanted[c] == wanted[code])
            assert f.encode(f.decode(codes[[code]])) == same


def random_values(dtype: type) -> np.ndarray:
    """Float32 numbers of all exponents, in range and around it, and special ones."""
    rng = np.random.default_rng(0)
    top = float(ml_dtypes.finfo(dtype).max)
    scale = np.exp2(rng.uniform(-30, 3, 200_000))
    values = rng.standard_normal(200_000) * scale * min(top, 1e37)
    special = [0.0, -0.0, nan, -nan, inf, -inf, 0.999, 1e-45, -1e-45]
    return np.concatenate([values, special]).astype(np.float32)


@pytest.mark.parametrize("dtype", [*OCP, *WIDE], ids=lambda d: d.__name__)
def test_equals_ml_dtypes(dtype: type):
    """
    The same bits for the same float32 numbers.

    Casts of ml_dtypes give infinity, else NaN, for magnitudes beyond the range of
    formats that have one: our overflow mode `infinity`. Formats without one saturate,
    and give negative zero for NaN, where we refuse.
    """
    f = (OCP | WIDE)[dtype]
    storage = np.uint16 if f.bits == 16 else np.uint8
    values = random_values(dtype)
    if not f.has_nan:
        values = values[~np.isnan(values)]
    with np.errstate(over="ignore"):
        theirs = values.astype(dtype)
    mode = Overflow.INFINITY if f.has_nan else Overflow.SATURATE
    codes = f.encode(values, overflow=mode)
    assert np.array_equal(codes, theirs.view(storage))
    ours = f.decode(np.arange(2**f.bits))
    with np.errstate(invalid="ignore"):
        table = np.arange(2**f.bits).astype(storage).view(dtype).astype(np.float64)
    assert np.array_equal(ours, table, equal_nan=True)
    assert np.array_equal(np.signbit(ours), np.signbit(table))
    # Saturating differs from that beyond the range only.
    saturated = f.encode(values)
    same = saturated == codes
    beyond = f.decode(codes[~same])
    assert not np.isfinite(beyond).any()
    assert np.array_equal(
        f.decode(saturated[~same]), np.copysign(f.max_value, values[~same])
    )


@pytest.mark.parametrize("f", [f for f in SMALL if f.bits == 8], ids=str)
def test_rounding_carries_into_the_exponent(f: MiniFloat):
    """0.999 is nearer to 1 than to any other value, where both are in range."""
    if f.max_value >= 1 and f.decode(f.encode(np.array(1.0))) == 1:
        below = f.cast(np.array(np.nextafter(1.0, 0)), RoundingMode.ZERO)
        wanted = 1.0 if 0.999 > (below + 1) / 2 else below
        assert f.cast(np.array(0.999)) == wanted
        assert wanted == 1.0 or f.mantissa == 7


def test_infinity_and_nan():
    ieee, fn, finite = (MiniFloat(4, 3, k) for k in (Kind.IEEE, Kind.FN, Kind.FINITE))
    both = np.array([inf, -inf])
    for f in (ieee, fn, finite):
        assert f.cast(both).tolist() == [f.max_value, f.min_value]
    for mode in (Overflow.ERROR, Overflow.INFINITY):
        assert ieee.cast(both, overflow=mode).tolist() == [inf, -inf]
    assert np.isnan(fn.cast(both, overflow=Overflow.INFINITY)).all()
    for f in (fn, finite):
        with pytest.raises(FormatError, match=r"inf overflows minifloat<4, 3,"):
            f.encode(both, overflow=Overflow.ERROR)
    with pytest.raises(FormatError, match="has no infinity"):
        finite.encode(both, overflow=Overflow.INFINITY)
    for f in (ieee, fn):
        assert np.isnan(f.cast(np.array([nan]))).all()
        assert f.cast(np.array([nan, 2.0]), nan_to_zero=True).tolist() == [0, 2]
        with pytest.raises(FormatError, match="does not wrap"):
            f.encode(both, overflow=Overflow.WRAP)
    assert f"{fn.encode(np.array([nan]))[0]:b}" == "1111111"
    assert f"{ieee.encode(np.array([nan]))[0]:b}" == "1111100"
    with pytest.raises(FormatError, match="NaN has no code in minifloat<4, 3, finite>"):
        finite.encode(np.array([1.0, nan]))
    assert finite.cast(np.array([1.0, nan]), nan_to_zero=True).tolist() == [1, 0]


def test_shapes():
    f = MiniFloat(4, 3, Kind.FN)
    for shape in ((), (0,), (3,), (2, 0, 3), (2, 3), (2, 1, 3), (1, 2, 3, 2), (2,) * 5):
        values = np.full(shape, 0.3, dtype=np.float32)
        codes = f.encode(values)
        assert codes.shape == shape
        assert f.decode(codes).shape == shape
        assert (f.decode(codes) == 0.3125).all()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((0, 3, Kind.IEEE), "exponent must have between 1 and 8 bits in kind ieee"),
        ((9, 3), "exponent must have between 1 and 8 bits"),
        ((4, 0, Kind.IEEE), "mantissa must have between 1 and 23 bits in kind ieee"),
        ((4, 0, Kind.FN), "mantissa must have between 1 and 23 bits in kind fn"),
        ((0, 0, Kind.NO_IMPLICIT), "mantissa must have between 1 and 23 bits"),
        ((0, 0, Kind.FINITE), "exponent must have between 1 and 8 bits"),
        ((4, 24), "mantissa must have between 1 and 23 bits"),
        ((4, 3, Kind.FN, 301), "bias must be between -300 and 300, got 301"),
    ],
)
def test_impossible(arguments: tuple, message: str):
    with pytest.raises(FormatError, match=message):
        MiniFloat(*arguments)


def test_properties():
    f = MiniFloat(4, 3, Kind.FN)
    assert (str(f), f.bits_per_element, f.max_value, f.step) == (
        "minifloat<4, 3, fn>",
        8.0,
        448.0,
        2.0**-9,
    )
    assert MiniFloat(4, 3, Kind.FN, 7) == f
    assert str(MiniFloat(4, 3, Kind.FN, 11)) == "minifloat<4, 3, fn, 11>"
    # Sign and magnitude.
    f = MiniFloat(0, 3, Kind.NO_IMPLICIT)
    assert f.decode(np.arange(8)).tolist() == [n / 8 for n in range(8)]


def test_32_bits_are_float32():
    f = MiniFloat(8, 23)
    values = random_values(np.float32)
    values = values[~np.isnan(values)]
    codes = f.encode(values, overflow=Overflow.INFINITY)
    assert np.array_equal(codes, values.view(np.uint32))
    assert np.array_equal(f.decode(codes).astype(np.float32), values)
