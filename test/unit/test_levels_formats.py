"""Circuits for elements with a code each: binary, ternary, minifloat, log, scaled."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from levels import Model
from xdsl.dialects.builtin import i1, i64
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase import elementwise, layers, pooling, shape
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.formats import element_type
from mase_opt.lib.formats import Overflow, RoundingMode
from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.format import Element
from mase_opt.lib.formats.log import Log
from mase_opt.lib.formats.minifloat import Kind, MiniFloat
from mase_opt.lib.formats.scaled import Scaled, ScaleLayout
from mase_opt.lib.formats.ternary import Ternary
from mase_opt.lib.simulation import verilator
from mase_opt.testing import assert_levels_agree, lower

examples = settings(
    # Shrinking compiles a circuit at every step and takes minutes.
    phases=[Phase.generate],
    max_examples=4,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)

Coded = Element | Scaled

ELEMENTS: list[Coded] = [
    Fixed(6, 2),
    Fixed(5, -2, signed=False),
    Binary(),
    Binary(signed=False),
    Ternary(),
    MiniFloat(4, 3, Kind.FN),
    MiniFloat(3, 2, Kind.IEEE),
    MiniFloat(2, 1, Kind.FINITE),
    MiniFloat(3, 0, Kind.FINITE),
    MiniFloat(1, 3, Kind.FINITE, 3),
    MiniFloat(3, 2, Kind.NO_IMPLICIT),
    MiniFloat(2, 1, Kind.NO_IMPLICIT),
    MiniFloat(0, 4, Kind.NO_IMPLICIT),
    Log(4),
    Log(5, 12),
    Log(4, 3, zero=False),
    Log(2),
]
SCALED: list[Coded] = [
    Scaled(Fixed(6, 0), 0.25),
    Scaled(Fixed(6, 0), 0.3),
    Scaled(Fixed(5, 1, signed=False), 0.7, zero_point=11),
    Scaled(Binary(), 0.37),
    Scaled(Ternary(), 1.3),
    Scaled(MiniFloat(2, 1, Kind.FINITE), 0.11),
    Scaled(Log(4), 0.77),
]
FORMATS = ELEMENTS + SCALED
NARROW: list[Coded] = [
    Fixed(5, 2),
    Binary(),
    Ternary(),
    MiniFloat(2, 1, Kind.FINITE),
    MiniFloat(3, 2, Kind.IEEE),
    MiniFloat(2, 2, Kind.NO_IMPLICIT),
    Log(4),
    Log(3, 1, zero=False),
    *SCALED,
]


def codes_of(format: Coded) -> Element:
    return format.element if isinstance(format, Scaled) else format


def is_ternary(format: Coded) -> bool:
    return isinstance(codes_of(format), Ternary)


def cast(x: Any, format: Coded, mode: RoundingMode, overflow: Overflow) -> Any:
    return elementwise.CastOp(
        x,
        element=element_type(format),
        rounding=RoundingAttr((mode, overflow)),
        threshold=0.55 if is_ternary(format) else None,
    )


def numbers_of(format: Coded) -> Any:
    """All numbers of a format, as the interpreter holds them."""
    element = codes_of(format)
    codes = np.arange(element.min_code, element.max_code + 1)
    if isinstance(format, Fixed):
        return codes
    numbers = format.decode(codes)
    return numbers[np.isfinite(numbers)]


formats = st.sampled_from(NARROW)
rounded = st.sampled_from([f for f in FORMATS if not is_ternary(f)])
roundings = st.sampled_from(RoundingMode).map(
    lambda mode: RoundingAttr((mode, Overflow.SATURATE))
)


@st.composite
def options(draw: st.DrawFn) -> dict[str, Any]:
    depth = draw(st.sampled_from([0, 1, 4]))
    return {
        "max_logic_depth": depth,
        "stall": draw(st.booleans()) if depth else False,
        "seed": draw(st.integers(0, 1 << 16)),
        "samples": 48,
    }


@st.composite
def results(draw: st.DrawFn) -> dict[str, Any]:
    return {"element": element_type(draw(rounded)), "rounding": draw(roundings)}


def constant(data: st.DataObject, format: Coded, *size: int) -> shape.ConstantOp:
    """Random numbers of a format."""
    numbers = numbers_of(format)
    indices = st.integers(0, len(numbers) - 1)
    count = int(np.prod(size))
    chosen = data.draw(st.lists(indices, min_size=count, max_size=count))
    return shape.ConstantOp.of(numbers[chosen].reshape(size), element_type(format))


# ---- casts ------------------------------------------------------------------------


@pytest.mark.parametrize("source", FORMATS, ids=str)
def test_cast_of_every_code(source: Coded) -> None:
    """Into every format, the rounding modes in turn; infinity where there is one."""
    first = FORMATS.index(source)
    modes = list(RoundingMode)
    model = Model((element_type(source), []))
    with model as (x,):
        casts = [
            cast(x, target, modes[(first + index) % len(modes)], overflow)
            for index, target in enumerate(FORMATS)
            for overflow in (Overflow.SATURATE, Overflow.INFINITY)
            if overflow is Overflow.SATURATE or target.has_nan
        ]
    assert_levels_agree(model.returns(*casts), inputs=[numbers_of(source)])


@pytest.mark.parametrize("mode", RoundingMode)
def test_cast_of_wide_sums(mode: RoundingMode) -> None:
    """Everything that rounding has to tell apart: midpoints and what is beside them."""
    model = Model((element_type(Fixed(11, 6)), []))
    with model as (x,):
        casts = [cast(x, target, mode, Overflow.SATURATE) for target in FORMATS[5::2]]
    inputs = np.arange(-(1 << 10), 1 << 10)
    assert_levels_agree(model.returns(*casts), inputs=[inputs], max_logic_depth=3)


def test_cast_between_integers_and_booleans() -> None:
    model = Model((i1, [2]), (element_type(MiniFloat(3, 2)), [2]))
    with model as (flag, x):
        casts = [
            elementwise.CastOp(flag, element=element_type(MiniFloat(3, 2))),
            elementwise.CastOp(flag, element=element_type(Log(4))),
            elementwise.CastOp(x, element=i1),
            elementwise.CastOp(x, element=i64),
        ]
    assert_levels_agree(model.returns(*casts))


@pytest.mark.slow
@pytest.mark.parametrize("element", [Fixed(4, 0), MiniFloat(2, 1, Kind.FINITE)])
def test_scales_of_channels_and_groups(element: Element) -> None:
    rng = np.random.default_rng(3)
    channels = Scaled(element, [0.5, 0.3, 0.7], ScaleLayout(1))
    groups = Scaled(element, rng.uniform(0.1, 1, (2, 2)), ScaleLayout(1, 2))
    model = Model((element_type(channels), [2, 3]), (element_type(groups), [2, 3]))
    with model as (x, y):
        moved = shape.SliceOp(x, starts=[0, 0], stops=[2, 3], strides=[2, 1])
        results = [
            elementwise.AddOp(x, y, element=element_type(groups)),
            elementwise.AddOp(x, y, element=element_type(channels)),
            elementwise.MulOp(x, y, element=element_type(Fixed(9, 5))),
            elementwise.ReluOp(moved),
        ]
    assert_levels_agree(model.returns(*results))


# ---- ops --------------------------------------------------------------------------


@examples
@given(st.data(), options(), st.booleans())
def test_linear(data: st.DataObject, option: dict[str, Any], bias: bool) -> None:
    inputs, outputs = (data.draw(st.sampled_from([1, 2, 5])) for _ in range(2))
    model = Model((element_type(data.draw(formats)), (2, inputs)))
    with model as (x,):
        weight = constant(data, data.draw(formats), outputs, inputs)
        added = constant(data, data.draw(formats), outputs)
        y = layers.LinearOp(x, weight, added if bias else None, **data.draw(results()))
    assert_levels_agree(model.returns(y), **option)


@pytest.mark.parametrize("left", NARROW, ids=str)
def test_products(left: Coded) -> None:
    """A format times every other one, both variable."""
    sizes = [(element_type(right), [1]) for right in NARROW]
    model = Model((element_type(left), [1]), *sizes)
    with model as (x, *others):
        products = [
            elementwise.MulOp(x, y, element=element_type(FORMATS[k % len(FORMATS)]))
            for k, y in enumerate(others)
            if not is_ternary(FORMATS[k % len(FORMATS)])
        ]
    assert_levels_agree(model.returns(*products), samples=300)


@examples
@given(st.data(), options())
def test_matmul(data: st.DataObject, option: dict[str, Any]) -> None:
    left, right = (element_type(data.draw(formats)) for _ in range(2))
    model = Model((left, (2, 3)), (right, (3, 1)))
    with model as (x, y):
        z = layers.MatmulOp(x, y, **data.draw(results()))
    assert_levels_agree(model.returns(z), **option)


@examples
@given(st.data(), options(), st.integers(0, 1))
def test_conv(data: st.DataObject, option: dict[str, Any], padding: int) -> None:
    format = data.draw(formats)
    model = Model((element_type(format), (1, 2, 3)))
    with model as (x,):
        weight = constant(data, data.draw(formats), 2, 2, 2)
        plain = layers.Conv1dOp(x, weight, padding=[padding], **data.draw(results()))
        channels = Scaled(Fixed(6, 0), [0.3, 0.2], ScaleLayout(1))
        scaled = layers.Conv1dOp(x, weight, element=element_type(channels))
    assert_levels_agree(model.returns(plain, scaled), **option)


@examples
@given(st.data(), options())
def test_elementwise(data: st.DataObject, option: dict[str, Any]) -> None:
    left, right = data.draw(formats), data.draw(formats)
    model = Model((element_type(left), [2]), (element_type(right), [1]))
    with model as (x, y):
        flag = elementwise.CompareOp(x, y, data.draw(st.sampled_from(["lt", "eq"])))
        values: list[Any] = [
            kind(x, **data.draw(results()))
            for kind in (
                elementwise.NegOp,
                elementwise.AbsOp,
                elementwise.ReluOp,
                elementwise.Relu6Op,
            )
        ]
        values.append(elementwise.LeakyReluOp(x, 0.3, **data.draw(results())))
        values += [
            kind(x, y, **data.draw(results()))
            for kind in (
                elementwise.AddOp,
                elementwise.SubOp,
                elementwise.MaximumOp,
                elementwise.MinimumOp,
            )
        ]
        three = shape.ConstantOp.of(np.array([-3]), element_type(Fixed(4, 0)))
        values.append(elementwise.DivOp(x, three, **data.draw(results())))
        values.append(elementwise.SelectOp(flag, x, y, **data.draw(results())))
    assert_levels_agree(model.returns(flag, *values), **option)


@examples
@given(st.data(), options())
def test_pools_and_reductions(data: st.DataObject, option: dict[str, Any]) -> None:
    model = Model((element_type(data.draw(formats)), (1, 2, 3)))
    with model as (x,):
        values = [
            pooling.AvgPoolOp(x, [3], padding=[1], **data.draw(results())),
            pooling.MaxPoolOp(x, [2], **data.draw(results())),
            pooling.AdaptiveAvgPoolOp(x, [2], **data.draw(results())),
            pooling.ArgmaxOp(x, 2, keepdims=False, element=i64),
            *(
                pooling.ReduceOp(x, kind, [2], **data.draw(results()))
                for kind in pooling.KINDS
            ),
        ]
    assert_levels_agree(model.returns(*values), **option)


@pytest.mark.parametrize("format", NARROW, ids=str)
def test_moves(format: Coded) -> None:
    element = element_type(format)
    model = Model((element, [2, 3]), (element, [1, 3]))
    number = float(numbers_of(format)[0])
    number = codes_of(format).min_value if isinstance(format, Fixed) else number
    with model as (x, y):
        indices = shape.ConstantOp.of(np.array([2, -1]), i64)
        joined = shape.ConcatOp([x, y], 0)
        values: list[Any] = [
            shape.ReshapeOp(x, [3, 2]),
            shape.TransposeOp(x, [1, 0]),
            shape.BroadcastOp(y, [2, 2, 3]),
            shape.SliceOp(joined, starts=[1, 0], stops=[3, 3], strides=[1, 2]),
            shape.PadOp(x, low=[1, 0], high=[0, 2], value=number),
            shape.GatherOp(x, indices, 1),
        ]
    assert_levels_agree(model.returns(*values), samples=8)


needs_verilator = pytest.mark.skipif(
    verilator.available() is not None, reason=str(verilator.available())
)


@pytest.mark.slow
@needs_verilator
def test_verilator_agrees() -> None:
    """Layers of different families behind each other, pipelined, with stalls."""
    rng = np.random.default_rng(5)

    def weight(format: Coded, *size: int) -> shape.ConstantOp:
        numbers = numbers_of(format)
        chosen = rng.integers(0, len(numbers), size)
        return shape.ConstantOp.of(numbers[chosen], element_type(format))

    e4m3, log = MiniFloat(4, 3, Kind.FN), Log(4)
    model = Model((element_type(e4m3), [1, 1, 3]))
    with model as (x,):
        conv = layers.Conv1dOp(x, weight(log, 1, 1, 2), element=element_type(e4m3))
        pooled = pooling.AvgPoolOp(conv, [2], element=element_type(log))
        flat = shape.ReshapeOp(conv, [1, 2])
        signs = cast(flat, Scaled(Binary(), 0.3), RoundingMode.ZERO, Overflow.SATURATE)
        head = layers.LinearOp(
            signs, weight(Ternary(), 2, 2), element=element_type(SCALED[1])
        )
    module = model.returns(conv, pooled, head)
    assert_levels_agree(module, max_logic_depth=4, stall=True, verilator=True)


# ---- what has no circuit -----------------------------------------------------------


def refused(model: Model, *values: Any) -> str:
    """The message with which a lowering fails."""
    with pytest.raises(PassFailedException) as error:
        lower(model.returns(*values), 0)
    return str(error.value)


def test_ternary_needs_a_threshold() -> None:
    model = Model((element_type(Fixed(6, 2)), [3]))
    with model as (x,):
        y = elementwise.CastOp(x, element=element_type(Ternary()), layer="signs")
    message = refused(model, y)
    assert "mase.cast signs: the threshold" in message
    assert "`threshold`" in message


def test_sums_have_a_width() -> None:
    format = element_type(MiniFloat(8, 7))
    model = Model((format, [2]), (format, [2]))
    with model as (x, y):
        z = elementwise.MulOp(x, y, layer="product")
    message = refused(model, z)
    assert "mase.mul product: an exact result takes" in message
    assert "cast" in message


def test_infinities_are_results_only() -> None:
    format = MiniFloat(3, 2)
    model = Model((element_type(Fixed(9, 2)), [2]))
    with model as (x,):
        y = cast(x, format, RoundingMode.ZERO, Overflow.INFINITY)
        z = elementwise.ReluOp(y)
    assert "use overflow saturate" in refused(model, z)


def test_constants_are_numbers() -> None:
    element = element_type(MiniFloat(3, 2))
    model = Model((element, [2]))
    with model as (x,):
        infinite = shape.ConstantOp.of(np.array([1.0, np.nan]), element)
        y = elementwise.AddOp(x, infinite, layer="bias")
    assert "mase.add bias: a constant operand" in refused(model, y)


def test_formats_do_not_wrap_or_fail() -> None:
    for format in (MiniFloat(3, 2), Log(4), SCALED[0], Binary()):
        for overflow in (Overflow.WRAP, Overflow.ERROR):
            model = Model((element_type(Fixed(12, 2)), [2]))
            with model as (x,):
                y = cast(x, format, RoundingMode.ZERO, overflow)
            if isinstance(format, Binary) and overflow is Overflow.ERROR:
                assert_levels_agree(model.returns(y))  # signs never overflow
            else:
                assert "use overflow saturate" in refused(model, y)


def test_moves_to_other_scales() -> None:
    format = Scaled(Fixed(6, 0), [0.5, 0.3], ScaleLayout(0))
    model = Model((element_type(format), [2, 2]))
    with model as (x,):
        y = shape.TransposeOp(x, [1, 0])
    assert "cast them to a format without scales" in refused(model, y)


def test_bits_are_counted() -> None:
    """Products of bits are bits: no multiplier, and no wire wider than the count."""
    element = element_type(Binary())
    model = Model((element, [1, 16]), (element, [16, 1]))
    with model as (x, y):
        z = layers.MatmulOp(x, y, element=element_type(Fixed(6, 0)))
    module = model.returns(z)
    text = str(lower(module, 0)[0])
    assert "comb.mul" not in text
    assert text.count("comb.xor") == 32  # the products, inverted
    assert_levels_agree(module)
