"""What training.yaml names: noise, and images of blobs with their centres anywhere."""

import numpy as np
import torch


def noise(count: int) -> np.ndarray:
    """Normal numbers as images of 4x4."""
    return np.random.default_rng(0).normal(size=(count, 1, 4, 4))


def blobs(count: int) -> np.ndarray:
    """Images of 4x4, brighter towards a point of their own."""
    centres = np.random.default_rng(1).uniform(0.5, 2.5, (count, 2, 1, 1))
    y, x = np.mgrid[:4, :4]
    squares = (y - centres[:, :1]) ** 2 + (x - centres[:, 1:]) ** 2
    return np.exp(-squares)


def with_noise(batch: torch.Tensor, deviation: float) -> torch.Tensor:
    """The batch, and a little noise on it."""
    return batch + deviation * torch.randn_like(batch)
