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
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.transforms.canonicalize import CanonicalizePass

from mase_opt.dialects.mase import Mase
from mase_opt.frontend.from_torch import from_torch
from mase_opt.frontend.to_torch import to_torch
from mase_opt.lib.atomic import atomic_file
from mase_opt.model.emit import run_pass, to_text
from mase_opt.model.levels import Level, Model, accuracy

HERE = Path(__file__).parent


@dataclass(frozen=True)
class Result:
    """Shares of held-out samples that are classified right, and what was trained."""

    float: float
    ptq: float
    qat: float
    module: ModuleOp
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


def context() -> Context:
    """A context that knows the dialect of the module's resources."""
    ctx = Context()
    ctx.load_dialect(Mase)
    return ctx


def quantization_aware(
    name: str, options: str, *, epochs: int = 30, rate: float = 2e-3
) -> Result:
    """
    Train the example `name` in the formats of `options`, which `mase-quantize` takes.

    Learned: weights, biases, and the scales of scaled formats.
    """
    x_train, x_test, y_train, y_test = split(SHAPES[name])
    model = Model(str(HERE / f"{name}.mlir"))
    (scores,) = model.run(Level.FLOAT, [x_test[:, None]])
    module, ctx = model.imported.clone(), context()
    data = "cnn" if name == "transformer" else name
    calibration = str(HERE / f"{data}_calibration.npz")
    run_pass(ctx, module, "mase-calibrate", {"data": (calibration,)})
    run_pass(ctx, module, "mase-quantize", f"{options} masters=true")
    net = to_torch(module, learn_scales=True)

    def tested() -> float:
        with torch.no_grad():
            return accuracy(net(torch.from_numpy(x_test)).numpy(), y_test)

    ptq = tested()
    fine_tune(net, torch.from_numpy(x_train), torch.from_numpy(y_train), epochs, rate)
    trained = from_torch(net)
    CanonicalizePass().apply(ctx, trained)
    trained.verify()
    return Result(accuracy(scores, y_test), ptq, tested(), trained)


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
        with atomic_file(arguments.output) as stream:
            stream.write(to_text(result.module, context()))


if __name__ == "__main__":
    main()
