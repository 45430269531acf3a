"""The chosen format is the best one; format text means what it says."""

from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.choose import (
    choose_format,
    choose_fraction,
    fitting_fraction,
    fitting_width,
)
from mase_opt.lib.formats.clipping import BINS, Histogram, Method, squared_error
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.log import Log
from mase_opt.lib.formats.minifloat import Kind, MiniFloat
from mase_opt.lib.formats.rounding import FormatError, Overflow, RoundingMode
from mase_opt.lib.formats.scaled import Scaled, ScaleLayout
from mase_opt.lib.formats.spec import FormatSpec, ScaledSpec, parse_spec
from mase_opt.lib.formats.ternary import Ternary

REALS = st.floats(-1e6, 1e6, width=32)
VALUES = arrays(np.float64, st.integers(1, 20), elements=REALS)
ELEMENTS = [
    Fixed(8, 0),
    Fixed(4, 1),
    Fixed(8, 0, signed=False),
    MiniFloat(4, 3, Kind.FN),
    MiniFloat(2, 1, Kind.FINITE),
    MiniFloat(5, 2),
    Log(5),
    Binary(signed=False),
]
HEAVY = np.random.default_rng(0).standard_t(3, 50_000)


def scaled(spec: ScaledSpec, values: np.ndarray, **options: object) -> Scaled:
    format = choose_format(spec, values, **options)
    assert isinstance(format, Scaled)
    return format


# ---- fixed point ------------------------------------------------------------------
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


@pytest.mark.parametrize("method", Method)
def test_impossible_numbers_have_no_fixed_point(method):
    for bad in (np.nan, np.inf):
        with pytest.raises(FormatError, match="not finite"):
            choose_format(FormatSpec(width=8), np.array([1.0, bad]), method=method)
    with pytest.raises(FormatError, match="beyond 2\\^256"):
        choose_format(FormatSpec(width=8), np.array([1e300]), method=method)
    assert choose_format(FormatSpec(width=8), np.array([5e-324])) == Fixed(8, 256)


def test_open_parts_only():
    values = np.array([0.5, 3.0])
    assert choose_format(FormatSpec(width=8), values) == Fixed(8, 5)
    assert choose_format(FormatSpec(width=8), values, unsigned=True) == Fixed(
        8, 6, False
    )
    assert choose_format(FormatSpec(True, 8), values, unsigned=True) == Fixed(8, 5)
    assert choose_format(FormatSpec(None, None, 2), values) == Fixed(5, 2)
    assert choose_format(FormatSpec(True, 4, 9), values) == Fixed(4, 9)
    for text in ("mxint8", "scaled<binary, 0.5>", "ternary"):
        assert choose_format(parse_spec(text), values) == parse_spec(text)


@given(VALUES, st.sampled_from(Method), st.data())
@settings(max_examples=40)
def test_weights_count_values(values, method, data):
    counts = data.draw(arrays(np.int64, len(values), elements=st.integers(1, 5)))
    repeated = np.repeat(values, counts)
    for spec in (FormatSpec(width=4), ScaledSpec(Fixed(4, 0)), ScaledSpec(Ternary())):
        weighted, plain = (
            choose_format(spec, v, method=method, weights=w, percentile=80)
            for v, w in ((values, counts.astype(float)), (repeated, None))
        )
        if method is not Method.KL:  # it takes fewer bins for fewer numbers
            assert np.isclose(weighted.step, plain.step, rtol=1e-6)


# ---- scales -----------------------------------------------------------------------


def error_of(values, element, scale, rounding=RoundingMode.NEAREST_EVEN):
    return squared_error(values, Scaled(element, scale), rounding)


@given(
    VALUES,
    st.sampled_from(ELEMENTS),
    st.sampled_from(RoundingMode),
    st.booleans(),
)
@settings(max_examples=60)
def test_no_scale_has_a_smaller_error(values, element, rounding, power_of_two):
    spec = ScaledSpec(element, power_of_two=power_of_two)
    largest = scaled(spec, values, method=Method.MINMAX, rounding=rounding).scales
    chosen = scaled(spec, values, rounding=rounding)
    best = error_of(values, element, chosen.scales, rounding)
    steps = np.arange(-12.0, 1) if power_of_two else np.arange(-12, 0.01, 1 / 16)
    for factor in np.exp2(steps):
        if largest * factor > 1e-30:
            other = error_of(values, element, largest * factor, rounding)
            assert best <= other * (1 + 1e-5) + 1e-30


