"""The small networks of `small.py`: classes that a pickle finds again."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Tensor, nn


class Mlp(nn.Module):
    """Linear layers of `widths` with ReLU between them, of flattened samples."""

    def __init__(self, widths: Sequence[int], *, norm: bool = False):
        super().__init__()
        layers: list[nn.Module] = []
        for index, (before, after) in enumerate(pairwise(widths)):
            layers.append(nn.Linear(before, after))
            if norm:
                layers.append(nn.BatchNorm1d(after))
            if index + 2 < len(widths):
                layers.append(nn.ReLU())
        self.layers = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(torch.flatten(x, 1))


class ToyManual(nn.Module):
    """Three linear layers, `linear1` to `linear3`, with ReLU between them."""

    def __init__(self, widths: Sequence[int]):
        super().__init__()
        self.linear1, self.linear2, self.linear3 = (
            nn.Linear(before, after) for before, after in pairwise(widths)
        )
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.linear1(torch.flatten(x, 1)))
        return self.linear3(self.relu(self.linear2(x)))


class SeqBlocks(nn.Module):
    """Layers in a row, called `seq_blocks`, of flattened samples."""

    def __init__(self, *layers: nn.Module):
        super().__init__()
        self.seq_blocks = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.seq_blocks(torch.flatten(x, 1))


class DigitsCnn(nn.Module):
    """Convolution, batch norm and pooling to half the size, then scores."""

    def __init__(self, shape: tuple[int, ...], classes: int, channels: int = 6):
        super().__init__()
        self.conv = nn.Conv2d(shape[0], channels, 3, padding=1)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.pool = nn.MaxPool2d(2)
        self.fc = nn.Linear(channels * (shape[1] // 2) * (shape[2] // 2), classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.bn(self.conv(x))))
        return self.fc(torch.flatten(x, 1))


class LeNet5(nn.Module):
    """LeCun et al. 1998, with ReLU and max pooling; 28x28 images are padded."""

    def __init__(self, shape: tuple[int, ...], classes: int):
        super().__init__()
        self.conv1 = nn.Conv2d(shape[0], 6, 5, padding=2)
        self.conv2 = nn.Conv2d(6, 16, 5)
        self.pool = nn.MaxPool2d(2)
        self.relu = nn.ReLU()
        height, width = ((size // 2 - 4) // 2 for size in shape[1:])
        self.fc1 = nn.Linear(16 * height * width, 120)
        self.fc2 = nn.Linear(120, 84)
        self.fc3 = nn.Linear(84, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.conv1(x)))
        x = self.pool(self.relu(self.conv2(x)))
        x = self.relu(self.fc1(torch.flatten(x, 1)))
        return self.fc3(self.relu(self.fc2(x)))


class MnistNet(nn.Module):
    """Two convolutions with pooling, then a hidden layer of `hidden` units."""

    def __init__(self, shape: tuple[int, ...], classes: int, hidden: int = 50):
        super().__init__()
        self.conv1 = nn.Conv2d(shape[0], 10, 5)
        self.conv2 = nn.Conv2d(10, 20, 5)
        self.pool = nn.MaxPool2d(2)
        self.relu = nn.ReLU()
        height, width = (((size - 4) // 2 - 4) // 2 for size in shape[1:])
        self.fc1 = nn.Linear(20 * height * width, hidden)
        self.fc2 = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.pool(self.conv1(x)))
        x = self.relu(self.pool(self.conv2(x)))
        return self.fc2(self.relu(self.fc1(torch.flatten(x, 1))))
