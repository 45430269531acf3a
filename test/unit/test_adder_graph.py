"""Constant layers as graphs of adders: the pass, and the op at every level."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from levels import Model
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import PassFailedException

from mase_opt import load
from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.layers import LinearOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import FixedType, UFixedType
from mase_opt.lib import native
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import Overflow, RoundingMode
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.lib.transforms.mase_build_adder_graphs import MaseBuildAdderGraphsPass
from mase_opt.testing import assert_levels_agree

DIGITS = Path(__file__).parents[2] / "examples" / "digits"

pytestmark = pytest.mark.skipif(
    not native.AVAILABLE, reason="installed without a C++ compiler"
)


def linear(
    weight: NDArray[np.int64],
    *,
    result: FixedType | UFixedType | None = None,
    bias_frac: int | None = 12,
    rounding: RoundingAttr = RoundingAttr.DEFAULT,
    rows: int = 1,
) -> ModuleOp:
    model = Model((FixedType(8, 4), (rows, weight.shape[1])))
    with model as (x,):
        codes = ConstantOp.of(weight, FixedType(8, 6), "w")
        bias = None
        if bias_frac is not None:
            values = np.arange(len(weight)) * 37 - 50
            bias = ConstantOp.of(values, FixedType(16, bias_frac), "b")
        op = LinearOp(
            x,
            codes,
            bias,
            element=result or FixedType(8, 4),
            layer="fc",
            rounding=rounding,
        )
    return model.returns(op)


def with_graph(module: ModuleOp, **options: int) -> ModuleOp:
    result = module.clone()
    MaseBuildAdderGraphsPass(**options).apply(Context(), result)
    result.verify()
    assert any(isinstance(op, AdderGraphOp) for op in result.walk())
    return result


@pytest.mark.parametrize("mode", list(RoundingMode))
@pytest.mark.parametrize(("bias_frac", "rows"), [(None, 1), (3, 2), (12, 1)])
def test_every_level_agrees(mode: RoundingMode, bias_frac: int | None, rows: int):
    rng = np.random.default_rng(3)
    weight = rng.integers(-128, 128, (5, 7))
    rounding = RoundingAttr((mode, Overflow.SATURATE))
    module = linear(weight, bias_frac=bias_frac, rows=rows, rounding=rounding)
    graph = with_graph(module)
    x = rng.integers(-128, 128, (64, rows, 7))
    (want,), (got,) = (evaluate(m, [x]) for m in (module, graph))
    assert np.array_equal(want, got)
    assert_levels_agree(graph, max_logic_depth=2)


@pytest.mark.slow
def test_verilator_agrees():
    rng = np.random.default_rng(4)
    module = with_graph(
        linear(rng.integers(-128, 128, (4, 9)), result=UFixedType(9, 3))
    )
    assert_levels_agree(module, max_logic_depth=3, verilator=True)


def test_the_interpreter_takes_wide_numbers():
    model = Model((FixedType(62, 0), (1, 1)))
    nodes = np.array([[0, 0, 60, 0, 1], [1, 1, 60, 0, 0]], np.int32)
    with model as (x,):
        op = AdderGraphOp(
            x,
            nodes,
            np.array([[2, 1, 1], [-1, 0, 0]], np.int32),
            np.array([5, 7], np.int64),
            frac=170,
            element=FixedType(32, -20),
        )
    module = model.returns(op)
    code = 123456789012345678
    (result,) = evaluate(module, [np.array([[[code]]])])
    value = -((((code << 60) - code) << 60) + ((code << 60) - code)) * 2 + 5
    exact = Fraction(value, 1 << 170) / (1 << 20)
    assert result.tolist() == [[[round(exact), 0]]]


def test_a_depth_that_cannot_be_had():
    module = linear(np.full((1, 8), 127))
    with pytest.raises(PassFailedException, match=r"layer 'fc' .*the smallest is 4"):
        MaseBuildAdderGraphsPass(max_depth=1).apply(Context(), module)


def test_an_effort_that_does_not_exist():
    with pytest.raises(UserError, match="effort is 9, expected 0 to 3"):
        MaseBuildAdderGraphsPass(effort=9).apply(Context(), ModuleOp([]))


def test_without_the_solver_layers_stay(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(native, "AVAILABLE", False)
    module = linear(np.full((2, 2), 3))
    with pytest.warns(UserWarning, match="constant layers stay"):
        MaseBuildAdderGraphsPass().apply(Context(), module)
    assert any(isinstance(op, LinearOp) for op in module.walk())


def test_digits_mlp():
    model = load(DIGITS / "mlp.mlir").calibrate(DIGITS / "mlp_calibration.npz")
    module = model.quantize().ir
    graph = with_graph(module)
    assert not any(isinstance(op, LinearOp) for op in graph.walk())
    with np.load(DIGITS / "mlp_test.npz") as data:
        codes = np.rint(data["x"][:, None] * 255).astype(np.int64)
    (want,), (got,) = (evaluate(m, [codes]) for m in (module, graph))
    assert np.array_equal(want, got)
