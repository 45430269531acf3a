"""
Accuracy and LUTs of the digits MLP with learned widths, beside HGQ2 and da4ml.

64-32-10 on scikit-learn's digits: 1,077 samples to train on, 360 to validate (which
models of a front are kept), 360 to test (judged once, nothing is chosen by it). The
model in floating point and its teacher, an MLP of 64-256-128-10 on mixtures of two
samples, see the first 1,077 only. The peer learns from the same teacher, on 50 mixtures
of each sample, in as many steps of as many samples. LUTs are Yosys's (`synth_xilinx
-family xcup`, no DSP), with 6 levels a stage, and 5 as the peer counts them; both
circuits get registers at their ports. Learning rates are what suits each, by the
validation samples. Prints one JSON line per model of the fronts. On
one thread, since sums in another order train another model.

    python bench/bench_learned_widths.py 0 1 2 --peer build/hgq/bin/python

The peer's environment: `pip install "HGQ2<0.3" "da4ml==0.6.0" "jax[cpu]"`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import tempfile
import time
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from bench_adder_graph import SHELL, registered

import mase_opt as mo
from mase_opt.lib.target.yosys import Resources, synthesize

# Without types, as scikit-learn is.
torch: Any = import_module("torch")
nn: Any = torch.nn
load_digits: Any = import_module("sklearn.datasets").load_digits
train_test_split: Any = import_module("sklearn.model_selection").train_test_split

MIXTURES = 50
"""Of each sample, for the peer."""
RATE = 2e-2
"""At which we learn; the peer at half of it, which was no worse for it on seed 0."""


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


def figures(resources: Resources, latency: int) -> dict[str, Any]:
    """What one circuit takes."""
    return {
        "lut": resources.lut,
        "route_through": resources.route_through,
        "ff": resources.ff,
        "carry": resources.carry,
        "latency": latency,
    }


def peers(
    python: Path, split: dict[str, Any], teacher: Any, seed: int, **given: Any
) -> None:
    """A front of HGQ2's, synthesized."""
    generator = torch.Generator().manual_seed(seed)
    x = torch.tensor(split["x_train"])
    mixed: list[Any] = []
    for _ in range(MIXTURES):
        share = torch.rand(len(x), 1, generator=generator)
        share[::2] = 1.0
        one, other = (torch.randperm(len(x), generator=generator) for _ in range(2))
        mixed.append(share * x[one] + (1 - share) * x[other])
    samples = torch.cat(mixed)
    with torch.no_grad():
        wanted = teacher(samples).softmax(1)
    with tempfile.TemporaryDirectory() as scratch:
        data = Path(scratch) / "data.npz"
        np.savez(data, x=samples.numpy(), wanted=wanted.numpy(), **split)
        options = [str(o) for k, v in given.items() for o in (f"--{k}", v)]
        script = Path(__file__).parent / "learned_widths_peer.py"
        done = subprocess.run(
            [python, script, data, scratch, "--seed", str(seed), *options],
            check=True,
            capture_output=True,
            text=True,
        )
        for text in done.stdout.splitlines():
            if not text.startswith("{"):
                continue
            point = json.loads(text)
            files = sorted(Path(point.pop("folder")).rglob("*.v"))
            # Not used here, and reads a table that does not exist.
            sources = [f.read_text() for f in files if f.name != "lookup_table.v"]
            resources = synthesize("\n".join(sources), "top", dsp=False)
            stages = sum(f.name.startswith("top_stage") for f in files)
            report("hgq2_da4ml", seed, **point, **figures(resources, stages - 1))


def ours(
    small: Any, teacher: Any, split: dict[str, Any], seed: int, **given: Any
) -> None:
    """A front of this project's, synthesized."""
    model = mo.import_torch(small, (torch.zeros(1, 64),))
    judges = split["x_val"], split["y_val"]
    start = time.process_time()
    front = mo.learn_widths(
        model,
        split["x_train"],
        *judges,
        teacher=teacher,
        learning_rate=RATE,
        seed=seed,
        **given,
    )
    seconds = round(time.process_time() - start, 1)
    for point in front:
        result = point.model.emit(verify=64, max_logic_depth=6)
        text = result.verilog + registered(result.layout)
        report(
            "mase_opt",
            seed,
            cost=round(point.cost),
            val=point.accuracy,
            test=point.model.evaluate(split["x_test"], split["y_test"]),
            learning_cpu_s=seconds,
            **figures(synthesize(text, SHELL, dsp=False), result.latency),
        )


def report(tool: str, seed: int, **values: Any) -> None:
    """A line for one model."""
    line = {"benchmark": "learned_widths_digits_mlp", "tool": tool, "seed": seed}
    rounded = {k: round(v, 4) if k in ("val", "test") else v for k, v in values.items()}
    print(json.dumps({**line, **rounded}), flush=True)


def main() -> None:
    """Learn a front for every seed."""
    parser = argparse.ArgumentParser(description=main.__doc__)
    parser.add_argument("seeds", nargs="*", type=int, default=[0], help="seeds (0)")
    parser.add_argument("--steps", type=int, default=8000, help="of both (8000)")
    parser.add_argument("--points", type=int, default=6, help="models of a front (6)")
    parser.add_argument("--peer", type=Path, help="a Python that has HGQ2 and da4ml")
    parser.add_argument("--no-own", action="store_true", help="the peer alone")
    given = parser.parse_args()
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
    split = {"x_train": x, "x_val": x_val, "y_val": y_val}
    split |= {"x_test": x_test, "y_test": y_test}
    for seed in given.seeds:
        torch.manual_seed(seed)
        small = nn.Sequential(nn.Linear(64, 32), nn.ReLU(), nn.Linear(32, 10))
        wide = nn.Sequential(
            *(nn.Linear(64, 256), nn.ReLU(), nn.Dropout(0.3)),
            *(nn.Linear(256, 128), nn.ReLU(), nn.Linear(128, 10)),
        )
        trained(small, *data, epochs=200, mix=False)
        teacher = trained(wide, *data, epochs=150, mix=True)
        options = {"steps": given.steps, "points": given.points}
        if given.peer:
            peers(given.peer, split, teacher, seed, **options)
        if not given.no_own:
            ours(small, teacher, split, seed, **options)


if __name__ == "__main__":
    main()
