"""Block formats against a rational definition, block by block."""

from __future__ import annotations

from fractions import Fraction
from itertools import product
from math import inf, nan

import ml_dtypes
import numpy as np
import pytest

from mase_opt.lib.formats import Fixed, FormatError, Overflow, RoundingMode
from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.block import E8M0, Block, Encoded, Exponent
from mase_opt.lib.formats.log import Log
from mase_opt.lib.formats.minifloat import Kind, MiniFloat
from mase_opt.lib.formats.ternary import Ternary

ELEMENTS = [
    Fixed(8, 6),
    Fixed(4, 0),
    Fixed(2, 5),
    Fixed(8, 8, signed=False),
    MiniFloat(4, 3, Kind.FN),
    MiniFloat(5, 2, Kind.IEEE),
    MiniFloat(3, 2, Kind.FINITE),
    MiniFloat(2, 3, Kind.FINITE),
    MiniFloat(2, 1, Kind.FINITE),
    MiniFloat(0, 3, Kind.NO_IMPLICIT),
    MiniFloat(2, 3, Kind.NO_IMPLICIT),
    Log(4),
    Log(5, 3, zero=False),
]
SCALES = [E8M0, Exponent(8, 127), Exponent(3, 3)]


def log2_floor(x: Fraction) -> int:
    e = x.numerator.bit_length() - x.denominator.bit_length()
    return e if Fraction(2) ** e <= x else e - 1


def wanted_block(
    f: Block, block: list[float], mode: RoundingMode
) -> tuple[list[float], int]:
    """The values and the scale code of one block, elements cast one by one."""
    high = Fraction(f.element.max_value)
    top = 255 if f.scale == E8M0 else 2**f.scale.bits
    lowest, highest = -f.scale.bias, top - 1 - f.scale.bias
    largest = max((abs(Fraction(v)) for v in block), default=Fraction(0))
    shared = lowest
    if largest:
        shared = log2_floor(largest) - log2_floor(high)
    shared = min(max(shared, lowest), highest)

    def elements(s: int, format: Fixed | MiniFloat | Log) -> list[float]:
        scaled = [float(Fraction(v) / Fraction(2) ** s) for v in block]
        return format.cast(np.array(scaled), mode).tolist()

    if f.bump:
        # The same steps in a wider range show whether something overflows.
        match f.element:
            case Fixed(width, frac, signed):
                wide = Fixed(width + 2, frac, signed)
            case MiniFloat(e, m, kind):
                bias = f.element.offset
                kind = Kind.NO_IMPLICIT if kind is Kind.NO_IMPLICIT else Kind.FINITE
                wide = MiniFloat(e + 1, m, kind, bias)
            case Log(width, bias, zero):
                wide = Log(width + 1, bias, zero)
        if any(abs(v) > high for v in elements(shared, wide)):
            shared = min(shared + 1, highest)
    limited = [max(v, -float(high)) for v in elements(shared, f.element)]
    values = [float(Fraction(v) * Fraction(2) ** shared) for v in limited]
    return values, shared + f.scale.bias


def samples(rows: int, size: int) -> np.ndarray:
    """Blocks of one order of magnitude, of many, of zeros, and at powers of two."""
    rng = np.random.default_rng(1)
    values = rng.standard_normal((rows, size)) * np.exp2(
        rng.integers(-12, 9, (rows, 1))
    )
    values[1] *= np.exp2(rng.integers(-20, 20, size))
    values[2] = 0
    values[3, 1:] = 0
    values[4, 0] = -2.0
    values[5, 0] = np.nextafter(2.0, 0)
    values[6, 0] = 1.99
    return values.astype(np.float32).astype(np.float64)


@pytest.mark.parametrize("scale", SCALES, ids=str)
@pytest.mark.parametrize("bump", [False, True])
@pytest.mark.parametrize("element", ELEMENTS, ids=str)
def test_every_block(element, bump: bool, scale: Exponent):
    f = Block(element, scale, (8,), bump)
    values = samples(24, 8)
    for mode in RoundingMode:
        encoded = f.encode(values, mode)
        got = f.decode(encoded)
        assert encoded.codes.shape == values.shape
        assert encoded.scales.shape == (24, 1)
        for row, values_row in enumerate(values.tolist()):
            wanted, scale_code = wanted_block(f, values_row, mode)
            assert got[row].tolist() == wanted, (mode, row)
            assert encoded.scales[row, 0] == scale_code, (mode, row)


