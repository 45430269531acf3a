"""Streamed ops that only move elements: the same bits, in the cycles foretold."""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from levels import Model
from streams import Folding, assert_minimal, assert_streams, streamed
from xdsl.dialects.builtin import i64
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase import elementwise, layers, pooling, shape
from mase_opt.dialects.mase.formats import MiniFloatType
from mase_opt.dialects.mase.types import FixedType, UFixedType, shape_of
from mase_opt.dialects.stream import ProcessOp
from mase_opt.lib.analysis.network import network_function, network_of
from mase_opt.lib.formats.minifloat import MiniFloat
from mase_opt.lib.streams.movement import Progression

X, W = FixedType(6, 3), FixedType(5, 4)
Value = SSAValue | Operation


def stations(
    function: Callable[[SSAValue], Value],
    size: list[int],
    folding: Folding | None = None,
) -> list[int]:
    """Check a function at every level; the iterations of its processes."""
    model = Model((X, size))
    with model as (x,):
        y = function(x)
    network = assert_streams(model.returns(y), folding)
    timing = network_of(network_function(network)).network
    assert_minimal(timing)
    return [
        prod(op.loops.get_values())
        for op in network.walk()
        if isinstance(op, ProcessOp)
    ]


def conv(x: Value, outputs: int, layer: str) -> SSAValue:
    """Something that gives beats of a chosen width."""
    x = SSAValue.get(x)
    codes = np.random.default_rng(0).integers(-16, 16, (outputs, shape_of(x)[1], 1, 1))
    weight = shape.ConstantOp.of(codes, W)
    return layers.Conv2dOp(x, weight, layer=layer).result


def places(x: Value, order: list[int], axis: int) -> SSAValue:
    index = shape.ConstantOp.of(np.array(order), i64)
    return shape.GatherOp(x, index, axis).result


# ---- one operand --------------------------------------------------------------------


def test_transpose() -> None:
    """Every element goes through alone: cut, turned."""
    assert stations(lambda x: shape.TransposeOp(x, [0, 2, 1]), [1, 3, 4]) == [12, 12]


def test_nothing_moves_if_beats_stay_the_same() -> None:
    """Channels come last, as they do in beats."""

    def tokens(x: SSAValue) -> Value:
        y = elementwise.ReluOp(x)
        flat = shape.ReshapeOp(y, [1, 4, 6])
        return elementwise.NegOp(shape.TransposeOp(flat, [0, 2, 1]))

    assert stations(tokens, [1, 4, 2, 3]) == [6, 6]


def test_reshape_across_dimensions() -> None:
    """No dimension of one shape is one of the other: by way of single elements."""

    def across(x: SSAValue) -> Value:
        y = shape.ReshapeOp(elementwise.ReluOp(x), [1, 5, 3, 2])
        return pooling.MaxPoolOp(y, [2, 1])

    stations(across, [1, 2, 3, 5])


def test_slice() -> None:
    """What is not read is dropped, at both ends and between."""
    parts = {"starts": [0, 1, 2], "stops": [1, 6, 5], "strides": [1, 2, 1]}
    assert stations(lambda x: shape.SliceOp(x, **parts), [1, 7, 5]) == [3]


def test_the_first_of_some_beats() -> None:
    """As if nothing moved, but the others are dropped."""
    first = {"starts": [0, 0], "stops": [1, 4]}
    assert stations(lambda x: shape.SliceOp(x, **first), [2, 4]) == [1]


@pytest.mark.parametrize(
    ("order", "axis"),
    [
        ([2, 1, 0], 2),
        ([0, 0, 1, 1, 2, 2], 2),
        ([3, 2, 1, 0], 3),
        ([1, 0], 1),
        ([-1, -2, -3], 2),
    ],
)
def test_regular_places(order: list[int], axis: int) -> None:
    """Flips and repetitions."""
    assert stations(lambda x: places(x, order, axis), [1, 2, 3, 4])


def test_broadcast() -> None:
    assert stations(lambda x: shape.BroadcastOp(x, [3, 2, 4]), [1, 2, 1]) == [6]


def test_pixel_shuffle() -> None:
    def shuffle(x: SSAValue) -> Value:
        parts = shape.ReshapeOp(x, [1, 2, 2, 2, 2, 3])
        turned = shape.TransposeOp(parts, [0, 1, 4, 2, 5, 3])
        return shape.ReshapeOp(turned, [1, 2, 4, 6])

    stations(shuffle, [1, 8, 2, 3])


MOVES = "transpose", "reshape", "slice"


