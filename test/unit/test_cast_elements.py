"""A number format for each element: one meaning at every level, and narrow wires."""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from levels import Model
from xdsl.context import Context
from xdsl.dialects import comb, hw
from xdsl.dialects.builtin import ModuleOp, f32
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase import elementwise, layers, pooling, shape
from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.cast_elements import CastElementsOp
from mase_opt.dialects.mase.types import FixedPoint, FixedType, UFixedType
from mase_opt.lib.analysis.ranges import Ranges
from mase_opt.lib.analysis.sign import non_negative
from mase_opt.lib.formats import Fixed, Overflow, RoundingMode
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.lib.transforms.mase_build_adder_graphs import MaseBuildAdderGraphsPass
from mase_opt.testing import assert_levels_agree, check_op, lower

examples = settings(
    # Shrinking compiles a circuit at every step and takes minutes.
    phases=[Phase.generate],
    max_examples=15,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)

roundings = st.tuples(
    st.sampled_from(RoundingMode), st.sampled_from([Overflow.SATURATE, Overflow.WRAP])
).map(RoundingAttr)
FLOOR = RoundingAttr((RoundingMode.FLOOR, Overflow.SATURATE))
FLOOR_WRAP = RoundingAttr((RoundingMode.FLOOR, Overflow.WRAP))


@st.composite
def formats(
    draw: st.DrawFn, grid: tuple[int, ...], widest: int = 12
) -> tuple[Any, Any]:
    """Widths from 0, fractions from below 0 to beyond the width."""
    count = int(np.prod(grid))
    widths = draw(
        st.lists(
            st.sampled_from([0, 1, 2, *range(3, widest)]),
            min_size=count,
            max_size=count,
        )
    )
    fracs = draw(st.lists(st.integers(-3, 8), min_size=count, max_size=count))
    return np.array(widths).reshape(grid), np.array(fracs).reshape(grid)


def container(widths: Any, fracs: Any, signed: bool) -> FixedPoint:
    """The narrowest type that has all of the formats."""
    kept = widths > 0
    frac = int(fracs[kept].max(initial=-3))
    whole = int((widths - fracs)[kept].max(initial=-frac + 1))
    return (FixedType if signed else UFixedType)(max(whole + frac, 1), frac)


@st.composite
def sources(draw: st.DrawFn) -> FixedPoint:
    width = draw(st.integers(1, 14))
    kind = draw(st.sampled_from([FixedType, UFixedType]))
    return kind(width, draw(st.integers(-2, width + 2)))


GRIDS = {(2, 3): [(2, 3), (3,), (1,), (2, 1)], (4,): [(4,), (1,)], (): [()]}


@examples
@given(st.data())
def test_cast_elements(data: st.DataObject) -> None:
    size = data.draw(st.sampled_from(list(GRIDS)))
    grid = data.draw(st.sampled_from(GRIDS[size]))
    widths, fracs = data.draw(formats(grid))
    element = container(widths, fracs, data.draw(st.booleans()))
    rounding = data.draw(roundings)
    source = data.draw(sources())
    model = Model((source, size))
    with model as (x,):
        y = CastElementsOp(x, widths, fracs, element=element, rounding=rounding)
    assert_levels_agree(model.returns(y), torch=True)


@pytest.mark.parametrize("mode", RoundingMode)
@pytest.mark.parametrize("overflow", [Overflow.SATURATE, Overflow.WRAP])
def test_each_element_is_cast_to_its_own_format(
    mode: RoundingMode, overflow: Overflow
) -> None:
    own = [Fixed(3, 1), Fixed(1, 2), Fixed(5, 2), Fixed(2, -1)]
    widths = np.array([f.width for f in own] + [0])
    fracs = np.array([f.frac for f in own] + [7])
    codes = np.arange(-128, 128)[:, None].repeat(5, 1)
    model = Model((FixedType(8, 4), [5]))
    with model as (x,):
        y = CastElementsOp(
            x,
            widths,
            fracs,
            element=FixedType(6, 2),
            rounding=RoundingAttr((mode, overflow)),
        )
    (result,) = evaluate(model.returns(y), [codes])
    for index, format in enumerate(own):
        expected = format.cast(codes[:, index] / 16, mode, overflow)
        np.testing.assert_array_equal(result[:, index] / 4, expected)
    assert not result[:, 4].any()


@pytest.mark.slow
def test_promises_and_text() -> None:
    widths, fracs = np.array([[3, 0, 1], [9, 12, 2]]), np.array([[1, 9, 0], [4, 2, -1]])

    def make(x: Any, rounding: RoundingAttr) -> CastElementsOp:
        return CastElementsOp(
            x, widths, fracs, element=FixedType(14, 4), rounding=rounding
        )

    source = (FixedType(12, 5), [2, 3])
    check_op(partial(make, rounding=RoundingAttr.DEFAULT), source, verilator=True)
    check_op(partial(make, rounding=FLOOR_WRAP), source)


