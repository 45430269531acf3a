"""
Accuracy and LUTs of the digits MLP with learned widths.

64-32-10 on scikit-learn's digits: 1,077 samples to train on, 360 to validate (which
models of a front are kept), 360 to test (judged once, nothing is chosen by it). The
model in floating point and its teacher, an MLP of 64-256-128-10 on mixtures of two
samples, see the first 1,077 only. LUTs are Yosys's (`synth_xilinx -family xcup`, no
DSP), with 6 levels a stage. Prints one JSON line per model of the front. On one thread,
since sums in another order train another model.
"""

from __future__ import annotations

import argparse
import json
import time
from importlib import import_module
from typing import Any

import numpy as np

import mase_opt as mo

# Without types, as scikit-learn is.
torch: Any = import_module("torch")
nn: Any = torch.nn
load_digits: Any = import_module("sklearn.datasets").load_digits
train_test_split: Any = import_module("sklearn.model_selection").train_test_split

STEPS = 4000


def trained(model: Any, x: Any, y: Any, *, epochs: int, mix: bool) -> Any:
    """Adam with a rate that falls to zero; with `mix`, on mixtures of two samples."""
    optimizer = torch.optim.Adam(model.parameters(), 4e-3, weight_decay=1e-4)
    targets = nn.functional.one_hot(y, 10).float()
    beta = torch.distributions.Beta(0.4, 0.4)
    model.train()
    for epoch in range(epochs):
        for group in optimizer.param_groups:
            group["lr"] = 4e-3 * (1 - epoch / epochs)
        for batch in torch.randperm(len(x)).split(128):
            others = batch[torch.randperm(len(batch))]
            share = beta.sample((len(batch), 1)) if mix else torch.ones(len(batch), 1)
            wanted = share * targets[batch] + (1 - share) * targets[others]
            optimizer.zero_grad()
            inputs = share * x[batch] + (1 - share) * x[others]
            nn.functional.cross_entropy(model(inputs), wanted).backward()
            optimizer.step()
    return model.eval()


def main() -> None:
    """Learn a front for every seed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("seeds", nargs="*", type=int, default=[0], help="seeds (0)")
    parser.add_argument("--points", type=int, help="models of a front at most")
    parser.add_argument("--weights", nargs=2, type=float, help="ends of the ramp")
    arguments = parser.parse_args()
    given: dict[str, Any] = {
        name: value
        for name, value in vars(arguments).items()
        if name != "seeds" and value is not None
    }
    torch.set_num_threads(1)
    images, classes = load_digits(return_X_y=True)
    pixels = (images / 16).astype(np.float32)
    x, x_test, y, y_test = train_test_split(
        pixels, classes, test_size=0.2, random_state=0, stratify=classes
    )
    x, x_val, y, y_val = train_test_split(
        x, y, test_size=0.25, random_state=0, stratify=y
    )
    data = torch.tensor(x), torch.tensor(y)
    for seed in arguments.seeds:
        torch.manual_seed(seed)
        small = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        wide = nn.Sequential(
            *(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.3)),
            *(nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)),
        )
        trained(small, *data, epochs=200, mix=False)
        teacher = trained(wide, *data, epochs=150, mix=True)
        model = mo.import_torch(small, (torch.zeros(1, 64),))
        start = time.process_time()
        front = mo.learn_widths(
            model, x, x_val, y_val, teacher=teacher, steps=STEPS, seed=seed, **given
        )
        seconds = time.process_time() - start
        for point in front:
            result = point.model.emit(verify=64, max_logic_depth=6, synth=True)
            assert result.synthesis is not None
            resources = result.synthesis.resources
            line = {
                "benchmark": "learned_widths_digits_mlp",
                "seed": seed,
                "steps": STEPS,
                **given,
                "float_validation": round(model.evaluate(x_val, y_val), 4),
                "validation": round(point.accuracy, 4),
                "test": round(point.model.evaluate(x_test, y_test), 4),
                "cost": round(point.cost),
                "lut": resources.lut,
                "route_through": resources.route_through,
                "ff": resources.ff,
                "carry": resources.carry,
                "stages": result.latency,
                "learning_cpu_s": round(seconds, 1),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
