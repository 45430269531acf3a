"""Stochastic rounding: unbiased, reproducible, the same in NumPy and in torch."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from mase_text import parse
from reference import value_of
from xdsl.context import Context
from xdsl.dialects.builtin import f32
from xdsl.utils.exceptions import ParseError

from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.formats import element_type
from mase_opt.dialects.mase.types import FixedType, element_of
from mase_opt.frontend.load_model import load_model
from mase_opt.frontend.to_torch import to_torch
from mase_opt.lib.conversion.convert_torch_to_mase import ConvertTorchToMasePass
from mase_opt.lib.formats import (
    E8M0,
    Binary,
    Block,
    Fixed,
    Format,
    FormatError,
    Kind,
    Log,
    MiniFloat,
    Overflow,
    RoundingMode,
    Scaled,
    Stochastic,
    parse_rounding,
)
from mase_opt.lib.formats.rounding import round_ratio, round_shift
from mase_opt.lib.formats.torch_cast import cast, cast_samples
from mase_opt.lib.interpreters.mase import evaluate, evaluate_op, main_function
from mase_opt.lib.transforms.mase_quantize import MaseQuantizePass

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
SATURATE = Overflow.SATURATE
FORMATS: list[Format] = [
    Fixed(8, 4),
    Fixed(8, 0, signed=False),
    MiniFloat(4, 3, Kind.FN),
    MiniFloat(5, 2, Kind.IEEE),
    MiniFloat(3, 0, Kind.FINITE),
    MiniFloat(2, 3, Kind.NO_IMPLICIT),
    Log(6),
    Log(4, 1, zero=False),
    Binary(),
    Binary(signed=False),
    Scaled(Fixed(8, 0), 0.03),
    Scaled(Fixed(8, 0), 0.03, zero_point=7),
    Scaled(Binary(), 0.4),
    Scaled(MiniFloat(2, 1, Kind.FINITE), 0.7),
    Block(Fixed(8, 6), E8M0, (32,)),
    Block(MiniFloat(2, 1, Kind.FINITE), E8M0, (-1,), bump=True),
]


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_the_mean_is_the_number(format: Format):
    """Within five standard deviations, for numbers within the range."""
    count = 1 << 16
    rng = np.random.default_rng(0)
    span = min(format.max_value, 1.5)
    for x in rng.uniform(max(format.min_value, -span), span, 12).tolist():
        drawn = format.cast(np.full(count, x), Stochastic(3))
        values, counts = np.unique(drawn, return_counts=True)
        assert len(values) <= 2
        deviation = drawn.std() / np.sqrt(count)
        assert abs(drawn.mean() - x) <= 5 * deviation + 2.0**-23 * np.ptp(values)
        if len(values) == 2:
            assert values[0] <= x <= values[1]
            assert counts.min() > 0


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_representable_numbers_never_move(format: Format):
    some = np.random.default_rng(1).normal(0, 3, (50, 32))
    held = format.cast(some)
    for seed in range(5):
        assert np.array_equal(format.cast(held, Stochastic(seed)), held)


@pytest.mark.parametrize("format", FORMATS, ids=str)
def test_beyond_the_range(format: Format):
    for x, end in ((1e300, format.max_value), (-1e300, format.min_value)):
        drawn = format.cast(np.full(64, x), Stochastic())
        if not isinstance(format, Block):
            assert (drawn == end).all()
        assert np.isfinite(drawn).all()


@pytest.mark.parametrize("format", FORMATS, ids=str)
@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_torch_draws_the_same(format: Format, dtype: torch.dtype):
    generator = torch.Generator().manual_seed(0)
    x = torch.randn(7, 9, 32, generator=generator, dtype=dtype)
    x[0, 0, :4] = torch.tensor([0.0, 1e-30, -1e-30, 2.0**-12])
    numbers = x.double().numpy()
    for rounding in (Stochastic(), Stochastic(2**32 - 1)):
        wanted = format.cast(numbers, rounding)
        drawn = cast(x, format, rounding)
        # Values of scaled formats are longer than float32.
        assert torch.equal(drawn, torch.from_numpy(wanted).to(dtype))
        wanted = format.cast_samples(numbers, rounding)
        drawn = cast_samples(x, format, rounding)
        assert torch.equal(drawn, torch.from_numpy(wanted).to(dtype))


def test_samples_do_not_depend_on_each_other():
    x = np.random.default_rng(0).normal(size=(6, 3, 4))
    for format in FORMATS:
        op = CastOp(
            value_of(f32, (3, 4)),
            element=element_type(format),
            rounding=RoundingAttr((Stochastic(9), SATURATE)),
        )
        batch = evaluate_op(op, [x])
        alone = [evaluate_op(op, [one[None]])[0] for one in x]
        assert np.array_equal(batch, alone)
        assert np.array_equal(
            op.result.type.element_type.numbers(batch),
            format.cast_samples(x, Stochastic(9)),
        )


def test_seeds_and_elements_differ():
    x, format = np.full(1000, 0.5), Fixed(8, 0)
    draws = np.array([format.cast(x, Stochastic(seed)) for seed in range(100)])
    assert abs(np.corrcoef(draws)[~np.eye(100, dtype=bool)]).max() < 0.2
    assert abs(np.corrcoef(draws.T)[~np.eye(1000, dtype=bool)]).max() < 0.6
    assert np.array_equal(format.cast(x, Stochastic(5)), draws[5])


def test_integers_are_rounded_as_floats_are():
    """Shifted, divided, or cast: the same draws for the same real number."""
    rng = np.random.default_rng(0)
    codes, mode = rng.integers(-(2**20), 2**20, 5000), Stochastic(4)
    exact = Fixed(40, 0).encode(codes / 2**9, mode)
    assert np.array_equal(round_shift(codes, 9, mode), exact)
    assert np.array_equal(round_ratio(codes, np.array(512), mode), exact)
    wide = codes.astype(object) << 80
    assert np.array_equal(round_shift(wide, 89, mode), exact)
    assert np.array_equal(round_ratio(wide, np.array(512 << 80), mode), exact)
    assert np.array_equal(round_shift(codes << 32, 41, mode), exact)
    assert set((exact - np.floor(codes / 512)).tolist()) == {0, 1}


def test_text():
    assert parse_rounding("stochastic") == Stochastic(0)
    assert parse_rounding("stochastic<7>") == Stochastic(7)
    assert str(Stochastic(7)) == "stochastic<7>"
    assert parse_rounding("floor") is RoundingMode.FLOOR
    with pytest.raises(FormatError, match="rounding is 'stochastik', expected one of"):
        parse_rounding("stochastik")
    with pytest.raises(FormatError, match="seed must be between 0 and"):
        parse_rounding("stochastic<4294967296>")
    op = CastOp(
        value_of(f32, (2,)),
        element=FixedType(8, 4),
        rounding=RoundingAttr((Stochastic(7), SATURATE)),
    )
    assert "rounding = #mase.rounding<stochastic<7>, saturate>" in str(op)
    text = """
    func.func @f(%x: tensor<2xf32>) -> tensor<2x!mase.fixed<8, 4>> {
      %0 = mase.cast %x {rounding = #mase.rounding<stochastic<SEED>, saturate>}
        : (tensor<2xf32>) -> tensor<2x!mase.fixed<8, 4>>
      func.return %0 : tensor<2x!mase.fixed<8, 4>>
    }
    """
    assert "stochastic<12>" in str(parse(text.replace("SEED", "12")))
    with pytest.raises(ParseError, match="seed must be between 0 and"):
        parse(text.replace("SEED", "-1"))


@pytest.mark.parametrize("format", ["fixed<4, auto>", "fp4_e2m1", "int4"])
def test_torch_evaluates_what_the_interpreter_does(format: str):
    """A digits model: the same draws in both, whatever the batch."""
    module = load_model(str(DIGITS / "mlp.mlir"))
    ConvertTorchToMasePass().apply(Context(), module)
    data = str(DIGITS / "mlp_calibration.npz")
    options = {"data_format": format, "rounding": "stochastic<3>"}
    MaseQuantizePass(data=data, **options).apply(Context(), module)
    x = np.load(DIGITS / "mlp_test.npz")["x"][:20]
    block = main_function(module).body.block
    source, target = (element_of(v) for v in (block.args[0], block.last_op.operands[0]))
    (scores,) = evaluate(module, [source.held(x[:, None])])
    wanted = target.numbers(scores)[:, 0]
    model = to_torch(module)
    with torch.no_grad():
        assert model(torch.from_numpy(x)).tolist() == wanted.tolist()
        assert model(torch.from_numpy(x[3:5])).tolist() == wanted[3:5].tolist()
