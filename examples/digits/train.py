"""
Train the two digits models and write what the examples and tests use.

An MLP and a small CNN on scikit-learn's 8x8 digits, pixels scaled to [0, 1]. Writes
beside itself: `mlp.mlir` and `cnn.mlir` (torch dialect, weights included, batch 1),
`*_calibration.npz` (`x`: 256 training samples) and `*_test.npz` (`x`, `labels`: the
held-out fifth). Needs torch and scikit-learn; same seed, same files.
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


def main() -> None:
    """Train, report the accuracy on the held-out samples, write the files."""
    images, labels = load_digits(return_X_y=True)
    pixels = (images / 16).astype(np.float32)
    x_train, x_test, y_train, y_test = train_test_split(
        pixels, labels, test_size=0.2, random_state=SEED, stratify=labels
    )
    for name, factory, shape in (("mlp", mlp, (64,)), ("cnn", cnn, (1, 8, 8))):
        torch.manual_seed(SEED)
        model = factory()
        inputs = {
            "train": x_train.reshape(-1, *shape),
            "test": x_test.reshape(-1, *shape),
        }
        train(model, torch.from_numpy(inputs["train"]), torch.from_numpy(y_train))
        with torch.no_grad():
            scores = model(torch.from_numpy(inputs["test"])).numpy()
        correct = int((scores.argmax(1) == y_test).sum())
        print(f"{name}: float test accuracy {correct}/{len(y_test)}")
        text = torch_text(model, (torch.zeros(1, *shape),), f"digits_{name}")
        (HERE / f"{name}.mlir").write_text(text)
        np.savez_compressed(HERE / f"{name}_calibration.npz", x=inputs["train"][:256])
        np.savez_compressed(HERE / f"{name}_test.npz", x=inputs["test"], labels=y_test)


if __name__ == "__main__":
    main()
