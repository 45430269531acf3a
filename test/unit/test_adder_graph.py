"""Graphs of adders: the solver against exact arithmetic, the pass at every level."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from levels import Model, assert_levels_agree
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.layers import LinearOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import FixedType, UFixedType
from mase_opt.emit import run_pass
from mase_opt.levels import Model as Levels
from mase_opt.lib import native
from mase_opt.lib.analysis.adder_graph import SparseRows, expand, spans
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import Overflow, RoundingMode
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.lib.transforms.mase_build_adder_graphs import MaseBuildAdderGraphsPass

DIGITS = Path(__file__).parents[2] / "examples" / "digits"

pytestmark = pytest.mark.skipif(
    not native.AVAILABLE, reason="installed without a C++ compiler"
)


def ranges(inputs: int, low: int = -128, high: int = 127) -> NDArray[np.int64]:
    return np.tile(np.array([[low, high]], np.int64), (inputs, 1))


def is_graph_of(graph: native.AdderGraph, matrix: NDArray[np.int64]) -> bool:
    built = expand(graph.nodes, graph.outputs, len(matrix))
    return built == SparseRows.of(matrix.T)


def depths(graph: native.AdderGraph, inputs: int) -> list[int]:
    """Adders before each output."""
    depth = [0] * inputs
    for a, b, *_ in graph.nodes.tolist():
        depth.append(max(depth[a], depth[b]) + 1)
    return [depth[v] if v >= 0 else 0 for v, _, _ in graph.outputs.tolist()]


@st.composite
def matrices(draw: st.DrawFn) -> NDArray[np.int64]:
    inputs, outputs = draw(st.integers(1, 7)), draw(st.integers(1, 7))
    bits = draw(st.sampled_from([1, 2, 4, 8, 20, 62]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    high = (1 << bits) - 1
    matrix = rng.integers(-high, high, (inputs, outputs), endpoint=True)
    matrix *= rng.random(matrix.shape) < draw(st.sampled_from([0.1, 0.5, 1]))
    if draw(st.booleans()):
        # Equal, negated and shifted columns.
        matrix[:, -1] = -matrix[:, 0]
    return matrix


@given(matrices(), st.integers(0, 2))
@settings(max_examples=200)
def test_graphs_are_those_of_their_matrices(matrix: NDArray[np.int64], effort: int):
    graph = native.solve(matrix, ranges(len(matrix)), effort=effort)
    assert is_graph_of(graph, matrix)


@given(matrices(), st.sampled_from([(-128, 127), (0, 255), (-7, -7), (3, 1 << 62)]))
def test_spans_are_exact(matrix: NDArray[np.int64], bounds: tuple[int, int]):
    """Against each node as a vector of Python integers."""
    inputs = len(matrix)
    graph = native.solve(matrix, ranges(inputs))
    vectors = list(np.eye(inputs, dtype=object))
    for a, b, p, q, s in graph.nodes.tolist():
        vectors.append(vectors[a] * 2**p + vectors[b] * 2**q * (-1) ** s)
    low, high = bounds
    found = spans(graph.nodes, ranges(inputs, low, high)).tolist()
    assert found == [
        [
            sum(min(c * low, c * high) for c in vector),
            sum(max(c * low, c * high) for c in vector),
        ]
        for vector in vectors[inputs:]
    ]


@given(matrices(), st.integers(0, 3))
def test_depth_is_bounded(matrix: NDArray[np.int64], spare: int):
    digits = [
        sum(bin(3 * abs(w) ^ abs(w)).count("1") for w in column)
        for column in matrix.T.tolist()
    ]
    least = max(max(digits) - 1, 0).bit_length()
    graph = native.solve(matrix, ranges(len(matrix)), max_depth=least + spare)
    assert is_graph_of(graph, matrix)
    assert max(depths(graph, len(matrix))) <= least + spare
    if least:
        with pytest.raises(UserError, match=f"the smallest is {least}$"):
            native.solve(matrix, ranges(len(matrix)), max_depth=least - 1)


@pytest.mark.parametrize(
    "matrix",
    [
        np.zeros((0, 3), np.int64),
        np.zeros((3, 0), np.int64),
        np.zeros((3, 4), np.int64),
        np.array([[1]]),
        np.array([[-(1 << 61)]]),
        np.array([[2, 4], [8, -16]]),
        np.array([[5, 5, -5, 10, -20]]),
        np.array([[7], [-7], [7]]),
    ],
    ids=lambda m: "x".join(map(str, m.shape)),
)
def test_corners(matrix: NDArray[np.int64]):
    graph = native.solve(matrix, ranges(len(matrix)))
    assert is_graph_of(graph, matrix)


def test_equal_columns_cost_nothing():
    column = np.array([[93], [-45], [71]])
    one = native.solve(column, ranges(3))
    many = native.solve(np.hstack([column, -column, 4 * column]), ranges(3))
    assert len(one.nodes) == len(many.nodes)


def test_partial_sums_are_shared():
    rng = np.random.default_rng(0)
    matrix = rng.integers(-128, 128, (32, 32))
    graph = native.solve(matrix, ranges(32))
    digits = sum(bin(3 * abs(w) ^ abs(w)).count("1") for w in matrix.ravel().tolist())
    assert len(graph.nodes) < 0.5 * (digits - 32)


def test_the_result_depends_on_the_arguments_alone():
    rng = np.random.default_rng(1)
    matrix = rng.integers(-128, 128, (16, 16))
    first, *others = (native.solve(matrix, ranges(16), effort=3) for _ in range(3))
    for other in others:
        assert np.array_equal(first.nodes, other.nodes)
        assert np.array_equal(first.outputs, other.outputs)


def test_numbers_that_are_too_large():
    with pytest.raises(UserError, match="a weight has 63 bits, expected up to 62"):
        native.solve(np.array([[1 << 62]]), ranges(1))
    wide = np.array([[-(2**63), 2**63 - 1]])
    with pytest.raises(UserError, match=r"sums have 12\d bits, expected up to 126"):
        native.solve(np.array([[1 << 61]]), wide)


def test_an_error_in_progress_stops_the_solver():
    class Stop(Exception):
        pass

    def progress(done: int, total: int) -> None:
        raise Stop

    rng = np.random.default_rng(1)
    with pytest.raises(Stop):
        native.solve(
            rng.integers(-128, 128, (128, 128)), ranges(128), progress=progress
        )


# ---- the pass -----------------------------------------------------------------------


def linear(
    weight: NDArray[np.int64],
    *,
    result: FixedType | UFixedType | None = None,
    bias_frac: int | None = 12,
    rounding: RoundingAttr = RoundingAttr.DEFAULT,
    rows: int = 1,
) -> ModuleOp:
    outputs, inputs = weight.shape
    model = Model((FixedType(8, 4), (rows, inputs)))
    with model as (x,):
        codes = ConstantOp.of(weight, FixedType(8, 6), "w")
        bias = None
        if bias_frac is not None:
            values = np.arange(outputs) * 37 - 50
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


@pytest.mark.parametrize("mode", [m for m in RoundingMode if m != "stochastic"])
@pytest.mark.parametrize(("bias_frac", "rows"), [(None, 1), (3, 2), (12, 1)])
def test_every_level_agrees(mode: RoundingMode, bias_frac: int | None, rows: int):
    rng = np.random.default_rng(3)
    weight = rng.integers(-128, 128, (5, 7))
    rounding = RoundingAttr((mode, Overflow.SATURATE))
    module = linear(weight, bias_frac=bias_frac, rows=rows, rounding=rounding)
    graph = with_graph(module)
    x = rng.integers(-128, 128, (64, rows, 7))
    assert np.array_equal(*(evaluate(m, [x])[0] for m in (module, graph)))
    assert_levels_agree(graph, max_logic_depth=2)


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
    levels, ctx = Levels(str(DIGITS / "mlp.mlir")), Context()
    module = levels.imported.clone()
    data = str(DIGITS / "mlp_calibration.npz")
    run_pass(ctx, module, "mase-quantize", {"data": (data,)})
    graph = with_graph(module)
    assert not any(isinstance(op, LinearOp) for op in graph.walk())
    with np.load(DIGITS / "mlp_test.npz") as data:
        codes = np.rint(data["x"][:, None] * 255).astype(np.int64)
    assert np.array_equal(*(evaluate(m, [codes])[0] for m in (module, graph)))
