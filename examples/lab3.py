"""
A search for formats in four parts: graph, space, strategy and runner.

    python examples/lab3.py [FOLDER]

First by hand, every point of the space once; then the same by the strategies that
`mase-opt` has, brute force and TPE, whose best points so far are compared.
"""

from __future__ import annotations

import sys
from itertools import product
from typing import Any

import torch

import mase_opt as mo
from mase_opt import training
from mase_opt.search.report import best_so_far
from mase_opt.training import InputGenerator, MaseDataModule, find_model

BATCHES = 5
WIDTHS = [(16, 8), (8, 6), (8, 4), (4, 2)]
FORMATS = [f"fixed<{width}, {frac}>" for width, frac in WIDTHS]

folder = sys.argv[1] if len(sys.argv) > 1 else "lab3"

# The model, trained, and its data.
data = MaseDataModule("digits", batch_size=32)
data.setup()
options: dict[str, Any] = {"learning_rate": 1e-2, "project_dir": folder}
trained = training.train("digits-mlp", "digits", max_epochs=4, **options)
net = find_model("digits-mlp")(data.dataset_info)
held = torch.load(trained.path, weights_only=True)["state_dict"]
net.load_state_dict({k.removeprefix("model."): v for k, v in held.items()})

# 1. The graph, with what formats may be chosen from.
dummy_in = next(iter(InputGenerator(data, which_dataloader="train")))
graph = mo.import_torch(net, tuple(x[:1] for x in dummy_in.values()))
graph = graph.calibrate(data.samples("train", 256)["x"])
print(graph.graph("type"))

# 2. The space: 4 formats of data, times 4 of weights.
space = [
    {"linear": {"data_in": data_in, "weight": weight}}
    for data_in, weight in product(FORMATS, FORMATS)
]

# 3. The strategy: each point once. 4. The runner: accuracy, and bits of the model.
recorded: list[tuple[float, float]] = []
for layers in space:
    model = graph.quantize(by="type", layers=layers)
    module = model.to_torch()
    right = [
        (module(x).argmax(1) == labels).float().mean()
        for _, (x, labels) in zip(range(BATCHES), data.val_dataloader(), strict=False)
    ]
    storage = model.graph("type").records()
    bits = next(row["bits"] for row in storage if row["operation"] == "constant")
    recorded.append((float(torch.stack(right).mean()), float(bits or 0)))
    print(layers["linear"], recorded[-1])
best = max(range(len(space)), key=lambda i: (recorded[i][0], -recorded[i][1]))
print("best by hand:", space[best])

# The same as a configuration, by strategies with and without a model of the space.
config = {
    "search_space": {
        "name": "mixed_precision",
        "setup": {"by": "type", "share": True},
        "seed": {"linear": {"config": {"data_in": FORMATS, "weight": FORMATS}}},
    },
    "strategy": {
        "sw_runner": {"basic_evaluation": {"num_samples": 32 * BATCHES}},
        "hw_runner": {"average_bitwidth": {"compare_to": 32}},
        "metrics": {"accuracy": {"scale": 1.0}, "weight_bitwidth": {"scale": 1e-3}},
    },
}
arrays = data.samples("val")
for sampler in ("brute_force", "tpe"):
    study = graph.search(
        config,
        data={"val": (arrays["x"], arrays["labels"])},
        output=f"{folder}/{sampler}",
        sampler=sampler,
        n_trials=len(space),
    )
    curve = best_so_far(study.trials, {"accuracy": "maximize"})["accuracy"]
    print(sampler, study.best.point, [f"{value:.3f}" for _, value in curve])
