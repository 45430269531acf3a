"""Every op with a circuit computes the interpreter's codes, whatever the formats."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from levels import Model
from mase_text import parse
from xdsl.dialects.builtin import BoolAttr, i1, i64
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase import elementwise, layers, pooling, shape
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.types import (
    FixedPoint,
    FixedType,
    UFixedType,
)
from mase_opt.lib.formats.rounding import Overflow, RoundingMode
from mase_opt.lib.hardware.rounding import floor_sum, linear_floor
from mase_opt.lib.simulation import verilator
from mase_opt.testing import assert_levels_agree, lower

examples = settings(
    # Shrinking compiles a circuit at every step and takes minutes.
    phases=[Phase.generate],
    max_examples=20,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)


@st.composite
def elements(draw: st.DrawFn, widest: int = 64) -> FixedPoint:
    """Formats of every width, the point anywhere near the code."""
    width = draw(st.integers(1, widest))
    frac = draw(st.integers(-4, width + 4))
    return draw(st.sampled_from([FixedType, UFixedType]))(width, frac)


shapes = st.lists(st.sampled_from([1, 2, 3, 5]), min_size=0, max_size=2).map(tuple)
narrow = elements(widest=12)
roundings = st.tuples(
    st.sampled_from(RoundingMode), st.sampled_from([Overflow.SATURATE, Overflow.WRAP])
).map(RoundingAttr)


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    """Pipelining, with and without stalls, and the seed of the inputs."""
    depth = draw(st.integers(0, 8))
    return {
        "max_logic_depth": depth,
        "stall": draw(st.booleans()) if depth else False,
        "seed": draw(st.integers(0, 1 << 16)),
    }


@st.composite
def constants(
    draw: st.DrawFn, element: FixedPoint, size: tuple[int, ...]
) -> shape.ConstantOp:
    """Random codes, the ends of the range among them."""
    low, high = element.format.min_code, element.format.max_code
    code = st.one_of(st.sampled_from([low, high, max(low, 0)]), st.integers(low, high))
    count = int(np.prod(size))
    codes = draw(st.lists(code, min_size=count, max_size=count))
    return shape.ConstantOp.of(np.array(codes, dtype=object).reshape(size), element)


# ---- casts ------------------------------------------------------------------------


@examples
@given(st.data(), options())
def test_cast(data: st.DataObject, option: dict[str, Any]) -> None:
    source = data.draw(elements())
    model = Model((source, data.draw(shapes)))
    with model as (x,):
        results = [
            elementwise.CastOp(x, element=element, rounding=rounding)
            for element, rounding in data.draw(
                st.lists(st.tuples(elements(), roundings), min_size=1, max_size=6)
            )
        ]
    assert_levels_agree(model.returns(*results), **option)


@pytest.mark.parametrize("depth", [0, 1])
@pytest.mark.parametrize("source", [FixedType(7, 3), UFixedType(7, 3)], ids=str)
def test_cast_of_every_code(source: FixedPoint, depth: int) -> None:
    model = Model((source, []))
    with model as (x,):
        results = [
            elementwise.CastOp(x, element=kind(w, f), rounding=RoundingAttr((m, o)))
            for kind in (FixedType, UFixedType)
            for w, f in ((1, 0), (2, 2), (4, 0), (5, 1), (4, -4), (9, 4))
            for m in RoundingMode
            for o in (Overflow.SATURATE, Overflow.WRAP)
        ]
    low, high = source.format.min_code, source.format.max_code
    codes = np.arange(low, high + 1)
    assert_levels_agree(model.returns(*results), max_logic_depth=depth, inputs=[codes])


def test_cast_between_integers_and_booleans() -> None:
    model = Model((i1, [3]), (FixedType(3, 1), [3]))
    with model as (flag, x):
        results = [
            elementwise.CastOp(flag, element=FixedType(4, 1)),
            elementwise.CastOp(x, element=i1),
            elementwise.CastOp(x, element=i64),
        ]
    assert_levels_agree(model.returns(*results))


def test_error_overflow_needs_a_proof() -> None:
    safe, unsafe = FixedType(9, 4), FixedType(7, 4)
    for element in (safe, unsafe):
        model = Model((FixedType(8, 4), [2]))
        rounding = RoundingAttr((RoundingMode.FLOOR, Overflow.ERROR))
        with model as (x,):
            y = elementwise.CastOp(
                x, element=element, layer="narrow", rounding=rounding
            )
        module = model.returns(y)
        if element is safe:
            assert_levels_agree(module)
        else:
            with pytest.raises(PassFailedException, match=r"cast narrow: .*saturate"):
                lower(module, 0)


# ---- elementwise ------------------------------------------------------------------

UNARY = (
    elementwise.NegOp,
    elementwise.AbsOp,
    elementwise.ReluOp,
    elementwise.Relu6Op,
)


@examples
@given(st.data(), options())
def test_unary(data: st.DataObject, option: dict[str, Any]) -> None:
    model = Model((data.draw(elements()), data.draw(shapes)))
    with model as (x,):
        results = [
            kind(x, element=data.draw(elements()), rounding=data.draw(roundings))
            for kind in UNARY
        ]
        slope = data.draw(st.sampled_from([0.01, 0.25, -0.5, 1.5, 0.0]))
        results.append(
            elementwise.LeakyReluOp(
                x,
                slope,
                element=data.draw(elements()),
                rounding=data.draw(roundings),
            )
        )
    assert_levels_agree(model.returns(*results), **option)


BINARY = (
    elementwise.AddOp,
    elementwise.SubOp,
    elementwise.MulOp,
    elementwise.MaximumOp,
    elementwise.MinimumOp,
)


@examples
@given(st.data(), options(), st.booleans())
def test_binary(data: st.DataObject, option: dict[str, Any], constant: bool) -> None:
    size = data.draw(shapes)
    other = tuple(n if data.draw(st.booleans()) else 1 for n in size)
    left, right = data.draw(elements()), data.draw(elements())
    model = Model((left, size), (right, other))
    with model as (x, y):
        rhs = data.draw(constants(right, other)).result if constant else y
        pair = data.draw(st.sampled_from([(x, rhs), (rhs, x), (x, x)]))
        results = [
            kind(*pair, element=data.draw(elements()), rounding=data.draw(roundings))
            for kind in BINARY
        ]
    assert_levels_agree(model.returns(*results), **option)


@examples
@given(st.data(), options())
def test_divide_by_constants(data: st.DataObject, option: dict[str, Any]) -> None:
    size = data.draw(shapes)
    right = data.draw(narrow)
    low, high = right.format.min_code, right.format.max_code
    codes = st.integers(low, high).filter(bool)
    count = int(np.prod(size))
    divisors = data.draw(st.lists(codes, min_size=count, max_size=count))
    model = Model((data.draw(elements(widest=24)), size))
    with model as (x,):
        y = shape.ConstantOp.of(np.array(divisors).reshape(size), right)
        results = [
            elementwise.DivOp(
                x, y, element=data.draw(elements()), rounding=data.draw(roundings)
            )
            for _ in range(2)
        ]
    assert_levels_agree(model.returns(*results), **option)


@settings(deadline=None, derandomize=True, database=None)
@given(
    st.integers(-100, 100),
    st.integers(-1000, 1000),
    st.integers(1, 130),
    st.integers(-1000, 1000),
    st.integers(0, 200),
)
def test_linear_floor_is_exact(
    factor: int, offset: int, divisor: int, low: int, size: int
) -> None:
    high = low + size
    wanted = [(x * factor + offset) // divisor for x in range(low, high + 1)]
    assert floor_sum(factor, offset, divisor, low, high) == sum(wanted)
    m, c, bits = linear_floor(factor, offset, divisor, low, high)
    assert [(x * m + c) >> bits for x in range(low, high + 1)] == wanted


@examples
@given(st.data(), options())
def test_compare_and_select(data: st.DataObject, option: dict[str, Any]) -> None:
    size = data.draw(shapes)
    left, right = data.draw(elements()), data.draw(elements())
    model = Model((left, size), (right, ()))
    with model as (x, y):
        rhs: Any = data.draw(st.sampled_from([y, None]))
        rhs = data.draw(constants(right, ())) if rhs is None else rhs
        flags = [
            elementwise.CompareOp(x, rhs, predicate)
            for predicate in elementwise.PREDICATES
        ]
        both = elementwise.AndOp(flags[0], flags[1])
        either = elementwise.OrOp(flags[2], flags[4])
        differ = elementwise.XorOp(both, flags[5])
        chosen = elementwise.SelectOp(
            flags[data.draw(st.integers(0, 5))],
            x,
            rhs,
            element=data.draw(elements()),
            rounding=data.draw(roundings),
        )
    assert_levels_agree(model.returns(*flags, both, either, differ, chosen), **option)


# ---- layers -----------------------------------------------------------------------


@examples
@given(st.data(), options(), st.booleans())
def test_linear(data: st.DataObject, option: dict[str, Any], bias: bool) -> None:
    lead = data.draw(st.sampled_from([(), (1,), (3,), (2, 1)]))
    inputs, outputs = (data.draw(st.sampled_from([1, 2, 3, 7])) for _ in range(2))
    model = Model((data.draw(elements(widest=20)), (*lead, inputs)))
    with model as (x,):
        weight = data.draw(constants(data.draw(narrow), (outputs, inputs)))
        added = data.draw(constants(data.draw(elements()), (outputs,)))
        y = layers.LinearOp(
            x,
            weight,
            added if bias else None,
            element=data.draw(elements()),
            layer="fc",
            rounding=data.draw(roundings),
        )
    assert_levels_agree(model.returns(y), **option)


@examples
@given(st.data(), options(), st.sampled_from(["both", "left", "right"]))
def test_matmul(data: st.DataObject, option: dict[str, Any], variable: str) -> None:
    m, k, n = (data.draw(st.sampled_from([1, 2, 3])) for _ in range(3))
    batch = data.draw(st.sampled_from([(), (1,), (2,)]))
    left, right = data.draw(narrow), data.draw(narrow)
    model = Model((left, (*batch, m, k)), (right, (k, n)))
    with model as (x, y):
        lhs: Any = x if variable != "right" else data.draw(constants(left, (m, k)))
        rhs: Any = y if variable != "left" else data.draw(constants(right, (k, n)))
        z = layers.MatmulOp(
            lhs, rhs, element=data.draw(elements()), rounding=data.draw(roundings)
        )
    assert_levels_agree(model.returns(z), **option)


@examples
@given(st.data(), options(), st.sampled_from([1, 2]), st.sampled_from([1, 1, 2]))
def test_conv(
    data: st.DataObject, option: dict[str, Any], rank: int, groups: int
) -> None:
    def numbers(low: int, high: int) -> list[int]:
        return [data.draw(st.integers(low, high)) for _ in range(rank)]

    kernel, padding, dilation = numbers(1, 3), numbers(0, 2), numbers(1, 2)
    size = [d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)]
    size = [n + data.draw(st.integers(0, 2)) for n in size]
    channels, outputs = groups * data.draw(st.integers(1, 2)), groups * 2
    batch = data.draw(st.integers(1, 2))
    model = Model((data.draw(elements(widest=16)), (batch, channels, *size)))
    kind = layers.Conv1dOp if rank == 1 else layers.Conv2dOp
    with model as (x,):
        weight = data.draw(
            constants(data.draw(narrow), (outputs, channels // groups, *kernel))
        )
        bias = data.draw(constants(data.draw(narrow), (outputs,)))
        y = kind(
            x,
            weight,
            bias if data.draw(st.booleans()) else None,
            strides=numbers(1, 3),
            padding=padding,
            dilation=dilation,
            groups=groups,
            element=data.draw(elements()),
            layer="features.0",
            rounding=data.draw(roundings),
        )
    assert_levels_agree(model.returns(y), samples=8, **option)


@examples
@given(st.data(), options(), st.sampled_from([1, 1, 2]))
def test_conv_transposed(
    data: st.DataObject, option: dict[str, Any], groups: int
) -> None:
    def numbers(low: int, high: int) -> list[int]:
        return [data.draw(st.integers(low, high)) for _ in range(2)]

    kernel, strides = numbers(1, 3), numbers(1, 3)
    padding = [data.draw(st.integers(0, (k - 1) // 2)) for k in kernel]
    model = Model((data.draw(elements(widest=16)), (1, 2, *numbers(1, 3))))
    with model as (x,):
        weight = data.draw(constants(data.draw(narrow), (2, 2 // groups, *kernel)))
        bias = data.draw(constants(data.draw(narrow), (2,)))
        y = layers.ConvTranspose2dOp(
            x,
            weight,
            bias if data.draw(st.booleans()) else None,
            strides=strides,
            padding=padding,
            output_padding=[data.draw(st.integers(0, s - 1)) for s in strides],
            dilation=numbers(1, 2),
            groups=groups,
            element=data.draw(elements()),
            layer="up",
            rounding=data.draw(roundings),
        )
    assert_levels_agree(model.returns(y), samples=8, **option)


@examples
@given(st.data(), options(), st.sampled_from([i64, UFixedType(4, 0), FixedType(5, 0)]))
def test_embedding(data: st.DataObject, option: dict[str, Any], index: Any) -> None:
    rows = data.draw(st.integers(1, 9))
    model = Model((index, data.draw(shapes)))
    with model as (x,):
        table = data.draw(constants(data.draw(narrow), (rows, 3)))
        result: dict[str, Any] = {
            "element": data.draw(elements()),
            "rounding": data.draw(roundings),
        }
        y = layers.EmbeddingOp(table, x, layer="wte", **result)
        known = shape.ConstantOp.of(np.arange(rows)[::-1].copy(), i64)
        z = layers.EmbeddingOp(table, known, **result)
    assert_levels_agree(model.returns(y, z), samples=8, **option)


@examples
@given(st.data(), options())
def test_pools(data: st.DataObject, option: dict[str, Any]) -> None:
    size = (2, *(data.draw(st.integers(3, 5)) for _ in range(2)))
    kernel = [data.draw(st.integers(1, 3)) for _ in range(2)]
    window: dict[str, Any] = {
        "strides": [data.draw(st.integers(1, 3)) for _ in range(2)],
        "padding": [data.draw(st.integers(0, k // 2)) for k in kernel],
        "ceil_mode": data.draw(st.booleans()),
    }
    output = [data.draw(st.integers(1, 4)) for _ in range(2)]
    model = Model((data.draw(elements(widest=16)), size))
    with model as (x,):

        def result() -> dict[str, Any]:
            return {
                "element": data.draw(elements(widest=16)),
                "rounding": data.draw(roundings),
            }

        average = pooling.AvgPoolOp(x, kernel, **window, **result())
        if data.draw(st.booleans()):
            average.count_include_pad = BoolAttr.from_bool(False)
        results = [
            average,
            pooling.MaxPoolOp(x, kernel, **window, **result()),
            pooling.AdaptiveAvgPoolOp(x, output, **result()),
            pooling.AdaptiveMaxPoolOp(x, output, **result()),
        ]
    assert_levels_agree(model.returns(*results), samples=8, **option)


@examples
@given(st.data(), options())
def test_reduce(data: st.DataObject, option: dict[str, Any]) -> None:
    size = tuple(data.draw(st.sampled_from([1, 2, 3, 5])) for _ in range(3))
    axes = data.draw(st.lists(st.integers(0, 2), min_size=1, unique=True))
    model = Model((data.draw(elements()), size))
    with model as (x,):
        results = [
            pooling.ReduceOp(
                x,
                kind,
                axes,
                keepdims=data.draw(st.booleans()),
                element=data.draw(elements()),
                rounding=data.draw(roundings),
            )
            for kind in pooling.KINDS
        ]
    assert_levels_agree(model.returns(*results), **option)


@examples
@given(st.data(), options())
def test_argmax(data: st.DataObject, option: dict[str, Any]) -> None:
    size = tuple(data.draw(st.sampled_from([1, 2, 3, 7])) for _ in range(2))
    # Narrow elements, so that equal ones are common.
    model = Model((data.draw(elements(widest=3)), size))
    with model as (x,):
        results = [
            pooling.ArgmaxOp(x, axis, keepdims=axis == 0, element=element)
            for axis in (0, 1)
            for element in (i64, UFixedType(3, 0))
        ]
    assert_levels_agree(model.returns(*results), **option)


@examples
@given(st.data(), options())
def test_lookup(data: st.DataObject, option: dict[str, Any]) -> None:
    source, result = data.draw(elements(widest=6)), data.draw(elements())
    model = Model((source, data.draw(shapes)))
    with model as (x,):
        table = data.draw(constants(result, (1 << source.width.data,)))
        negated = elementwise.NegOp(x)
        results = [
            layers.LookupOp(x, table, layer="act"),
            layers.LookupOp(negated, table, layer="act"),
        ]
    assert_levels_agree(model.returns(*results), **option)


# ---- the emitted SystemVerilog -----------------------------------------------------

needs_verilator = pytest.mark.skipif(
    verilator.available() is not None, reason=str(verilator.available())
)


@pytest.mark.slow
@needs_verilator
@pytest.mark.parametrize(("depth", "stall"), [(0, False), (2, True)])
def test_verilator_agrees(depth: int, stall: bool) -> None:
    """A network with every kind of circuit, once combinational, once stalling."""
    rng = np.random.default_rng(7)
    wide, element = FixedType(17, 9), FixedType(8, 4)

    def codes(kind: FixedPoint, *size: int) -> shape.ConstantOp:
        low, high = kind.format.min_code, kind.format.max_code
        return shape.ConstantOp.of(rng.integers(low, high, size, endpoint=True), kind)

    def rounded(index: int) -> RoundingAttr:
        modes = list(RoundingMode)
        overflow = (Overflow.SATURATE, Overflow.WRAP)[index // len(modes) % 2]
        return RoundingAttr((modes[index % len(modes)], overflow))

    model = Model((element, [1, 2, 5, 5]))
    with model as (x,):
        conv = layers.Conv2dOp(
            x,
            codes(FixedType(5, 3), 4, 1, 3, 3),
            codes(wide, 4),
            padding=[1, 1],
            groups=2,
            element=element,
            layer="features.0",
        )
        relu = elementwise.LeakyReluOp(conv, 0.1, layer="features.1")
        pooled = pooling.MaxPoolOp(relu, [2, 2])
        mean = pooling.ReduceOp(relu, "mean", [2, 3], element=UFixedType(6, 3))
        table = layers.LookupOp(pooled, codes(UFixedType(8, 8), 256), layer="act")
        flat = shape.ReshapeOp(table, [1, 16])
        head = layers.LinearOp(
            flat, codes(FixedType(6, 4), 5, 16), element=wide, layer="head"
        )
        best = pooling.ArgmaxOp(head, 1, element=UFixedType(3, 0))
        third = elementwise.DivOp(head, codes(FixedType(3, 0), 1))
        casts = [
            elementwise.CastOp(third, element=kind, rounding=rounded(index))
            for index in range(12)
            for kind in (FixedType(9, 2), UFixedType(4, 3))
        ]
        product = layers.MatmulOp(
            shape.TransposeOp(head, [1, 0]), head, element=FixedType(30, 12)
        )
    module = model.returns(table, mean, head, best, product, *casts)
    assert_levels_agree(
        module, max_logic_depth=depth, stall=stall, samples=50, verilator=True
    )


# ---- shapes and connections -------------------------------------------------------


def test_shape_ops() -> None:
    model = Model((FixedType(5, 2), [2, 3]), (FixedType(5, 2), [1, 3]))
    with model as (x, y):
        indices = shape.ConstantOp.of(np.array([[2, -1], [0, 0]]), i64)
        results: list[Any] = [
            shape.ReshapeOp(x, [3, 2]),
            shape.TransposeOp(x, [1, 0]),
            shape.BroadcastOp(y, [2, 2, 3]),
            joined := shape.ConcatOp([x, y], 0),
            shape.SliceOp(joined, starts=[1, 0], stops=[3, 3], strides=[1, 2]),
            shape.PadOp(x, low=[1, 0], high=[0, 2], value=-1.25),
            shape.GatherOp(x, indices, 1),
        ]
    layout = assert_levels_agree(model.returns(*results), max_logic_depth=4)
    assert layout.latency == 0


@pytest.mark.parametrize("stall", [False, True])
def test_branches_of_different_latency(stall: bool) -> None:
    """A residual connection, an output used twice, an input passed through."""
    element = FixedType(8, 4)
    model = Model((element, [1, 4]), (UFixedType(3, 0), [2]))
    with model as (x, y):
        weight = shape.ConstantOp.of(np.arange(-8, 8).reshape(4, 4) * 7, element)
        slow = layers.LinearOp(x, weight, layer="block.fc")
        slower = layers.LinearOp(slow, weight, layer="block.fc")
        residual = elementwise.AddOp(x, slower)
        mixed = shape.ConcatOp([x, slow, residual], 1)
        fixed = shape.ConstantOp.of(np.array([3, -3]), element)
    module = model.returns(residual, mixed, y, residual, fixed)
    layout = assert_levels_agree(module, max_logic_depth=2, stall=stall)
    assert layout.latency > 4
    assert layout.has_ready == stall


def test_constant_result() -> None:
    model = Model((FixedType(4, 0), [2]))
    with model as (x,):
        zero = shape.ConstantOp.of(np.zeros(2, dtype=int), FixedType(4, 0))
        y = elementwise.MulOp(x, zero)
    assert_levels_agree(model.returns(y))


def test_ranges_narrow_what_follows() -> None:
    """After relu, the sign bit is known; the interval reaches into the next layer."""
    model = Model((FixedType(8, 4), [1]))
    with model as (x,):
        y = elementwise.ReluOp(x)
        z = elementwise.AddOp(y, y, element=UFixedType(8, 4))
    module = model.returns(z)
    circuit, _ = lower(module, 0)
    assert "comb.icmp" not in str(circuit)
    assert_levels_agree(module)


def test_same_text_twice() -> None:
    def build() -> str:
        model = Model((FixedType(8, 4), [1, 3]))
        with model as (x,):
            weight = shape.ConstantOp.of(np.arange(6).reshape(2, 3), FixedType(4, 2))
            y = layers.LinearOp(x, weight, layer="fc")
        return str(lower(model.returns(y), 3)[0])

    assert build() == build()


@pytest.mark.parametrize("op", ["add", "sub", "mul", "maximum", "minimum"])
@pytest.mark.parametrize("element", ["i1", "!mase.fixed<3, 1>"])
def test_truth_of_arithmetic(op: str, element: str):
    """As `i1` every number but zero is true, negative and fractional ones too."""
    type = f"tensor<1x3x{element}>"
    module = parse(
        f"""func.func @truth(%x: {type}, %y: {type}) -> tensor<1x3xi1> {{
          %0 = mase.{op} %x, %y : ({type}, {type}) -> tensor<1x3xi1>
          func.return %0 : tensor<1x3xi1>
        }}"""
    )
    assert_levels_agree(module, max_logic_depth=2)


@pytest.mark.parametrize("op", ["avg_pool", "reduce"])
def test_truth_of_means(op: str):
    kernel = "kernel = array<i64: 3>, strides = array<i64: 3>, padding = array<i64: 0>"
    options = {
        "avg_pool": f"{kernel}, dilation = array<i64: 1>",
        "reduce": 'kind = "mean", axes = array<i64: 1>, keepdims = true',
    }
    module = parse(
        f"""func.func @truth(%x: tensor<1x3x!mase.fixed<3, 1>>) -> tensor<1x1xi1> {{
          %0 = mase.{op} %x {{{options[op]}}}
            : (tensor<1x3x!mase.fixed<3, 1>>) -> tensor<1x1xi1>
          func.return %0 : tensor<1x1xi1>
        }}"""
    )
    assert_levels_agree(module, max_logic_depth=2)
