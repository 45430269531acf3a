"""
Search for formats and hardware of a digits MLP, and compare with uniform widths.

    python examples/digits/search.py build/digits_search

The search, as `search.toml` says, sees the training samples alone: `folds.py` has what
formats are worth. Then, for each uniform width, takes the point with the highest
SQNR of all that are estimated at 95 % of its LUTs or fewer, and has Yosys synthesize
both. What they are worth on the held-out fifth is looked at once, after that. Prints a
Markdown table; in the folder are the outputs of the search, and `digits.svg`, its front
with the uniform widths in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from pathlib import Path

from folds import Folds, trained, x_test, x_train, y_test, y_train

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
MARGIN = 0.95
"""Of LUTs: estimates may be some percent off."""
HEADER = (
    "| model | held-out accuracy | accuracy of the folds | SQNR of the folds | LUTs | "
    "with route-throughs | carry bits | FFs | latency |\n"
    "|---|---|---|---|---|---|---|---|---|"
)


def trial(study: Study, decision: Decision) -> Trial:
    """The model of a decision, to be measured."""
    return prepared(study.bench, study.runners, Job(0, {}, decision, None, ""))


def row(name: str, tried: Trial, folds: Runner, yosys: Runner) -> str:
    """A line of the table: what Yosys makes of a model, and how good it is."""
    found = {kind: int(value) for kind, value in yosys.measure(tried).items()}
    lut, through = found["yosys_lut"], found["yosys_route_through"]
    latency = tried.model.estimate(**tried.decision.hardware).latency
    validated = folds.measure(tried)
    return (
        f"| {name} | {tried.model.evaluate(x_test, y_test):.2%} | "
        f"{validated['accuracy']:.2%} | {validated['sqnr']:.1f} dB | {lut} | "
        f"{lut + through} | {found['yosys_carry']} | {found['yosys_ff']} | {latency} |"
    )


def pairs(study: Study) -> Iterator[tuple[int, Trial, tuple[str, Trial] | None]]:
    """Uniform widths, and the best point that is estimated at fewer LUTs."""
    for width in WIDTHS:
        uniform = trial(study, Decision(((QUANTIZE, {"width": width}),)))
        most = MARGIN * uniform.model.estimate().lut
        # The front begins with the highest SQNR.
        found = next((t for t in study.front() if t.values["lut"] <= most), None)
        if found is None or found.decision is None:
            yield width, uniform, None
        else:
            yield (
                width,
                uniform,
                (f"trial {found.number}", trial(study, found.decision)),
            )


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("output", type=Path, help="a folder")
    parser.add_argument("--trials", type=int, help="how many points are tried")
    parser.add_argument("--jobs", type=int, default=1, help="processes that measure")
    arguments = parser.parse_args()
    study = trained(x_train, y_train).search(
        HERE / "search.toml",
        output=arguments.output,
        n_trials=arguments.trials,
        n_jobs=arguments.jobs,
    )
    context = study.bench.context
    folds = Folds({}, context)
    yosys = Synthesis({"cache": str(arguments.output / "yosys")}, context)
    figure = study_figures(study)["pareto_front"]
    print(HEADER)
    for width, uniform, found in pairs(study):
        point = uniform.model.estimate().lut, folds.measure(uniform)["sqnr"]
        figure.axes[0].plot(*point, "kx")
        figure.axes[0].annotate(f" {width} bits", point)
        print(row(f"{width} bits everywhere", uniform, folds, yosys), flush=True)
        if found is not None:
            print(row(*found, folds, yosys), flush=True)
    with atomic_file(arguments.output / "digits.svg") as stream:
        stream.write(svg(figure, "digits"))


if __name__ == "__main__":
    main()
