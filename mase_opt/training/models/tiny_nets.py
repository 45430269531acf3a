"""The networks of `mlperf_tiny.py` and FINN's: classes that a pickle finds again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class ConvNorm(nn.Sequential):
    """Convolution, batch norm and ReLU; maps shrink by `stride` unless padded else."""

    def __init__(
        self,
        before: int,
        after: int,
        kernel: int | tuple[int, int] = 3,
        stride: int = 1,
        *,
        padding: tuple[int, int] | None = None,
        groups: int = 1,
    ):
        sides = (kernel, kernel) if isinstance(kernel, int) else kernel
        around = padding or (sides[0] // 2, sides[1] // 2)
        super().__init__(
            nn.Conv2d(before, after, sides, stride, around, groups=groups, bias=False),
            nn.BatchNorm2d(after),
            nn.ReLU(),
        )


class Residual(nn.Module):
    """Two convolutions beside a shortcut, a 1x1 convolution where the shape changes."""

    def __init__(self, before: int, after: int, stride: int):
        super().__init__()
        self.first = ConvNorm(before, after, 3, stride)
        self.second = nn.Conv2d(after, after, 3, padding=1, bias=False)
        self.norm = nn.BatchNorm2d(after)
        self.relu = nn.ReLU()
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Conv2d(before, after, 1, stride)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.norm(self.second(self.first(x)))
        return self.relu(inner + self.shortcut(x))


class Pooled(nn.Module):
    """Layers, the mean over the map, and scores."""

    def __init__(self, layers: Sequence[nn.Module], channels: int, classes: int):
        super().__init__()
        self.layers = nn.Sequential(*layers)
        self.fc = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(self.layers(x).mean((2, 3)))


class Autoencoder(nn.Module):
    """Linear layers with batch norm and ReLU, to `narrow` numbers and back."""

    def __init__(self, features: int, hidden: int, narrow: int):
        super().__init__()
        widths = [features, *[hidden] * 4, narrow, *[hidden] * 4]
        layers: list[nn.Module] = []
        for before, after in pairwise(widths):
            layers += [nn.Linear(before, after), nn.BatchNorm1d(after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(hidden, features))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(torch.flatten(x, 1)).reshape(x.shape)


class Cnv(nn.Module):
    """Six convolutions without padding, two poolings, three linear layers."""

    def __init__(self, channels: int, side: int, classes: int, width: int, hidden: int):
        super().__init__()
        layers: list[nn.Module] = []
        before = channels
        for stage in range(3):
            after = width << stage
            for _ in range(2):
                layers += [
                    nn.Conv2d(before, after, 3, bias=False),
                    nn.BatchNorm2d(after),
                    nn.Hardtanh(),
                ]
                before, side = after, side - 2
            if stage < 2:
                layers.append(nn.MaxPool2d(2))
                side //= 2
        self.features = nn.Sequential(*layers)
        self.classifier = binary_mlp((before * side * side, hidden, hidden, classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(torch.flatten(self.features(x), 1))


def binary_mlp(widths: Sequence[int]) -> nn.Sequential:
    """Linear layers with batch norm, and values cut to -1 to 1 between them."""
    layers: list[nn.Module] = [nn.Flatten()]
    for index, (before, after) in enumerate(pairwise(widths)):
        layers += [nn.Linear(before, after, bias=False), nn.BatchNorm1d(after)]
        if index + 2 < len(widths):
            layers.append(nn.Hardtanh())
    return nn.Sequential(*layers)
