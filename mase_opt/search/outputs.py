"""
What a search leaves in its folder.

- `trials.csv`: a row for each trial, `log.json`: the same with all that was decided;
- `best.json`: the Pareto points, with what was measured of them and decided;
- `model.mlir`: the model that all trials started from;
- `pareto/<number>.mlir`: the model of a Pareto point, `pareto/<number>.toml`: the file
  with which `mase-opt --config` makes the same of `model.mlir`, and its hardware;
- `report.html`, which needs nothing else, and its figures in `figures/`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mase_opt import __version__
from mase_opt.lib.atomic import atomic_directory, atomic_file
from mase_opt.lib.drawing import png
from mase_opt.lib.table import Cell, Column, Table
from mase_opt.search.report import report, study_figures

if TYPE_CHECKING:
    from mase_opt.search.study import Study, Tried

PARETO = "pareto"
FIGURES = "figures"


def write_outputs(study: Study, output: str | Path) -> None:
    """
    Write all files into the folder `output`, each of them complete or not at all.

    Raises `UserError` if they cannot be written.
    """
    folder = Path(output)
    trials_table(study).write("csv", str(folder / "trials.csv"))
    front = study.front()
    log = {"trials": [_record(trial) for trial in study.trials]}
    _write_json(folder / "log.json", _header(study) | log)
    study.model.save(folder / "model.mlir")
    with atomic_directory(folder / PARETO, _holds(".mlir", ".toml")) as made:
        for trial in front:
            study.build(trial).save(made / f"{trial.number}.mlir")
            (made / f"{trial.number}.toml").write_text(_toml(trial), encoding="utf-8")
    points = [_record(trial) | _files(trial) for trial in front]
    _write_json(folder / "best.json", _header(study) | {"pareto": points})
    drawn = study_figures(study)
    with atomic_directory(folder / FIGURES, _holds(".png")) as made:
        for name, figure in drawn.items():
            (made / f"{name}.png").write_bytes(png(figure))
    with atomic_file(folder / "report.html") as stream:
        stream.write(report(study, drawn))


def trials_table(study: Study) -> Table:
    """A row for each trial: its point, all that was measured, and what went wrong."""
    parameters = list(dict.fromkeys(k for t in study.trials for k in t.point))
    metrics = list(dict.fromkeys(k for t in study.trials for k in t.values))
    names = ["number", "state", *parameters, *metrics, "samples", "seconds", "reason"]
    rows = [
        (
            trial.number,
            trial.state,
            *(_cell(trial.point.get(name)) for name in parameters),
            *(trial.values.get(name) for name in metrics),
            trial.samples,
            round(trial.seconds, 6),
            trial.reason,
        )
        for trial in study.trials
    ]
    return Table("Trials", [Column(name) for name in names], rows)


def _cell(choice: Any) -> Cell:
    plain = choice is None or isinstance(choice, str | int | float)
    return choice if plain else json.dumps(choice)


def _header(study: Study) -> dict[str, Any]:
    directions = study.objectives.by_metric
    return {"mase_opt": __version__, "model": study.name, "metrics": directions}


def _record(trial: Tried) -> dict[str, Any]:
    decision = trial.decision
    return {
        "number": trial.number,
        "state": trial.state,
        "values": {name: _number(value) for name, value in trial.values.items()},
        "point": dict(trial.point),
        "config": None
        if decision is None
        else {
            "passes": [[name, dict(options)] for name, options in decision.passes],
            "hardware": dict(decision.hardware),
        },
        "samples": trial.samples,
        "seconds": round(trial.seconds, 6),
        "reason": trial.reason,
    }


def _number(value: float) -> float | str:
    """JSON has neither infinity nor NaN."""
    return value if isfinite(value) else str(value)


def _files(trial: Tried) -> dict[str, str]:
    stem = f"{PARETO}/{trial.number}"
    return {"model": f"{stem}.mlir", "toml": f"{stem}.toml"}


def _toml(trial: Tried) -> str:
    assert trial.decision is not None, "a Pareto point means something"
    values = ", ".join(f"{k} {v:.6g}" for k, v in trial.values.items())
    return f"# Trial {trial.number}: {values}\n\n{trial.decision.toml()}"


def _holds(*suffixes: str) -> Any:
    """Whether a folder has nothing but files with such names: an earlier output."""

    def check(folder: Path) -> bool:
        return all(p.suffix in suffixes and p.is_file() for p in folder.iterdir())

    return check


def _write_json(path: Path, data: Mapping[str, Any]) -> None:
    with atomic_file(path) as stream:
        json.dump(data, stream, indent=1)
        stream.write("\n")