def test_what_wraps_may_become_negative() -> None:
    model = Model((UFixedType(3, 0), [2]))
    with model as (x,):
        results = [
            op
            for rounding in (RoundingAttr.DEFAULT, FLOOR_WRAP)
            for op in (
                elementwise.CastOp(x, element=FixedType(3, 0), rounding=rounding),
                elementwise.ReluOp(x, element=FixedType(3, 0), rounding=rounding),
                elementwise.MulOp(x, x, element=FixedType(3, 0), rounding=rounding),
                elementwise.MaximumOp(x, x, element=FixedType(3, 0), rounding=rounding),
            )
        ]
    module = model.returns(*results)
    known = non_negative(model.function, model.inputs)
    assert [y.result in known for y in results] == 4 * [True] + 4 * [False]
    outputs = evaluate(module, [np.array([[7, 2]])])
    negative = [bool((codes < 0).any()) for codes in outputs]
    assert negative == 4 * [False] + [True, True, True, True]


def test_floats_and_masters() -> None:
    numbers = np.array([0.3, -1.75, 9.0, np.inf], np.float32)
    widths, fracs = np.array([4, 3, 4, 0]), np.array([2, 1, 1, 5])
    model = Model((f32, [4]))
    with model as (x,):
        y = CastElementsOp(x, widths, fracs, element=FixedType(6, 2))
    (result,) = evaluate(model.returns(y), [numbers[None]])
    # 0.25, -2 (a tie), 3.5 (the largest), nothing
    assert result.tolist() == [[1, -8, 14, 0]]


@pytest.mark.parametrize(
    ("widths", "fracs", "element", "message"),
    [
        ([2, 9], [0, 0], FixedType(8, 0), "fixed<8, 0> has not all numbers of fixed<9"),
        ([2], [3], FixedType(8, 2), "has not all numbers of fixed<2, 3>"),
        ([-1], [0], FixedType(8, 2), "a width is -1, expected at least 0"),
        ([65], [0], FixedType(8, 2), "width must be between 1 and 64, got 65"),
        (
            [1, 1, 1],
            [0, 0, 0],
            FixedType(8, 2),
            "shapes 3 and 2 do not",
        ),
        ([1], [0], f32, "the result is of f32, expected fixed point"),
    ],
)
def test_what_cannot_be(widths: Any, fracs: Any, element: Any, message: str) -> None:
    model = Model((FixedType(8, 4), [2]))
    with model as (x,):
        y = CastElementsOp(x, np.array(widths), np.array(fracs), element=element)
    with pytest.raises(VerifyException, match=message):
        model.returns(y)


# ---- ranges -------------------------------------------------------------------------


def visited(module: ModuleOp) -> Ranges:
    ranges = Ranges()
    for op in module.walk():
        ranges.visit(op)
    return ranges


def test_ranges_know_the_step_of_each_element() -> None:
    model = Model((FixedType(8, 4), [1, 4]))
    with model as (x,):
        y = CastElementsOp(
            x,
            np.array([3, 0, 4, 2]),
            np.array([1, 0, 3, 0]),
            element=FixedType(5, 3),
            rounding=FLOOR_WRAP,
        )
        z = pooling.MaxPoolOp(shape.ReshapeOp(y, (1, 1, 2, 2)), (1, 2))
    ranges = visited(model.returns(z))
    assert ranges.zeros(y.result).tolist() == [[2, 3, 0, 3]]
    assert ranges.codes(y.result).tolist() == [[[-16, 0, -8, -16]], [[12, 0, 7, 8]]]
    # The maximum of multiples of 4 and 0, and of any and multiples of 8.
    assert ranges.zeros(z.result).ravel().tolist() == [2, 0]


@examples
@given(st.data())
def test_ranges_hold(data: st.DataObject) -> None:
    widths, fracs = data.draw(formats((4,)))
    element = container(widths, fracs, data.draw(st.booleans()))
    source = data.draw(sources())
    model = Model((source, [4]))
    with model as (x,):
        y = CastElementsOp(
            x, widths, fracs, element=element, rounding=data.draw(roundings)
        )
    module = model.returns(y)
    ranges = visited(module)
    low, high = source.format.min_code, source.format.max_code
    codes = np.unique(np.linspace(low, high, 5000).astype(int))[:, None].repeat(4, 1)
    (result,) = evaluate(module, [codes])
    ends = ranges.codes(y.result)
    assert (ends[0] <= result.min(axis=0)).all()
    assert (result.max(axis=0) <= ends[1]).all()
    assert not (result % (1 << ranges.zeros(y.result))).any()


# ---- layers behind ------------------------------------------------------------------


def built(module: ModuleOp) -> ModuleOp:
    """A copy of `module` with adder graphs."""
    result = module.clone()
    MaseBuildAdderGraphsPass().apply(Context(), result)
    result.verify()
    return result


