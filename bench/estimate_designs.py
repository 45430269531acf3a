"""Small models, formats and hardware options, which the estimate is fitted to."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any, cast

import numpy as np
import torch
from torch import nn

import mase_opt as mo

DIGITS = Path(__file__).resolve().parent.parent / "examples" / "digits"


@dataclass(frozen=True)
class Design:
    """A circuit, by what it is made from."""

    name: str
    family: str
    make: Callable[[], mo.Model]
    options: dict[str, Any]
    """Of `Model.emit` and `Model.estimate`."""


class Residual(nn.Module):
    """What a function computes, added to its input."""

    def __init__(self, inner: nn.Module):
        super().__init__()
        self.inner = inner

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x + self.inner(x))


class Gated(nn.Module):
    """Two linear layers whose results meet in an operation."""

    def __init__(self, features: int, outputs: int, kind: str):
        super().__init__()
        self.left = nn.Linear(features, outputs)
        self.right = nn.Linear(features, outputs)
        self.kind = kind

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a, b = self.left(x), self.right(x)
        match self.kind:
            case "mul":
                return a * b
            case "sub":
                return a - b
            case "max":
                return torch.maximum(a, b)
            case "sum":
                return (a + b).sum(-1, keepdim=True)
            case _:
                return torch.where(a > b, a, torch.relu(b))


class Product(nn.Module):
    """A matrix product of two results."""

    def __init__(self, features: int, inner: int):
        super().__init__()
        self.key = nn.Linear(features, inner)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.matmul(x, self.key(x).transpose(-1, -2))


def randomize(net: nn.Module, rng: np.random.Generator) -> nn.Module:
    """Weights as different as those of trained models are."""
    for module in net.modules():
        if isinstance(module, nn.Linear | nn.Conv1d | nn.Conv2d):
            shape = tuple(module.weight.shape)
            scale = 1 / np.sqrt(np.prod(shape[1:]))
            kind = rng.integers(4)
            numbers = (
                rng.uniform(-1.7, 1.7, shape)
                if kind == 0
                else rng.laplace(0, 0.7, shape)
                if kind == 1
                else rng.normal(0, 1, shape)
            )
            if kind == 3:
                numbers = numbers * (rng.random(shape) < 0.5)
            with torch.no_grad():
                module.weight.copy_(torch.tensor(scale * numbers))
        elif isinstance(module, nn.BatchNorm2d):
            with torch.no_grad():
                count = module.num_features
                module.weight.copy_(torch.tensor(rng.uniform(0.5, 1.5, count)))
                module.running_var.copy_(  # pyright: ignore[reportOptionalMemberAccess]
                    torch.tensor(rng.uniform(0.5, 2, count))
                )
    return net


ACTIVATIONS = {
    "sigmoid": nn.Sigmoid,
    "tanh": nn.Tanh,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "hardsigmoid": nn.Hardsigmoid,
    "softplus": nn.Softplus,
}
FLOATS = ("fp8_e4m3", "fp8_e5m2", "fp6_e3m2", "fp6_e2m3", "fp4_e2m1")
Net = tuple[nn.Module, tuple[int, ...]]
Settings = dict[str, Any]


def linear(pick: random.Random) -> Net:
    inputs, outputs = pick.randint(3, 16), pick.randint(2, 8)
    layers: list[nn.Module] = [nn.Linear(inputs, outputs, bias=pick.random() < 0.8)]
    if pick.random() < 0.5:
        layers.append(nn.ReLU())
    return nn.Sequential(*layers), (1, inputs)


def mlp(pick: random.Random, least: int = 3, most: int = 9) -> Net:
    sizes = [pick.randint(least, most) for _ in range(pick.randint(3, 4))]
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        act = pick.choice([nn.ReLU, nn.ReLU, nn.ReLU6, nn.LeakyReLU])
        layers += [nn.Linear(a, b), act()]
    return nn.Sequential(*layers[:-1]), (1, sizes[0])


def large(pick: random.Random) -> Net:
    return mlp(pick, 8, 20)


def conv(pick: random.Random) -> Net:
    channels, outputs = pick.randint(1, 2), pick.randint(1, 3)
    kernel, size = pick.choice([2, 2, 3]), pick.choice([4, 4, 5])
    layers: list[nn.Module] = [
        nn.Conv2d(
            channels,
            outputs,
            kernel,
            stride=pick.choice([1, 1, 2]),
            padding=pick.choice([0, 1]),
        )
    ]
    if pick.random() < 0.3:
        layers.append(nn.BatchNorm2d(outputs))
    if pick.random() < 0.7:
        layers.append(nn.ReLU())
    if pick.random() < 0.4:
        layers.append(pick.choice([nn.MaxPool2d(2), nn.AvgPool2d(2)]))
    return nn.Sequential(*layers), (1, channels, size, size)


def conv1d(pick: random.Random) -> Net:
    channels, outputs = pick.randint(1, 3), pick.randint(1, 4)
    length = pick.randint(6, 10)
    inner = nn.Conv1d(
        channels, outputs, pick.choice([2, 3]), stride=pick.choice([1, 2])
    )
    return nn.Sequential(inner, nn.ReLU()), (1, channels, length)


def network(pick: random.Random) -> Net:
    """Like LeNet, but tiny."""
    first, classes = pick.randint(1, 2), pick.randint(2, 4)
    pool = pick.choice([nn.MaxPool2d(2), nn.AvgPool2d(2)])
    layers: list[nn.Module] = [nn.Conv2d(1, first, 3, padding=1)]
    if pick.random() < 0.4:
        layers.append(nn.BatchNorm2d(first))
    layers += [nn.ReLU(), pool]
    size, channels = 2, first
    if pick.random() < 0.5:
        channels = pick.randint(1, 3)
        layers += [nn.Conv2d(first, channels, 2), nn.ReLU()]
        size = 1
    layers += [nn.Flatten(), nn.Linear(channels * size * size, classes)]
    return nn.Sequential(*layers), (1, 1, 4, 4)


def residual(pick: random.Random) -> Net:
    features = pick.randint(3, 8)
    inner: list[nn.Module] = [nn.Linear(features, features)]
    if pick.random() < 0.5:
        inner += [nn.ReLU(), nn.Linear(features, features)]
    return nn.Sequential(Residual(nn.Sequential(*inner))), (1, features)


def gated(pick: random.Random) -> Net:
    kind = pick.choice(["mul", "sub", "max", "where", "sum"])
    features, outputs = pick.randint(3, 8), pick.randint(2, 6)
    return Gated(features, outputs, kind), (1, features)


def activation(pick: random.Random) -> Net:
    features, outputs = pick.randint(2, 7), pick.randint(2, 7)
    layers: list[nn.Module] = [nn.Linear(features, outputs)]
    layers.append(ACTIVATIONS[pick.choice(list(ACTIVATIONS))]())
    if pick.random() < 0.5:
        layers.append(nn.Linear(outputs, pick.randint(2, 5)))
    return nn.Sequential(*layers), (1, features)


def product(pick: random.Random) -> Net:
    features = pick.randint(2, 3)
    return Product(features, features), (1, pick.randint(2, 3), features)


def narrow(pick: random.Random) -> Net:
    """Few products: what other formats take many tables for."""
    sizes = [pick.randint(2, 5) for _ in range(pick.randint(2, 3))]
    layers: list[nn.Module] = []
    for a, b in pairwise(sizes):
        layers += [nn.Linear(a, b), nn.ReLU()]
    return nn.Sequential(*layers[: pick.choice([-1, len(layers)])]), (1, sizes[0])


def narrow_conv(pick: random.Random) -> Net:
    inner = nn.Conv2d(1, pick.randint(1, 2), 2)
    return nn.Sequential(inner, nn.ReLU()), (1, 1, 3, 3)


def fixed(pick: random.Random) -> Settings:
    if pick.random() < 0.4:
        return {"width": pick.randint(3, 9)}
    settings: Settings = {
        "data_width": pick.randint(3, 10),
        "weight_width": pick.randint(2, 9),
    }
    if pick.random() < 0.25:
        settings["rounding"] = pick.choice(["floor", "half_up", "zero"])
    if pick.random() < 0.15:
        settings["overflow"] = "wrap"
    return settings


def lookup(pick: random.Random) -> Settings:
    return {"width": pick.randint(3, 9)}


def weights(pick: random.Random) -> Settings:
    """Weights of few values, or scaled ones."""
    formats = (
        "scaled<ternary, auto, axis = 0>",
        "scaled<binary, auto, axis = 0>",
        "scaled<ternary, power_of_two>",
        f"scaled<fixed<{pick.randint(3, 8)}, 0>, auto, axis = 0>",
        f"scaled<fixed<{pick.randint(3, 8)}, 0>, power_of_two, axis = 0>",
        f"log<{pick.randint(3, 5)}>",
        *FLOATS,
    )
    return {"data_width": pick.randint(3, 9), "weight_format": pick.choice(formats)}


def integers(pick: random.Random) -> Settings:
    return {"format": f"int{pick.randint(3, 8)}"}


def minifloat(pick: random.Random) -> Settings:
    return {"format": pick.choice(FLOATS)}


def log(pick: random.Random) -> Settings:
    return {"format": f"log<{pick.randint(3, 5)}>"}


def block(pick: random.Random) -> Settings:
    width = pick.randint(3, 7)
    formats = (
        f"block<fixed<{width}, {width - 2}>, exp<4, 9>, [4]>",
        f"block<fixed<{width}, {width - 2}>, exp<3, 5>, [8]>",
        "block<minifloat<2, 1, finite>, exp<4, 9>, [4]>",
    )
    return {"format": pick.choice(formats), "accumulator": "fixed<20, 12>"}


Recipe = Callable[[random.Random], Settings]
FAMILIES: dict[str, tuple[Callable[[random.Random], Net], Recipe, int]] = {
    "linear": (linear, fixed, 55),
    "mlp": (mlp, fixed, 40),
    "conv": (conv, fixed, 40),
    "conv1d": (conv1d, fixed, 16),
    "network": (network, fixed, 32),
    "residual": (residual, fixed, 22),
    "gated": (gated, fixed, 26),
    "lookup": (activation, lookup, 26),
    "product": (product, lookup, 12),
    "weights": (linear, weights, 24),
    "integers": (narrow, integers, 12),
    "minifloat": (narrow, minifloat, 18),
    "minifloat_conv": (narrow_conv, minifloat, 6),
    "log": (narrow, log, 10),
    "block": (narrow, block, 10),
    "large": (large, fixed, 8),
}
"""What is computed, in which formats, and how many designs there are of that."""


def options(pick: random.Random) -> dict[str, Any]:
    chosen: dict[str, Any] = {"max_logic_depth": pick.choice([1, 2, 3, 4, 6, 6, 8, 0])}
    effort = pick.choice([0, 1, 1, 1, 1, 2, 3])
    if effort != 1:
        chosen["effort"] = effort
    if pick.random() < 0.06:
        chosen["dsp"] = pick.randint(2, 20)
    return chosen


def random_model(family: str, index: int) -> mo.Model:
    pick = random.Random(f"{family} {index}")
    architecture, formats, _ = FAMILIES[family]
    cast(Any, torch).manual_seed(index)
    net, shape = architecture(pick)
    settings = formats(pick)
    rng = np.random.default_rng(pick.getrandbits(32))
    net = randomize(net, rng).eval()
    model = mo.import_torch(net, (torch.zeros(shape),), family)
    data = rng.normal(size=(64, *shape[1:])).astype(np.float32)
    if pick.random() < 0.4:
        data = np.abs(data)
    return model.calibrate(data).quantize(**settings)


def digits_model(name: str, width: int) -> mo.Model:
    model = mo.load(DIGITS / f"{name}.mlir")
    return model.calibrate(DIGITS / f"{name}_calibration.npz").quantize(width=width)


def designs() -> Iterator[Design]:
    """All of them, families in turn: any part of the list has some of each."""
    for name, widths in (("mlp", range(2, 5)), ("cnn", range(2, 3))):
        for width in widths:
            yield Design(
                f"digits_{name}_{width}",
                "digits",
                lambda name=name, width=width: digits_model(name, width),
                {"max_logic_depth": 3 + width % 4},
            )
    most = max(count for _, _, count in FAMILIES.values())
    for step in range(most):
        for family, (_, _, count) in FAMILIES.items():
            # As many of each as it has, spread evenly.
            index = step * count // most
            if index == (step - 1) * count // most and step:
                continue
            yield Design(
                f"{family}_{index}",
                family,
                lambda family=family, index=index: random_model(family, index),
                options(random.Random(f"options {family} {index}")),
            )
