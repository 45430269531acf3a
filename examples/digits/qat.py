"""
Fine-tune a digits model in the formats that it will compute with.

    python examples/digits/qat.py mlp --quantize "format=scaled<fixed<3,0>,auto>"

Imports a model that `train.py` wrote, quantizes it, and trains it on through the IR:
`mase-quantize` leaves float masters behind casts, `to_torch` makes a torch module of
that, and `from_torch` writes what was learned back. Reports the accuracy on the
held-out fifth before and after. With `--output`, writes the trained, quantized module.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor, nn
from train import BATCH, SEED, SHAPES, split

import mase_opt as mo
from mase_opt.pass_options import parse_flag_options

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Result:
    """Shares of held-out samples that are classified right, and what was trained."""

    float: float
    ptq: float
    qat: float
    model: mo.Model
    """Trained and quantized, codes in the constants."""


def fine_tune(net: nn.Module, x: Tensor, y: Tensor, epochs: int, rate: float) -> None:
    """Adam with a cosine schedule; deterministic on one machine."""
    torch.manual_seed(SEED)
    optimizer = torch.optim.Adam(net.parameters(), lr=rate)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, epochs)
    net.train()
    for _ in range(epochs):
        for batch in torch.randperm(len(x)).split(BATCH):
            optimizer.zero_grad()
            nn.functional.cross_entropy(net(x[batch]).float(), y[batch]).backward()
            optimizer.step()
        schedule.step()
    net.eval()


def quantization_aware(
    name: str, options: str, *, epochs: int = 30, rate: float = 2e-3
) -> Result:
    """
    Train the example `name` in the formats of `options`, which `mase-quantize` takes.

    Learned: weights, biases, and the scales of scaled formats.
    """
    x_train, x_test, y_train, y_test = split(SHAPES[name])
    model = mo.load(HERE / f"{name}.mlir")
    data = "cnn" if name == "transformer" else name
    calibrated = model.calibrate(HERE / f"{data}_calibration.npz")
    settings = parse_flag_options(options)
    quantized = calibrated.apply("quantize", masters=True, **settings)
    net = quantized.to_torch(learn_scales=True)

    fine_tune(net, torch.from_numpy(x_train), torch.from_numpy(y_train), epochs, rate)
    # Masters become the codes that were trained.
    trained = mo.from_torch(net).apply("canonicalize")
    return Result(
        *(m.evaluate(x_test, y_test) for m in (model, quantized, trained)), trained
    )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("model", choices=SHAPES)
    parser.add_argument("--quantize", default="width=4", help="as for mase-opt")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--rate", type=float, default=2e-3, help="learning rate")
    parser.add_argument("--output", type=Path, help="file for the trained module")
    arguments = parser.parse_args()
    result = quantization_aware(
        arguments.model,
        arguments.quantize,
        epochs=arguments.epochs,
        rate=arguments.rate,
    )
    print(
        f"{arguments.model}: float {result.float:.2%}, quantized {result.ptq:.2%}, "
        f"trained {result.qat:.2%}"
    )
    if arguments.output is not None:
        result.model.save(arguments.output)


if __name__ == "__main__":
    main()