@pytest.mark.parametrize("element", ELEMENTS, ids=str)
def test_the_error_is_that_of_a_fine_search(element):
    rng = np.random.default_rng(1)
    for values in (HEAVY[:2000], rng.standard_normal(2000), rng.uniform(0, 1, 2000)):
        spec = ScaledSpec(element)
        largest = scaled(spec, values, method=Method.MINMAX).scales
        best = error_of(values, element, scaled(spec, values).scales)
        fine = np.exp2(np.arange(-7, 1, 1 / 80))
        assert best <= 1.05 * min(error_of(values, element, largest * f) for f in fine)


@given(VALUES, st.sampled_from(ELEMENTS), st.booleans(), st.sampled_from(RoundingMode))
def test_minmax_is_the_smallest_that_reaches(values, element, power_of_two, rounding):
    if element.min_value == 0:
        values = np.abs(values)
    spec = ScaledSpec(element, power_of_two=power_of_two)
    format = scaled(spec, values, method=Method.MINMAX)
    # Raises if something overflows.
    format.encode(values, rounding, Overflow.ERROR)
    assert format.power_of_two or not power_of_two
    low, high = format.min_value, format.max_value
    if np.abs(values).max() > 1e-30:
        smaller = 0.5 if power_of_two else 1 - 1e-6
        assert values.max() > high * smaller or values.min() < low * smaller


@given(st.data(), st.sampled_from(Method), st.booleans())
@settings(max_examples=25)
def test_parts_are_as_if_alone(data, method, grouped):
    shape = data.draw(array_shapes(min_dims=1, max_dims=5, min_side=1, max_side=7))
    values = data.draw(arrays(np.float64, shape, elements=REALS))
    axis = data.draw(st.integers(-len(shape), len(shape) - 1))
    group = data.draw(st.integers(1, 9)) if grouped else None
    element = data.draw(st.sampled_from([*ELEMENTS, Binary(), Ternary()]))
    layout = ScaleLayout(axis, group)
    options = {"method": method, "percentile": 90}
    whole = scaled(ScaledSpec(element, layout), values, **options)
    last = np.moveaxis(values, axis, -1)
    if group is None:
        alone = [
            scaled(ScaledSpec(element), last[..., i], **options).scales
            for i in range(shape[axis])
        ]
        assert np.array_equal(whole.scales, alone)
    elif method is not Method.KL:  # short groups have fewer bins alone
        scales = np.moveaxis(whole.scales, axis, -1)
        for index in np.ndindex(scales.shape):
            part = last[index[:-1]][index[-1] * group : (index[-1] + 1) * group]
            alone = scaled(ScaledSpec(element), part, **options).scales
            assert np.isclose(scales[index], alone, rtol=1e-6)
    whole.encode(values)


@pytest.mark.parametrize("shape", [(), (1,), (0,), (3, 0), (1, 1, 1, 1, 1)])
@pytest.mark.parametrize("method", Method)
def test_small_tensors(shape, method):
    layouts = [ScaleLayout()]
    if shape:
        layouts += [ScaleLayout(0), ScaleLayout(-1), ScaleLayout(-1, 4)]
    for value, layout in product((0.0, 0.3, -2.0), layouts):
        values = np.full(shape, value)
        for element in ELEMENTS:
            format = scaled(ScaledSpec(element, layout), values, method=method)
            cast = format.cast(values)
            if value > 0 or element.min_value < 0:
                np.testing.assert_allclose(cast, values, rtol=2e-7)
        if layout.axis is None:
            affine = scaled(ScaledSpec(Fixed(8, 0), affine=True), values, method=method)
            np.testing.assert_allclose(affine.cast(values), values, rtol=2e-7)


@pytest.mark.parametrize("method", Method)
def test_values_without_a_best_scale(method):
    element = Fixed(8, 0)
    assert scaled(ScaledSpec(element), np.zeros(3), method=method).scales == 1
    ufixed = ScaledSpec(Fixed(8, 0, signed=False))
    assert scaled(ufixed, np.array([-1.0, -2.0]), method=method).scales == 1
    for tiny in (1e-45, 1e-300):
        format = scaled(ScaledSpec(element), np.full(3, tiny), method=method)
        assert format.scales == 2.0**-126
        assert (format.cast(np.full(3, tiny)) == 0).all()
    for bad in (np.nan, np.inf, -np.inf):
        with pytest.raises(FormatError, match="not finite, for fixed<8, 0>"):
            scaled(ScaledSpec(element), np.array([1.0, bad]), method=method)
    with pytest.raises(FormatError, match=r"needs a scale of .* beyond float32"):
        scaled(ScaledSpec(element), np.array([1e300]), method=method)
    with pytest.raises(FormatError, match="rank 1, so there is no axis 1"):
        scaled(ScaledSpec(element, ScaleLayout(1)), np.ones(3), method=method)
    for element, layout in ((Binary(), ScaleLayout()), (Fixed(8, 0), ScaleLayout(0))):
        with pytest.raises(FormatError, match="zero points are for fixed point with"):
            scaled(ScaledSpec(element, layout, affine=True), np.ones(3), method=method)


