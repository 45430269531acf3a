"""
Train the three digits models and write what the examples and tests use.

An MLP, a CNN and a transformer on scikit-learn's 8x8 digits, pixels in [0, 1]. Writes
beside itself `{mlp,cnn,transformer}.mlir` (torch dialect, weights included, batch 1),
`*_calibration.npz` (`x`: 256 training samples) and `*_test.npz` (`x`, `labels`: the
held-out fifth); the transformer takes those of the CNN. Same seed, same files.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from sklearn.model_selection import train_test_split
from torch import nn

from mase_opt.frontend.import_torch import torch_text

SEED = 0
EPOCHS = 60
BATCH = 64
HERE = Path(__file__).parent
SHAPES = {"mlp": (64,), "cnn": (1, 8, 8), "transformer": (1, 8, 8)}
"""Of one sample."""


def mlp() -> nn.Module:
    """64 pixels -> 32 -> 10 class scores."""

    class DigitsMlp(nn.Module):
        def __init__(self):
            super().__init__()
            self.fc1 = nn.Linear(64, 32)
            self.relu = nn.ReLU()
            self.fc2 = nn.Linear(32, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.fc2(self.relu(self.fc1(x)))

    return DigitsMlp()


def cnn() -> nn.Module:
    """1x8x8 pixels -> 6 channels -> pooled to 4x4 -> 10 class scores."""

    class DigitsCnn(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv = nn.Conv2d(1, 6, 3, padding=1)
            self.bn = nn.BatchNorm2d(6)
            self.relu = nn.ReLU()
            self.pool = nn.MaxPool2d(2)
            self.fc = nn.Linear(96, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.pool(self.relu(self.bn(self.conv(x))))
            return self.fc(torch.flatten(x, 1))

    return DigitsCnn()


class Attention(nn.Module):
    """Self-attention of `[N, tokens, width]`."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(width, width)
        self.key = nn.Linear(width, width)
        self.value = nn.Linear(width, width)
        self.out = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        query, key, value = (
            layer(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for layer in (self.query, self.key, self.value)
        )
        heads = nn.functional.scaled_dot_product_attention(query, key, value)
        return self.out(heads.transpose(1, 2).flatten(2))


class EncoderBlock(nn.Module):
    """Attention and an MLP of twice the width, each with layer norm before it."""

    def __init__(self, width: int, heads: int):
        super().__init__()
        self.norm1 = nn.LayerNorm(width)
        self.attention = Attention(width, heads)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 2 * width)
        self.gelu = nn.GELU()
        self.fc2 = nn.Linear(2 * width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = x + self.attention(self.norm1(x))
        return x + self.fc2(self.gelu(self.fc1(self.norm2(x))))


def transformer() -> nn.Module:
    """1x8x8 pixels -> 8 rows as tokens -> 2 encoder blocks -> mean -> 10 scores."""

    class DigitsTransformer(nn.Module):
        def __init__(self):
            super().__init__()
            self.embed = nn.Linear(8, 32)
            self.position = nn.Parameter(0.1 * torch.randn(8, 32))
            self.blocks = nn.Sequential(EncoderBlock(32, 4), EncoderBlock(32, 4))
            self.fc = nn.Linear(32, 10)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = self.embed(x.squeeze(1)) + self.position
            return self.fc(self.blocks(x).mean(1))

    return DigitsTransformer()


def train(model: nn.Module, x: torch.Tensor, y: torch.Tensor) -> None:
    """Adam with a cosine schedule; deterministic on one machine."""
    optimizer = torch.optim.Adam(model.parameters(), lr=5e-3, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, EPOCHS)
    model.train()
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(model(x[batch]), y[batch]).backward()
            optimizer.step()
        schedule.step()
    model.eval()


def split(shape: tuple[int, ...]) -> list[np.ndarray]:
    """Samples of `shape` to train on and to test with, then the labels of both."""
    images, labels = load_digits(return_X_y=True)
    pixels = (images / 16).astype(np.float32).reshape(-1, *shape)
    return train_test_split(
        pixels, labels, test_size=0.2, random_state=SEED, stratify=labels
    )


def main() -> None:
    """Train, report the accuracy on the held-out samples, write the files."""
    for name in ("mlp", "cnn"):
        x_train, x_test, _, y_test = split(SHAPES[name])
        np.savez_compressed(HERE / f"{name}_calibration.npz", x=x_train[:256])
        np.savez_compressed(HERE / f"{name}_test.npz", x=x_test, labels=y_test)
    for factory in (mlp, cnn, transformer):
        name = factory.__name__
        shape = SHAPES[name]
        x_train, x_test, y_train, y_test = split(shape)
        torch.manual_seed(SEED)
        model = factory()
        train(model, torch.from_numpy(x_train), torch.from_numpy(y_train))
        with torch.no_grad():
            scores = model(torch.from_numpy(x_test)).numpy()
        correct = int((scores.argmax(1) == y_test).sum())
        print(f"{name}: float test accuracy {correct}/{len(y_test)}")
        text = torch_text(model, (torch.zeros(1, *shape),), f"digits_{name}")
        (HERE / f"{name}.mlir").write_text(text)


if __name__ == "__main__":
    main()
