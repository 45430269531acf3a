"""The report of a search: a page that needs neither a network nor another file."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from mase_opt.lib.analysis.storage import contractions
from mase_opt.lib.drawing import svg
from mase_opt.lib.html_page import page, section
from mase_opt.lib.search.strategy import Direction
from mase_opt.lib.table import Column, Table
from mase_opt.search import figures

if TYPE_CHECKING:
    from mase_opt.search.study import Study, Tried

TITLES = {
    "pareto_front": "Pareto front",
    "best_so_far": "Best so far",
    "importance": "What matters",
    "bits_per_layer": "Bits of the layers",
}
"""Of the figures, by their names."""


def is_whole(trial: Tried) -> bool:
    """Whether a trial has values, measured on all samples."""
    return trial.state == "complete" and trial.samples is None


class Best:
    """The best value of each metric by itself, among trials that count."""

    def __init__(self, directions: Mapping[str, Direction]):
        self._directions = directions
        self.trials = 0
        """How many there were."""
        self.values: dict[str, float] = {}

    def add(self, trial: Tried) -> None:
        """One more trial; those that miss a bound do not count."""
        self.trials += 1
        if not is_whole(trial) or trial.violation > 0:
            return
        for metric, direction in self._directions.items():
            better = max if direction == "maximize" else min
            value = trial.values[metric]
            self.values[metric] = better(value, self.values.get(metric, value))


def best_so_far(
    trials: Iterable[Tried], directions: Mapping[str, Direction]
) -> dict[str, list[tuple[int, float]]]:
    """How many trials there were, and the best value among them, by metrics."""
    best = Best(directions)
    found: dict[str, list[tuple[int, float]]] = {metric: [] for metric in directions}
    for trial in trials:
        best.add(trial)
        for metric, value in best.values.items():
            found[metric].append((best.trials, value))
    return found


def importances(trials: Sequence[Tried], metric: str) -> dict[str, float]:
    """
    How much each parameter decides whether a trial is among the best of a metric.

    The shares add up to 1; empty where there is nothing to tell apart.
    """
    import optuna
    from optuna.distributions import CategoricalDistribution

    # Choices may be anything: their text is told apart, too.
    points = [{k: str(v) for k, v in trial.point.items()} for trial in trials]
    choices = {
        name: list(dict.fromkeys(point[name] for point in points if name in point))
        for name in dict.fromkeys(name for point in points for name in point)
    }
    values = {trial.values[metric] for trial in trials}
    if len(values) < 2 or not any(len(names) > 1 for names in choices.values()):
        return {}
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        study = optuna.create_study()
        for trial, point in zip(trials, points, strict=True):
            study.add_trial(
                optuna.trial.create_trial(
                    params=point,
                    distributions={
                        name: CategoricalDistribution(choices[name]) for name in point
                    },
                    value=trial.values[metric],
                )
            )
        with warnings.catch_warnings():
            # Among a few trials all may be among the best.
            warnings.simplefilter("ignore")
            return optuna.importance.get_param_importances(study)
    finally:
        optuna.logging.set_verbosity(before)


def study_figures(study: Study) -> dict[str, Any]:
    """The figures that there is something to show in, by their names."""
    metrics = study.objectives.names
    complete = [*filter(is_whole, study.trials)]
    front = study.front()
    if not front:
        return {}
    found: dict[str, Any] = {}
    if len(metrics) > 1:
        points = {t.number: [t.values[m] for m in metrics] for t in complete}
        best = [points[t.number] for t in front]
        found["pareto_front"] = figures.front([*points.values()], best, metrics)
    found["best_so_far"] = figures.best_so_far(
        {
            metric: {"": points}
            for metric, points in best_so_far(
                study.trials, study.objectives.by_metric
            ).items()
        }
    )
    shares = {metric: importances(complete, metric) for metric in metrics}
    if shares := {metric: found for metric, found in shares.items() if found}:
        found["importance"] = figures.importance(shares)
    layers = contractions(study.build(study.best).function)
    if layers:
        found["bits_per_layer"] = figures.bits_per_layer(
            [
                (name, weights.average, inputs.average)
                for name, weights, inputs in layers
            ]
        )
    return found


def report(study: Study, drawn: Mapping[str, Any]) -> str:
    """The page, with figures as `study_figures` draws them."""
    failed = [trial for trial in study.trials if trial.state == "failed"]
    directions = ", ".join(f"{m} ({d})" for m, d in study.objectives.by_metric.items())
    sections = [
        section(
            name,
            TITLES[name],
            svg(figure, f"{name}_svg"),
            f"Of trial {study.best.number}." if name == "bits_per_layer" else "",
        )
        for name, figure in drawn.items()
    ]
    sections.append(section("points", "Pareto points", _points(study.front()).html()))
    if failed:
        reasons = [(trial.number, trial.reason) for trial in failed]
        table = Table("Failed trials", [Column("trial"), Column("reason")], reasons)
        sections.append(section("failed", "Failed trials", table.html()))
    return page(
        f"Search for {study.name}",
        f"{len(study.trials)} trials, {len(failed)} of them failed. "
        f"Metrics: {directions}.",
        sections,
    )


def _points(front: Sequence[Tried]) -> Table:
    """What was measured of the Pareto points, and what they are."""
    metrics = list(dict.fromkeys(name for t in front for name in t.values))
    names = list(dict.fromkeys(name for t in front for name in t.point))
    columns = [
        Column("trial"),
        *(Column(m, ".6g") for m in metrics),
        *map(Column, names),
    ]
    rows = [
        (
            trial.number,
            *(trial.values.get(metric) for metric in metrics),
            *(str(trial.point.get(name, "")) for name in names),
        )
        for trial in front
    ]
    return Table("Pareto points", columns, rows)
