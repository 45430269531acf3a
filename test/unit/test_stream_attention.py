"""Streamed products of streams, reductions of rows, softmax, norms and attention."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from levels import Model
from streams import assert_minimal, assert_streams, streamed
from xdsl.context import Context
from xdsl.dialects.builtin import f32
from xdsl.ir import Operation, SSAValue

import mase_opt as mo
from mase_opt.dialects.mase import elementwise, layers, normalization, pooling, shape
from mase_opt.dialects.mase.types import FixedType
from mase_opt.lib.analysis.network import network_function, network_of
from mase_opt.lib.analysis.parallelism import Layers
from mase_opt.lib.conversion.streamed.builder import parallelism
from mase_opt.lib.model_function import model_function
from mase_opt.lib.transforms.mase_allocate_parallelism import (
    MaseAllocateParallelismPass,
)
from mase_opt.testing import assert_levels_agree

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


# ---- softmax, norms and attention ---------------------------------------------------


def floats(*size: int) -> SSAValue:
    drawn = np.random.default_rng(sum(size)).normal(size=size)
    return shape.ConstantOp.of(drawn.astype(np.float32), f32).result


SIZES: dict[str, list[list[int]]] = {
    "softmax": [[3, 5]],
    "softmax of columns": [[3, 4]],
    "masked softmax": [[4, 4]],
    "layer norm": [[3, 6]],
    "layer norm of matrices": [[2, 2, 3]],
    "group norm": [[1, 4, 1, 2]],
    "one group": [[2, 4]],
    "instance norm": [[1, 3, 2, 3]],
    "attention": [[2, 2, 4], [2, 3, 4], [2, 3, 3]],
    "causal attention": [[1, 2, 3, 2], [1, 2, 3, 2], [1, 2, 3, 3]],
}


def layer(name: str, x: SSAValue, *others: SSAValue) -> Operation:
    match name:
        case "softmax":
            return normalization.SoftmaxOp(x, 1)
        case "softmax of columns":
            return normalization.SoftmaxOp(x, 0)
        case "masked softmax":
            mask = np.where(np.tri(4), 0, np.finfo(np.float32).min)
            addend = shape.ConstantOp.of(mask.astype(np.float32), f32)
            return normalization.SoftmaxOp(elementwise.AddOp(x, addend), 1)
        case "layer norm":
            return normalization.LayerNormOp(x, floats(6), floats(6), eps=1e-5)
        case "layer norm of matrices":
            return normalization.LayerNormOp(x, floats(2, 3), rank=2, eps=1e-5)
        case "group norm":
            weight, bias = floats(4), floats(4)
            return normalization.GroupNormOp(x, weight, bias, groups=2, eps=1e-5)
        case "one group":
            return normalization.GroupNormOp(x, groups=1, eps=1e-5)
        case "instance norm":
            return normalization.GroupNormOp(x, floats(3), groups=3, eps=1e-5)
        case _:
            causal = name.startswith("causal")
            return normalization.AttentionOp(x, *others, scale=0.6, causal=causal)


WHOLE = {f"mase.{n}" for n in ("softmax", "layer_norm", "group_norm", "attention")}


def decomposed(name: str) -> tuple[mo.Model, mo.Model, list[Any]]:
    """A model of one layer, its parts, and data."""
    sizes = SIZES[name]
    model = Model(*((f32, size) for size in sizes))
    with model as inputs:
        y = layer(name, *inputs)
    rng = np.random.default_rng(1)
    data = [rng.normal(size=(24, *size)).astype(np.float32) for size in sizes]
    whole = mo.Model(model.returns(y))
    return whole, whole.apply("decompose-normalizations"), data


@pytest.mark.parametrize("name", SIZES)
def test_parts_in_hardware(name: str) -> None:
    """Interpreter, torch, unrolled and streamed circuits of what they are made of."""
    whole, parts, data = decomposed(name)
    assert not any(op.name in WHOLE for op in parts.ir.walk())
    assert np.allclose(whole.run(data), parts.run(data), rtol=1e-5, atol=1e-6)
    module = parts.calibrate(data).quantize(width=6)._explicit  # pyright: ignore[reportPrivateUsage]
    assert_levels_agree(module, samples=4, torch=True, max_logic_depth=4)
    network = assert_streams(module, samples=2)
    if name in ("softmax of columns", "layer norm", "instance norm"):
        assert_minimal(network_of(network_function(network)).network)


@pytest.mark.parametrize("name", ["softmax", "causal attention", "layer norm"])
def test_parts_are_near(name: str) -> None:
    """In 8 bits, the parts are about as good as the whole in 8 bits."""
    whole, parts, data = decomposed(name)
    wanted = whole.run(data)
    quantized = [m.calibrate(data).quantize(width=8) for m in (whole, parts)]
    errors = [np.abs(m.run(data) - wanted).mean() for m in quantized]
    assert errors[1] < 4 * errors[0]


@pytest.mark.slow
def test_a_transformer_encoder() -> None:
    """Heads, a residual around attention, norms: all of it in a few multipliers."""
    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
    net = torch.nn.TransformerEncoderLayer(8, 2, 12, batch_first=True).eval()
    data = np.random.default_rng(0).normal(size=(24, 3, 8)).astype(np.float32)
    model = mo.import_torch(net, (torch.zeros(1, 3, 8),), "encoder")
    model = model.apply("decompose-normalizations").calibrate(data).quantize(width=6)
    module = model._explicit.clone()  # pyright: ignore[reportPrivateUsage]
    MaseAllocateParallelismPass(multipliers=24).apply(Context(), module)
    network = network_of(network_function(assert_streams(module, samples=2))).network
    found = Layers(model_function(module))
    chosen = [(work, parallelism(op)) for op, work in found.works.items()]
    cycles = [work.cycles(choice) for work, choice in chosen if choice is not None]
    assert network.run().interval == max(cycles)
