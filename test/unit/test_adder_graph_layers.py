"""Adder graphs of all layers that have constants, against the layers themselves."""

from __future__ import annotations

from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from levels import Model
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, f32, i1
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase import elementwise, pooling
from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.dialects.mase.adder_graph_values import levels
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.formats import element_type
from mase_opt.dialects.mase.layers import (
    Conv1dOp,
    Conv2dOp,
    LinearOp,
    LookupOp,
    MatmulOp,
)
from mase_opt.dialects.mase.shape import ConstantOp, TransposeOp
from mase_opt.dialects.mase.types import (
    ElementType,
    FixedType,
    UFixedType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.lib import native
from mase_opt.lib.adder_graphs.solver import constant_problems
from mase_opt.lib.analysis.ranges import Ranges
from mase_opt.lib.data.vectors import input_vectors
from mase_opt.lib.formats import (
    Binary,
    Fixed,
    MiniFloat,
    Overflow,
    RoundingMode,
    Scaled,
    Ternary,
)
from mase_opt.lib.formats.block import E8M0, Block
from mase_opt.lib.formats.format import Element
from mase_opt.lib.formats.scaled import ScaleLayout
from mase_opt.lib.interpreters.codes import to_codes
from mase_opt.lib.interpreters.mase import evaluate, main_function
from mase_opt.lib.target import yosys
from mase_opt.lib.target.circt import export_verilog
from mase_opt.lib.transforms import mase_build_adder_graphs
from mase_opt.lib.transforms.mase_build_adder_graphs import MaseBuildAdderGraphsPass
from mase_opt.testing import assert_levels_agree, lower

pytestmark = pytest.mark.skipif(
    not native.AVAILABLE, reason="installed without a C++ compiler"
)

Make = Callable[[SSAValue, SSAValue, SSAValue | None], Operation]


def constant(
    rng: np.random.Generator,
    shape: Sequence[int],
    element: Attribute,
    name: str = "w",
    density: float = 0.9,
) -> SSAValue:
    """Random numbers of a type, and zeros if it has a zero."""
    kept = rng.random(shape) < density
    if (format := exact_format(element)) is not None:
        values = rng.integers(format.min_code, format.max_code, shape, endpoint=True)
        return ConstantOp.of(np.asarray(values * kept), element, name).result
    assert isinstance(element, ElementType)
    values = element.held((rng.normal(size=shape) * kept)[None])[0]
    return ConstantOp.of(np.asarray(values), element, name).result


def model(
    make: Make,
    data: tuple[Attribute, Sequence[int]],
    weights: tuple[Attribute, Sequence[int]],
    bias: tuple[Attribute, Sequence[int]] | None = None,
    seed: int = 0,
    density: float = 0.9,
) -> ModuleOp:
    rng = np.random.default_rng(seed)
    result = Model((data[0], data[1]))
    with result as (x,):
        w = constant(rng, weights[1], weights[0], density=density)
        b = None if bias is None else constant(rng, bias[1], bias[0], "b")
        op = make(x, w, b)
    return result.returns(op)


def graphs(module: ModuleOp) -> list[AdderGraphOp]:
    return [op for op in module.walk() if isinstance(op, AdderGraphOp)]


def with_graphs(
    module: ModuleOp, count: int = 1, to_torch: bool = False, **options: int | None
) -> ModuleOp:
    """The module after the pass, which says the same on corners and random samples."""
    result = module.clone()
    MaseBuildAdderGraphsPass(**{"effort": 0, **options}).apply(Context(), result)  # pyright: ignore[reportArgumentType]
    result.verify()
    assert len(graphs(result)) == count
    inputs = input_vectors(main_function(module).body.block.args, 16, 0)
    (want,), (got,) = (evaluate(m, inputs) for m in (module, result))
    assert np.array_equal(want, got)
    if to_torch:
        compare_in_torch(result, inputs, got)
    return result


def compare_in_torch(
    module: ModuleOp, inputs: Sequence[NDArray[Any]], want: NDArray[Any]
) -> None:
    """The torch module gives the same numbers."""
    import torch

    from mase_opt.frontend.to_torch import to_torch

    function = main_function(module)
    (x,), (data,) = inputs, function.args
    (result,) = function.get_return_op().operands  # pyright: ignore[reportOptionalMemberAccess]
    got = to_torch(module)(
        torch.as_tensor(numbers(data, x).reshape(-1, *shape_of(data)[1:]))
    )
    wanted = numbers(result, want).reshape(got.shape)
    assert np.array_equal(got.numpy(), wanted)


def numbers(value: SSAValue, held: NDArray[Any]) -> NDArray[Any]:
    element = element_of(value)
    return element.numbers(held) if isinstance(element, ElementType) else held


# ---- geometry -----------------------------------------------------------------------


DATA = [FixedType(8, 4), UFixedType(1, 0), FixedType(1, 3), UFixedType(5, -1)]
RESULTS = [FixedType(8, 4), FixedType(24, 12), UFixedType(6, 1)]


@st.composite
def convolutions(draw: st.DrawFn) -> ModuleOp:
    rank = draw(st.integers(1, 2))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels, out = (groups * draw(st.integers(1, 2)) for _ in range(2))
    kernel, strides, dilation = (
        draw(st.lists(st.integers(1, 3), min_size=rank, max_size=rank))
        for _ in range(3)
    )
    padding = draw(st.lists(st.integers(0, 3), min_size=rank, max_size=rank))
    size = [
        max(d * (k - 1) + 1 - 2 * p, 1) + draw(st.integers(0, 4))
        for k, d, p in zip(kernel, dilation, padding, strict=True)
    ]
    bits = draw(st.sampled_from([1, 2, 4, 8, 16]))
    data = draw(st.sampled_from(DATA))
    element = draw(st.sampled_from(RESULTS))
    mode = draw(st.sampled_from(list(RoundingMode)))
    overflow = draw(st.sampled_from([Overflow.WRAP, Overflow.SATURATE]))
    kind = Conv1dOp if rank == 1 else Conv2dOp

    def make(x: SSAValue, w: SSAValue, b: SSAValue | None) -> Operation:
        return kind(
            x,
            w,
            b,
            strides=strides,
            padding=padding,
            dilation=dilation,
            groups=groups,
            element=element,
            rounding=RoundingAttr((mode, overflow)),
        )

    bias = draw(st.sampled_from([None, FixedType(8, 2), FixedType(16, 14)]))
    return model(
        make,
        (data, (draw(st.integers(1, 2)), channels, *size)),
        (FixedType(bits, bits // 2), (out, channels // groups, *kernel)),
        None if bias is None else (bias, (out,)),
        draw(st.integers(0, 1000)),
        draw(st.sampled_from([0.0, 0.5, 0.9])),
    )


@given(convolutions(), st.integers(0, 12), st.integers(0, 1))
@settings(max_examples=120)
def test_convolutions(module: ModuleOp, dsp: int, effort: int):
    (graph,) = graphs(with_graphs(module, dsp=dsp, effort=effort))
    assert len(graph.product_table) <= dsp


def convolution(
    data: Attribute, weights: Attribute, bias: Attribute | None = None, **options: Any
) -> ModuleOp:
    """3 channels of 2 by 2 kernels over 2 channels of 3 by 2 elements."""
    options = {"element": FixedType(8, 4), **options}
    return model(
        lambda x, w, b: Conv2dOp(x, w, b, layer="conv", **options),
        (data, (1, 2, 3, 2)),
        (weights, (3, 2, 2, 2)),
        None if bias is None else (bias, (3,)),
    )


FIXED = FixedType(8, 4)


@pytest.mark.parametrize(
    "options",
    [
        {"padding": (1, 1), "strides": (2, 1)},
        {"padding": (2, 1), "dilation": (2, 1), "rounding": RoundingAttr.DEFAULT},
    ],
    ids=["strides", "dilation"],
)
def test_every_level_agrees_on_convolutions(options: dict[str, Any]):
    module = convolution(FIXED, FixedType(6, 3), FixedType(8, 6), **options)
    assert_levels_agree(with_graphs(module, dsp=20), max_logic_depth=2)


@pytest.mark.slow
def test_verilator_agrees_on_a_convolution():
    module = convolution(FIXED, FixedType(4, 3), strides=(2, 2), padding=(1, 1))
    assert_levels_agree(with_graphs(module, dsp=4), max_logic_depth=3, verilator=True)


def test_windows_share_sums():
    """A row of ones: every sum of two occurs in two windows."""
    result = Model((UFixedType(8, 0), (1, 1, 1, 16)))
    with result as (x,):
        ones = np.ones((1, 1, 1, 4), np.int64)
        w = ConstantOp.of(ones, FixedType(4, 0), "w")
        op = Conv2dOp(x, w, element=UFixedType(10, 0))
    (graph,) = graphs(with_graphs(result.returns(op)))
    # 13 windows of x0+x1 and x2+x3, of which 11 are another window's.
    assert len(graph.node_table) == 15 + 13


def test_nothing_is_built_of_zeros():
    """All but one element of each window lies outside of the image."""
    result = Model((FIXED, (1, 1, 1, 1)))
    with result as (x,):
        w = ConstantOp.of(np.ones((1, 1, 3, 3), np.int64), FixedType(4, 0), "w")
        op = Conv2dOp(x, w, padding=(2, 2))
    (graph,) = graphs(with_graphs(result.returns(op)))
    assert len(graph.node_table) == 0


def test_a_depth_that_a_convolution_cannot_have():
    module = convolution(FIXED, FixedType(8, 4))
    with pytest.raises(
        PassFailedException, match=r"layer 'conv' .*the smallest is (\d+)$"
    ) as error:
        MaseBuildAdderGraphsPass(max_depth=1).apply(Context(), module.clone())
    least = int(str(error.value).split()[-1])
    (graph,) = graphs(with_graphs(module, max_depth=least))
    by_depth, _ = levels(graph.node_table, 12, graph.product_table)
    assert len(by_depth) <= least


SHAPES = [
    ((3, 4), (4, 5)),
    ((2, 3, 4), (4, 5)),
    ((2, 3, 4), (2, 4, 5)),
    ((3, 4), (2, 4, 5)),
    ((2, 3, 4), (1, 1, 4, 5)),
    ((5, 1, 3, 4), (2, 4, 5)),
    ((1, 4), (4, 1)),
]


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("shapes", SHAPES, ids=str)
def test_products_of_matrices(shapes: tuple[tuple[int, ...], ...], left: bool):
    data, weights = reversed(shapes) if left else shapes

    def make(x: SSAValue, w: SSAValue, _: SSAValue | None) -> Operation:
        return MatmulOp(*((w, x) if left else (x, w)), element=FixedType(8, 2))

    with_graphs(model(make, (FixedType(5, 2), data), (FixedType(6, 3), weights)), dsp=3)


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize(
    ("data", "weights"),
    [
        ((3, 4), (4,)),
        ((3, 4), ()),
        ((), (3,)),
        ((), ()),
        ((2, 3, 4, 4), (3, 1, 1)),
        ((2, 3), (4, 1, 3)),
        ((2, 1), (1, 5)),
        ((2, 1, 3), (1, 4, 1)),
    ],
    ids=str,
)
def test_elementwise_products(
    data: tuple[int, ...], weights: tuple[int, ...], left: bool
):
    def make(x: SSAValue, w: SSAValue, _: SSAValue | None) -> Operation:
        operands = (w, x) if left else (x, w)
        return elementwise.MulOp(*operands, element=FixedType(7, 2))

    with_graphs(model(make, (FixedType(5, 2), data), (FixedType(6, 3), weights)), dsp=2)


# ---- formats ------------------------------------------------------------------------


def scaled(
    element: Element,
    scales: float | Sequence[float],
    zero_point: int = 0,
    axis: int = 0,
) -> Attribute:
    layout = ScaleLayout() if isinstance(scales, float) else ScaleLayout(axis)
    return element_type(Scaled(element, scales, layout, zero_point=zero_point))


INT8 = Fixed(8, 0)
MX = Block(Fixed(8, 6), E8M0, (32,))
CHANNELS = scaled(INT8, [0.013, 0.02, 0.5])


@pytest.mark.parametrize(
    ("data", "weights", "bias", "result"),
    [
        (scaled(INT8, 0.37), FIXED, None, FIXED),
        (scaled(INT8, 0.04, 5), CHANNELS, FixedType(16, 10), FIXED),
        (scaled(INT8, 0.04, -3), CHANNELS, CHANNELS, scaled(INT8, 0.1, 4)),
        (element_type(Binary()), CHANNELS, FIXED, FIXED),
        (element_type(Binary(signed=False)), FIXED, None, element_type(Binary())),
        (scaled(Binary(), 0.3), scaled(Binary(), [0.1, 0.2, 0.7]), None, FIXED),
        (FIXED, element_type(Ternary()), FIXED, FIXED),
        (element_type(Ternary()), scaled(INT8, 0.25), None, i1),
        (FIXED, element_type(MiniFloat(4, 3)), FIXED, element_type(MiniFloat(4, 3))),
        (i1, scaled(MiniFloat(3, 2), [0.5, 0.3, 2.0]), FIXED, FIXED),
        (FIXED, element_type(MX), None, FIXED),
    ],
    ids=lambda element: str(element)[:32],
)
def test_formats(
    data: Attribute, weights: Attribute, bias: Attribute | None, result: Attribute
):
    """The numbers outside of an image are zero, whatever the code 0 is."""
    module = convolution(data, weights, bias, element=result, padding=(1, 0))
    graph = with_graphs(module, dsp=6, to_torch=True)
    assert_levels_agree(graph)


def linear(data: Attribute, weights: Attribute, **options: Any) -> ModuleOp:
    options = {"element": FIXED, **options}
    return model(
        lambda x, w, b: LinearOp(x, w, **options), (data, (2, 3)), (weights, (4, 3))
    )


def test_scales_along_inputs():
    powers = [0.25, 1.0, 2.0]
    with_graphs(linear(scaled(INT8, powers, axis=-1), FIXED))
    # One scale, times powers of two that are different.
    (graph,) = graphs(
        with_graphs(linear(scaled(INT8, [3 * p for p in powers], axis=-1), FIXED))
    )
    assert graph.scales is not None


@pytest.mark.parametrize(
    "module",
    [
        linear(scaled(INT8, [0.3, 1.0, 2.0], axis=-1), FIXED),
        linear(FIXED, scaled(INT8, [0.3, 1.0, 2.0], axis=1)),
        linear(element_type(MiniFloat(4, 3)), FIXED),
        linear(FIXED, FIXED, element=f32),
        linear(UFixedType(64, 0), FIXED),
        convolution(scaled(INT8, [0.5, 1.0], axis=1), FIXED),
        convolution(FIXED, FIXED, element=scaled(INT8, [0.5, 1.0, 2.0], axis=1)),
    ],
    ids=lambda m: str(main_function(m).function_type)[:64],
)
def test_layers_that_stay(module: ModuleOp):
    with_graphs(module, count=0)


# ---- ranges -------------------------------------------------------------------------


def test_what_is_always_the_same_becomes_an_offset():
    result = Model((FIXED, (1, 3)))
    with result as (x,):
        # 0, 0 or more, 1 always.
        low = ConstantOp.of(np.array([-128, 0, 16]), FIXED, "low")
        high = ConstantOp.of(np.array([0, 127, 16]), FIXED, "high")
        zero = ConstantOp.of(np.array([0, 127, 127]), FIXED, "zero")
        y = elementwise.MaximumOp(elementwise.MinimumOp(x, high), low)
        y = elementwise.MinimumOp(elementwise.ReluOp(y), zero)
        w = ConstantOp.of(np.array([[99, 3, 5]]), FIXED, "w")
        op = LinearOp(y, w, element=FixedType(16, 8))
    (graph,) = graphs(with_graphs(result.returns(op)))
    assert len(graph.node_table) == 1
    assert graph.offset_table.tolist() == [5 * 16]


@st.composite
def chains(draw: st.DrawFn) -> ModuleOp:
    """Ops behind each other, some of which have constant operands."""
    rng = np.random.default_rng(draw(st.integers(0, 1000)))
    result = Model((FixedType(4, 1), (1, 2, 4)))
    with result as (value,):
        for _ in range(draw(st.integers(1, 5))):
            element = draw(st.sampled_from([*TYPES, element_of(value)]))
            rounding = RoundingAttr(
                (
                    draw(st.sampled_from(list(RoundingMode))),
                    draw(st.sampled_from([Overflow.SATURATE, Overflow.WRAP])),
                )
            )
            if not isinstance(element, FixedType | UFixedType):
                rounding = RoundingAttr.DEFAULT
            options: Any = {"element": element, "rounding": rounding}
            other = constant(rng, shape_of(value)[-1:], FixedType(4, 1))
            last = shape_of(value)[-1]
            kind = draw(st.integers(0, 12))
            match kind:
                case 0 | 1:
                    pair = [(value, other), (other, value)][kind]
                    value = elementwise.SubOp(*pair, **options).result
                case 2:
                    value = elementwise.NegOp(value, **options).result
                case 3:
                    value = elementwise.ReluOp(value, **options).result
                case 4:
                    value = elementwise.MaximumOp(value, other, **options).result
                case 5:
                    value = elementwise.MinimumOp(value, value, **options).result
                case 6:
                    value = elementwise.AbsOp(value, **options).result
                case 7:
                    value = pooling.MaxPoolOp(value, (1,), **options).result
                case 8:
                    value = elementwise.CastOp(value, **options).result
                case 9:
                    w = constant(rng, (3, last), FixedType(3, 1))
                    value = LinearOp(value, w, **options).result
                case 10:
                    flipped = (0, 2, 1)
                    value = TransposeOp(value, flipped).result
                case 11 if isinstance(element_of(value), FixedType | UFixedType):
                    format = exact_format(element_of(value))
                    assert format is not None
                    if format.width < 8:
                        table = constant(rng, (1 << format.width,), FixedType(4, 1))
                        value = LookupOp(value, table).result
                case _:
                    value = elementwise.AddOp(value, other, **options).result
    return result.returns(value)


TYPES = [
    FixedType(4, 1),
    UFixedType(3, 0),
    FixedType(9, 3),
    scaled(Fixed(4, 0), 0.3, 2),
]


@given(chains())
@settings(max_examples=150)
def test_values_stay_in_their_ranges(module: ModuleOp):
    """On all of what occurs in random samples; and the pass changes nothing."""
    ranges = Ranges()
    constant_problems(module.walk(), ranges)
    rng = np.random.default_rng(0)
    inputs = [rng.integers(-8, 8, (200, 1, 2, 4))]

    def check(value: SSAValue, array: NDArray[Any]) -> None:
        low, high = ranges.codes(value)
        codes = to_codes(value, array)
        assert (low <= codes.min(axis=0)).all()
        assert (codes.max(axis=0) <= high).all()

    (want,) = evaluate(module, inputs, observe=check)
    MaseBuildAdderGraphsPass(effort=0).apply(Context(), module)
    assert np.array_equal(want, evaluate(module, inputs)[0])


# ---- multipliers --------------------------------------------------------------------


def test_the_most_useful_products_stay():
    """Of two layers: 5 has two digits less to add than 85, but is used four times."""
    result = Model((FIXED, (1, 2)))
    with result as (x,):
        first = ConstantOp.of(np.array([[85, 1]]), FIXED, "first")
        second = ConstantOp.of(np.array([[5], [10], [-40], [20], [3]]), FIXED, "second")
        y = LinearOp(x, first, layer="first")
        op = LinearOp(y, second, layer="second")
    module = result.returns(op)
    expected: list[list[list[list[int]]]] = [
        [[], []],
        [[], [[0, 5]]],
        [[[0, 85]], [[0, 5]]],
        [[[0, 85]], [[0, 3], [0, 5]]],
    ]
    for dsp, tables in enumerate(expected):
        found = graphs(with_graphs(module, 2, dsp=dsp))
        assert [g.product_table.tolist() for g in found] == tables


@pytest.mark.skipif(yosys.available() is not None, reason=str(yosys.available()))
def test_products_become_blocks():
    result = Model((FIXED, (2, 1)))
    with result as (x,):
        op = LinearOp(x, ConstantOp.of(np.array([[85]]), FIXED, "w"))
    # One product, at both rows.
    module = with_graphs(result.returns(op), dsp=3)
    text = export_verilog(lower(module, 2)[0])
    assert yosys.synthesize(text, "top").dsp == 2


def test_gradients_are_those_of_the_layer():
    import torch

    from mase_opt.frontend.to_torch import to_torch

    module = convolution(FIXED, FIXED, FIXED, element=FixedType(24, 12))
    found: list[Any] = []
    for each in (module, with_graphs(module)):
        x = torch.linspace(-3, 3, 12).reshape(1, 2, 3, 2).requires_grad_()
        (to_torch(each)(x) ** 2).sum().backward()
        found.append(x.grad)
    assert torch.equal(*found)
    assert found[0].any()


def test_a_wrong_graph_is_refused(monkeypatch: pytest.MonkeyPatch):
    solve = native.solve

    def wrong(*arguments: Any, **options: Any) -> native.AdderGraph:
        graph = solve(*arguments, **options)
        graph.outputs[0, 1] += 1
        return graph

    monkeypatch.setattr(native, "solve", wrong)
    with pytest.raises(PassFailedException, match=r"'conv' .* not that of the const"):
        with_graphs(convolution(FIXED, FIXED))


def test_the_search_tells_its_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[float] = []

    @contextmanager
    def bar(title: str, steps: int) -> Generator[Callable[[float], None]]:
        assert steps == 2
        yield shown.append

    monkeypatch.setattr(mase_build_adder_graphs, "progress_bar", bar)
    rng = np.random.default_rng(0)
    result = Model((FIXED, (1, 4)))
    with result as (x,):
        for _ in range(2):
            codes = rng.integers(-128, 128, (4, 4))
            weight = ConstantOp.of(codes, FIXED, "w")
            x = LinearOp(x, weight.result, element=FIXED).result
    module = result.returns(x)
    MaseBuildAdderGraphsPass(effort=0).apply(Context(), module)
    # At its end at least, before the layer is done.
    assert len(shown) > 2
    assert shown == sorted(shown)
    assert shown[-1] == 2
