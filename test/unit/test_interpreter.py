"""Running whole functions: samples, lifetimes, observers and error messages."""

from __future__ import annotations

import gc
import weakref
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from reference import value_of
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp, f16, f32, i1, i32, i64
from xdsl.dialects.func import Func
from xdsl.dialects.test import Test
from xdsl.ir import Attribute, SSAValue
from xdsl.parser import Parser
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase import Mase, elementwise, layers, shape
from mase_opt.dialects.mase.types import FixedType, UFixedType
from mase_opt.lib.interpreters.kernels import KERNELS
from mase_opt.lib.interpreters.mase import evaluate, evaluate_op

Array = NDArray[Any]


def parse(text: str) -> ModuleOp:
    context = Context()
    for dialect in (Builtin, Func, Mase, Test):
        context.load_dialect(dialect)
    module = Parser(context, text).parse_module()
    module.verify()
    return module


MLP = """
func.func @mlp(%x: tensor<1x3x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<8, 2>> {
  %w = mase.constant <i8, [1, 2, -3, 127, 127, 127]> : tensor<2x3x!mase.fixed<8, 6>>
  %b = mase.constant <i16, [1024, -8]> : tensor<2x!mase.fixed<16, 10>>
  %y = mase.linear %x, %w, %b {layer = "fc"} : (tensor<1x3x!mase.fixed<8, 4>>,
    tensor<2x3x!mase.fixed<8, 6>>, tensor<2x!mase.fixed<16, 10>>)
    -> tensor<1x2x!mase.fixed<8, 2>>
  %z = mase.relu %y : (tensor<1x2x!mase.fixed<8, 2>>) -> tensor<1x2x!mase.fixed<8, 2>>
  func.return %z : tensor<1x2x!mase.fixed<8, 2>>
}
"""


def test_a_quantized_layer_by_hand():
    x = np.array([[[16, 0, 0]], [[127, 127, 127]], [[-128, 0, 1]]])
    # Sums of code products have 4 + 6 fraction bits, as the bias; results have 2.
    sums = [[16, 2032], [0, 48387], [-131, -16129]]
    wanted = [
        [[max(-128, min(127, round((s + b) / 256))) for s, b in zip(row, (1024, -8))]]
        for row in sums
    ]
    (result,) = evaluate(parse(MLP), [x])
    assert result.tolist() == np.maximum(wanted, 0).tolist()
    assert result.dtype == np.int64


def test_every_sample_is_evaluated_alone():
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 128, (5, 1, 3))
    (together,) = evaluate(parse(MLP), [x])
    alone = [evaluate(parse(MLP), [x[i : i + 1]])[0][0].tolist() for i in range(5)]
    assert together.tolist() == alone


def test_without_samples_nothing_runs():
    seen: list[SSAValue] = []
    (result,) = evaluate(
        parse(MLP),
        [np.empty((0, 1, 3), dtype=np.int64)],
        observe=lambda v, _: seen.append(v),
    )
    assert (result.shape, result.dtype, seen) == ((0, 1, 2), np.int64, [])


TWO = """
func.func @two(%a: tensor<2xf32>, %b: tensor<2xi1>) -> (tensor<2xf32>, tensor<2xi1>) {
  %c = mase.constant <f32, [1.0, 2.0]> : tensor<2xf32>
  %t = mase.constant <i1, [true, false]> : tensor<2xi1>
  %r = mase.add %a, %c : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  %s = mase.and %b, %t : (tensor<2xi1>, tensor<2xi1>) -> tensor<2xi1>
  func.return %r, %s : tensor<2xf32>, tensor<2xi1>
}
"""


def test_one_sample_stands_for_all():
    a = np.array([[0.5, 1], [2, 3], [4, 5]])
    b = np.array([[1, 1]])
    sums, both = evaluate(parse(TWO), [a, b])
    assert sums.tolist() == [[1.5, 3], [3, 5], [5, 7]]
    assert (sums.dtype, both.dtype) == (np.float32, np.bool_)
    assert both.tolist() == [[True, False]] * 3