def test_ranges_by_hand():
    values = np.array([[0.5, -2.0, 1.0], [0.0, 0.0, 0.0]])
    options = {"method": Method.MINMAX}
    f = scaled(ScaledSpec(Fixed(8, 0), ScaleLayout(0)), values, **options)
    assert f.scales.tolist() == [2 / 128, 1.0]
    assert f.encode(values).tolist() == [[32, -128, 64], [0, 0, 0]]
    f = scaled(ScaledSpec(MiniFloat(2, 1, Kind.FINITE)), values, **options)
    assert f.scales == pytest.approx(2 / 6, rel=1e-7)
    f = scaled(ScaledSpec(Fixed(8, 0, False), affine=True), values, **options)
    assert f.encode(np.array([-2.0, 0.0, 1.0])).tolist() == [0, 170, 255]
    assert f.cast(np.zeros(1)) == 0
    f = scaled(ScaledSpec(Fixed(8, 0), affine=True), np.zeros(3), **options)
    assert (f.scales, f.zero_point) == (1.0, -128)


@pytest.mark.parametrize("method", Method)
def test_signs_are_scaled_by_their_mean(method):
    values = np.array([[0.5, -2.0, 1.0], [0.0, 0.0, 0.0]])
    f = scaled(ScaledSpec(Binary()), values, method=method)
    assert f.scales == pytest.approx(3.5 / 6, rel=1e-7)
    # Thresholds are 0.7 times the mean magnitude of each row.
    f = scaled(ScaledSpec(Ternary(), ScaleLayout(0)), values, method=method)
    assert f.scales.tolist() == [1.5, 1.0]
    assert f.cast(values).tolist() == [[0, -1.5, 1.5], [0, 0, 0]]
    f = scaled(ScaledSpec(Ternary(1.5)), values, method=method)
    assert f.cast(values).tolist() == [[0, -2, 0], [0, 0, 0]]


@pytest.mark.parametrize("overflow", [Overflow.ERROR, Overflow.INFINITY])
@pytest.mark.parametrize("method", [Method.MSE, Method.MINMAX, Method.KL])
@pytest.mark.parametrize("rounding", RoundingMode)
def test_nothing_overflows_that_must_not(overflow, method, rounding):
    for affine, power_of_two in product((False, True), repeat=2):
        spec = ScaledSpec(Fixed(4, 0), affine=affine, power_of_two=power_of_two)
        for seed in range(20):
            values = np.random.default_rng(seed).standard_normal(30) + seed % 3
            f = scaled(
                spec, values, method=method, overflow=overflow, rounding=rounding
            )
            f.encode(values, rounding, Overflow.ERROR)


def test_a_zero_point_helps_one_sided_values():
    values = np.maximum(HEAVY, -0.2)
    for method in Method:
        plain, affine = (
            scaled(ScaledSpec(Fixed(4, 0), affine=a), values, method=method)
            for a in (False, True)
        )
        assert squared_error(values, affine) < 0.7 * squared_error(values, plain)
        assert affine.cast(np.zeros(1)) == 0


# ---- percentiles ------------------------------------------------------------------


@given(VALUES, st.floats(50.1, 100))
def test_percentiles_are_exact(values, percentile):
    f = scaled(
        ScaledSpec(Fixed(8, 0, False)),
        np.abs(values),
        method=Method.PERCENTILE,
        percentile=percentile,
    )
    ascending = np.sort(np.abs(values))
    # The first number that so many percent do not exceed.
    kept = next(
        v
        for i, v in enumerate(ascending)
        if 100 * (i + 1) / len(ascending) >= percentile - 1e-9
    )
    assert f.scales == pytest.approx(max(kept / 255, 2.0**-126) if kept else 1.0)


# ---- divergence -------------------------------------------------------------------


