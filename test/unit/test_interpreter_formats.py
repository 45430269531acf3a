"""Every op on every number format: exact in rational arithmetic, rounded once."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import pytest
import reference
import rounding_reference
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Array, Shape, built, value_of
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp, TensorType, f32, i1, i64
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.parser import Parser
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase import Mase, elementwise, layers, pooling, shape
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.base import ArithmeticOp, UnaryOp
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.formats import element_type
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import (
    ElementType,
    FixedPoint,
    FixedType,
    element_of,
    shape_of,
)
from mase_opt.lib.formats import (
    E8M0,
    Binary,
    Block,
    Exponent,
    Fixed,
    Format,
    Kind,
    Log,
    MiniFloat,
    Overflow,
    RoundingMode,
    Scaled,
    ScaleLayout,
    Ternary,
)
from mase_opt.lib.interpreters.kernels.elementwise import FUNCTIONS, apply_function
from mase_opt.lib.interpreters.mase import evaluate_op

ELEMENTS: list[Format[Any]] = [
    Fixed(8, 4),
    Fixed(5, -2),
    Fixed(1, 0, signed=False),
    Fixed(40, 30),
    MiniFloat(4, 3, Kind.FN),
    MiniFloat(5, 2, Kind.IEEE),
    MiniFloat(2, 1, Kind.FINITE),
    MiniFloat(3, 0, Kind.FINITE, 4),
    MiniFloat(2, 3, Kind.NO_IMPLICIT),
    MiniFloat(8, 7, Kind.IEEE),
    Log(8),
    Log(4, 5),
    Log(5, 7, zero=False),
    Binary(),
    Binary(signed=False),
    Ternary(),
    Scaled(Fixed(8, 0), 0.0125),
    Scaled(Fixed(8, 0), 0.25),
    Scaled(Fixed(8, 0, signed=False), 0.03, zero_point=130),
    Scaled(Fixed(4, 2), 3.0, zero_point=-8),
    Scaled(MiniFloat(4, 3, Kind.FN), 0.7),
    Scaled(Log(6), 1.5),
    Scaled(Binary(), 0.3),
    Scaled(Binary(signed=False), 0.3),
    Scaled(Ternary(), 0.6),
]
BLOCKED: list[tuple[Any, Exponent, bool]] = [
    (Fixed(8, 6), E8M0, False),
    (Fixed(4, 2), E8M0, True),
    (Fixed(3, 0, signed=False), Exponent(4, 9), False),
    (MiniFloat(2, 1, Kind.FINITE), E8M0, False),
    (MiniFloat(4, 3, Kind.FN), Exponent(3, 2), False),
    (MiniFloat(0, 3, Kind.NO_IMPLICIT), Exponent(8, 127), False),
    (Log(4), Exponent(5, 16), False),
]


@st.composite
def formats(draw: st.DrawFn, shape: Shape) -> Format[Any]:
    """Any format for a tensor of `shape`."""
    kind = draw(st.sampled_from(["element", "block", "axis"]))
    if kind == "element" or (kind == "axis" and not shape):
        return draw(st.sampled_from(ELEMENTS))
    if kind == "block":
        rank = draw(st.integers(0, len(shape)))
        sizes = draw(st.tuples(*[st.sampled_from([1, 2, 3, 4, -1])] * rank))
        element, scale, bump = draw(st.sampled_from(BLOCKED))
        return Block(element, scale, sizes, bump)
    axis = draw(st.integers(-len(shape), len(shape) - 1))
    layout = ScaleLayout(axis, draw(st.sampled_from([None, 1, 2, 4])))
    size = layout.scales_shape(shape)
    seeds = draw(st.lists(st.sampled_from([0.25, 0.1, 3.0]), min_size=3, max_size=3))
    scales = np.resize(np.array(seeds), prod(size)).reshape(size)
    element = draw(st.sampled_from([Fixed(8, 0), Fixed(4, 3), Binary(), Ternary()]))
    zero = draw(st.sampled_from([0, -3])) if isinstance(element, Fixed) else 0
    return Scaled(element, scales, layout, zero_point=zero)


NUMBERS = st.one_of(
    st.floats(-4, 4, width=32),
    st.integers(-40, 40).map(lambda n: n / 16),
    st.sampled_from([0.0, -0.0, 1e-3, -3e-7, 100.0, -700.0, 1e-30, 0.7, 2.0**-9]),
)
MODES = st.sampled_from(list(RoundingMode))
SAMPLES = st.sampled_from([1, 2])


@st.composite
def held(draw: st.DrawFn, element: ElementType, shape: Shape, samples: int) -> Array:
    """Numbers of the format, as the interpreter holds them."""
    seed = draw(st.lists(NUMBERS, min_size=1, max_size=7))
    start, count = draw(st.integers(0, 6)), samples * prod(shape)
    flat = [seed[(start + i * i + i // 3) % len(seed)] for i in range(count)]
    return element.held(np.array(flat, dtype=np.float64).reshape(samples, *shape))


def fractions(array: Array, element: Attribute) -> Array:
    """The numbers of what the interpreter holds, exactly."""
    result = np.empty(array.shape, dtype=object)
    for at in np.ndindex(array.shape):
        if isinstance(element, FixedPoint):
            result[at] = int(array[at]) / Fraction(2) ** element.frac.data
        else:
            result[at] = Fraction(float(array[at]))
    return result


Make = Callable[..., Operation]
Meaning = Callable[..., Array]


@dataclass
class Case:
    """An op, by the shapes of its operands, and what it means for one sample."""

    shapes: Sequence[Shape]
    make: Make
    meaning: Meaning


def retyped(op: Operation, element: Attribute) -> None:
    """Give the result another element type, of which its shape is known now."""
    result = op.results[0]
    result._type = TensorType(element, shape_of(result))


def check(data: st.DataObject, case: Case) -> None:
    """The kernel gives the meaning of the case, for formats and numbers drawn."""
    draw = data.draw
    samples, mode = draw(SAMPLES), draw(MODES)
    elements = [element_type(draw(formats(s))) for s in case.shapes]
    op = case.make(*map(value_of, elements, case.shapes))
    target = element_type(draw(formats(shape_of(op.results[0]))))
    retyped(op, draw(st.sampled_from([target, target, f32])))
    assert isinstance(op, ArithmeticOp)
    op.rounding = RoundingAttr((mode, Overflow.SATURATE))
    op.verify()
    arrays = [
        draw(held(e, s, draw(st.sampled_from([1, samples]))))
        for e, s in zip(elements, case.shapes, strict=True)
    ]
    if (
        isinstance(op, elementwise.DivOp)
        and (elements[1].numbers(arrays[1]) == 0).any()
    ):
        with pytest.raises(InterpretationError, match=r"mase.div: division by zero"):
            evaluate_op(op, arrays)
        return
    expected(op, evaluate_op(op, arrays), arrays, elements, case.meaning, mode)


def expected(
    op: Operation,
    result: Array,
    arrays: Sequence[Array],
    elements: Sequence[ElementType],
    meaning: Meaning,
    mode: RoundingMode,
) -> None:
    element = element_of(op.results[0])
    numbers = [fractions(a, e) for a, e in zip(arrays, elements, strict=True)]
    samples = max((len(a) for a in arrays), default=1)
    result = np.broadcast_to(result, (samples, *result.shape[1:]))
    assert result.shape[1:] == shape_of(op.results[0])
    for sample in range(samples):
        exact = meaning(*(x[0 if len(x) == 1 else sample] for x in numbers))
        exact = np.asarray(exact, dtype=object)
        if isinstance(element, ElementType):
            wanted = rounding_reference.cast(exact, element.format, mode)
        else:
            wanted = each(lambda x: reference.nearest_float(x, 24, -149))(exact)
        got = fractions(result[sample], element)
        assert got.tolist() == wanted.tolist(), (str(op), arrays)


def each(function: Callable[..., Any]) -> Meaning:
    return np.vectorize(function, otypes=[object])


RANKS = [(), (1,), (7,), (2, 3), (3, 1, 2), (1, 2, 1, 3), (2, 1, 2, 1, 2)]
UNARY: dict[str, tuple[Make, Callable[[Fraction], Fraction]]] = {
    "cast": (lambda x: CastOp(x, element=f32), lambda x: x),
    "neg": (elementwise.NegOp, operator.neg),
    "abs": (elementwise.AbsOp, abs),
    "relu": (elementwise.ReluOp, lambda x: max(x, Fraction(0))),
    "relu6": (elementwise.Relu6Op, lambda x: min(max(x, Fraction(0)), Fraction(6))),
    "leaky_relu": (
        lambda x: elementwise.LeakyReluOp(x, 0.01),
        lambda x: x if x >= 0 else x * Fraction(0.01),
    ),
}


@pytest.mark.parametrize("name", UNARY)
@given(st.data(), st.sampled_from(RANKS))
@settings(max_examples=60)
def test_unary(name: str, data: st.DataObject, shape: Shape):
    make, function = UNARY[name]
    check(data, Case([shape], make, each(function)))


BINARY: dict[type[elementwise.BinaryOp], Meaning] = {
    elementwise.AddOp: np.add,
    elementwise.SubOp: np.subtract,
    elementwise.MulOp: np.multiply,
    elementwise.DivOp: np.true_divide,
    elementwise.MaximumOp: np.maximum,
    elementwise.MinimumOp: np.minimum,
}
PAIRS = [((2, 3), (3,)), ((), (5,)), ((), ()), ((2, 1, 3), (4, 1)), ((7,), (7,))]


@pytest.mark.parametrize("cls", BINARY)
@given(st.data(), st.sampled_from(PAIRS))
@settings(max_examples=50)
def test_binary(
    cls: type[elementwise.BinaryOp], data: st.DataObject, shapes: tuple[Shape, Shape]
):
    check(data, Case(shapes, cls, BINARY[cls]))


@given(st.data(), st.sampled_from(elementwise.PREDICATES), st.sampled_from(PAIRS))
@settings(max_examples=60)
def test_compare(data: st.DataObject, predicate: str, shapes: tuple[Shape, Shape]):
    elements = [element_type(data.draw(formats(s))) for s in shapes]
    arrays = [data.draw(held(e, s, 2)) for e, s in zip(elements, shapes, strict=True)]
    values = [value_of(e, s) for e, s in zip(elements, shapes, strict=True)]
    op = elementwise.CompareOp(values[0], values[1], predicate)
    lhs, rhs = (fractions(a, e) for a, e in zip(arrays, elements, strict=True))
    result = evaluate_op(op, arrays)
    for sample in range(2):
        wanted = getattr(operator, predicate)(lhs[sample], rhs[sample])
        assert result[sample].tolist() == np.asarray(wanted).tolist()


def convolution(transposed: bool, rank: int) -> Case:
    options: dict[str, Any] = {"strides": (2,) * rank, "padding": (1,) * rank}
    dilation = (1,) * rank
    cls: Any = layers.Conv1dOp if rank == 1 else layers.Conv2dOp
    image, kernel = (
        ((1, 2, 5), (2, 1, 3)) if rank == 1 else ((1, 2, 3, 4), (4, 1, 2, 3))
    )
    if transposed:
        cls, kernel = layers.ConvTranspose2dOp, (2, 2, 2, 3)
        image = (1, 2, 2, 3)
    out = kernel[1] * 2 if transposed else kernel[0]

    def make(*values: SSAValue) -> Operation:
        return cls(*values, groups=2, element=f32, **options)

    op = make(*(value_of(f32, s) for s in (image, kernel, (out,))))
    positions = shape_of(op.results[0])[2:]
    by = reference.conv_transpose if transposed else reference.conv

    def meaning(x: Array, w: Array, b: Array) -> Array:
        return by(
            x, w, b, positions, options["strides"], options["padding"], dilation, 2
        )

    return Case([image, kernel, (out,)], make, meaning)


CONTRACTIONS: dict[str, Case] = {
    "linear": Case(
        [(2, 5), (3, 5), (3,)],
        lambda *v: layers.LinearOp(*v, element=f32),
        reference.linear,
    ),
    "linear_one": Case(
        [(1,), (1, 1)],
        lambda *v: layers.LinearOp(*v, element=f32),
        lambda x, w: reference.linear(x, w, None),
    ),
    "matmul": Case(
        [(2, 1, 2, 3), (3, 3, 2)],
        lambda *v: layers.MatmulOp(*v, element=f32),
        reference.matmul,
    ),
    "conv1d": convolution(False, 1),
    "conv2d": convolution(False, 2),
    "conv_transpose2d": convolution(True, 2),
}


@pytest.mark.parametrize("name", CONTRACTIONS)
@given(st.data())
@settings(max_examples=40)
def test_contraction(name: str, data: st.DataObject):
    check(data, CONTRACTIONS[name])


def pool(cls: Any, combine: Callable[[list[Any]], Any]) -> Case:
    size, kernel, strides, padding = (2, 5), (3,), (2,), (1,)

    def make(x: SSAValue) -> Operation:
        return cls(x, kernel, strides=strides, padding=padding, element=f32)

    def meaning(x: Array) -> Array:
        def window(channel: int, *position: int) -> Any:
            taps = reference.taps(position, kernel, strides, padding, (1,), size[1:])
            return combine([x[(channel, *at)] for _, at in taps])

        return built((2, 3), window)

    return Case([size], make, meaning)


def adaptive(cls: Any, combine: Callable[[list[Any]], Any]) -> Case:
    def meaning(x: Array) -> Array:
        return built(
            (2, 3),
            lambda c, i: combine(
                [x[c, j] for j in range(i * 7 // 3, -(-(i + 1) * 7 // 3))]
            ),
        )

    return Case([(2, 7)], lambda x: cls(x, (3,), element=f32), meaning)


def reduction(kind: str, combine: Callable[[list[Any]], Any]) -> Case:
    return Case(
        [(2, 3, 2)],
        lambda x: pooling.ReduceOp(x, kind, (0, 2), element=f32),
        lambda x: reference.reduced(x, (0, 2), combine),
    )


REDUCTIONS: dict[str, Case] = {
    "max_pool": pool(pooling.MaxPoolOp, max),
    "avg_pool": pool(pooling.AvgPoolOp, lambda window: sum(window, Fraction(0)) / 3),
    "adaptive_max": adaptive(pooling.AdaptiveMaxPoolOp, max),
    "adaptive_avg": adaptive(pooling.AdaptiveAvgPoolOp, reference.mean),
    "sum": reduction("sum", sum),
    "mean": reduction("mean", reference.mean),
    "max": reduction("max", max),
    "min": reduction("min", min),
}


@pytest.mark.parametrize("name", REDUCTIONS)
@given(st.data())
@settings(max_examples=40)
def test_reduction(name: str, data: st.DataObject):
    check(data, REDUCTIONS[name])


MOVES: dict[str, Case] = {
    "reshape": Case(
        [(2, 3)], lambda x: shape.ReshapeOp(x, (3, 2)), lambda x: x.reshape(3, 2)
    ),
    "transpose": Case([(2, 3)], lambda x: shape.TransposeOp(x, (1, 0)), np.transpose),
    "broadcast": Case(
        [(2, 1)],
        lambda x: shape.BroadcastOp(x, (3, 2, 5)),
        lambda x: np.broadcast_to(x, (3, 2, 5)),
    ),
    "slice": Case(
        [(2, 7)],
        lambda x: shape.SliceOp(x, starts=(0, 1), stops=(2, 6), strides=(1, 2)),
        lambda x: x[:, 1:6:2],
    ),
    "concat": Case(
        [(2, 3), (2, 2)],
        lambda x, y: shape.ConcatOp([x, y], 1),
        lambda x, y: np.concatenate([x, y], axis=1),
    ),
    "pad": Case(
        [(2, 3)],
        lambda x: shape.PadOp(x, low=(1, 0), high=(0, 2), value=1.0),
        lambda x: np.pad(x, ((1, 0), (0, 2)), constant_values=Fraction(1)),
    ),
}


@pytest.mark.parametrize("name", MOVES)
@given(st.data())
@settings(max_examples=40)
def test_move(name: str, data: st.DataObject):
    """Moved elements are rounded among the new neighbours, to nearest even."""
    case = MOVES[name]
    samples = data.draw(SAMPLES)
    element = element_type(data.draw(portable()))
    if name == "pad" and 1.0 not in element.held(np.ones((1, 1, 1))):
        return
    arrays = [data.draw(held(element, s, samples)) for s in case.shapes]
    op = case.make(*(value_of(element, s) for s in case.shapes))
    op.verify()
    check_moved(op, evaluate_op(op, arrays), arrays, element, case.meaning)


def check_moved(
    op: Operation,
    result: Array,
    arrays: Sequence[Array],
    element: ElementType,
    meaning: Meaning,
) -> None:
    if element.format.positional:
        elements = [element] * len(arrays)
        expected(op, result, arrays, elements, meaning, RoundingMode.NEAREST_EVEN)
        return
    # As they are: a ternary cast would look at all of them again.
    for n in range(len(result)):
        wanted = meaning(*(fractions(a[n], element) for a in arrays))
        assert fractions(result[n], element).tolist() == wanted.tolist()


@given(st.data())
@settings(max_examples=60)
def test_selection(data: st.DataObject):
    """Moves of what another operand says."""
    element = element_type(data.draw(portable()))
    array = data.draw(held(element, (2, 4), 1))
    x, indices = value_of(element, (2, 4)), np.array([[[3, 0], [-4, 2]]])
    gather = shape.GatherOp(x, value_of(i64, (2, 2)), 1)
    result = evaluate_op(gather, [array, indices])
    check_moved(gather, result, [array], element, lambda x: x[:, indices[0]])


@given(st.data(), MODES)
@settings(max_examples=60)
def test_rows_of_a_table(data: st.DataObject, mode: RoundingMode):
    source = element_type(data.draw(formats((4, 3))))
    target = element_type(data.draw(formats((1, 2, 3))))
    table = data.draw(held(source, (4, 3), 1))
    weight, indices = value_of(source, (4, 3)), np.array([[[3, 1]]])
    op = layers.EmbeddingOp(
        weight,
        value_of(i64, (1, 2)),
        element=target,
        rounding=RoundingAttr((mode, Overflow.SATURATE)),
    )
    op.verify()
    result = evaluate_op(op, [table, indices])
    expected(op, result, [table], [source], lambda w: w[indices[0]], mode)


@given(st.data())
@settings(max_examples=60)
def test_lookup(data: st.DataObject):
    element = element_type(data.draw(portable()))
    if isinstance(element.format, Block):
        element = element_type(replace(element.format, shape=(2,)))
    table = data.draw(held(element, (4,), 1))
    op = layers.LookupOp(value_of(FixedType(2, 0), (1, 3)), value_of(element, (4,)))
    op.verify()
    result = evaluate_op(op, [np.array([[[1, -1, 1]]]), table])
    check_moved(op, result, [table], element, lambda t: t[None, [1, 3, 1]])


@given(st.data(), MODES)
@settings(max_examples=60)
def test_select(data: st.DataObject, mode: RoundingMode):
    shapes = [(2, 3), (3,)]
    elements = [element_type(data.draw(formats(s))) for s in shapes]
    target = element_type(data.draw(formats((2, 3))))
    arrays = [data.draw(held(e, s, 1)) for e, s in zip(elements, shapes, strict=True)]
    chosen = np.array([[[True, False, True], [False, True, False]]])
    op = elementwise.SelectOp(
        value_of(i1, (2, 3)),
        *map(value_of, elements, shapes),
        element=target,
        rounding=RoundingAttr((mode, Overflow.SATURATE)),
    )
    op.verify()
    result = evaluate_op(op, [chosen, *arrays])
    expected(op, result, arrays, elements, lambda x, y: np.where(chosen[0], x, y), mode)


@pytest.mark.parametrize("cls", FUNCTIONS)
@given(st.data(), MODES)
@settings(max_examples=15)
def test_function(cls: type[UnaryOp], data: st.DataObject, mode: RoundingMode):
    """Computed in float64, then rounded once."""
    source, target = (element_type(data.draw(formats((2, 3)))) for _ in range(2))
    array = data.draw(held(source, (2, 3), 2))
    rounding = RoundingAttr((mode, Overflow.SATURATE))
    op = cls(value_of(source, (2, 3)), element=target, rounding=rounding)
    with np.errstate(all="ignore"):
        floats = apply_function(op, source.numbers(array))
    if not np.isfinite(floats).all():
        return
    result = evaluate_op(op, [array])
    exact = built(floats.shape, lambda *at: Fraction(floats[at]))
    for got, wanted in zip(result, exact, strict=True):
        wanted = rounding_reference.cast(wanted, target.format, mode)
        assert fractions(got, target).tolist() == wanted.tolist()


@given(st.data(), st.sampled_from(RANKS))
@settings(max_examples=80)
def test_constants_survive_as_text(data: st.DataObject, shape: Shape):
    element = element_type(data.draw(formats(shape)))
    array = data.draw(held(element, shape, 1))[0]
    op = ConstantOp.of(array, element)
    op.verify()
    assert np.array_equal(op.array(), array)
    assert isinstance(op.value.label, str)
    text = str(ModuleOp([op]))
    context = Context()
    context.load_dialect(Builtin)
    context.load_dialect(Mase)
    (again,) = Parser(context, text).parse_module().ops
    again.verify()
    assert isinstance(again, ConstantOp)
    assert again.result.type == op.result.type
    assert np.array_equal(again.array(), array)
    assert np.array_equal(np.signbit(again.array()), np.signbit(array))


@st.composite
def portable(draw: st.DrawFn) -> Format[Any]:
    """A format of elements, or of blocks, for tensors of two dimensions and more."""
    if draw(st.booleans()):
        return draw(st.sampled_from(ELEMENTS))
    element, scale, bump = draw(st.sampled_from(BLOCKED))
    sizes = draw(st.lists(st.sampled_from([1, 2, 3, -1]), max_size=2))
    return Block(element, scale, tuple(sizes), bump)
