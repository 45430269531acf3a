"""Casts of tensors equal those of arrays, and pass the gradient straight through."""

from __future__ import annotations

from math import inf, nan

import numpy as np
import pytest
import torch

from mase_opt.lib.formats import Fixed, FormatError, Overflow, RoundingMode
from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.block import E8M0, Block, Exponent
from mase_opt.lib.formats.log import Log
from mase_opt.lib.formats.minifloat import Kind, MiniFloat
from mase_opt.lib.formats.scaled import Scaled, ScaleLayout
from mase_opt.lib.formats.ternary import Ternary
from mase_opt.lib.formats.torch_cast import cast, cast_samples

E4M3, E2M1 = MiniFloat(4, 3, Kind.FN), MiniFloat(2, 1, Kind.FINITE)
ELEMENTS = [
    Fixed(8, 4),
    Fixed(4, -2),
    Fixed(24, 30),
    Fixed(32, 16),
    Fixed(8, 150),
    Fixed(8, 8, signed=False),
    E4M3,
    E2M1,
    MiniFloat(5, 2),
    MiniFloat(2, 3, Kind.FINITE),
    MiniFloat(3, 0, Kind.FINITE),
    MiniFloat(3, 4, Kind.NO_IMPLICIT),
    MiniFloat(8, 7),
    MiniFloat(5, 10),
    MiniFloat(8, 23),
    Log(8),
    Log(4, 2, zero=False),
    Binary(),
    Binary(signed=False),
    Ternary(),
    Ternary(0.4),
]
FORMATS = [
    *ELEMENTS,
    Block(Fixed(8, 6), E8M0, (32,)),
    Block(E4M3, E8M0, (32,)),
    Block(E2M1, E8M0, (7, 3)),
    Block(MiniFloat(5, 2), E8M0, (-1,), bump=True),
    Block(MiniFloat(0, 3, Kind.NO_IMPLICIT), Exponent(8, 127), (16,)),
    Block(Log(4), Exponent(4, 7), (16,), bump=True),
    Scaled(Fixed(8, 0), 0.037),
    Scaled(Fixed(8, 0, signed=False), 0.037, zero_point=100),
    Scaled(Fixed(4, 0), np.full((1000, 8), 1 / 3), ScaleLayout(1, 128)),
    Scaled(E4M3, np.linspace(0.1, 3, 1000), ScaleLayout(0)),
    Scaled(Ternary(), np.linspace(0.1, 3, 1000), ScaleLayout(-1)),
    Scaled(Binary(), 0.7),
]


def values() -> torch.Tensor:
    """A million float32 numbers of many magnitudes, ties and special ones."""
    rng = torch.Generator().manual_seed(0)
    normal = torch.randn(1000, 1000, generator=rng)
    normal[100:200] *= torch.exp2(torch.randint(-130, 120, (100, 1000), generator=rng))
    normal[200:400] = torch.round(normal[200:400] * 64) / 32
    normal[400] *= 1e-42
    normal[401] = 0
    normal[402, :500] = -0.0
    return normal


VALUES = values()


def same(ours: torch.Tensor, wanted: np.ndarray) -> bool:
    with np.errstate(over="ignore"):
        wanted = wanted.astype(np.float32)
    return np.array_equal(ours.numpy(), wanted, equal_nan=True)


def test_samples_that_overflow():
    """Of formats that look at the whole sample, too."""
    values = np.array([[0.1, -0.4], [0.6, 0.3]])
    positional = Scaled(Fixed(3, 0), [0.5, 1.0], ScaleLayout(0))
    for f in (Ternary(), Scaled(Ternary(), 0.5), positional):
        assert f.per_sample
        wanted = np.stack([f.cast(v, overflow=Overflow.ERROR) for v in values])
        got = cast_samples(torch.from_numpy(values), f, overflow=Overflow.ERROR)
        assert same(got, wanted)
    with pytest.raises(FormatError, match="overflows"):
        cast_samples(torch.full((2, 2), 9.0), positional, overflow=Overflow.ERROR)


@pytest.mark.parametrize("f", FORMATS, ids=str)
def test_equals_numpy(f):
    x = VALUES
    array = x.numpy().astype(np.float64)
    assert same(cast(x, f), f.cast(array))
    for mode in () if isinstance(f, Scaled) else RoundingMode:
        assert same(cast(x[::8], f, mode), f.cast(array[::8], mode)), mode
    if f not in (Ternary(), FORMATS[-2]):
        x = x.clone()
        x[403, ::2] = inf
        x[404, ::3] = -inf
        array = x.numpy().astype(np.float64)
    assert same(cast(x, f), f.cast(array))
    assert cast(x.double(), f).numpy().tolist() == f.cast(array).tolist()
    part = x[:500, :500].T[::2]
    if not isinstance(f, Scaled) or f.layout.axis is None:
        array = array[:500, :500].T[::2]
        assert same(cast(part, f), f.cast(array))
        half = part.bfloat16()
        result = cast(half, f)
        assert result.dtype == torch.bfloat16
        wanted = torch.from_numpy(f.cast(half.double().numpy())).bfloat16()
        assert result.tolist() == wanted.tolist()


