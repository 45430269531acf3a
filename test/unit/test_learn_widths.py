"""Learned widths of single elements: gradients, costs, and what models come out."""

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
from mase_opt.model.moves import Moves

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


def test_prices_are_what_one_more_digit_costs() -> None:
    module, cost = linear([[1.75, 0.1, -2.0]], [[2, 2, 1]], [[3, 2, 1]])
    module(torch.tensor([[0.875, 0.75, 0.0]]))
    (prices,) = cost.prices().values()
    assert prices.tolist() == [[[3 + 1, 2 + 1, 0]]]


def test_replay_computes_what_depends_on_a_value() -> None:
    module, _ = linear([[1.75, 0.1, -2.0]], [[2, 2, 1]], [[3, 2, 1]])
    _, weights = module.elements
    x = torch.tensor([[0.875, 0.75, 1.5], [0.5, 0.25, 1.0]])
    replay = module.replay(weights, x)
    assert replay.numbers.tolist() == [[[1.75, 0.0, -2.0]]]
    assert replay.result(replay.numbers).tolist() == module(x).tolist()
    found = replay.result(torch.tensor([[[1.0, 2.0, 0.5]]]))
    assert found.tolist() == [[0.875 + 1.5 + 0.75], [0.5 + 0.5 + 0.5]]
    # It has only been tried.
    assert module(x).tolist() == replay.result(replay.numbers).tolist()


@pytest.mark.parametrize(
    ("wanted", "weight", "score", "adders"),
    [
        # 7 has two digits, as 6; 8 has one. Each costs 2, with data of a bit.
        (2.0, 1e-3, 8 / 4, 2),
        (1.5, 1e-3, 6 / 4, 4),
        (2.0, 10.0, 0, 0),
    ],
)
def test_moves_weigh_loss_and_cost(
    wanted: float, weight: float, score: float, adders: int
) -> None:
    module, cost = linear([[1.75]], [[2]], [[0]])
    x = torch.ones(4, 1)

    def loss(scores: torch.Tensor) -> torch.Tensor:
        return (scores - wanted).square().mean()

    moves = Moves(module, [x], loss, weight)
    first = moves.best
    generator = torch.Generator().manual_seed(0)
    while moves.sweep(generator):
        pass
    with torch.no_grad():
        assert module(x).tolist() == [[score]] * 4
        assert cost().item() == adders
        assert moves.best == (loss(module(x)) + weight * cost()).item()
    assert moves.best < first


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
            elements.frac.add_(torch.tensor(rng.integers(-7, 1, elements.frac.shape)))
    x = rng.uniform(-1, 1, (40, 1, 4, 4)).astype(np.float32)
    module.eval()
    with torch.no_grad():
        expected = module(torch.tensor(x)).numpy()
    found = finished(module)
    # The image, what a pool chooses from, and what a linear layer gives.
    assert [op.elements.widths.size for op in casts(found.ir)] == {
        "tensor": [1, 1, 1],
        "channel": [1, 3, 5],
        "element": [16, 48, 5],
    }[granularity]
    for level in ("quantized", "lowered", "rtl"):
        np.testing.assert_array_equal(found.run(x, level=level), expected)
    beyond = rng.uniform(-3, 3, (20, 1, 4, 4)).astype(np.float32)
    codes = found.run(beyond, level="quantized", codes=True)
    np.testing.assert_array_equal(found.run(beyond, level="rtl", codes=True), codes)


# ---- fronts -------------------------------------------------------------------------