def divergence_by_hand(values, low, high, format):
    """As in the slides: bins clipped, then merged to levels and spread again."""
    counts, edges = np.histogram(values[values != 0], BINS, (low, high))
    centres = (edges[:-1] + edges[1:]) / 2
    inside = (centres >= format.min_value) & (centres <= format.max_value)
    kept = counts[inside].astype(float)
    reference = kept.copy()
    first = int(np.argmax(inside))
    reference[0] += counts[:first].sum()
    reference[-1] += counts[first + len(kept) :].sum()
    levels = format.cast(centres[inside])
    spread = np.zeros(len(kept))
    for level in np.unique(levels):
        occupied = (levels == level) & (reference > 0)
        spread[occupied] = kept[levels == level].sum() / max(1, occupied.sum())
    p, q = reference / reference.sum(), spread / spread.sum()
    with np.errstate(divide="ignore"):
        return float(np.sum(p[p > 0] * np.log(p[p > 0] / q[p > 0])))


@pytest.mark.parametrize("limit", [60.0, 20.0, 7.0, 2.0, 0.5])
def test_divergence_is_as_defined(limit):
    low, high = float(HEAVY.min()), float(HEAVY.max())
    histogram = Histogram(HEAVY[None], low, high)
    for element in ELEMENTS:
        format = Scaled(element, limit / element.max_value)
        wanted = divergence_by_hand(HEAVY, low, high, format)
        saturated = (HEAVY < format.min_value) | (HEAVY > format.max_value)
        if saturated.mean() > 0.5:
            wanted = np.inf
        assert histogram.divergence(format) == pytest.approx([wanted], abs=2e-9)


@pytest.mark.parametrize("width", [4, 6, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_divergence_beats_minmax_and_is_stable(width, signed):
    samples = np.random.default_rng(2).standard_t(3, (4, 400_000))
    values, *others = samples if signed else np.abs(samples)
    spec = ScaledSpec(Fixed(width, 0, signed))
    ends = float(values.min()), float(values.max())
    kl, minmax = (scaled(spec, values, method=m) for m in (Method.KL, Method.MINMAX))
    assert divergence_by_hand(values, *ends, kl) < 0.5 * divergence_by_hand(
        values, *ends, minmax
    )
    # Other samples of the same kind have other extremes, but similar ranges.
    limits = [scaled(spec, v, method=Method.KL).scales for v in (values, *others)]
    extremes = [np.abs(v).max() for v in (values, *others)]
    assert max(limits) / min(limits) < 0.8 * max(extremes) / min(extremes)


def test_divergence_leaves_zeros_out():
    spec = ScaledSpec(Fixed(8, 0, signed=False))
    values = np.abs(HEAVY)
    with_zeros = np.concatenate([values, np.zeros(200_000)])
    assert scaled(spec, values, method=Method.KL) == scaled(
        spec, with_zeros, method=Method.KL
    )


@pytest.mark.parametrize("width", [4, 8])
@pytest.mark.parametrize("signed", [True, False])
def test_divergence_of_few_different_numbers(width, signed):
    """Clipped to a single one they would lose nothing by its definition."""
    values = np.random.default_rng(0).integers(-16 if signed else 0, 17, 10_000) / 16
    spec = ScaledSpec(Fixed(width, 0, signed))
    kl, minmax = (scaled(spec, values, method=m) for m in (Method.KL, Method.MINMAX))
    assert squared_error(values, kl) <= 1.5 * squared_error(values, minmax) + 1e-9


def test_fractions_by_divergence():
    minmax = choose_fraction(HEAVY, 4, method=Method.MINMAX)
    chosen = choose_fraction(HEAVY, 4, method=Method.KL)
    low, high = float(HEAVY.min()), float(HEAVY.max())
    best = divergence_by_hand(HEAVY, low, high, Fixed(4, chosen))
    for frac in range(minmax, minmax + 5):
        assert best <= divergence_by_hand(HEAVY, low, high, Fixed(4, frac)) + 1e-12
    assert chosen > minmax


# ---- text -------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "spec"),
    [
        ("fixed<8,4>", FormatSpec(True, 8, 4)),
        ("ufixed< 8 , auto >", FormatSpec(False, 8, None)),
        ("!mase.fixed<auto, -3>", FormatSpec(True, None, -3)),
    ],
)
def test_fixed_point_as_text(text, spec):
    assert parse_spec(text) == spec
    assert parse_spec(str(spec)) == spec


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("fixed<8>", r"fixed takes 2 parameters, not 1, in 'fixed<8>'"),
        ("fixed<8,0,axis=1>", "fixed takes no option 'axis'"),
        ("fixed<0,0>", "width must be between 1 and 64, got 0"),
        ("fixed<99,0>", "width must be between 1 and 64, got 99"),
        ("fixed<8,x>", "'x' in 'fixed<8,x>' is neither a whole number nor auto"),
        ("fixed<auto,auto>", "leaves width and fraction open"),
    ],
)
def test_fixed_point_that_is_none(text, message):
    with pytest.raises(FormatError, match=message):
        parse_spec(text)