def test_constants_alone():
    module = parse("""
func.func @c() -> (tensor<2x!mase.fixed<4, 0>>, tensor<!mase.ufixed<64, 0>>) {
  %0 = mase.constant <i8, [-8, 7]> : tensor<2x!mase.fixed<4, 0>>
  %1 = mase.constant <ui64, [18446744073709551615]> : tensor<!mase.ufixed<64, 0>>
  func.return %0, %1 : tensor<2x!mase.fixed<4, 0>>, tensor<!mase.ufixed<64, 0>>
}
""")
    small, large = evaluate(module, [])
    assert small.tolist() == [[-8, 7]]
    assert small.dtype == np.int64
    assert large.tolist() == [2**64 - 1]


def test_observers_see_every_value_as_integers():
    module = parse(MLP)
    seen: dict[str, Array] = {}

    def observe(value: SSAValue, array: Array) -> None:
        assert value.name_hint is not None
        seen[value.name_hint] = array

    evaluate(module, [np.zeros((2, 1, 3), dtype=np.int8)], observe=observe)
    assert list(seen) == ["x", "w", "b", "y", "z"]
    assert {a.dtype for a in seen.values()} == {np.dtype(np.int64)}
    assert (seen["w"].shape, seen["y"].shape) == ((1, 2, 3), (2, 1, 2))


def test_values_are_freed_after_their_last_use():
    lines = "".join(
        f"  %{i + 1} = mase.neg %{i} : (tensor<64xf32>) -> tensor<64xf32>\n"
        for i in range(10)
    )
    module = parse(
        f"func.func @chain(%0: tensor<64xf32>) -> tensor<64xf32> {{\n{lines}"
        "  func.return %10 : tensor<64xf32>\n}"
    )
    alive: list[weakref.ref[Array]] = []
    most = 0

    def observe(value: SSAValue, array: Array) -> None:
        nonlocal most
        alive.append(weakref.ref(array))
        gc.collect()
        most = max(most, sum(r() is not None for r in alive))

    evaluate(module, [np.zeros((3, 64), dtype=np.float32)], observe=observe)
    assert len(alive) == 11
    assert most <= 3


def test_every_op_has_a_meaning():
    assert set(Mase.operations) == set(KERNELS)


# ---- errors -------------------------------------------------------------------------


def fails(module: Any, inputs: list[Any], message: str) -> None:
    with pytest.raises(InterpretationError) as error:
        evaluate(module, inputs)
    assert str(error.value) == message


def test_wrong_number_of_inputs():
    fails(parse(MLP), [], "function mlp takes 1 inputs, got 0")


@pytest.mark.parametrize(
    ("array", "message"),
    [
        (np.zeros((4, 3)), "input 0 has shape 4x3, expected samples of 1x3"),
        (np.zeros(()), "input 0 has shape scalar, expected samples of 1x3"),
        (
            np.zeros((4, 1, 3)),
            "input 0 has dtype float64, expected integer codes for elements of type "
            "!mase.fixed<8, 4>",
        ),
        (
            np.full((4, 1, 3), 200),
            "input 0 has the code 200, expected -128 to 127 for elements of type "
            "!mase.fixed<8, 4>",
        ),
        (
            np.full((4, 1, 3), -129),
            "input 0 has the code -129, expected -128 to 127 for elements of type "
            "!mase.fixed<8, 4>",
        ),
        (
            np.array([[["a", "b", "c"]]]),
            "input 0 has dtype <U1, expected integer codes for elements of type "
            "!mase.fixed<8, 4>",
        ),
    ],
)
def test_wrong_inputs(array: Array, message: str):
    fails(parse(MLP), [array], message)


def test_wrong_inputs_of_builtin_types():
    module = parse(TWO)
    a, b = np.zeros((3, 2)), np.zeros((3, 2), dtype=bool)
    fails(
        module,
        [a.astype(np.complex64), b],
        "input 0 has dtype complex64, expected numbers for elements of type f32",
    )
    fails(
        module,
        [a, b + 2],
        "input 1 has the code 2, expected 0 to 1 for elements of type i1",
    )
    fails(module, [a, b[:2]], "input 1 has 2 samples, expected 3 as others have")


