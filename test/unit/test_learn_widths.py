"""Widths of single elements, learned: gradients, costs, and the models that come out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
import torch
from levels import Model as Function
from torch import nn
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, f32
from xdsl.transforms.canonicalize import CanonicalizePass

import mase_opt as mo
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.cast_elements import CastElementsOp
from mase_opt.dialects.mase.layers import LinearOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import FixedType, UFixedType, element_of
from mase_opt.frontend.from_torch import from_torch
from mase_opt.frontend.to_torch import MaseModule, to_torch
from mase_opt.frontend.to_torch.learned_elements import AdderCost
from mase_opt.lib.formats import Overflow, RoundingMode
from mase_opt.lib.quantization.elements import (
    Granularity,
    Start,
    exact_types,
    insert_casts,
)

FLOOR = RoundingAttr((RoundingMode.FLOOR, Overflow.SATURATE))


def casts(module: ModuleOp) -> list[CastElementsOp]:
    return [op for op in module.walk() if isinstance(op, CastElementsOp)]


def finished(module: MaseModule) -> mo.Model:
    """The model in fixed point that a module with learned widths is."""
    ir = from_torch(module)
    CanonicalizePass().apply(Context(), ir)
    assert exact_types(ir) == []
    ir.verify()
    return mo.Model(ir)


def linear(
    weight: Sequence[Sequence[float]], fracs: Any, data_fracs: Any
) -> tuple[MaseModule, AdderCost]:
    """A linear layer with learned formats, without bias."""
    outputs, inputs = np.shape(weight)
    function = Function((UFixedType(8, 7), (1, inputs)))
    with function as (x,):
        data = CastElementsOp(
            x,
            np.full((1, inputs), 16),
            np.broadcast_to(data_fracs, (1, inputs)),
            element=UFixedType(24, 8),
            rounding=FLOOR,
        )
        master = ConstantOp.of(np.array(weight, np.float32), f32, "fc.weight")
        cast = CastElementsOp(
            master,
            np.full((outputs, inputs), 16),
            np.broadcast_to(fracs, (outputs, inputs)),
            element=FixedType(24, 8),
        )
        y = LinearOp(data, cast, element=f32, layer="fc")
    module = to_torch(function.returns(y), learn_widths=True)
    return module, AdderCost(module)


def test_numbers_are_rounded_to_their_fractions() -> None:
    module, _ = linear([[0.3, 1.4, -0.6]], [[1, 0, 2]], [[1, 2, 0]])
    # 0.5 · 0.3 is 0.5 · 0.5 · 1 …: data floors, weights round to nearest.
    result = module(torch.tensor([[0.9, 0.9, 1.5]]))
    assert result.tolist() == [[0.5 * 0.5 + 0.75 * 1 + 1.0 * -0.5]]


def test_gradients_of_fractions_are_what_rounding_took_away() -> None:
    module, _ = linear([[0.3, 1.25]], [[1, 1]], [[1, 2]])
    (data, weights) = module.elements.values()
    module(torch.tensor([[0.875, 0.375]])).sum().backward()
    assert data.frac.grad is not None
    assert weights.frac.grad is not None
    # Weights are 0.5 and 1 (a tie); of the data, half a step is lost on average.
    expected = [0.5 * (0.375 - 0.25), 1.0 * (0.125 - 0.125)]
    np.testing.assert_allclose(
        data.frac.grad[0], np.array(expected) * math.log(2), rtol=1e-5
    )
    expected = [0.5 * (0.3 - 0.5), 0.25 * (1.25 - 1.0)]
    np.testing.assert_allclose(
        weights.frac.grad[0], np.array(expected) * math.log(2), rtol=1e-5
    )
    parameter = module.get_parameter("fc.weight")
    assert parameter.grad is not None
    assert parameter.grad.tolist() == [[0.5, 0.25]]


def test_cost_is_digits_times_bits() -> None:
    # Codes 7 (8 - 1: two digits), 0, -4 (one); data of 3 bits, 2, and none.
    module, cost = linear([[1.75, 0.1, -2.0]], [[2, 2, 1]], [[3, 2, 1]])
    module(torch.tensor([[0.875, 0.75, 0.0]]))
    total = cost()
    assert total.item() == 2 * (3 + 1)
    total.backward()
    data, weights = module.elements.values()
    assert data.frac.grad is not None
    assert weights.frac.grad is not None
    assert data.frac.grad.tolist() == [[2, 0, 0]]
    assert weights.frac.grad.tolist() == [[0.5 * (3 + 1), 0, 0]]


def test_formats_follow_from_what_was_seen() -> None:
    module, _ = linear([[1.75, 0.1, -2.0]], [[2, 2, 1]], [[3, 2, 1]])
    module.eval()
    module(torch.tensor([[0.875, 0.75, 0.0], [1.0, 0.25, 0.0]]))
    model = finished(module)
    (data,) = casts(model.ir)
    assert data.elements.widths.tolist() == [[4, 2, 0]]
    assert data.elements.fracs.tolist()[0][:2] == [3, 2]
    assert element_of(data.result) == UFixedType(4, 3)
    constant = next(op for op in model.ir.walk() if isinstance(op, ConstantOp))
    assert constant.array().tolist() == [[7, 0, -8]]
    assert element_of(constant.result) == FixedType(4, 2)
    # Between 0 and 7 · 15, and nothing of the element without bits.
    (layer,) = [op for op in model.ir.walk() if isinstance(op, LinearOp)]
    assert element_of(layer.result) == UFixedType(7, 5)


class Small(nn.Module):
    """Convolution, batch norm, pooling, two linear layers."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 3, 3, padding=1)
        self.bn = nn.BatchNorm2d(3)
        self.pool = nn.MaxPool2d(2)
        self.fc1 = nn.Linear(12, 5)
        self.fc2 = nn.Linear(5, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.pool(torch.relu(self.bn(self.conv(x))))
        return self.fc2(torch.relu(self.fc1(x.flatten(1))))


@pytest.mark.parametrize("granularity", Granularity)
def test_levels_agree(granularity: Granularity) -> None:
    torch.manual_seed(0)
    model = mo.import_torch(Small().eval(), (torch.zeros(1, 1, 4, 4),))
    ir = model.calibrate(np.zeros((1, 1, 4, 4), np.float32)).ir.clone()
    assert insert_casts(ir, [(-1.0, 1.0)], Start(granularity)) == []
    module = to_torch(ir, learn_widths=True)
    rng = np.random.default_rng(0)
    with torch.no_grad():
        for elements in module.elements.values():
            # Some without bits.
            elements.frac += torch.tensor(
                rng.integers(-7, 1, elements.frac.shape), dtype=torch.float32
            )
    x = rng.uniform(-1, 1, (40, 1, 4, 4)).astype(np.float32)
    module.eval()
    with torch.no_grad():
        expected = module(torch.tensor(x)).numpy()
    found = finished(module)
    first = casts(found.ir)[0]
    shape = {"tensor": 1, "channel": 1, "element": 16}[granularity]
    assert first.elements.widths.size == shape
    for level in ("quantized", "lowered", "rtl"):
        np.testing.assert_array_equal(found.run(x, level=level), expected)
    beyond = rng.uniform(-3, 3, (20, 1, 4, 4)).astype(np.float32)
    codes = found.run(beyond, level="quantized", codes=True)
    np.testing.assert_array_equal(found.run(beyond, level="rtl", codes=True), codes)
