"""
HGQ2's and da4ml's way from data to Verilog, for `bench_learned_widths.py`.

Runs in an environment of its own: `pip install "HGQ2<0.3" "da4ml==0.6.0" "jax[cpu]"`.
Reads an archive with samples to learn from and the scores that a teacher gives them,
`x` and `wanted`; `x_train`, for the ranges of the finished model; `x_val` and `y_val`,
by which models are chosen; `x_test` and `y_test`. Trains an MLP with a width per weight
and per element, in stages, as `learn_widths` does: the same number of steps, the same
schedule, the same choice of models. Prints a JSON line per model, and writes its
Verilog into a folder.
"""

from __future__ import annotations

import argparse
import json
import os
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

os.environ["KERAS_BACKEND"] = "jax"
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")

keras: Any = import_module("keras")
hgq_config: Any = import_module("hgq.config")
hgq_layers: Any = import_module("hgq.layers")
converter: Any = import_module("da4ml.converter")
trace: Any = import_module("da4ml.trace")
codegen: Any = import_module("da4ml.codegen")
trace_minmax: Any = import_module("hgq.utils").trace_minmax

STEADY, UPDATES = 0.5, 20
"""As in `learn_widths`, and how often in a stage the learning rate changes."""


def network(features: int, hidden: list[int], classes: int) -> Any:
    """Weights saturate, data wraps beyond the ranges that are traced at the end."""
    scope = hgq_config.QuantizerConfigScope
    with (
        scope(place="weight", default_q_type="kbi", b0=7, overflow_mode="SAT_SYM"),
        scope(place="bias", default_q_type="kbi", b0=7, overflow_mode="SAT_SYM"),
        scope(place="datalane", default_q_type="kif", i0=3, f0=5, overflow_mode="WRAP"),
        hgq_config.LayerConfigScope(enable_ebops=True, beta0=1e-6),
    ):
        layers = [
            hgq_layers.QDense(size, activation="relu", name=f"fc{n}")
            for n, size in enumerate(hidden)
        ]
        return keras.Sequential(
            [
                keras.Input((features,)),
                *layers,
                hgq_layers.QDense(classes, name="scores"),
            ]
        )


def rate_of(done: float) -> float:
    """The part of the learning rate where `done` of a stage is done."""
    left = min((1 - done) / (1 - STEADY), 1.0)
    return 0.5 * (1 - float(np.cos(np.pi * left)))


def main() -> None:
    """Train, choose, write."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("data", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--steps", type=int, default=8000)
    parser.add_argument("--batch", type=int, default=256)
    parser.add_argument("--points", type=int, default=6)
    parser.add_argument("--hidden", type=int, nargs="*", default=[32])
    parser.add_argument("--levels", type=int, default=5, help="levels a stage")
    parser.add_argument("--rate", type=float, default=1e-2)
    parser.add_argument("--weights", type=float, nargs=2, default=[1e-5, 1e-4])
    given = parser.parse_args()
    data = np.load(given.data)
    x, wanted = data["x"], data["wanted"]
    keras.utils.set_random_seed(given.seed)
    rng = np.random.default_rng(given.seed)
    model = network(x.shape[1], given.hidden, wanted.shape[1])
    rate = given.rate
    model.compile(
        keras.optimizers.Adam(rate),
        keras.losses.CategoricalCrossentropy(from_logits=True),
    )
    weighed = [b for b in model._flatten_layers() if hasattr(b, "_beta")]
    found: list[tuple[float, float, Any]] = []
    start = time.process_time()
    per = given.steps // (given.points * UPDATES)
    low, high = (float(weight) for weight in given.weights)
    betas: list[float] = np.geomspace(low, high, int(given.points)).tolist()
    for beta in betas:
        for layer in weighed:
            layer._beta.assign(beta)
        for update in range(UPDATES):
            model.optimizer.learning_rate.assign(rate * rate_of(update / UPDATES))
            chosen = rng.permutation(len(x))[: per * given.batch]
            model.fit(
                x[chosen], wanted[chosen], batch_size=given.batch, epochs=1, verbose=0
            )
        kept = model.get_weights()
        cost = trace_minmax(model, data["x_train"])
        scores: Any = model.predict(data["x_val"], verbose=0, batch_size=1024)
        right = float((scores.argmax(1) == data["y_val"]).mean())
        found.append((cost, right, model.get_weights()))
        model.set_weights(kept)
    seconds = time.process_time() - start
    best, front = -1.0, list[tuple[float, float, Any]]()
    for one in sorted(found, key=lambda f: (f[0], -f[1])):
        if one[1] > best:
            best = one[1]
            front.append(one)
    for place, (cost, _, weights) in enumerate(front):
        model.set_weights(weights)
        logic = trace.comb_trace(*converter.trace_model(model))
        folder = given.output / str(place)
        verilog = codegen.VerilogModel(
            logic, "top", folder, latency_cutoff=given.levels
        )
        verilog.write()
        line = {
            "folder": str(folder),
            "cost": cost,
            "learning_cpu_s": round(seconds, 1),
        }
        for name in ("val", "test"):
            scores = logic.predict(data[f"x_{name}"].astype(np.float64))
            labels = data[f"y_{name}"]
            line[name] = np.count_nonzero(scores.argmax(1) == labels) / len(labels)
        print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
