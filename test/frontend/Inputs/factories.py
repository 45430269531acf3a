"""Models for factory.test."""

import torch
from torch import nn


class Classifier(nn.Module):
    """A convolution and a linear layer."""

    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(nn.Conv2d(1, 2, 3), nn.ReLU())
        self.head = nn.Linear(8, 3)

    def forward(self, image: torch.Tensor) -> torch.Tensor:
        return self.head(self.body(image).flatten(1))


class Branches(nn.Module):
    """Control flow that depends on data."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x if x.sum() > 0 else -x


def classifier():
    return Classifier(), (torch.zeros(1, 1, 4, 4),)


def branches():
    return Branches(), (torch.ones(4),)