@pytest.mark.parametrize("width", [1, 8, 24, 53])
@pytest.mark.parametrize("signed", [True, False])
def test_wrapping(width: int, signed: bool):
    f = Fixed(width, 3, signed)
    x = VALUES[::8].clamp(-1e18, 1e18)
    for mode in RoundingMode:
        wanted = f.cast(x.numpy().astype(np.float64), mode, Overflow.WRAP)
        assert same(cast(x, f, mode, Overflow.WRAP), wanted), mode
    huge = torch.tensor([1e300, -1e300, 3e200], dtype=torch.float64)
    for g in (f, Fixed(width, 200, signed)):
        wanted = g.cast(huge.numpy(), overflow=Overflow.WRAP)
        assert cast(huge, g, overflow=Overflow.WRAP).tolist() == wanted.tolist()
    with pytest.raises(FormatError, match="at most 53 bits"):
        cast(x, Fixed(54, 0), overflow=Overflow.WRAP)


@pytest.mark.parametrize("f", [E4M3, MiniFloat(5, 2)], ids=str)
def test_overflow_to_infinity(f: MiniFloat):
    array = VALUES.numpy().astype(np.float64)
    wanted = f.cast(array, overflow=Overflow.INFINITY)
    assert same(cast(VALUES, f, overflow=Overflow.INFINITY), wanted)
    assert not np.isfinite(wanted).all()


def test_errors():
    big = torch.full((1000, 1000), 1e36)
    bounded = [f for f in FORMATS if f.max_value < 1e30 and "nary" not in str(f)]
    assert len(bounded) > 15
    for f in bounded:
        with pytest.raises(FormatError, match="overflows"):
            cast(big, f, overflow=Overflow.ERROR)
    with pytest.raises(FormatError, match="rank 0, which is less than that of a block"):
        cast(torch.tensor(1.0), Block(E4M3, E8M0, (2,)))


@pytest.mark.parametrize("f", FORMATS, ids=str)
def test_nan_stays(f):
    x = VALUES[:, :].clone()
    x[5, 7] = nan
    got = cast(x, f)
    assert torch.isnan(got[5, 7])
    assert torch.isnan(got).sum() == 1
    zero = cast(x, f, nan_to_zero=True)
    array = x.numpy().astype(np.float64)
    assert same(zero, f.cast(array, nan_to_zero=True))


def test_gradient():
    x = torch.tensor([-9.0, -8.0, 0.3, 7.9, 8.0], requires_grad=True)
    y = cast(x, Fixed(8, 4))
    assert y.tolist() == [-8.0, -8.0, 0.3125, 7.875, 7.9375]
    y.backward(torch.arange(1.0, 6.0))
    assert x.grad is not None
    assert x.grad.tolist() == [0, 2, 3, 4, 0]
    x = torch.tensor([[2.0, 0.1], [2.0, 0.1]], requires_grad=True)
    f = Scaled(Fixed(2, 0), [1.0, 2.0], ScaleLayout(0))
    cast(x, f).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [[0, 1], [1, 1]]
    x = torch.tensor([448.0, 500.0], requires_grad=True)
    cast(x, Block(E4M3, E8M0, (2,))).sum().backward()
    assert x.grad is not None
    assert x.grad.tolist() == [1, 1]


@pytest.mark.parametrize(
    "shape", [(), (0,), (3,), (2, 0, 3), (2, 1, 3), (1, 2, 3, 2, 2)]
)
def test_shapes(shape):
    x = torch.full(shape, 0.3)
    mx = [Block(Fixed(8, 6), E8M0, (-1, 2)[:rank]) for rank in range(len(shape) + 1)]
    for f in (*ELEMENTS, *mx, Scaled(Fixed(8, 0), 0.3)):
        got = cast(x, f)
        assert got.shape == shape
        assert same(got, f.cast(x.numpy()))


# Torch 2.13 warns of what its own compiler does.
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")
@pytest.mark.parametrize("f", [*FORMATS[::5], *FORMATS[-12:]], ids=str)
def test_compiles_without_a_graph_break(f):
    torch.compiler.reset()
    compiled = torch.compile(cast, fullgraph=True, backend="eager")
    assert torch.equal(compiled(VALUES, f), cast(VALUES, f))
    x = VALUES.clone().requires_grad_()
    assert torch.equal(compiled(x, f), cast(VALUES, f))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_compiled_code_is_right_for_short_blocks():
    torch.compiler.reset()
    x = VALUES[::50, :100].contiguous()
    for f in (Block(Fixed(8, 6), E8M0, (32,)), Block(E4M3, E8M0, (8, 64), bump=True)):
        compiled = torch.compile(cast, fullgraph=True)
        assert torch.equal(compiled(x, f), cast(x, f))
