"""Every op in torch gives what the interpreter gives, for every number format."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import prod
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from reference import value_of
from test_interpreter_formats import (
    BINARY,
    CONTRACTIONS,
    MODES,
    MOVES,
    PAIRS,
    RANKS,
    REDUCTIONS,
    UNARY,
    Case,
    formats,
    held,
    portable,
    retyped,
)
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp, f32, f64, i1, i64
from xdsl.ir import Attribute, Operation

from mase_opt.dialects.mase import elementwise, layers, normalization, pooling, shape
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.base import ArithmeticOp
from mase_opt.dialects.mase.formats import element_type
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import (
    ElementType,
    FixedType,
    UFixedType,
    element_of,
    shape_of,
)
from mase_opt.frontend.to_torch import arithmetic, to_torch
from mase_opt.frontend.to_torch.known import multiples_of
from mase_opt.lib.formats import Fixed, Overflow, RoundingMode
from mase_opt.lib.interpreters.kernels.elementwise import FUNCTIONS
from mase_opt.lib.interpreters.mase import evaluate

Array = NDArray[Any]


def module_of(
    op: Operation, arrays: Sequence[Array], constants: Sequence[int] = ()
) -> tuple[ModuleOp, list[Array]]:
    """
    A function of `op`; operands listed in `constants` become constants if they can.

    With it, the arrays of the other operands.
    """
    fixed = [i for i in constants if len(arrays[i]) == 1]
    free = [i for i in range(len(op.operands)) if i not in fixed]
    function = func.FuncOp("main", ([op.operands[i].type for i in free], ()))
    block = function.body.block
    for index, operand in enumerate(op.operands):
        if index in free:
            op.operands[index] = block.args[free.index(index)]
        else:
            constant = ConstantOp.of(arrays[index][0], element_of(operand), "weight")
            block.add_op(constant)
            op.operands[index] = constant.result
    block.add_op(op)
    block.add_op(func.ReturnOp(op.results[0]))
    function.update_function_type()
    module = ModuleOp([function])
    module.verify()
    return module, [arrays[i] for i in free]


def numbers(array: Array, element: Attribute) -> Array:
    return element.numbers(array) if isinstance(element, ElementType) else array


def in_torch(module: ModuleOp, arrays: Sequence[Array]) -> Array:
    """The numbers that `to_torch` gives, with an axis for samples."""
    function: Any = module.body.block.first_op
    net = to_torch(module)
    inputs = []
    for array, argument in zip(arrays, function.body.block.args, strict=True):
        sizes = shape_of(argument)
        x = np.array(numbers(array, element_of(argument)))
        inputs.append(torch.from_numpy(x.reshape(-1, *sizes[1:]) if sizes else x))
    result = function.body.block.last_op.operands[0]
    return net(*inputs).detach().numpy().reshape(-1, *shape_of(result))


def check(op: Operation, arrays: Sequence[Array], constants: Sequence[int] = ()):
    module, rest = module_of(op, arrays, constants)
    (wanted,) = evaluate(module, rest)
    wanted = numbers(wanted, element_of(op.results[0]))
    got = in_torch(module, rest)
    assert np.array_equal(got, wanted), (str(module), rest, wanted, got)


SAMPLES = st.sampled_from([1, 3])


def drawn(
    data: st.DataObject, case: Case
) -> tuple[ArithmeticOp, list[ElementType], list[Array]]:
    """An op of the case for formats, a rounding and numbers."""
    draw = data.draw
    samples = draw(SAMPLES)
    elements = [element_type(draw(formats(s))) for s in case.shapes]
    op = case.make(*map(value_of, elements, case.shapes))
    target = element_type(draw(formats(shape_of(op.results[0]))))
    retyped(op, draw(st.sampled_from([target, target, f32])))
    assert isinstance(op, ArithmeticOp)
    op.rounding = RoundingAttr((draw(MODES), Overflow.SATURATE))
    op.verify()
    arrays = [
        draw(held(e, s, draw(st.sampled_from([1, samples]))))
        for e, s in zip(elements, case.shapes, strict=True)
    ]
    return op, elements, arrays


@pytest.mark.parametrize("name", UNARY)
@given(st.data(), st.sampled_from(RANKS))
@settings(max_examples=25)
def test_unary(name: str, data: st.DataObject, shape: Any):
    op, _, arrays = drawn(data, Case([shape], UNARY[name][0], np.positive))
    check(op, arrays)


@pytest.mark.parametrize("cls", BINARY)
@given(st.data(), st.sampled_from(PAIRS))
@settings(max_examples=30)
def test_binary(cls: Any, data: st.DataObject, shapes: Any):
    op, elements, arrays = drawn(data, Case(shapes, cls, np.positive))
    if cls is elementwise.DivOp and (elements[1].numbers(arrays[1]) == 0).any():
        # An error in the interpreter.
        module, rest = module_of(op, arrays)
        zeros = elements[1].numbers(arrays[1])
        zeros = zeros.reshape(
            len(zeros), *(1,) * (len(shape_of(op.result)) - zeros.ndim + 1), *shapes[1]
        )
        got = in_torch(module, rest)
        assert np.array_equal(np.isnan(got), np.broadcast_to(zeros == 0, got.shape))
        return
    check(op, arrays)


MEANS = ("avg_pool", "mean", "adaptive_avg")
SUMS = {**CONTRACTIONS, **{name: REDUCTIONS[name] for name in ("sum", *MEANS)}}


def bits_of_sums(name: str, elements: Sequence[ElementType]) -> int | None:
    """Of the widest sum in a case; None where numbers are not on a grid."""
    grids = [multiples_of(element) for element in elements]
    total = grids[0]
    if total is None or None in grids:
        return None
    if name in CONTRACTIONS:
        assert grids[1] is not None
        total *= grids[1]
    total = total.sum_of(16)
    if len(grids) == 3:
        assert grids[2] is not None
        total += grids[2]
    return total.magnitude.bit_length()


@pytest.mark.parametrize("name", SUMS)
@given(st.data(), st.booleans())
@settings(max_examples=40)
def test_sums(name: str, data: st.DataObject, constant: bool):
    op, elements, arrays = drawn(data, SUMS[name])
    constants = range(1, len(arrays)) if constant else ()
    bits = bits_of_sums(name, elements)
    if bits is not None and bits <= (53 if name in MEANS else 62):
        check(op, arrays, constants)
        return
    # In float64: near the exact result.
    retyped(op, f64)
    module, rest = module_of(op, arrays, constants)
    (wanted,) = evaluate(module, rest)
    largest = [
        np.abs(e.numbers(a)).max() for e, a in zip(elements, arrays, strict=True)
    ]
    size = 16 * prod(largest[:2]) + largest[-1]
    np.testing.assert_allclose(
        in_torch(module, rest), wanted, rtol=0, atol=1e-15 * size
    )


@pytest.mark.parametrize("name", [n for n in REDUCTIONS if n not in SUMS])
@given(st.data())
@settings(max_examples=25)
def test_extremes(name: str, data: st.DataObject):
    op, _, arrays = drawn(data, REDUCTIONS[name])
    check(op, arrays)


@pytest.mark.parametrize("name", MOVES)
@given(st.data())
@settings(max_examples=25)
def test_move(name: str, data: st.DataObject):
    case, samples = MOVES[name], data.draw(SAMPLES)
    element = element_type(data.draw(portable()))
    if name == "pad" and 1.0 not in element.held(np.ones((1, 1, 1))):
        return
    arrays = [data.draw(held(element, s, samples)) for s in case.shapes]
    check(case.make(*(value_of(element, s) for s in case.shapes)), arrays)


@given(st.data())
@settings(max_examples=40)
def test_select_and_compare(data: st.DataObject):
    shapes = [(2, 3), (3,)]
    samples = data.draw(SAMPLES)
    elements = [element_type(data.draw(formats(s))) for s in shapes]
    arrays = [
        data.draw(held(e, s, samples)) for e, s in zip(elements, shapes, strict=True)
    ]
    lhs, rhs = map(value_of, elements, shapes)
    predicate = data.draw(st.sampled_from(elementwise.PREDICATES))
    check(elementwise.CompareOp(lhs, rhs, predicate), arrays)
    chosen = np.array([[[True, False, True], [False, True, False]]])
    target = element_type(data.draw(formats((2, 3))))
    rounding = RoundingAttr((data.draw(MODES), Overflow.SATURATE))
    lhs, rhs = map(value_of, elements, shapes)
    condition = value_of(i1, (2, 3))
    op = elementwise.SelectOp(condition, lhs, rhs, element=target, rounding=rounding)
    check(op, [chosen, *arrays])


@given(st.data())
@settings(max_examples=40)
def test_tables(data: st.DataObject):
    """Embedding, gather and lookup; what is shared by all samples, and what is not."""
    source = element_type(data.draw(portable()))
    target = element_type(data.draw(formats((1, 2, 3))))
    rounding = RoundingAttr((data.draw(MODES), Overflow.SATURATE))
    n, m = data.draw(SAMPLES), data.draw(SAMPLES)
    n, m = (n, m) if 1 in (n, m) else (3, 3)
    table = data.draw(held(source, (4, 3), n))
    indices = np.resize(np.array([3, 1, 0, 2, 2]), (m, 1, 2))
    op = layers.EmbeddingOp(
        value_of(source, (4, 3)),
        value_of(i64, (1, 2)),
        element=target,
        rounding=rounding,
    )
    check(op, [table, indices], data.draw(st.sampled_from([(), (0,)])))
    for axis in (0, 1):
        x = value_of(source, (4, 3))
        gather = shape.GatherOp(x, value_of(i64, (1, 2)), axis)
        check(gather, [table, np.where(indices > 1, indices - 4 + axis, indices)])
    if source.format.positional:
        return
    x = value_of(FixedType(2, 1), (2, 3))
    codes = np.resize(np.array([-2, 1, 0, -1, 1]), (m, 2, 3))
    table = data.draw(held(source, (4,), n))
    check(layers.LookupOp(x, value_of(source, (4,))), [codes, table])


WRAP = RoundingAttr((RoundingMode.FLOOR, Overflow.WRAP))


@given(
    st.data(),
    st.sampled_from([Fixed(8, 2), Fixed(3, -1, signed=False), Fixed(51, 40)]),
    st.sampled_from([Fixed(8, 4), Fixed(30, 28), Fixed(20, 0, signed=False)]),
)
@settings(max_examples=40)
def test_wrapping(data: st.DataObject, target: Fixed, source: Fixed):
    """Of sums beyond float64, too."""
    element, result = element_type(source), element_type(target)
    limits = source.min_code, source.max_code
    codes = st.lists(st.integers(*limits), min_size=3, max_size=9)
    x, w = (np.resize(np.array(data.draw(codes)), (1, n, 5)) for n in (2, 3))
    op = layers.LinearOp(
        value_of(element, (2, 5)),
        value_of(element, (3, 5)),
        element=result,
        rounding=WRAP,
    )
    check(op, [x, w], data.draw(st.sampled_from([(), (1,)])))


LARGE = st.integers(-(1 << 30), (1 << 30) - 1).map(lambda n: n | 1)


@given(st.data(), MODES)
@settings(max_examples=40)
def test_sums_of_62_bits(data: st.DataObject, mode: RoundingMode):
    """All of which count before the rounding into 51 bits."""
    source, target = FixedType(31, 0), element_type(Fixed(51, -11))
    x, w = (
        np.array(data.draw(st.lists(LARGE, min_size=3, max_size=3))).reshape(1, 1, 3)
        for _ in range(2)
    )
    bias = np.array([[data.draw(LARGE)]])
    op = layers.LinearOp(
        value_of(source, (1, 3)),
        value_of(source, (1, 3)),
        value_of(source, (1,)),
        element=target,
        rounding=RoundingAttr((mode, Overflow.SATURATE)),
    )
    check(op, [x, w, bias], data.draw(st.sampled_from([(), (1,), (1, 2)])))


WIDE = st.floats(-(2.0**60), 2.0**60).filter(lambda x: x == 0 or abs(x) > 2.0**-60)
EXACTLY: dict[str, tuple[Any, Any]] = {
    "add": (arithmetic.add, Fraction.__add__),
    "multiply": (arithmetic.multiply, Fraction.__mul__),
    "divide": (arithmetic.divide, Fraction.__truediv__),
}


@pytest.mark.parametrize("name", EXACTLY)
@given(WIDE, WIDE)
@settings(max_examples=200)
def test_what_float64_lacks_stays_in_its_last_bit(name: str, a: float, b: float):
    of, exactly = EXACTLY[name]
    result = of(*(torch.tensor([x], dtype=torch.float64) for x in (a, b)))
    if name == "divide" and b == 0:
        assert result.isnan()
        return
    assert_odd(result, exactly(Fraction(a), Fraction(b)))


@given(st.integers(-(1 << 62), 1 << 62), st.integers(-9, 9))
@settings(max_examples=200)
def test_so_does_what_codes_have_more(code: int, frac: int):
    result = arithmetic.from_codes(torch.tensor([code]), frac)
    assert_odd(result, code / Fraction(2) ** frac)


def assert_odd(result: torch.Tensor, exact: Fraction) -> None:
    """`exact`, or else the neighbour that is odd."""
    got = result.item()
    if exact == Fraction(float(exact)):
        assert got == exact
        return
    assert result.view(torch.int64).item() & 1
    assert np.nextafter(got, -np.inf) < exact < np.nextafter(got, np.inf)


def test_errors_of_overflow():
    element = FixedType(4, 0)
    op = elementwise.AddOp(
        value_of(element, (2,)),
        value_of(element, (2,)),
        rounding=RoundingAttr((RoundingMode.FLOOR, Overflow.ERROR)),
    )
    codes = np.array([[3, 4]])
    module, _ = module_of(op, [codes, codes])
    net = to_torch(module)
    assert net(torch.tensor([3.0, 4]), torch.tensor([-1.0, 3])).tolist() == [2, 7]
    with pytest.raises(Exception, match="overflows fixed<4, 0>"):
        net(torch.tensor([3.0, 4]), torch.tensor([-1.0, 4]))


INTEGERS = st.lists(st.integers(-(1 << 40), 1 << 40), min_size=4, max_size=4)


@given(INTEGERS, INTEGERS)
@settings(max_examples=30)
def test_integers(a: list[int], b: list[int]):
    arrays = [np.array([a]), np.array([b])]
    for cls in (elementwise.AndOp, elementwise.OrOp, elementwise.XorOp):
        check(cls(value_of(i64, (4,)), value_of(i64, (4,))), arrays)
    for cls in (elementwise.AddOp, elementwise.SubOp, elementwise.MaximumOp):
        check(cls(value_of(i64, (4,)), value_of(i64, (4,))), arrays)
    for element in (i1, f32, FixedType(8, 2)):
        check(elementwise.CastOp(value_of(i64, (4,)), element=element), arrays[:1])
    x = value_of(i64, (4,))
    check(pooling.ArgmaxOp(x, 0, element=UFixedType(4, 0)), arrays[:1])
    check(pooling.ReduceOp(value_of(i64, (4,)), "sum", (0,)), arrays[:1])


def test_pools_of_every_shape():
    rng = np.random.default_rng(0)
    element = FixedType(8, 3)
    for sizes, kernel, options in (
        ((5,), (2,), {"ceil_mode": True}),
        ((1, 3, 7, 6), (3, 2), {"padding": (1, 1), "strides": (2, 3)}),
        ((2, 8, 9), (3, 3), {"dilation": (2, 1), "ceil_mode": True, "strides": (2, 2)}),
        ((2, 3, 4, 5), (2, 2, 2), {}),
        ((2, 3, 4, 5), (2, 2, 2, 2), {"padding": (1, 1, 0, 1), "strides": (1,) * 4}),
    ):
        x = rng.integers(-128, 128, (3, *sizes))
        for cls in (pooling.MaxPoolOp, pooling.AvgPoolOp):
            check(cls(value_of(element, sizes), kernel, **options), [x])
    op = pooling.AvgPoolOp(value_of(element, (2, 7)), (3,), padding=(1,))
    op.count_include_pad = type(op.count_include_pad).from_bool(False)
    check(op, [rng.integers(-128, 128, (3, 2, 7))])


def close(op: Operation, *arrays: Array) -> None:
    """In float64, which torch may sum in another order."""
    module, rest = module_of(op, arrays)
    (wanted,) = evaluate(module, rest)
    got = in_torch(module, rest)
    np.testing.assert_allclose(got, wanted, rtol=1e-13, atol=1e-13)


def test_norms_and_attention():
    rng = np.random.default_rng(0)
    element = FixedType(8, 4)

    def codes(*sizes: int) -> Array:
        return rng.integers(-100, 100, (3, *sizes))

    def values(*shapes: Sequence[int]) -> list[Any]:
        return [value_of(element, s) for s in shapes]

    x, channels = (1, 4, 3, 2), (4,)
    params = [codes(4)[:1], np.abs(codes(4)[:1]), codes(4)[:1], codes(4)[:1]]
    op = normalization.BatchNormOp(*values(x, *[channels] * 4), eps=1e-5, element=f64)
    close(op, codes(*x), *params)
    op = normalization.LayerNormOp(
        *values(x, x[2:], x[2:]), rank=2, eps=1e-5, element=f64
    )
    close(op, codes(*x), codes(3, 2)[:1], codes(3, 2)[:1])
    op = normalization.GroupNormOp(
        *values(x, channels), groups=2, eps=1e-5, element=f64
    )
    close(op, codes(*x), codes(4)[:1])
    close(normalization.SoftmaxOp(*values(x), 1, element=f64), codes(*x))
    q, k, v = (2, 3, 4), (1, 5, 4), (2, 5, 6)
    arrays = [codes(*s) for s in (q, k, v)]
    for causal in (False, True):
        op = normalization.AttentionOp(
            *values(q, k, v), scale=0.3, causal=causal, element=f64
        )
        close(op, *arrays)
    mask = np.array([[[True, False, False, True, True], [False] * 5, [True] * 5]])
    op = normalization.AttentionOp(
        *values(q, k, v), value_of(i1, (3, 5)), scale=0.3, element=f64
    )
    close(op, *arrays, mask)
    op = normalization.AttentionOp(*values(q, k, v, (5,)), scale=0.3, element=f64)
    close(op, *arrays, codes(5))


@pytest.mark.parametrize("cls", FUNCTIONS)
def test_functions(cls: Any):
    """Every code of 8 bits, also rounded to 8 bits."""
    source = FixedType(8, 5)
    x = np.arange(-128, 128)[None]
    close(cls(value_of(source, (256,)), element=f64), np.where(x > 0, x, 3))
    check(cls(value_of(source, (256,)), element=source), [np.where(x > 0, x, 3)])
