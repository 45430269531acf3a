"""Streamed networks whose streams part and meet: U-Nets, fan-outs, cells over time."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
import torch
from levels import Model
from streams import assert_minimal, assert_streams
from xdsl.dialects.builtin import i64
from xdsl.ir import SSAValue

import mase_opt as mo
from mase_opt.dialects.mase import elementwise, layers, pooling, shape
from mase_opt.dialects.mase.types import FixedType, shape_of
from mase_opt.lib.analysis.network import network_function, network_of

X, W = FixedType(6, 3), FixedType(5, 4)


def constant(*size: int) -> SSAValue:
    codes = np.random.default_rng(sum(size)).integers(-16, 16, size)
    return shape.ConstantOp.of(codes, W).result


def conv(x: SSAValue, outputs: int, layer: str, kernel: int = 3) -> SSAValue:
    weight = constant(outputs, shape_of(x)[1], kernel, kernel)
    padding = [kernel // 2] * 2
    return layers.Conv2dOp(x, weight, padding=padding, layer=layer, element=X).result


@pytest.mark.parametrize("up", ["transposed", "nearest"])
def test_u_net(up: str) -> None:
    """What goes around the bottom waits for it, and is joined with its channels."""
    model = Model((X, [1, 1, 4, 4]))
    with model as (x,):
        around = conv(x, 2, "down")
        y = conv(pooling.MaxPoolOp(around, [2, 2], strides=[2, 2]).result, 4, "bottom")
        if up == "transposed":
            weight = constant(4, 2, 2, 2)
            y = layers.ConvTranspose2dOp(y, weight, strides=[2, 2], layer="lift").result
        else:
            places = shape.ConstantOp.of(np.arange(4) // 2, i64)
            for axis in (2, 3):
                y = shape.GatherOp(y, places, axis).result
        z = conv(shape.ConcatOp([y, around], 1).result, 2, "up")
    folding = {"down": (2, 1), "bottom": (2, 2), "lift": (2, 2), "up": (2, 2)}
    network = assert_streams(model.returns(z), folding)
    assert_minimal(network_of(network_function(network)).network)


def test_fan_out_of_three() -> None:
    """Each way takes another time."""
    model = Model((X, [1, 2, 4, 4]))
    with model as (x,):
        x = elementwise.ReluOp(x).result
        wide, narrow = conv(x, 2, "wide"), conv(x, 2, "narrow", 1)
        y = elementwise.AddOp(elementwise.AddOp(wide, narrow), x, element=X)
    network = assert_streams(model.returns(y), {"wide": (2, 1), "narrow": (1, 2)})
    timing = network_of(network_function(network)).network
    assert max(len(readers) for readers in timing.readers) == 3
    assert_minimal(timing)


class Last(torch.nn.Module):
    """What a cell gives in the end."""

    def __init__(self, cell: Callable[..., torch.nn.Module]):
        super().__init__()
        self.cell = cell(2, 2, batch_first=True)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.cell(x)[0][:, -1]


@pytest.mark.filterwarnings("ignore:The tensor attributes self.cell")
@pytest.mark.parametrize(
    "cell",
    [
        torch.nn.RNN,
        pytest.param(torch.nn.LSTM, marks=pytest.mark.slow),
        pytest.param(torch.nn.GRU, marks=pytest.mark.slow),
    ],
)
def test_cells_over_time(cell: Callable[..., torch.nn.Module]) -> None:
    """The steps of a cell are one behind the other, each with a circuit of its own."""
    torch.manual_seed(0)  # pyright: ignore[reportUnknownMemberType]
    model = mo.import_torch(Last(cell).eval(), (torch.zeros(1, 2, 2),), "cell")
    data = np.random.default_rng(0).normal(size=(8, 2, 2)).astype(np.float32)
    module = model.calibrate(data).quantize(width=5).apply("lower-to-lookup").ir
    network = assert_streams(module, samples=1)
    assert_minimal(network_of(network_function(network)).network)