@pytest.mark.parametrize(
    ("shape", "block"),
    [
        ((), ()),
        ((7,), ()),
        ((0,), (4,)),
        ((1,), (4,)),
        ((7,), (4,)),
        ((8,), (1,)),
        ((8,), (-1,)),
        ((3, 7), (4,)),
        ((3, 7), (-1,)),
        ((3, 7), (2, 3)),
        ((3, 7), (-1, -1)),
        ((3, 7), (-1, 2)),
        ((2, 0, 7), (-1, 2)),
        ((2, 3, 7), (2, 1, 2)),
        ((2, 3, 5, 7), (3, -1, 4)),
        ((2, 3, 2, 3, 5), (2, 2, 3)),
        ((2, 3, 2, 3, 5), (2, 2, 2, 2, 2)),
    ],
)
def test_shapes(shape: tuple[int, ...], block: tuple[int, ...]):
    """Each block, cut out by slices, is cast as if it were alone."""
    f = Block(Fixed(8, 6), E8M0, block)
    rng = np.random.default_rng(2)
    values = rng.standard_normal(shape) * np.exp2(rng.integers(-9, 9, shape))
    encoded = f.encode(values)
    got = f.decode(encoded)
    assert got.shape == encoded.codes.shape == shape
    free = len(shape) - len(block)
    sizes = [1] * free
    sizes += [
        max(1, n) if b == -1 else b for n, b in zip(shape[free:], block, strict=True)
    ]
    # A whole dimension is one block, even if it is empty.
    ends = (1,) * free + block
    grid = tuple(
        1 if (n, b) == (0, -1) else -(-n // e)
        for n, b, e in zip(shape, ends, sizes, strict=True)
    )
    assert encoded.scales.shape == grid
    for at in np.ndindex(grid):
        cut = tuple(slice(i * b, i * b + b) for i, b in zip(at, sizes, strict=True))
        flat = values[cut].ravel().tolist()
        wanted, scale = wanted_block(f, flat, RoundingMode.NEAREST_EVEN)
        assert got[cut].ravel().tolist() == wanted
        assert encoded.scales[at] == scale


def test_e8m0_is_that_of_ml_dtypes():
    codes = np.arange(256)
    f = Block(Fixed(8, 0), E8M0, (1,))
    ours = f.decode(Encoded(np.ones(256, dtype=np.int64), codes))
    theirs = codes.astype(np.uint8).view(ml_dtypes.float8_e8m0fnu).astype(np.float64)
    assert np.array_equal(ours, theirs, equal_nan=True)
    assert np.isnan(ours[255])
    # With one element of 1, the shared exponent is the value.
    unit = Block(MiniFloat(1, 1, Kind.FINITE, 1), E8M0, (1,))
    values = np.ldexp(1.0, np.arange(-127, 128))
    scales = unit.encode(values).scales
    rounded = values.astype(ml_dtypes.float8_e8m0fnu).view(np.uint8)
    assert scales.tolist() == rounded.tolist() == list(range(255))


SQNR = {
    "mxint8": (Block(Fixed(8, 6), E8M0, (32,)), 41.6),
    "mxfp8_e4m3": (Block(MiniFloat(4, 3, Kind.FN), E8M0, (32,)), 30.0),
    "mxfp8_e4m3, bump": (Block(MiniFloat(4, 3, Kind.FN), E8M0, (32,), True), 31.5),
    "mxfp8_e5m2": (Block(MiniFloat(5, 2), E8M0, (32,)), 25.2),
    "mxfp6_e3m2": (Block(MiniFloat(3, 2, Kind.FINITE), E8M0, (32,)), 25.2),
    "mxfp6_e2m3": (Block(MiniFloat(2, 3, Kind.FINITE), E8M0, (32,)), 30.2),
    "mxfp4_e2m1": (Block(MiniFloat(2, 1, Kind.FINITE), E8M0, (32,)), 18.5),
    "msfp12": (Block(MiniFloat(0, 3, Kind.NO_IMPLICIT), Exponent(8, 127), (16,)), 18.6),
    "block log": (Block(Log(4), Exponent(8, 127), (16,)), 11.8),
    "block log, bump": (Block(Log(4), Exponent(8, 127), (16,), True), 13.7),
}


@pytest.mark.parametrize("name", SQNR)
def test_signal_to_noise_does_not_depend_on_scale(name: str):
    """
    Decibels on normal data of any standard deviation.

    Exactly equal where deviations are powers of two apart. Else they differ by up to
    0.8 dB where the highest element is far below a power of two: E4M3 ends at 448, so
    what comes to lie between that and 512 saturates, as OCP wants; `bump` doesn't.
    """
    f, least = SQNR[name]
    rng = np.random.default_rng(0)
    normal = rng.standard_normal(1 << 18).astype(np.float32).astype(np.float64)

    def decibels(sigma: float) -> float:
        values = normal * sigma
        noise = values - f.cast(values)
        return float(10 * np.log10(values @ values / (noise @ noise)))

    measured = [decibels(sigma) for sigma in (1e-3, 0.05, 1.0, 1000.0)]
    assert min(measured) >= least, measured
    assert max(measured) - min(measured) < (0.2 if f.bump else 0.8), measured
    assert decibels(2.0**-40) == decibels(1.0) == decibels(2.0**20)


def test_saturates_or_bumps():
    """1.999 becomes 127.9 steps, which is nearer to 128 than to the highest code."""
    values = np.array([1.999, 1.0])
    for bump, high in ((False, 127 / 64), (True, 2.0)):
        f = Block(Fixed(8, 6), E8M0, (2,), bump)
        assert f.cast(values).tolist() == [high, 1.0]
        assert f.cast(-values).tolist() == [-high, -1.0]
    # 7 is beyond E2M1's 6.
    for bump, high in ((False, 6.0), (True, 8.0)):
        f = Block(MiniFloat(2, 1, Kind.FINITE), E8M0, (2,), bump)
        assert f.cast(np.array([7.0, 0.5])).tolist() == [high, 0.5 if not bump else 0.0]


def test_two_s_complement_is_used_symmetrically():
    f = Block(Fixed(8, 6), E8M0, (2,))
    assert f.encode(np.array([-2.0, 0.0]) + 2.0**-30).codes.tolist() == [-127, 0]
    assert f.min_value == -f.max_value == -127 / 64 * 2.0**127
    # Though OCP's lowest code has a value.
    codes = Encoded(np.array([-128, 1]), np.array([127]))
    assert f.decode(codes).tolist() == [-2.0, 1 / 64]


def test_zeros_and_small_numbers():
    for element, scale in product(ELEMENTS, SCALES):
        f = Block(element, scale, (4,))
        encoded = f.encode(np.array([0.0, -0.0, 0.0, 0.0]))
        assert encoded.scales.tolist() == [0]
        if element.cast(np.zeros(1)) == 0:
            assert f.decode(encoded).tolist() == [0.0] * 4
    f = Block(Fixed(8, 6), E8M0, (4,))
    # Float32's subnormal numbers: the lowest exponent's steps are 2**-133.
    small = np.array([2.0**-130, -(2.0**-133), 2.0**-134, 2.0**-149])
    encoded = f.encode(small)
    assert encoded.scales.tolist() == [0]
    assert encoded.codes.tolist() == [8, -1, 0, 0]
    # Float64's: lost to rounding, which has its direction.
    tiny = np.array([5e-324, -5e-324, 0.0, 1e-310])
    assert f.encode(tiny).codes.tolist() == [0, 0, 0, 0]
    assert f.encode(tiny, RoundingMode.CEIL).codes.tolist() == [1, 0, 0, 1]
    assert f.encode(tiny, RoundingMode.FLOOR).codes.tolist() == [0, -1, 0, 0]


def test_infinity_and_nan():
    f = Block(Fixed(8, 6), E8M0, (2,))
    fp8 = Block(MiniFloat(4, 3, Kind.FN), E8M0, (2,))
    for g in (f, fp8):
        values = np.array([inf, 1.0, -inf, 1.0, 1e300, 1.0, 1.0, 2.0])
        assert g.cast(values).tolist() == [
            *(g.max_value, 0, g.min_value, 0, g.max_value, 0),
            *(1, 2),
        ]
        for bad in (inf, -inf, 1e300):
            with pytest.raises(FormatError, match="overflows block<"):
                g.encode(np.array([bad, 1.0]), overflow=Overflow.ERROR)
        assert g.cast(np.array([1.99, 1.0]), overflow=Overflow.ERROR)[1] == 1
        for mode in (Overflow.WRAP, Overflow.INFINITY):
            with pytest.raises(FormatError, match=f"no overflow {mode} in block<"):
                g.encode(np.ones(2), overflow=mode)
        zeroed = g.cast(np.array([nan, 4.0]), nan_to_zero=True)
        assert zeroed.tolist() == [0, 4]
    with pytest.raises(FormatError, match=r"NaN has no code in block<fixed<8, 6>"):
        f.encode(np.array([nan, 1.0]))
    got = fp8.cast(np.array([nan, 1.0]))
    assert np.isnan(got[0])
    assert got[1] == 1
    # With the highest shared exponent, bumping has to saturate.
    g = Block(Fixed(8, 6), Exponent(1, 0), (1,), bump=True)
    assert g.cast(np.array([1.999, 3.999])).tolist() == [2.0, 127 / 32]
    with pytest.raises(FormatError, match="overflows block<"):
        g.encode(np.array([3.999]), overflow=Overflow.ERROR)


def test_codes_and_scales_must_belong_together():
    f = Block(Fixed(8, 6), E8M0, (4,))
    with pytest.raises(FormatError, match=r"scales have shape \[2\], but a tensor of"):
        f.decode(Encoded(np.zeros(4, dtype=np.int64), np.zeros(2, dtype=np.int64)))


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Block(Binary(), E8M0, (2,)), "no blocks of binary"),
        (lambda: Block(Ternary(), E8M0, (2,)), "no blocks of ternary"),
        (lambda: Block(Fixed(1, 0), E8M0, (2,)), "it has no positive value"),
        (lambda: Block(Fixed(33, 0), E8M0, (2,)), "more than 32 bits"),
        (lambda: Block(Fixed(8, 6), E8M0, (0,)), r"must be positive, or -1 .* \[0\]"),
        (lambda: Block(Fixed(8, 6), E8M0, (4, -2)), "must be positive, or -1"),
        (lambda: Exponent(0, 0), "between 1 and 9 bits, got 0"),
        (lambda: Exponent(10, 0), "between 1 and 9 bits, got 10"),
        (lambda: Exponent(9, 0), r"between -400 and 400, but exp<9, 0> has 0 to 511"),
        (
            lambda: Block(Fixed(8, 6), E8M0, (2, 2)).encode(np.ones(4)),
            "the tensor has rank 1, which is less than that of a block of block<",
        ),
        (
            lambda: Block(Fixed(8, 6), E8M0, (2,)).encode(np.array(1.0)),
            "the tensor has rank 0, which is less",
        ),
    ],
)
def test_errors(make, message: str):
    with pytest.raises(FormatError, match=message):
        make()


def test_properties():
    f = Block(MiniFloat(4, 3, Kind.FN), E8M0, (32,))
    assert str(f) == "block<minifloat<4, 3, fn>, e8m0, [32]>"
    assert f.bits_per_element == 8.25
    assert f.max_value == 448 * 2.0**127
    assert f.step == 2.0**-9 * 2.0**-127
    g = Block(MiniFloat(0, 3, Kind.NO_IMPLICIT), Exponent(8, 127), (1, 16), bump=True)
    assert str(g) == "block<minifloat<0, 3, no_implicit>, exp<8, 127>, [1, 16], bump>"
    assert g.bits_per_element == 4.5
    assert Block(Fixed(8, 6), E8M0, (-1,)).bits_per_element == 8.0
    assert f.bits_of((3, 40)) == 3 * 40 * 8 + 3 * 2 * 8
