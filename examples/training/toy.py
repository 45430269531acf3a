"""
Train, quantize and simulate a model of one's own, from Python.

    python examples/training/toy.py --hidden 16 --epochs 5 --lr 1e-2

The script has all flags of `mase train`, and one of its own.
"""

from __future__ import annotations

import argparse

import numpy as np
from torch import Tensor, nn

from mase_opt import training


class Toy(nn.Module):
    """One hidden layer."""

    def __init__(self, features: int, hidden: int, classes: int):
        super().__init__()
        self.fc1 = nn.Linear(features, hidden)
        self.relu = nn.ReLU()
        self.fc2 = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc2(self.relu(self.fc1(x)))


def ring(count: int, seed: int = 0) -> training.Splits:
    """Points in a square, and whether they are nearer than 0.8 to its centre."""
    rng = np.random.default_rng(seed)
    x = rng.uniform(-1, 1, (count, 2)).astype(np.float32)
    return training.Splits((x, (np.hypot(*x.T) < 0.8).astype(np.int64)))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--hidden", dest="model.hidden", type=int, default=16)
    config = training.parse_config(training.make_cli_parser(parser))
    options = training.options_of(config)

    data = ring(2000)
    net = Toy(2, config.model.hidden, 2)
    trained = training.train(net, data, **options)
    print(f"float: {trained.line()}")

    options |= {"load_name": str(trained.path), "passes": {"quantize": {"width": 8}}}
    transformed = training.transform(net, data, **options)
    options |= {"load_name": str(transformed.path), "passes": {}}
    print(f"8 bits: {training.test(net, data, **options).line()}")
    print(f"circuit: {training.emit(net, data, **options).line()}")
    del options["load_name"]
    print(f"simulated: {training.simulate(net, data, **options).line()}")


if __name__ == "__main__":
    main()