def test_inputs_take_the_precision_of_their_type():
    module = parse("""
func.func @f(%a: tensor<f16>, %b: tensor<bf16>, %c: tensor<f32>, %d: tensor<f64>)
    -> (tensor<f16>, tensor<bf16>, tensor<f32>, tensor<f64>) {
  func.return %a, %b, %c, %d : tensor<f16>, tensor<bf16>, tensor<f32>, tensor<f64>
}
""")
    third = np.array([1 / 3])
    results = evaluate(module, [third] * 4)
    assert [r.item() for r in results] == [
        float(np.float16(1 / 3)),
        0.333984375,
        float(np.float32(1 / 3)),
        1 / 3,
    ]


def test_an_input_that_is_not_a_tensor():
    module = parse("func.func @f(%a: i32) { func.return }")
    fails(module, [np.zeros(3)], "input 0 has type i32, expected a tensor")


def test_functions():
    module = parse("func.func @a() { func.return } func.func @b() { func.return }")
    fails(module, [], "expected one function, found a, b")
    fails(ModuleOp([]), [], "expected one function, found none")
    module = parse("func.func private @a()")
    fails(module, [], "function a has 0 blocks, expected 1")
    fails(next(iter(module.ops)), [], "function a has 0 blocks, expected 1")
    module = parse('func.func @a() { "test.termop"() : () -> () }')
    fails(module, [], "function a does not end in func.return")


def test_an_op_without_a_meaning():
    module = parse("""
func.func @a(%0: tensor<2xf32>) -> tensor<2xf32> {
  %1 = "test.op"(%0) : (tensor<2xf32>) -> tensor<2xf32>
  func.return %1 : tensor<2xf32>
}
""")
    fails(
        module,
        [np.zeros((1, 2))],
        "test.op has no meaning in the interpreter: give it a kernel "
        "(docs/extending.md)",
    )


def op_fails(op: Any, arrays: list[Array], message: str) -> None:
    op.verify()
    with pytest.raises(InterpretationError) as error:
        evaluate_op(op, arrays)
    assert str(error.value) == message


@pytest.mark.parametrize("element", [FixedType(8, 4), i64])
@pytest.mark.parametrize("result", [FixedType(8, 4), f32, i1])
def test_division_by_zero(element: Attribute, result: Attribute):
    x = value_of(element, (2,))
    op = elementwise.DivOp(x, x, element=result, layer="head.div")
    op_fails(
        op,
        [np.array([[1, 2]]), np.array([[1, 0]])],
        'mase.div "head.div": division by zero',
    )


def test_indices_outside():
    weight, indices = value_of(f32, (4, 2)), value_of(i64, (1,))
    table = np.zeros((1, 4, 2), dtype=np.float32)
    for index, op, message in (
        (
            4,
            layers.EmbeddingOp(weight, indices),
            "mase.embedding: index 4, expected 0 to 3",
        ),
        (
            -1,
            layers.EmbeddingOp(weight, indices),
            "mase.embedding: index -1, expected 0 to 3",
        ),
        (
            4,
            shape.GatherOp(weight, indices, 0),
            "mase.gather: index 4, expected -4 to 3",
        ),
        (
            -3,
            shape.GatherOp(weight, indices, 1),
            "mase.gather: index -3, expected -2 to 1",
        ),
    ):
        op_fails(op, [table, np.array([[index]])], message)


def test_numbers_without_a_code():
    x = value_of(f32, (1,))
    op_fails(
        elementwise.LogOp(x, element=UFixedType(8, 4), layer="l"),
        [np.array([[-1]], dtype=np.float32)],
        'mase.log "l": NaN has no code in ufixed<8, 4>',
    )
    op_fails(
        elementwise.CastOp(x, element=i32),
        [np.array([[np.nan]], dtype=np.float32)],
        "mase.cast: NaN has no code in fixed<32, 0>",
    )


def test_float_overflow_is_infinity_without_a_warning():
    x = value_of(f32, (2,))
    big = np.array([[3e38, -3e38]], dtype=np.float32)
    for op in (elementwise.AddOp(x, x), elementwise.MulOp(x, x)):
        assert np.isinf(evaluate_op(op, [big, big])).all()
    assert np.isinf(evaluate_op(elementwise.CastOp(x, element=f16), [big])).all()
