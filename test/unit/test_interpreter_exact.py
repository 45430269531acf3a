"""Every op on exact operands: the exact result in rational arithmetic, rounded once."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import pytest
import reference
from hypothesis import given, settings
from hypothesis import strategies as st
from reference import Array, Shape, codes_array, format_of, reals, stored, value_of
from xdsl.dialects.builtin import (
    BFloat16Type,
    Float16Type,
    IntegerType,
    Signedness,
    f32,
    f64,
    i1,
    i8,
    i32,
    i64,
)
from xdsl.ir import Attribute, Operation, OpResult
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase import elementwise, layers, pooling, shape
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.types import FixedType, UFixedType
from mase_opt.lib.formats import Overflow, RoundingMode
from mase_opt.lib.interpreters import exact as exact_arithmetic
from mase_opt.lib.interpreters.floats import odd_float, odd_ratio
from mase_opt.lib.interpreters.mase import evaluate_op

Operand = tuple[OpResult, Array]
"""A value in the IR, and codes `[samples, *shape]` for it."""

ELEMENTS = st.one_of(
    st.builds(FixedType, st.integers(1, 12), st.integers(-4, 14)),
    st.builds(UFixedType, st.integers(1, 12), st.integers(-4, 14)),
    st.builds(FixedType, st.integers(13, 64), st.integers(-70, 70)),
    st.builds(UFixedType, st.integers(13, 64), st.integers(-70, 70)),
    st.sampled_from([i8, i32, i64, IntegerType(8, Signedness.UNSIGNED)]),
)
RESULTS = st.one_of(ELEMENTS, st.just(i1))
ROUNDINGS = st.builds(
    lambda mode, overflow: RoundingAttr((mode, overflow)),
    st.sampled_from(list(RoundingMode)),
    st.sampled_from([Overflow.SATURATE, Overflow.WRAP, Overflow.ERROR]),
)
SIZES = st.sampled_from([1, 2, 3, 5])
SAMPLES = st.sampled_from([1, 3])


@st.composite
def operands(
    draw: st.DrawFn,
    shape: Sequence[int],
    samples: int | None = None,
    elements: st.SearchStrategy[Attribute] = ELEMENTS,
) -> Operand:
    """A value of `shape` and codes, extremes of its format among them."""
    element = draw(elements)
    format = format_of(element)
    codes = st.one_of(
        st.integers(format.min_code, format.max_code),
        st.sampled_from([format.min_code, format.max_code, 0]),
    )
    full = (draw(SAMPLES) if samples is None else samples, *shape)
    # One integer in eight bytes keeps examples small.
    seed = draw(st.lists(codes, min_size=1, max_size=7))
    start = draw(st.integers(0, 6))
    count = prod(full)
    flat = [seed[(start + i * i + i // 3) % len(seed)] for i in range(count)]
    array = codes_array(flat, full)
    return value_of(element, shape), array.astype(np.bool_) if element == i1 else array


def check(
    op: Operation, inputs: Sequence[Operand], function: Callable[..., Array]
) -> None:
    """The kernel of `op` gives `function` of the exact operands, sample by sample."""
    op.verify()
    samples = max((len(codes) for _, codes in inputs), default=1)
    numbers = [reals(codes, value.type.element_type) for value, codes in inputs]
    exact = [
        function(*(x[0 if len(x) == 1 else sample] for x in numbers))
        for sample in range(samples)
    ]
    wanted = [code for one in exact for code in stored(np.asarray(one, object), op)]
    arrays = [codes for _, codes in inputs]
    if None in wanted:
        with pytest.raises(InterpretationError, match=f"{op.name}: .*overflows"):
            evaluate_op(op, arrays)
        return
    result = evaluate_op(op, arrays)
    result = np.broadcast_to(result, (samples, *result.shape[1:]))
    assert result.shape == (samples, *op.results[0].type.get_shape())
    assert result.ravel().tolist() == wanted


UNARY: list[tuple[Callable[..., Operation], Callable[[Fraction], Fraction]]] = [
    (elementwise.CastOp, lambda x: x),
    (elementwise.NegOp, lambda x: -x),
    (elementwise.AbsOp, abs),
    (elementwise.ReluOp, lambda x: max(x, Fraction(0))),
    (elementwise.Relu6Op, lambda x: min(max(x, Fraction(0)), Fraction(6))),
    *(
        (
            lambda x, slope=slope, **options: elementwise.LeakyReluOp(
                x, slope, **options
            ),
            lambda x, slope=slope: x if x >= 0 else x * Fraction(slope),
        )
        for slope in (0.01, -0.3, 0.25, 0.0, 1e-30)
    ),
]


@pytest.mark.parametrize(("make", "function"), UNARY)
@given(st.data(), RESULTS, ROUNDINGS)
@settings(max_examples=60)
def test_unary(
    make: Callable[..., Operation],
    function: Callable[[Fraction], Fraction],
    data: st.DataObject,
    element: Attribute,
    rounding: RoundingAttr,
):
    x = data.draw(operands((2, 3)))
    op = make(x[0], element=element, rounding=rounding)
    check(op, [x], lambda x: np.vectorize(function, otypes=[object])(x))


def divided(lhs: Array, rhs: Array) -> Array:
    return lhs / rhs


BINARY: dict[type[elementwise.BinaryOp], Callable[[Array, Array], Array]] = {
    elementwise.AddOp: np.add,
    elementwise.SubOp: np.subtract,
    elementwise.MulOp: np.multiply,
    elementwise.DivOp: divided,
    elementwise.MaximumOp: np.maximum,
    elementwise.MinimumOp: np.minimum,
}
SHAPES = st.sampled_from(
    [
        ((2, 3), (2, 3)),
        ((2, 3), (3,)),
        ((), (4,)),
        ((), ()),
        ((2, 1, 3), (5, 1)),
        ((1,), (1, 1)),
        ((7,), (7,)),
    ]
)


@pytest.mark.parametrize("cls", BINARY)
@given(st.data(), SHAPES, RESULTS, ROUNDINGS)
@settings(max_examples=60)
def test_binary(
    cls: type[elementwise.BinaryOp],
    data: st.DataObject,
    shapes: tuple[Shape, Shape],
    element: Attribute,
    rounding: RoundingAttr,
):
    samples = data.draw(SAMPLES)
    lhs = data.draw(operands(shapes[0], samples))
    rhs = data.draw(operands(shapes[1], data.draw(st.sampled_from([1, samples]))))
    op = cls(lhs[0], rhs[0], element=element, rounding=rounding)
    if cls is elementwise.DivOp and (rhs[1] == 0).any():
        with pytest.raises(InterpretationError, match=r"mase.div: division by zero"):
            evaluate_op(op, [lhs[1], rhs[1]])
        return
    check(op, [lhs, rhs], BINARY[cls])


@given(st.data(), SHAPES)
@pytest.mark.parametrize("predicate", elementwise.PREDICATES)
@settings(max_examples=40)
def test_compare(predicate: str, data: st.DataObject, shapes: tuple[Shape, Shape]):
    lhs, rhs = (data.draw(operands(s, 3)) for s in shapes)
    op = elementwise.CompareOp(lhs[0], rhs[0], predicate)
    op.verify()
    function = getattr(operator, predicate)
    numbers = [reals(codes, value.type.element_type) for value, codes in (lhs, rhs)]
    for sample in range(3):
        wanted = function(*(x[sample] for x in numbers))
        result = evaluate_op(op, [lhs[1], rhs[1]])
        assert result.dtype == np.bool_
        assert result[sample].tolist() == np.asarray(wanted).tolist()


@given(
    st.data(),
    st.sampled_from(elementwise.PREDICATES),
    st.integers(-70, 70),
    st.sampled_from([0.0, 1.0, 0.5, np.inf, -np.inf, np.nan]),
)
@settings(max_examples=60)
def test_compare_with_floats(
    data: st.DataObject, predicate: str, frac: int, special: float
):
    """As real numbers, where float64 would round the code to the float."""
    value = data.draw(
        st.one_of(st.just(special), st.floats(0.5, 1).map(lambda v: v * 2.0**62))
    )
    near = [2**62 + d for d in (-1, 0, 1)]
    if np.isfinite(value):
        near += [int(value) + d for d in (-1, 0, 1)]
    scaled = float(np.ldexp(value, -frac))
    x, y = value_of(FixedType(64, frac), (len(near),)), value_of(f64, ())
    function = getattr(operator, predicate)
    for op, arrays in (
        (elementwise.CompareOp(x, y, predicate), [[near], [scaled]]),
        (elementwise.CompareOp(y, x, predicate), [[scaled], [near]]),
    ):
        exact = [Fraction(c) / Fraction(2) ** frac for c in near]
        pairs = [(c, scaled) if op.lhs is x else (scaled, c) for c in exact]
        result = evaluate_op(op, [np.array(a) for a in arrays])
        assert result.tolist() == [[function(a, b) for a, b in pairs]]


@given(st.data(), SHAPES, RESULTS, ROUNDINGS)
@settings(max_examples=60)
def test_select(
    data: st.DataObject,
    shapes: tuple[Shape, Shape],
    element: Attribute,
    rounding: RoundingAttr,
):
    condition = data.draw(operands(shapes[1], 3, st.just(i1)))
    lhs, rhs = (data.draw(operands(s, 3)) for s in shapes)
    op = elementwise.SelectOp(
        condition[0], lhs[0], rhs[0], element=element, rounding=rounding
    )
    check(op, [condition, lhs, rhs], lambda c, x, y: np.where(c != 0, x, y))


@pytest.mark.parametrize(
    ("cls", "function"),
    [
        (elementwise.AndOp, lambda a, b: a & b),
        (elementwise.OrOp, lambda a, b: a | b),
        (elementwise.XorOp, lambda a, b: a ^ b),
    ],
)
@given(st.data(), st.sampled_from([i1, i8, i64, IntegerType(64, Signedness.UNSIGNED)]))
@settings(max_examples=30)
def test_bitwise(
    cls: type[elementwise.BitwiseOp],
    function: Callable[[int, int], int],
    data: st.DataObject,
    element: Attribute,
):
    lhs, rhs = (data.draw(operands((2, 2), 3, st.just(element))) for _ in range(2))
    op = cls(lhs[0], rhs[0])
    op.verify()
    pairs = zip(lhs[1].ravel().tolist(), rhs[1].ravel().tolist(), strict=True)
    result = evaluate_op(op, [lhs[1], rhs[1]])
    assert result.ravel().tolist() == [function(a, b) for a, b in pairs]


@given(st.data(), SIZES, SIZES, RESULTS, ROUNDINGS, st.booleans(), st.booleans())
@settings(max_examples=100)
def test_linear(
    data: st.DataObject,
    features: int,
    outputs: int,
    element: Attribute,
    rounding: RoundingAttr,
    has_bias: bool,
    per_sample: bool,
):
    samples = data.draw(SAMPLES)
    lead = data.draw(st.sampled_from([(), (1,), (2, 3)]))
    own = samples if per_sample else 1
    inputs = [
        data.draw(
            operands((*lead, features), data.draw(st.sampled_from([1, samples])))
        ),
        data.draw(operands((outputs, features), own)),
    ]
    if has_bias:
        inputs.append(data.draw(operands((outputs,), own)))
    op = layers.LinearOp(
        *(value for value, _ in inputs), element=element, rounding=rounding
    )
    check(op, inputs, lambda x, w, b=None: reference.linear(x, w, b))


@given(st.data(), SIZES, SIZES, SIZES, RESULTS, ROUNDINGS)
@settings(max_examples=60)
def test_matmul(
    data: st.DataObject,
    m: int,
    k: int,
    n: int,
    element: Attribute,
    rounding: RoundingAttr,
):
    leads = data.draw(
        st.sampled_from([((), ()), ((2,), (2,)), ((2, 1), (3,)), ((), (1, 2))])
    )
    lhs = data.draw(operands((*leads[0], m, k), data.draw(SAMPLES)))
    rhs = data.draw(operands((*leads[1], k, n), data.draw(SAMPLES)))
    op = layers.MatmulOp(lhs[0], rhs[0], element=element, rounding=rounding)
    check(op, [lhs, rhs], reference.matmul)


@pytest.mark.parametrize("rank", [1, 2])
@given(st.data(), RESULTS, ROUNDINGS, st.booleans(), st.booleans())
@settings(max_examples=60)
def test_conv(
    rank: int,
    data: st.DataObject,
    element: Attribute,
    rounding: RoundingAttr,
    has_bias: bool,
    per_sample: bool,
):
    draw, many = data.draw, st.tuples
    groups = draw(st.sampled_from([1, 2]))
    channels, out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel = draw(many(*[st.integers(1, 3)] * rank))
    strides = draw(many(*[st.integers(1, 3)] * rank))
    padding = draw(many(*[st.integers(0, 2)] * rank))
    dilation = draw(many(*[st.integers(1, 2)] * rank))
    size = tuple(
        draw(st.integers(max(d * (k - 1) + 1 - 2 * p, 1), 5 if rank == 2 else 7))
        for k, p, d in zip(kernel, padding, dilation, strict=True)
    )
    samples = draw(SAMPLES)
    own = samples if per_sample else 1
    batch = draw(st.sampled_from([1, 2]))
    inputs = [
        draw(operands((batch, channels, *size), samples)),
        draw(operands((out, channels // groups, *kernel), own)),
    ]
    if has_bias:
        inputs.append(draw(operands((out,), own)))
    cls = layers.Conv2dOp if rank == 2 else layers.Conv1dOp
    op = cls(
        *(value for value, _ in inputs),
        strides=strides,
        padding=padding,
        dilation=dilation,
        groups=groups,
        element=element,
        rounding=rounding,
    )
    positions = op.results[0].type.get_shape()[2:]
    check(
        op,
        inputs,
        lambda x, w, b=None: reference.conv(
            x, w, b, positions, strides, padding, dilation, groups
        ),
    )


@given(st.data(), RESULTS, ROUNDINGS, st.booleans(), st.booleans())
@settings(max_examples=60)
def test_conv_transpose(
    data: st.DataObject,
    element: Attribute,
    rounding: RoundingAttr,
    has_bias: bool,
    per_sample: bool,
):
    draw, pair = data.draw, st.tuples
    groups = draw(st.sampled_from([1, 2]))
    channels, per_group = groups * draw(st.integers(1, 2)), draw(st.integers(1, 2))
    kernel = draw(pair(st.integers(1, 3), st.integers(1, 3)))
    strides = draw(pair(st.integers(1, 3), st.integers(1, 3)))
    padding = draw(pair(st.integers(0, 3), st.integers(0, 3)))
    extra = draw(pair(st.integers(0, 2), st.integers(0, 2)))
    dilation = draw(pair(st.integers(1, 2), st.integers(1, 2)))
    size = tuple(
        # The result must not be empty.
        max(-(-(2 * p - d * (k - 1) - o) // s) + 1, draw(st.integers(1, 3)), 1)
        for k, s, p, o, d in zip(kernel, strides, padding, extra, dilation, strict=True)
    )
    samples = draw(SAMPLES)
    own = samples if per_sample else 1
    inputs = [
        draw(operands((1, channels, *size), samples)),
        draw(operands((channels, per_group, *kernel), own)),
    ]
    if has_bias:
        inputs.append(draw(operands((per_group * groups,), own)))
    op = layers.ConvTranspose2dOp(
        *(value for value, _ in inputs),
        strides=strides,
        padding=padding,
        output_padding=extra,
        dilation=dilation,
        groups=groups,
        element=element,
        rounding=rounding,
    )
    positions = op.results[0].type.get_shape()[2:]
    check(
        op,
        inputs,
        lambda x, w, b=None: reference.conv_transpose(
            x, w, b, positions, strides, padding, dilation, groups
        ),
    )


POOLS = st.sampled_from(["max", "avg", "avg_inside"])


@pytest.mark.parametrize("rank", [1, 2])
@given(st.data(), POOLS, RESULTS, ROUNDINGS, st.booleans())
@settings(max_examples=60)
def test_pool(
    rank: int,
    data: st.DataObject,
    kind: str,
    element: Attribute,
    rounding: RoundingAttr,
    ceil_mode: bool,
):
    draw = data.draw
    kernel = draw(st.tuples(*[st.integers(1, 3)] * rank))
    strides = draw(st.tuples(*[st.integers(1, 3)] * rank))
    padding = tuple(draw(st.integers(0, k // 2)) for k in kernel)
    dilation = (
        draw(st.tuples(*[st.integers(1, 2)] * rank)) if kind == "max" else ((1,) * rank)
    )
    size = tuple(
        # Of a dilated window, too, some element is no padding.
        draw(st.integers(max(d * (k - 1) + 1 - 2 * p, d), 6))
        for k, p, d in zip(kernel, padding, dilation, strict=True)
    )
    x = draw(operands((2, *size)))
    cls = pooling.MaxPoolOp if kind == "max" else pooling.AvgPoolOp
    op = cls(
        x[0],
        kernel,
        strides=strides,
        padding=padding,
        dilation=dilation,
        ceil_mode=ceil_mode,
        element=element,
        rounding=rounding,
    )
    if isinstance(op, pooling.AvgPoolOp):
        op.count_include_pad = type(op.ceil_mode).from_bool(kind == "avg")

    def pool(x: Array) -> Array:
        def window(channel: int, *position: int) -> Any:
            inside = [
                x[(channel, *at)]
                for _, at in reference.taps(
                    position, kernel, strides, padding, dilation, size
                )
            ]
            if kind == "max":
                return max(inside)
            # Padding counts as inside a frame of `padding` around the input.
            frame = [
                1
                for _ in reference.taps(
                    position,
                    kernel,
                    strides,
                    (0,) * rank,
                    dilation,
                    tuple(n + 2 * p for n, p in zip(size, padding, strict=True)),
                )
            ]
            count = len(frame) if kind == "avg" else len(inside)
            return sum(inside, Fraction(0)) / count

        return reference.built(op.results[0].type.get_shape(), window)

    check(op, [x], pool)


@given(st.data(), st.booleans(), RESULTS, ROUNDINGS)
@settings(max_examples=60)
def test_adaptive_pool(
    data: st.DataObject, is_max: bool, element: Attribute, rounding: RoundingAttr
):
    size = data.draw(st.tuples(st.integers(1, 7), st.integers(1, 5)))
    output = data.draw(st.tuples(st.integers(1, 8), st.integers(1, 3)))
    x = data.draw(operands((2, *size)))
    cls = pooling.AdaptiveMaxPoolOp if is_max else pooling.AdaptiveAvgPoolOp
    op = cls(x[0], output, element=element, rounding=rounding)

    def pool(x: Array) -> Array:
        def window(channel: int, *position: int) -> Any:
            ranges = [
                range(i * n // m, -(-(i + 1) * n // m))
                for i, n, m in zip(position, size, output, strict=True)
            ]
            inside = [x[channel, i, j] for i in ranges[0] for j in ranges[1]]
            return max(inside) if is_max else reference.mean(inside)

        return reference.built((2, *output), window)

    check(op, [x], pool)


@given(
    st.data(),
    st.sampled_from(pooling.KINDS),
    st.sets(st.integers(0, 2)),
    st.booleans(),
    RESULTS,
    ROUNDINGS,
)
@settings(max_examples=60)
def test_reduce(
    data: st.DataObject,
    kind: str,
    axes: set[int],
    keepdims: bool,
    element: Attribute,
    rounding: RoundingAttr,
):
    x = data.draw(operands((2, 3, 1)))
    op = pooling.ReduceOp(
        x[0], kind, sorted(axes), keepdims=keepdims, element=element, rounding=rounding
    )
    combine: dict[str, Callable[[list[Any]], Any]] = {
        "sum": sum,
        "mean": reference.mean,
        "max": max,
        "min": min,
    }
    check(op, [x], lambda x: reference.reduced(x, sorted(axes), combine[kind]))


@given(st.data(), st.integers(0, 1), st.booleans())
@settings(max_examples=40)
def test_argmax_takes_the_first(data: st.DataObject, axis: int, keepdims: bool):
    value, codes = data.draw(operands((2, 5)))
    op = pooling.ArgmaxOp(value, axis, keepdims=keepdims, element=UFixedType(3, 0))
    op.verify()
    result = evaluate_op(op, [codes])
    for sample, one in enumerate(codes):
        columns = one if axis == 1 else one.T
        wanted = [c.tolist().index(max(c.tolist())) for c in columns]
        assert result[sample].ravel().tolist() == wanted


@given(st.data(), RESULTS, ROUNDINGS, st.booleans())
@settings(max_examples=40)
def test_embedding(
    data: st.DataObject, element: Attribute, rounding: RoundingAttr, per_sample: bool
):
    samples = data.draw(SAMPLES)
    weight = data.draw(operands((4, 3), samples if per_sample else 1))
    indices = np.array(
        data.draw(
            st.lists(st.integers(0, 3), min_size=2 * samples, max_size=2 * samples)
        )
    ).reshape(samples, 1, 2)
    op = layers.EmbeddingOp(
        weight[0], value_of(i64, (1, 2)), element=element, rounding=rounding
    )
    check(
        op,
        [weight, (value_of(i64, (1, 2)), indices)],
        lambda w, i: np.array([[w[int(k)] for k in row] for row in i], dtype=object),
    )


@given(st.data(), st.integers(1, 6), st.booleans(), st.integers(-3, 3), st.booleans())
@settings(max_examples=40)
def test_lookup_reads_the_bits_of_the_code(
    data: st.DataObject, width: int, signed: bool, frac: int, per_sample: bool
):
    element = (FixedType if signed else UFixedType)(width, frac)
    samples = data.draw(SAMPLES)
    value, codes = data.draw(operands((2, 3), samples, st.just(element)))
    table = data.draw(operands((2**width,), samples if per_sample else 1))
    op = layers.LookupOp(value, table[0])
    op.verify()
    result = evaluate_op(op, [codes, table[1]])
    for sample in range(samples):
        entries = table[1][sample if per_sample else 0]
        wanted = [entries[c % 2**width] for c in codes[sample].ravel().tolist()]
        assert result[sample].ravel().tolist() == wanted


MOVED = st.one_of(ELEMENTS, st.just(i1))


def check_moves(op: Operation, inputs: Sequence[Operand], move: Callable[..., Any]):
    """The kernel of `op` moves codes as `move` does, sample by sample."""
    op.verify()
    samples = max(len(codes) for _, codes in inputs)
    result = evaluate_op(op, [codes for _, codes in inputs])
    for sample in range(samples):
        parts = [codes[0 if len(codes) == 1 else sample] for _, codes in inputs]
        wanted = np.asarray(move(*parts))
        got = result[0 if len(result) == 1 else sample]
        assert got.shape == op.results[0].type.get_shape() == wanted.shape
        assert got.tolist() == wanted.tolist()


@given(st.data())
@settings(max_examples=40)
def test_moves(data: st.DataObject):
    x = data.draw(operands((2, 3, 1), elements=MOVED))
    check_moves(shape.ReshapeOp(x[0], (6,)), [x], lambda x: x.reshape(6))
    check_moves(
        shape.TransposeOp(x[0], (2, 0, 1)), [x], lambda x: np.transpose(x, (2, 0, 1))
    )
    check_moves(
        shape.BroadcastOp(x[0], (5, 2, 3, 4)),
        [x],
        lambda x: np.stack([np.concatenate([x] * 4, axis=2)] * 5),
    )
    check_moves(
        shape.SliceOp(x[0], starts=(0, 0, 1), stops=(2, 3, 1), strides=(1, 2, 1)),
        [x],
        lambda x: x[:, ::2, 1:],
    )
    zero = shape.PadOp(x[0], low=(1, 0, 0), high=(0, 2, 0))

    def padded(x: Array) -> Array:
        result = np.zeros((3, 5, 1), dtype=x.dtype)
        result[1:, :3] = x
        return result

    check_moves(zero, [x], padded)


@given(st.data(), st.integers(0, 1))
@settings(max_examples=40)
def test_concat(data: st.DataObject, axis: int):
    element = data.draw(MOVED)
    parts = [
        data.draw(
            operands((2, 2), data.draw(st.sampled_from([1, 3])), st.just(element))
        )
        for _ in range(3)
    ]
    op = shape.ConcatOp([value for value, _ in parts], axis)
    check_moves(op, parts, lambda *x: np.concatenate(x, axis=axis))


@given(st.data(), st.integers(0, 1), st.booleans(), st.booleans())
@settings(max_examples=40)
def test_gather(data: st.DataObject, axis: int, own_input: bool, own_indices: bool):
    x = data.draw(operands((3, 3), 2 if own_input else 1, MOVED))
    count = 2 if own_indices else 1
    indices = data.draw(
        st.lists(st.integers(-3, 2), min_size=2 * count, max_size=2 * count)
    )
    position = value_of(i64, (2,)), np.array(indices).reshape(count, 2)
    op = shape.GatherOp(x[0], position[0], axis)
    check_moves(op, [x, position], lambda x, i: np.take(x, i, axis=axis))


@pytest.mark.parametrize("element", [FixedType(8, 4), UFixedType(8, 0), i8])
def test_pad_inserts_the_code_of_its_value(element: Attribute):
    x = value_of(element, (2,))
    op = shape.PadOp(x, low=(1,), high=(0,), value=3.0)
    op.verify()
    code = 48 if element == FixedType(8, 4) else 3
    assert evaluate_op(op, [np.array([[1, 2]])]).tolist() == [[code, 1, 2]]


# ---- conversions between exact numbers and floats ----------------------------------


FLOATS: list[tuple[Attribute, int, int]] = [
    (f64, 53, -1074),
    (f32, 24, -149),
    (BFloat16Type(), 8, -133),
]


@pytest.mark.parametrize(("element", "precision", "lowest"), FLOATS)
@given(st.data())
@settings(max_examples=80)
def test_exact_to_float_rounds_once(
    element: Attribute, precision: int, lowest: int, data: st.DataObject
):
    """64-bit codes and exact quotients, near ties of the float, and subnormal ones."""
    frac = data.draw(st.sampled_from([0, 5, 100, 140, 200]))
    fixed = FixedType(64, frac)
    near_tie = st.builds(
        lambda top, length, delta: (2 * top + 1 << length) + delta,
        st.integers(2 ** (precision - 1), 2**precision - 1),
        st.integers(0, max(62 - precision - 1, 0)),
        st.integers(-1, 1),
    ).filter(lambda c: c < 2**63)
    code = data.draw(st.one_of(st.integers(-(2**63), 2**63 - 1), near_tie))
    x = value_of(fixed, (1,))
    codes = codes_array([code], (1, 1))
    result = evaluate_op(elementwise.CastOp(x, element=element), [codes])
    exact = Fraction(code) / 2**frac
    assert Fraction(float(result[0, 0])) == reference.nearest_float(
        exact, precision, lowest
    )

    divisor = data.draw(
        st.one_of(st.sampled_from([3, -7, 10, 1 << 20]), st.integers(1, 2**62))
    )
    y = value_of(fixed, (1,))
    op = elementwise.DivOp(x, y, element=element)
    result = evaluate_op(op, [codes, codes_array([divisor], (1, 1))])
    exact = Fraction(code, divisor)
    assert Fraction(float(result[0, 0])) == reference.nearest_float(
        exact, precision, lowest
    )


def test_exact_to_half():
    op = elementwise.CastOp(value_of(i64, (5,)), element=Float16Type())
    # 2049 is a tie between 2048 and 2050; 65520 is the first that becomes infinite.
    result = evaluate_op(op, [np.array([[2049, 2051, 65519, 65520, -3]])])
    assert result.tolist() == [[2048.0, 2052.0, 65504.0, np.inf, -3.0]]
    assert result.dtype == np.float32


@given(
    st.lists(st.floats(allow_nan=False, width=32), min_size=1, max_size=4),
    ELEMENTS,
    ROUNDINGS,
)
def test_float_to_exact(
    values: list[float], element: Attribute, rounding: RoundingAttr
):
    x = value_of(f32, (len(values),))
    op = elementwise.CastOp(x, element=element, rounding=rounding)
    array = np.array([values], dtype=np.float32)
    if not np.isfinite(array).all() and rounding.overflow is not Overflow.SATURATE:
        with pytest.raises(InterpretationError, match="infinity has no code"):
            evaluate_op(op, [array])
        return
    format = format_of(element)
    big = Fraction(2) ** 400
    wanted = [
        reference.encoded(
            Fraction(v) if np.isfinite(v) else big * (1 if v > 0 else -1),
            format,
            rounding.mode,
            rounding.overflow,
        )
        for v in values
    ]
    if None in wanted:
        with pytest.raises(InterpretationError, match="overflows"):
            evaluate_op(op, [array])
    else:
        assert evaluate_op(op, [array]).ravel().tolist() == wanted


def test_to_bool_is_not_zero():
    for element, codes in (
        (FixedType(8, 7), np.array([[0, 1, -1, 127]])),
        (f32, np.array([[0.0, 1e-30, -0.5, np.nan]], dtype=np.float32)),
    ):
        op = elementwise.CastOp(value_of(element, (4,)), element=i1)
        assert evaluate_op(op, [codes]).tolist() == [[False, True, True, True]]


def test_nan_has_no_integer():
    op = elementwise.CastOp(value_of(f32, (1,)), element=i64, layer="a.b")
    with pytest.raises(
        InterpretationError, match=r'^mase.cast "a.b": NaN has no code in'
    ):
        evaluate_op(op, [np.array([[np.nan]], dtype=np.float32)])


@pytest.mark.parametrize("dtype", [np.int8, np.int16, np.int32, np.int64, object])
def test_operands_of_every_integer_dtype(dtype: Any):
    """Constants keep their narrow dtype: nothing may overflow in it."""
    x, y = value_of(FixedType(8, 0), (2,)), value_of(FixedType(8, 0), (2,))
    codes = np.array([[-128, 127]], dtype=dtype)
    wide = {"element": FixedType(20, 0)}
    for op, wanted in (
        (elementwise.NegOp(x, **wide), [128, -127]),
        (elementwise.AbsOp(x, **wide), [128, 127]),
        (elementwise.AddOp(x, y, **wide), [-256, 254]),
        (elementwise.SubOp(x, x, **wide), [0, 0]),
        (elementwise.MulOp(x, y, **wide), [16384, 16129]),
        (elementwise.CastOp(x, element=FixedType(20, 4)), [-2048, 2032]),
        (pooling.ReduceOp(x, "sum", (0,), **wide), [-1]),
        (layers.LinearOp(x, value_of(FixedType(8, 0), (1, 2)), **wide), [32513]),
    ):
        arrays = [codes] * len(op.operands)
        if isinstance(op, layers.LinearOp):
            arrays = [codes, codes[None]]
        assert evaluate_op(op, arrays).ravel().tolist() == wanted


def test_unsigned_64_bit_operands():
    x = value_of(UFixedType(64, 0), (2,))
    codes = np.array([[2**64 - 1, 1]], dtype=np.uint64)
    wide = UFixedType(64, -1)
    op = elementwise.AddOp(x, x, element=wide)
    assert evaluate_op(op, [codes, codes]).tolist() == [[2**64 - 1, 1]]
    other = np.array([[2**63, 5]], dtype=object)
    op = shape.ConcatOp([x, x], 0)
    constant = shape.ConstantOp.of(codes[0], UFixedType(64, 0))
    assert evaluate_op(op, [evaluate_op(constant, []), other]).tolist() == [
        [2**64 - 1, 1, 2**63, 5]
    ]


# ---- borders at which the way of computing changes ---------------------------------


@pytest.mark.parametrize("bits", [23, 24, 25, 52, 53, 54, 61, 62, 63, 64, 65])
@pytest.mark.parametrize("sign", [1, -1])
@pytest.mark.parametrize("last", [1, -1])
def test_products_at_the_limits_of_float_and_int64(bits: int, sign: int, last: int):
    """±2**bits ± 1: the first integers that a narrower type would not hold."""
    high, low = sign * 2 ** (bits // 2), 2 ** (bits - bits // 2)
    exact = high * low + last
    row, column = np.array([[high, 1]]), np.array([[low], [last]])
    assert exact_arithmetic.matmul(row, column).tolist() == [[exact]]
    assert exact_arithmetic.matmul(column.T, row.T).tolist() == [[exact]]
    image, weight = row.reshape(1, 2, 1), column.reshape(1, 2, 1)
    for a, b in ((image, weight), (weight, image)):
        result = exact_arithmetic.conv(
            a, b, strides=(1,), padding=(0,), dilation=(1,), groups=1
        )
        assert result.tolist() == [[[exact]]]


def test_elementwise_results_beyond_int64():
    x, wide = value_of(FixedType(64, 0), (2,)), FixedType(64, -2)
    edge = np.array([[2**62, -(2**63)]])
    four = np.array([[4, 4]])
    for op, arrays, wanted in (
        (elementwise.AddOp(x, x, element=wide), [edge, edge], [2**61, -(2**62)]),
        (
            elementwise.SubOp(x, x, element=wide),
            [-four, edge],
            [-(2**60) - 1, 2**61 - 1],
        ),
        (elementwise.MulOp(x, x, element=wide), [edge, four], [2**62, -(2**63)]),
        (elementwise.NegOp(x, element=wide), [edge], [-(2**60), 2**61]),
        (elementwise.AbsOp(x, element=wide), [edge], [2**60, 2**61]),
        (pooling.ReduceOp(x, "sum", (0,), element=wide), [edge], [-(2**60)]),
    ):
        assert evaluate_op(op, arrays).ravel().tolist() == wanted


def test_relu6_between_codes():
    x = value_of(FixedType(8, -2), (4,))
    op = elementwise.Relu6Op(x, element=FixedType(8, 0))
    assert evaluate_op(op, [np.array([[-1, 1, 2, 31]])]).tolist() == [[0, 4, 6, 6]]
    x = value_of(FixedType(8, 70), (2,))
    op = elementwise.Relu6Op(x, element=FixedType(8, 70))
    assert evaluate_op(op, [np.array([[-1, 127]])]).tolist() == [[0, 127]]


def test_padding_never_wins():
    x = value_of(FixedType(8, 0), (3,))
    op = pooling.MaxPoolOp(x, (2,), strides=(1,), padding=(1,))
    codes = np.array([[-5, -7, -128]])
    assert evaluate_op(op, [codes]).tolist() == [[-5, -5, -7, -128]]


@pytest.mark.parametrize("sign", [1, -1])
def test_floats_next_to_a_tie(sign: int):
    """Just off a tie of float32, and float64 cannot tell."""
    top = 2**24 + 1  # a tie when it stands for 25 bits
    x = value_of(FixedType(64, 0), (3,))
    codes = [sign * ((top << 38) + d) for d in (-1, 0, 1)]
    result = evaluate_op(elementwise.CastOp(x, element=f32), [np.array([codes])])
    assert result.tolist() == [
        [sign * 2.0**62, sign * 2.0**62, sign * (2.0**62 + 2**39)]
    ]

    y = value_of(FixedType(64, 0), (1,))
    divisor = -pow(top, -1, 2**24) % 2**24 + 2**40
    numerator = (top * divisor + 1) // 2**24
    assert numerator * 2**24 == top * divisor + 1
    assert numerator / divisor == top / 2**24
    op = elementwise.DivOp(y, y, element=f32)
    arrays = [np.array([[sign * numerator]]), np.array([[divisor]])]
    assert evaluate_op(op, arrays).tolist() == [[sign * (1 + 2.0**-23)]]


def test_unsigned_constants_beside_computed_values():
    element = UFixedType(64, 0)
    constant = shape.ConstantOp.of(np.array([2**53 + 1], dtype=np.uint64), element)
    x = value_of(element, (1,))
    op = shape.ConcatOp([constant.result, x], 0)
    arrays = [evaluate_op(constant, []), np.array([[1]])]
    assert evaluate_op(op, arrays).tolist() == [[2**53 + 1, 1]]


# ---- wide numbers -------------------------------------------------------------------

WIDE = st.integers(-(2**200), 2**200) | st.integers(-3, 3)


@given(st.lists(WIDE, min_size=30, max_size=30))
@settings(max_examples=30)
def test_products_digit_by_digit(numbers: list[int]):
    array = np.array(numbers, dtype=object)
    lhs, rhs = array[:12].reshape(3, 4), array[12:20].reshape(4, 2)
    wanted = [
        [sum(lhs[i, k] * rhs[k, j] for k in range(4)) for j in range(2)]
        for i in range(3)
    ]
    assert exact_arithmetic.matmul(lhs, rhs).tolist() == wanted
    image, weight = array[:18].reshape(1, 2, 9), array[18:].reshape(2, 2, 3)
    options = {"strides": (2,), "padding": (1,), "dilation": (2,), "groups": 1}
    result = exact_arithmetic.conv(image, weight, **options)
    wanted = reference.conv(image, weight, None, (4,), (2,), (1,), (2,), 1)
    assert result.tolist() == wanted.tolist()


@given(st.lists(st.integers(-(2**70), 2**70), min_size=1), st.sampled_from([0, 1900]))
@settings(max_examples=100)
def test_round_to_odd(numbers: list[int], wider: int):
    """Exact, or the float next to it whose last bit is set; of integers of any size."""
    numbers = [n << (wider if n % 3 else 0) for n in numbers]
    shrink = 1000 if wider else 0
    values = odd_float(np.array(numbers, dtype=object), shrink).tolist()
    for value, n in zip(values, numbers, strict=True):
        check_odd(value, Fraction(n) / 2**shrink)


@given(
    st.lists(
        st.tuples(st.integers(-(2**54), 2**54), st.integers(1, 2**25)), min_size=1
    ),
    st.booleans(),
)
@settings(max_examples=100)
def test_ratio_to_odd(pairs: list[tuple[int, int]], negative: bool):
    tops = np.array([n for n, _ in pairs])
    bottoms = np.array([-d if negative else d for _, d in pairs])
    values = odd_ratio(tops, bottoms, 3).tolist()
    for value, n, d in zip(values, tops.tolist(), bottoms.tolist(), strict=True):
        check_odd(value, Fraction(n, d) / 8)


def check_odd(value: float, exact: Fraction) -> None:
    if Fraction(value) == exact:
        return
    assert math.frexp(value)[0] * 2**53 % 2 == 1
    below, above = math.nextafter(value, -math.inf), math.nextafter(value, math.inf)
    assert Fraction(below) < exact < Fraction(above)


@pytest.mark.parametrize("bits", [20, 30, 60, 140, 2000])
def test_large_factors_of_zero(bits: int):
    large = np.array([[1 << bits, 1]], dtype=object)
    zeros = np.zeros((2, 1), np.int64)
    assert exact_arithmetic.matmul(large, zeros).tolist() == [[0]]
    assert exact_arithmetic.matmul(zeros.T, large.T).tolist() == [[0]]
