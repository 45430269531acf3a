"""Imported integer arithmetic, at every level: torch, interpreter, circuit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mase_opt.frontend.import_torch import import_torch
from mase_opt.frontend.to_torch import to_torch
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.testing import assert_levels_agree

torch = pytest.importorskip("torch", reason="needs the extra 'torch'")
F = torch.nn.functional


class Function(torch.nn.Module):
    def __init__(self, function: Callable[..., Any]):
        super().__init__()
        self.function = function

    def forward(self, *inputs: torch.Tensor) -> Any:
        return self.function(*inputs)


FUNCTIONS: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "neg": lambda x, y: -x - y.abs(),
    "pow": lambda x, y: x**3 + y**0,
    "sum": lambda x, y: (x + y).sum(1, dtype=x.dtype),
    "narrow": lambda x, y: (x.to(torch.int32) * y).to(x.dtype),
    "to_unsigned": lambda x, y: x.to(torch.uint8) + y.to(torch.uint8),
    "matmul": lambda x, y: x @ y.T,
    "floor": lambda x, y: x // 7 + y % 5,
    "trunc": lambda x, y: torch.fmod(x, 7) + y,
    "argmin": lambda x, y: x.min(1).indices + y.min(1).indices,
    "compare": lambda x, y: (x > 1) & (y <= 7),
    "mean": lambda x, y: F.avg_pool2d((x + y).long()[None], (1, 2)),
}


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize("dtype", [torch.int8, torch.uint8], ids=["int8", "uint8"])
def test_levels_agree(name: str, dtype: torch.dtype) -> None:
    info = np.iinfo(str(dtype).removeprefix("torch."))
    rng = np.random.default_rng(0)
    inputs = rng.integers(info.min, info.max, (2, 30, 2, 3), info.dtype, endpoint=True)
    inputs[:, 0], inputs[:, 1] = info.min, info.max
    x, y = map(torch.from_numpy, inputs)
    function = FUNCTIONS[name]
    module = import_torch(Function(function), (x[0], y[0]), name)
    net = to_torch(module)
    want = [function(a, b).tolist() for a, b in zip(x, y, strict=True)]
    assert evaluate(module, list(inputs))[0].tolist() == want
    assert [net(a, b).tolist() for a, b in zip(x, y, strict=True)] == want
    assert_levels_agree(module, inputs=list(inputs))


WIDE: dict[str, Callable[..., Any]] = {
    "add": lambda x, y: x + y,
    "sub": lambda x, y: x - y,
    "mul": lambda x, y: x * y,
    "neg": lambda x, y: -x - y.abs(),
    "pow": lambda x, y: x**3,
    "sum": lambda x, y: x.sum(1),
    "narrow": lambda x, y: x.to(torch.int8) + y.to(torch.int32),
    "matmul": lambda x, y: x @ y.T,
    "floor": lambda x, y: x // 7 + y // -3,
    "trunc": lambda x, y: torch.fmod(x, 7) + torch.div(y, -3, rounding_mode="trunc"),
    "remainder": lambda x, y: x % ((1 << 53) + 1) + y,
    "argmin": lambda x, y: x.min(1).indices + y.min(1).indices,
}


@pytest.mark.parametrize("name", WIDE)
@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=["int32", "int64"])
def test_wide_integers_lose_no_bit(name: str, dtype: torch.dtype) -> None:
    info = np.iinfo(str(dtype).removeprefix("torch."))
    rng = np.random.default_rng(0)
    inputs = rng.integers(info.min, info.max, (2, 2, 3), info.dtype, endpoint=True)
    inputs[:, 0, 0] = info.min
    x, y = map(torch.from_numpy, inputs)
    module = import_torch(Function(WIDE[name]), (x, y), name)
    want = WIDE[name](x, y).tolist()
    assert evaluate(module, list(inputs[:, None]))[0][0].tolist() == want
    assert to_torch(module)(x, y).tolist() == want


@pytest.mark.parametrize("dtype", [torch.int32, torch.int64], ids=["int32", "int64"])
def test_opposite_of_the_lowest(dtype: torch.dtype) -> None:
    """Torch itself dies of this division."""
    lowest = int(torch.iinfo(dtype).min)
    x = torch.tensor([lowest, 5], dtype=dtype)
    module = import_torch(Function(lambda x: x // -1), (x,), "opposite")
    assert evaluate(module, [x.numpy()[None]])[0].tolist() == [[lowest, -5]]
    assert to_torch(module)(x).tolist() == [lowest, -5]
