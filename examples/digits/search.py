"""
Search for formats and hardware of the digits MLP, and compare with uniform widths.

    python examples/digits/search.py build/digits_search

Searches on the training samples, as `search.toml` says. Then, for each uniform width,
takes the cheapest point of the front that loses no more, synthesizes both with Yosys, and
measures them on the held-out fifth. Prints a Markdown table; in the folder are the
outputs of the search, and `digits.svg`, its front with the uniform widths in it.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from train import SHAPES, split

import mase_opt as mo
from mase_opt.lib.atomic import atomic_file
from mase_opt.search import figures
from mase_opt.search.report import study_figures
from mase_opt.search.study import Study, Tried

HERE = Path(__file__).parent
WIDTHS = (8, 6, 4)
HEADER = (
    "| model | held-out accuracy | training loss | LUTs | with route-throughs | carry "
    "bits | FFs | latency |\n|---|---|---|---|---|---|---|---|"
)

x_train, x_test, y_train, y_test = split(SHAPES["mlp"])


def loss(model: mo.Model) -> float:
    """The cross entropy on the training samples."""
    return model.evaluate(x_train, y_train, metric="cross_entropy")


def row(name: str, model: mo.Model, hardware: Mapping[str, Any]) -> str:
    """A line of the table: what Yosys makes of a model, and how good it is."""
    result = model.emit(verify=64, synth=True, **hardware)
    assert result.synthesis is not None
    found = result.synthesis.resources
    return (
        f"| {name} | {model.evaluate(x_test, y_test):.2%} | {loss(model):.4f} | "
        f"{found.lut} | {found.lut + found.route_through} | {found.carry} | {found.ff} "
        f"| {result.latency} |"
    )


def pairs(study: Study) -> Iterator[tuple[int, mo.Model, Tried]]:
    """Uniform widths, their models, and what was found that loses no more."""
    for width in WIDTHS:
        uniform = study.model.quantize(width=width)
        limit = loss(uniform)
        found = [t for t in study.front() if t.values["loss"] <= limit]
        if found:
            yield width, uniform, min(found, key=lambda t: t.values["lut"])


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
    figure = study_figures(study)["pareto_front"]
    print(HEADER)
    for width, uniform, tried in pairs(study):
        point = uniform.estimate().lut, loss(uniform)
        figure.axes[0].annotate(f"{width} bits", point)
        figure.axes[0].plot(*point, "kx")
        print(row(f"{width} bits everywhere", uniform, {}), flush=True)
        assert tried.decision is not None
        name = f"trial {tried.number}"
        print(row(name, study.build(tried), tried.decision.hardware), flush=True)
    with atomic_file(arguments.output / "digits.svg") as stream:
        stream.write(figures.svg(figure, "digits"))


if __name__ == "__main__":
    main()