def stripes(count: int, seed: int) -> tuple[Any, Any]:
    """Four numbers, of which the first two decide between two classes."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(0, 1, (count, 4)).astype(np.float32)
    x = x[np.abs(x[:, 0] - x[:, 1]) > 0.2]
    return x, (x[:, 0] > x[:, 1]).astype(np.int64)


def classifier() -> mo.Model:
    """Sees all four numbers, but the last two hardly."""
    layer = nn.Linear(4, 2)
    weight = torch.tensor([[-4.0, 4.0, 0.05, 0.1], [4.0, -4.0, 0.1, 0.05]])
    layer.weight = nn.Parameter(weight)
    layer.bias = nn.Parameter(torch.tensor([0.01, -0.02]))
    return mo.import_torch(layer, (torch.zeros(1, 4),))


def learned(**options: Any) -> list[mo.Point]:
    data, _ = stripes(200, 0)
    settings = {"steps": 120, "batch": 64, "weights": (1e-3, 1e-2), "points": 2}
    return mo.learn_widths(classifier(), data, *stripes(200, 1), **settings | options)


def test_a_front_leaves_out_what_earns_nothing() -> None:
    front = learned()
    test, labels = stripes(300, 2)
    costs = [p.cost for p in front]
    assert costs == sorted(costs)
    accuracies = [p.accuracy for p in front]
    assert accuracies == sorted(set(accuracies))
    best = front[-1].model
    assert best.is_quantized
    assert best.evaluate(test, labels) >= 0.98
    for level in ("lowered", "rtl"):
        codes = best.run(test, level=level, codes=True)
        np.testing.assert_array_equal(codes, best.run(test, codes=True))
    assert best.emit(verify=16).verified >= 16
    weights = next(op for op in best.ir.walk() if isinstance(op, LinearOp)).weight.owner
    assert isinstance(weights, ConstantOp)
    assert (weights.array() != 0).any(axis=0).tolist() == [True, True, False, False]
    assert best.unquantized.evaluate(test, labels) == 1.0


def test_the_same_seed_gives_the_same_front() -> None:
    first, second = (learned(steps=40, seed=3) for _ in range(2))
    for one, other in zip(first, second, strict=True):
        assert (one.cost, str(one.model.ir)) == (other.cost, str(other.model.ir))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps is 0, expected at least 1"),
        ({"weights": (1.0, 0.1)}, "expected 0 < first <= second"),
        ({"granularity": "row"}, "'row', expected one of tensor, channel, element"),
        ({"learning_rate": 1e38, "steps": 5}, "loss is .* at step .*lower"),
        ({"learning_rate": 1e9, "steps": 1}, r"beyond 2\^16 at step 0: .* lower"),
    ],
)
def test_mistakes(options: dict[str, Any], message: str) -> None:
    with pytest.raises(mo.UserError, match=message):
        learned(**options)


def test_layers_may_share_weights_and_data() -> None:
    class Shared(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc, self.other = nn.Linear(4, 4), nn.Linear(4, 4)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            y = torch.relu(self.fc(x))
            return self.fc(y) + self.other(y)

    model = mo.import_torch(Shared().eval(), (torch.zeros(1, 4),))
    ir = model.ir.clone()
    assert insert_casts(ir, [(0.0, 1.0)], Start()) == []
    # Two values, two weights, two biases.
    assert len(casts(ir)) == 6
    module = to_torch(ir, learn_widths=True).eval()
    x = torch.rand(20, 4, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = module(x).numpy()
    found = finished(module)
    np.testing.assert_array_equal(found.run(x.numpy(), level="rtl"), expected)


class Squared(nn.Module):
    def __init__(self, kind: str):
        super().__init__()
        self.fc, self.kind = nn.Linear(4, 4), kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.fc(x)
        if self.kind == "product":
            return (y @ y.T)[:, :1].expand(1, 4) + y
        return self.fc(torch.sigmoid(y))


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("product", "no learned widths for layers that multiply two results"),
        ("sigmoid", "no exact results in fixed point"),
    ],
)
def test_layers_that_cannot_learn_are_named(kind: str, message: str) -> None:
    model = mo.import_torch(Squared(kind).eval(), (torch.zeros(1, 4),))
    x, y = stripes(20, 0)
    with pytest.raises(mo.UserError, match=message):
        mo.learn_widths(model, x, x, y, steps=1)


def test_a_quantized_model_is_refused() -> None:
    x, y = stripes(20, 0)
    with pytest.raises(mo.UserError, match="quantized already"):
        mo.learn_widths(classifier().calibrate(x).quantize(width=8), x, x, y)
