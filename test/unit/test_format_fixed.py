"""Fixed point of 16 bits exhaustively, and its two ways to cast against each other."""

from __future__ import annotations

import numpy as np
import pytest

from mase_opt.lib.formats import Fixed, Overflow, RoundingMode

QUARTERS = np.arange(-(3 << 16), (3 << 16) + 1)
"""Quarters of steps that reach half a range beyond signed formats of 16 bits."""


def rounded(quarters: np.ndarray, mode: RoundingMode) -> np.ndarray:
    """By the definition of the mode, for what is left of a quarter of the code."""
    floor, rest = np.divmod(quarters, 4)
    match mode:
        case RoundingMode.FLOOR:
            up = np.zeros_like(quarters)
        case RoundingMode.CEIL:
            up = rest > 0
        case RoundingMode.ZERO:
            up = (rest > 0) & (quarters < 0)
        case RoundingMode.HALF_UP:
            up = rest >= 2
        case RoundingMode.NEAREST_AWAY:
            up = np.where(quarters < 0, rest > 2, rest >= 2)
        case RoundingMode.NEAREST_EVEN:
            up = (rest > 2) | ((rest == 2) & (floor % 2 == 1))
    return floor + up


@pytest.mark.parametrize("mode", RoundingMode)
@pytest.mark.parametrize("signed", [True, False])
def test_every_code_and_midpoint_of_16_bits(signed: bool, mode: RoundingMode):
    low, high = (-(2**15), 2**15 - 1) if signed else (0, 2**16 - 1)
    quarters = QUARTERS if signed else QUARTERS + (1 << 17)
    steps = rounded(quarters, mode)
    for frac in (-2, 8, 20):
        f = Fixed(16, frac, signed)
        values = np.ldexp(quarters.astype(np.float64), -frac - 2)
        saturated = np.clip(steps, low, high)
        assert np.array_equal(f.encode(values, mode), saturated)
        wrapped = (steps - low) % 2**16 + low
        assert np.array_equal(f.encode(values, mode, Overflow.WRAP), wrapped)
        fits = steps == saturated
        exact = f.encode(values[fits], mode, Overflow.ERROR)
        assert np.array_equal(exact, steps[fits])
        # And as values, which is how tensors of torch are cast.
        for overflow in (Overflow.SATURATE, Overflow.WRAP):
            cast = f.decode(f.encode(values, mode, overflow))
            assert np.array_equal(f.quantize(values, mode, overflow), cast)
    codes = np.arange(low, high + 1)
    assert np.array_equal(f.encode(f.decode(codes), mode, Overflow.ERROR), codes)


@pytest.mark.parametrize("width", [1, 2, 8, 24, 31, 52, 53])
@pytest.mark.parametrize("signed", [True, False])
def test_values_are_cast_as_codes_are(width: int, signed: bool):
    rng = np.random.default_rng(width)
    values = rng.standard_normal(2000) * np.exp2(rng.integers(-300, 300, 2000))
    values = np.r_[values, 0.0, 5e-324, -5e-324, 1e-310, 1e308, -1e308]
    for frac in (-256, -3, 0, 20, 256):
        f = Fixed(width, frac, signed)
        for mode in RoundingMode:
            for overflow in (Overflow.SATURATE, Overflow.WRAP):
                with np.errstate(all="ignore"):
                    got = f.quantize(values, mode, overflow)
                assert np.array_equal(got, f.cast(values, mode, overflow))
                assert not np.signbit(got[got == 0]).any()


def test_properties():
    f = Fixed(8, 4)
    assert (f.min_value, f.max_value, f.step) == (-8.0, 7.9375, 0.0625)
    assert f.bits_per_element == 8.0
    assert f.cast(np.array([np.nan, 0.3]), nan_to_zero=True).tolist() == [0.0, 0.3125]
