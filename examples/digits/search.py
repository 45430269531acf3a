"""
Search for formats and hardware of the digits MLP, and compare with uniform widths.

    python examples/digits/search.py build/digits_search

Searches on the training samples, as `search.toml` says. Then, for each uniform width,
takes the cheapest point of the front that is right as often, has Yosys synthesize both,
and measures them on the held-out fifth. Prints a Markdown table; in the folder are the
outputs of the search, and `digits.svg`, its front with the uniform widths in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from train import SHAPES, split

import mase_opt as mo
from mase_opt.lib.atomic import atomic_file
from mase_opt.lib.drawing import svg
from mase_opt.lib.search.space import QUANTIZE, Decision
from mase_opt.search.measure import Job, prepared
from mase_opt.search.report import study_figures
from mase_opt.search.runner import Runner, Trial
from mase_opt.search.runners.yosys import Synthesis
from mase_opt.search.study import Study

HERE = Path(__file__).parent
WIDTHS = (8, 6, 4)
HEADER = (
    "| model | held-out accuracy | training accuracy | LUTs | with route-throughs | "
    "carry bits | FFs | latency |\n|---|---|---|---|---|---|---|---|"
)

x_train, x_test, y_train, y_test = split(SHAPES["mlp"])


def trial(study: Study, decision: Decision) -> Trial:
    """The model of a decision, to be measured."""
    return prepared(study.bench, study.runners, Job(0, {}, decision, None, ""))


def row(name: str, tried: Trial, yosys: Runner) -> str:
    """A line of the table: what Yosys makes of a model, and how good it is."""
    found = {kind: int(value) for kind, value in yosys.measure(tried).items()}
    lut, through = found["yosys_lut"], found["yosys_route_through"]
    latency = tried.model.estimate(**tried.decision.hardware).latency
    test, train = (
        tried.model.evaluate(x, y) for x, y in ((x_test, y_test), (x_train, y_train))
    )
    return (
        f"| {name} | {test:.2%} | {train:.2%} | {lut} | {lut + through} | "
        f"{found['yosys_carry']} | {found['yosys_ff']} | {latency} |"
    )


def pairs(study: Study) -> Iterator[tuple[int, Trial, tuple[str, Trial] | None]]:
    """Uniform widths, and the cheapest that was found to be right as often."""
    for width in WIDTHS:
        uniform = trial(study, Decision(((QUANTIZE, {"width": width}),)))
        least = uniform.model.evaluate(x_train, y_train)
        found = [t for t in study.front() if t.values["accuracy"] >= least]
        cheapest = min(found, key=lambda t: t.values["lut"], default=None)
        if cheapest is None or cheapest.decision is None:
            yield width, uniform, None
        else:
            name = f"trial {cheapest.number}"
            yield width, uniform, (name, trial(study, cheapest.decision))


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("output", type=Path, help="a folder")
    parser.add_argument("--trials", type=int, help="how many points are tried")
    parser.add_argument("--jobs", type=int, default=1, help="processes that measure")
    arguments = parser.parse_args()
    model = mo.load(HERE / "mlp.mlir").calibrate(HERE / "mlp_calibration.npz")
    study = model.search(
        HERE / "search.toml",
        data=(x_train, y_train),
        output=arguments.output,
        n_trials=arguments.trials,
        n_jobs=arguments.jobs,
    )
    yosys = Synthesis({"cache": str(arguments.output / "yosys")}, study.bench.context)
    figure = study_figures(study)["pareto_front"]
    print(HEADER)
    for width, uniform, found in pairs(study):
        point = (
            uniform.model.estimate().lut,
            uniform.model.evaluate(x_train, y_train),
        )
        figure.axes[0].plot(*point, "kx")
        figure.axes[0].annotate(f" {width} bits", point)
        print(row(f"{width} bits everywhere", uniform, yosys), flush=True)
        if found is not None:
            print(row(*found, yosys), flush=True)
    with atomic_file(arguments.output / "digits.svg") as stream:
        stream.write(svg(figure, "digits"))


if __name__ == "__main__":
    main()