@pytest.mark.parametrize("first", MOVES)
@settings(
    phases=[Phase.generate],
    max_examples=3,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.too_slow],
)
@given(data=st.data())
def test_moves_one_after_the_other(first: str, data: st.DataObject) -> None:
    def move(x: SSAValue) -> Value:
        others = data.draw(st.lists(st.sampled_from(MOVES), max_size=3))
        for kind in (first, *others):
            size = shape_of(x)
            match kind:
                case "transpose":
                    order = data.draw(st.permutations(range(len(size))))
                    x = shape.TransposeOp(x, order).result
                case "reshape":
                    divisors = [n for n in range(1, 25) if not prod(size) % n]
                    rows = data.draw(st.sampled_from(divisors))
                    x = shape.ReshapeOp(x, [1, rows, prod(size) // rows]).result
                case _:
                    starts = [data.draw(st.integers(0, (n - 1) // 2)) for n in size]
                    x = shape.SliceOp(x, starts=starts, stops=list(size)).result
        return x

    size = data.draw(st.sampled_from([[1, 4, 2, 3], [2, 3, 4], [1, 3, 3, 2]]))
    stations(lambda x: move(elementwise.ReluOp(x).result), size)


# ---- several operands ---------------------------------------------------------------


@pytest.mark.parametrize("axis", [1, 2, 3])
def test_concat(axis: int) -> None:
    """One behind the other, or channels side by side."""
    stations(
        lambda x: shape.ConcatOp([x, elementwise.ReluOp(x), x], axis), [1, 2, 3, 2]
    )


@pytest.mark.parametrize("lanes", [2, 4])
def test_concat_of_parts_of_channels(lanes: int) -> None:
    """Channels come in several beats, of which the widths differ."""

    def joined(x: SSAValue) -> Value:
        return shape.ConcatOp([conv(x, 4, "a"), conv(x, 3, "b")], 1)

    stations(joined, [1, 2, 2, 3], {"a": (lanes, 2), "b": (2, 2)})


def test_concat_with_a_constant() -> None:
    def joined(x: SSAValue) -> Value:
        first = shape.ConstantOp.of(np.arange(8).reshape(1, 2, 4), X)
        zeros = shape.ConstantOp.of(np.zeros((1, 1, 4), np.int64), X)
        return shape.ConcatOp([first, x, zeros], 1)

    stations(joined, [1, 3, 4])


def test_merged_codes_of_any_format() -> None:
    element = MiniFloatType(MiniFloat(3, 2))
    model = Model((element, [1, 3, 2]))
    with model as (x,):
        y = shape.ConcatOp([shape.SliceOp(x, starts=[0, 1, 0], stops=[1, 3, 2]), x], 1)
    assert_streams(model.returns(y))


@pytest.mark.parametrize("outputs", [2, 4])
def test_pad(outputs: int) -> None:
    """Channels too, in one beat or in several."""

    def padded(x: SSAValue) -> Value:
        y = conv(x, 4, "a")
        return shape.PadOp(y, low=[0, 2, 1, 0], high=[0, 1, 0, 2], value=-0.5)

    stations(padded, [1, 2, 3, 2], {"a": (outputs, 2)})


def test_spread_operands() -> None:
    """One operand has less than the result, of which each place is read again."""

    def spread(x: SSAValue) -> Value:
        maxima = pooling.ReduceOp(x, "max", [2, 3], keepdims=True)
        return elementwise.MulOp(x, maxima, element=FixedType(9, 4))

    stations(spread, [1, 2, 3, 2])
    stations(lambda x: elementwise.MulOp(x, shape.ReshapeOp(x, [1, 3])), [3, 1])


def test_spread_over_channels() -> None:
    def spread(x: SSAValue) -> Value:
        first = shape.SliceOp(x, starts=[0, 0, 0], stops=[1, 3, 1])
        return elementwise.SubOp(elementwise.ReluOp(x), shape.ReshapeOp(first, [3, 1]))

    stations(spread, [2, 3, 4])


# ---- what cannot be -----------------------------------------------------------------


def test_irregular_places_are_refused() -> None:
    model = Model((X, [8, 1]))
    with model as (x,):
        y = elementwise.ReluOp(places(x, [0, 1, 3, 7, 6], 0), layer="act")
    with pytest.raises(PassFailedException, match=r"mase.relu act: .* in no loops"):
        streamed(model.returns(y))


def test_computed_places_are_refused() -> None:
    model = Model((X, [1, 8]), (UFixedType(3, 0), [5]))
    with model as (x, index):
        y = shape.GatherOp(x, index, 1)
    with pytest.raises(PassFailedException, match=r"mase.gather: the index is not"):
        streamed(model.returns(y))


def test_progressions() -> None:
    """Loops through places, and none where there is none."""
    found = Progression.of(np.array([3, 4, 8, 9, 5, 6, 10, 11]))
    assert found == Progression(3, (2, 2, 2), (2, 5, 1))
    assert Progression.of(np.array([7])) == Progression(7, (), ())
    assert Progression.of(np.arange(12)) == Progression(0, (12,), (1,))
    assert Progression.of(np.array([0, 1, 3, 4, 5, 6])) is None
