"""
The best so far of every strategy on sixteen points: the lab's space on the digits MLP.

    python examples/digits/strategies.py docs/figures/search_strategies.svg

Data and weights of linear layers have one of four formats each. What is wanted is
accuracy less 0.02 for each bit per number, on the held-out fifth. Strategies that draw
at random are averaged over `--seeds` runs; all choose one point at a time. Draws the
figure, and prints a Markdown table: the mean of the best after 4, 8 and 16 trials, and
how many points were different.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from statistics import fmean
from typing import Any

import mase_opt as mo
from mase_opt.lib.atomic import atomic_file
from mase_opt.lib.drawing import svg
from mase_opt.search import figures
from mase_opt.search.study import Study

HERE = Path(__file__).parent
FORMATS = ["fixed<16, 8>", "fixed<8, 6>", "fixed<8, 4>", "fixed<4, 2>"]
POINTS = len(FORMATS) ** 2
SETTINGS: dict[str, dict[str, Any]] = {
    **{
        sampler: {
            "name": "optuna",
            # What samplers do by themselves is what is compared.
            "setup": {"sampler": sampler, "warm_start": False},
        }
        for sampler in (
            *("brute_force", "grid", "random", "tpe"),
            *("nsgaii", "nsgaiii", "qmc", "cmaes", "gp"),
        )
    },
    "greedy": {"name": "greedy", "setup": {}},
    "halving": {"name": "halving", "setup": {"min_samples": 40}},
}
"""Strategies by name, with their settings."""
NAME = "accuracy - 0.02 average_bitwidth"


def search(model: mo.Model, settings: dict[str, Any], seed: int) -> Study:
    """One run of a strategy, of 16 trials at most."""
    choices = {"data_in": FORMATS, "weight": FORMATS}
    space = {
        "name": "mixed_precision",
        "setup": {"by": "type", "share": True},
        "seed": {"linear": {"config": choices}},
    }
    strategy = {
        **settings,
        "sw_runner": {"evaluation": {}},
        "hw_runner": {"bits": {}},
        "setup": {**settings["setup"], "n_trials": POINTS, "seed": seed, "batch": 1},
        "metrics": {"accuracy": {}, "average_bitwidth": {"scale": 0.02}},
    }
    config = {"search_space": space, "strategy": strategy}
    return model.search(config, data=HERE / "mlp_test.npz")


def best(study: Study) -> list[float | None]:
    """The best objective after each of 16 trials; None before any took all samples."""
    found: list[float | None] = []
    so_far: float | None = None
    for trial in study.trials:
        if trial.samples is None and trial.objectives:
            (value,) = trial.objectives
            so_far = value if so_far is None else max(so_far, value)
        found.append(so_far)
    return found + [so_far] * (POINTS - len(found))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("output", type=Path, help="an SVG file")
    parser.add_argument("--seeds", type=int, default=5, help="runs of each strategy")
    arguments = parser.parse_args()
    model = mo.load(HERE / "mlp.mlir").calibrate(HERE / "mlp_calibration.npz")
    lines: dict[str, figures.Series] = {}
    print("| strategy | after 4 | after 8 | after 16 | different points |")
    print("|---|---|---|---|---|")
    for name, settings in SETTINGS.items():
        studies = [search(model, settings, s) for s in range(arguments.seeds)]
        runs = zip(*map(best, studies), strict=True)
        known = [[v for v in values if v is not None] for values in runs]
        means = [fmean(v) if len(v) == len(studies) else None for v in known]
        lines[name] = [(i, m) for i, m in enumerate(means, 1) if m is not None]
        cells = ["" if means[i] is None else f"{means[i]:.4f}" for i in (3, 7, 15)]
        points = fmean(len({str(t.point) for t in s.trials}) for s in studies)
        print(f"| {name} | {' | '.join(cells)} | {points:.1f} |", flush=True)
    figure = figures.best_so_far({NAME: lines})
    with atomic_file(arguments.output) as stream:
        stream.write(svg(figure, "strategies"))


if __name__ == "__main__":
    main()