@pytest.mark.slow
@examples
@given(st.data())
def test_layers_behind(data: st.DataObject) -> None:
    """With adder graphs and without; linear layers and convolutions."""
    rng = np.random.default_rng(data.draw(st.integers(0, 1000)))
    rounding = data.draw(roundings)
    is_conv = data.draw(st.booleans())
    size = (1, 2, 3, 3) if is_conv else (1, 6)
    grid = data.draw(st.sampled_from([size, (2, 1, 1)] if is_conv else [size, (1, 1)]))
    widths, fracs = data.draw(formats(grid, widest=6))
    element = container(widths, fracs, data.draw(st.booleans()))
    model = Model((FixedType(6, 3), size))
    with model as (x,):
        y = CastElementsOp(x, widths, fracs, element=element, rounding=rounding)
        codes = rng.integers(-8, 8, (2, 2, 2, 2) if is_conv else (3, 6))
        weight = shape.ConstantOp.of(codes, FixedType(4, 2))
        if is_conv:
            z = layers.Conv2dOp(y, weight, padding=(1, 0), element=FixedType(32, 10))
        else:
            z = layers.LinearOp(y, weight, element=FixedType(32, 10))
        result = elementwise.ReluOp(z, element=FixedType(9, 3))
    module = model.returns(result)
    assert_levels_agree(module, torch=True)
    with_graphs = built(module)
    assert_levels_agree(with_graphs, reference=module)
    assert_levels_agree(with_graphs, torch=True)


def test_graphs_take_elements_as_narrow_as_they_are() -> None:
    """A bit of weight 8 and one of weight 1 are added as bits."""
    model = Model((UFixedType(4, 0), [1, 3]))
    with model as (x,):
        y = CastElementsOp(
            x,
            np.array([1, 1, 0]),
            np.array([-3, 0, 0]),
            element=UFixedType(4, 0),
            rounding=FLOOR_WRAP,
        )
        weight = shape.ConstantOp.of(np.array([[1, 8, 5]]), FixedType(5, 0))
        z = layers.LinearOp(y, weight, element=FixedType(16, 0))
    module = built(model.returns(z))
    (graph,) = [op for op in module.walk() if isinstance(op, AdderGraphOp)]
    assert graph.dropped_bits.tolist() == [3, 0, 3]
    # 8 · (a + b), and nothing of what is zero.
    assert graph.node_table.tolist() == [[0, 1, 0, 0, 0]]
    assert graph.output_table.tolist() == [[3, 3, 0]]
    assert_levels_agree(module, torch=True)


# ---- what nothing reads -------------------------------------------------------------


def adders(module: ModuleOp) -> int:
    circuit, _ = lower(module, 0)
    modules = {m.sym_name.data: m for m in circuit.ops if isinstance(m, hw.HWModuleOp)}

    def count(name: str) -> int:
        return sum(
            count(op.module_name.string_value())
            if isinstance(op, hw.InstanceOp)
            else isinstance(op, comb.AddOp | comb.SubOp)
            for op in modules[name].body.block.ops
        )

    return count("top")


@pytest.mark.parametrize("graphs", [False, True])
def test_rows_that_a_pool_leaves_out_are_not_built(graphs: bool) -> None:
    """Of 3 x 3 windows a pool of 2 reads 2 x 2: as many as of an image of 4 x 4."""
    rng = np.random.default_rng(0)
    codes = rng.integers(-8, 8, (1, 1, 3, 3))
    modules: list[ModuleOp] = []
    for size in (5, 4):
        model = Model((FixedType(4, 0), [1, 1, size, size]))
        with model as (x,):
            weight = shape.ConstantOp.of(codes, FixedType(4, 0))
            y = layers.Conv2dOp(x, weight, element=FixedType(12, 0))
            z = pooling.MaxPoolOp(y, (2, 2))
        module = model.returns(z)
        modules.append(built(module) if graphs else module)
        assert_levels_agree(modules[-1], max_logic_depth=2)
    # Without what windows share, which depends on how many there are.
    assert adders(modules[0]) == adders(modules[1]) or graphs
    assert adders(modules[0]) <= 2 * adders(modules[1])


def test_outputs_that_no_weight_reads_are_not_built() -> None:
    rng = np.random.default_rng(1)
    first, second = rng.integers(-50, 50, (6, 5)), rng.integers(-8, 8, (2, 6))
    kept = [1, 4]
    second[:, [i for i in range(6) if i not in kept]] = 0
    modules: list[ModuleOp] = []
    for a, b in ((first, second), (first[kept], second[:, kept])):
        model = Model((FixedType(6, 0), [1, 5]))
        with model as (x,):
            hidden = layers.LinearOp(
                x, shape.ConstantOp.of(a, FixedType(8, 0)), element=FixedType(10, -3)
            )
            y = layers.LinearOp(
                hidden,
                shape.ConstantOp.of(b, FixedType(4, 0)),
                element=FixedType(20, 0),
            )
        modules.append(model.returns(y))
        assert_levels_agree(modules[-1], max_logic_depth=2)
    assert adders(modules[0]) == adders(modules[1])
