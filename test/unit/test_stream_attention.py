"""Streamed products of streams, reductions of rows, softmax, norms and attention."""

from __future__ import annotations

import numpy as np
import pytest
from levels import Model
from streams import assert_minimal, assert_streams, streamed
from xdsl.context import Context

from mase_opt.dialects.mase import elementwise, layers, pooling, shape
from mase_opt.dialects.mase.types import FixedType
from mase_opt.lib.analysis.network import network_function, network_of
from mase_opt.lib.transforms.mase_allocate_parallelism import (
    MaseAllocateParallelismPass,
)

X, Y = FixedType(6, 3), FixedType(5, 4)


@pytest.mark.parametrize(
    ("lhs", "rhs", "folding"),
    [
        ([5, 6], [6, 7], (3, 2)),
        ([5, 6], [6, 7], (7, 6)),
        ([2, 5, 6], [2, 6, 3], (2, 4)),
        ([2, 3, 6], [6, 3], (1, 6)),
        ([1, 2, 3, 4], [1, 2, 4, 5], (4, 2)),
        ([2, 3, 4], [2, 4, 1], (1, 1)),
        ([4, 2], [3, 2, 5], (2, 2)),
    ],
)
def test_products(lhs: list[int], rhs: list[int], folding: tuple[int, int]) -> None:
    model = Model((X, lhs), (Y, rhs))
    with model as (x, y):
        z = layers.MatmulOp(x, y, element=FixedType(7, 3), layer="product")
    network = assert_streams(model.returns(z), {"product": folding})
    assert_minimal(network_of(network_function(network)).network)


@pytest.mark.parametrize("folding", [(2, 3), (4, 1)])
def test_transposed_products(folding: tuple[int, int]) -> None:
    """What is transposed for a product is not moved: the buffer is read as it lies."""
    model = Model((X, [2, 4, 6]))
    with model as (x,):
        turned = shape.TransposeOp(x, [0, 2, 1])
        y = layers.MatmulOp(x, turned, element=FixedType(9, 4), layer="scores")
    network = assert_streams(model.returns(y), {"scores": folding})
    assert_minimal(network_of(network_function(network)).network)


def test_rows_of_a_linear_layer_in_four_dimensions() -> None:
    """Beats along the channels of an image are turned for what multiplies rows."""
    rng = np.random.default_rng(0)
    model = Model((X, [1, 2, 3, 5]))
    with model as (x,):
        weight = shape.ConstantOp.of(rng.integers(-16, 16, (4, 5)), Y)
        y = layers.LinearOp(x, weight, layer="fc")
    assert_streams(model.returns(y), {"fc": (3, 2)})


def test_budgets_of_products() -> None:
    """The interval that is allocated is met, what puts the operands together too."""
    rng = np.random.default_rng(0)
    model = Model((X, [6, 8]), (X, [8, 4]))
    with model as (x, y):
        weight = shape.ConstantOp.of(rng.integers(-16, 16, (8, 8)), Y)
        a = layers.LinearOp(x, weight, layer="fc")
        z = layers.MatmulOp(a, y, element=FixedType(9, 4), layer="product")
    module = model.returns(z)
    for interval in (48, 96):
        chosen = module.clone()
        MaseAllocateParallelismPass(interval=interval).apply(Context(), chosen)
        network = network_of(network_function(streamed(chosen))).network
        assert interval / 2 < network.run().interval <= interval


@pytest.mark.parametrize(
    ("kind", "size", "axes", "folding"),
    [
        ("max", [3, 6], [1], (6, 1)),
        ("sum", [3, 6], [1], (4, 1)),
        ("mean", [2, 3, 5], [2], (2, 1)),
        ("max", [2, 3, 4], [1, 2], (2, 1)),
        ("mean", [3, 5], [0], (2, 1)),
        ("sum", [1, 2, 3, 4], [3], (1, 1)),
    ],
)
def test_rows_are_reduced(
    kind: str, size: list[int], axes: list[int], folding: tuple[int, int]
) -> None:
    """Whatever takes turns, and whatever lies in a beat, ragged ones too."""
    rng = np.random.default_rng(0)
    model = Model((X, size))
    with model as (x,):
        weight = shape.ConstantOp.of(rng.integers(-16, 16, (size[-1], size[-1])), Y)
        y = layers.LinearOp(x, weight, layer="fc")
        element = None if kind == "max" else FixedType(9, 4)
        z = pooling.ReduceOp(y, kind, axes, keepdims=len(size) == 3, element=element)
    network = assert_streams(model.returns(z), {"fc": folding})
    assert_minimal(network_of(network_function(network)).network)


@pytest.mark.parametrize("lanes", [5, 3, 1])
def test_scalars_of_rows(lanes: int) -> None:
    """A row waits for what is computed of it, and meets it."""
    rng = np.random.default_rng(0)
    model = Model((X, [2, 3, 5]), (X, [5]))
    with model as (x, s):
        weight = shape.ConstantOp.of(rng.integers(-16, 16, (5, 5)), Y)
        y = layers.LinearOp(x, weight, layer="fc")
        most = pooling.ReduceOp(y, "max", [2], keepdims=True)
        below = elementwise.SubOp(y, most, element=FixedType(7, 3))
        z = elementwise.MulOp(below, s, element=FixedType(8, 4))
    network = assert_streams(model.returns(z), {"fc": (lanes, 5)})
    assert_minimal(network_of(network_function(network)).network)


def test_operands_in_other_orders() -> None:
    """A sum of beats along the rows and beats along the channels of an image."""
    rng = np.random.default_rng(0)
    model = Model((X, [1, 2, 3, 4]))
    with model as (x,):
        weight = shape.ConstantOp.of(rng.integers(-16, 16, (4, 4)), Y)
        y = layers.LinearOp(x, weight, layer="fc")
        z = elementwise.AddOp(y, x, element=FixedType(8, 4))
    network = assert_streams(model.returns(z), {"fc": (4, 4)})
    assert_minimal(network_of(network_function(network)).network)


def test_outer_sums() -> None:
    model = Model((X, [3, 1]), (X, [1, 4]))
    with model as (x, y):
        z = elementwise.AddOp(x, y)
    network = assert_streams(model.returns(z))
    assert_minimal(network_of(network_function(network)).network)
