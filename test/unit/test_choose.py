"""The chosen fraction is the best one; format text means what it says."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from mase_opt.lib.formats.choose import (
    Method,
    choose_fraction,
    fitting_fraction,
    fitting_width,
    squared_error,
)
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.rounding import FormatError, Overflow, RoundingMode
from mase_opt.lib.formats.spec import FormatSpec, parse_format

REALS = st.floats(-1e6, 1e6, width=32)
VALUES = arrays(np.float64, st.integers(1, 20), elements=REALS)


@given(VALUES, st.integers(2, 16), st.booleans(), st.sampled_from(RoundingMode))
def test_no_fraction_has_a_smaller_error(values, width, signed, rounding):
    frac = choose_fraction(values, width, signed=signed, rounding=rounding)
    best = squared_error(values, Fixed(width, frac, signed), rounding)
    for other in range(-40, 60):
        error = squared_error(values, Fixed(width, other, signed), rounding)
        assert best <= error * (1 + 1e-12), f"{other} is better than {frac}"


@given(VALUES, st.integers(2, 16))
def test_no_fraction_has_a_smaller_error_when_wrapping(values, width):
    overflow = Overflow.WRAP
    frac = choose_fraction(values, width, overflow=overflow)
    best = squared_error(values, Fixed(width, frac), overflow=overflow)
    for other in range(-40, 60):
        error = squared_error(values, Fixed(width, other), overflow=overflow)
        assert best <= error * (1 + 1e-12)


@given(VALUES, st.integers(2, 64), st.booleans())
def test_minmax_is_the_finest_that_fits(values, width, signed):
    if not signed:
        values = np.abs(values)
    frac = fitting_fraction(values, width, signed)
    assert frac == choose_fraction(values, width, signed=signed, method=Method.MINMAX)
    format = Fixed(width, frac, signed)

    def inside(scaled: np.ndarray) -> bool:
        return format.min_code <= min(scaled.tolist()) and (
            max(scaled.tolist()) <= format.max_code
        )

    assert inside(np.ldexp(values, frac))
    assert not values.any() or not inside(np.ldexp(values, frac + 1))


@given(VALUES, st.integers(-20, 20), st.booleans())
def test_fitting_width_is_the_smallest(values, frac, signed):
    if not signed:
        values = np.abs(values)
    width = fitting_width(values, frac, signed)
    Fixed(width, frac, signed).encode(values, overflow=Overflow.ERROR)
    if width > 1:
        with pytest.raises(FormatError):
            Fixed(width - 1, frac, signed).encode(values, overflow=Overflow.ERROR)


def test_limit_bounds_the_fraction():
    assert choose_fraction(np.array([0.3]), 16, limit=5) == 5


def test_percentile_ignores_outliers():
    values = np.concatenate([np.linspace(-1, 1, 9999), [1000.0]])
    minmax = choose_fraction(values, 8, method=Method.MINMAX)
    assert minmax == -3
    assert choose_fraction(values, 8, method=Method.PERCENTILE, percentile=99) == 7


def test_zeros_and_nothing_have_a_format():
    assert choose_fraction(np.zeros(3), 8) == 7
    assert choose_fraction(np.zeros(0), 8, signed=False) == 8


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("fixed<8,4>", FormatSpec(True, 8, 4)),
        ("ufixed< 8 , auto >", FormatSpec(False, 8, None)),
        ("!mase.fixed<auto, -3>", FormatSpec(True, None, -3)),
    ],
)
def test_parse_format(text, spec):
    assert parse_format(text) == spec
    assert parse_format(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("mxint8", r"'mxint8' is not an available format, expected fixed<W, F> or"),
        ("fixed<8>", "not an available format"),
        ("fixed<0,0>", "width must be between 1 and 64, got 0"),
        ("fixed<99,0>", "width must be between 1 and 64, got 99"),
        ("fixed<8,x>", "'x' in 'fixed<8,x>' is neither a whole number nor auto"),
        ("fixed<auto,auto>", "leaves width and fraction open"),
    ],
)
def test_parse_format_errors(text, message):
    with pytest.raises(FormatError, match=message):
        parse_format(text)
