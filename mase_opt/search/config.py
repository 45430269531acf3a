"""`search.toml`: what is searched, how, and what is measured."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import Any

from mase_opt.driver.run_file import run_of
from mase_opt.lib.errors import UserError
from mase_opt.lib.quantization.config import read_toml
from mase_opt.lib.search.strategy import STRATEGIES, Direction, Strategy
from mase_opt.lib.search.tables import check_keys, table_of

DIRECTIONS: tuple[Direction, ...] = ("maximize", "minimize")


@dataclass(frozen=True)
class Wanted:
    """What is wanted of a metric."""

    scale: float = 1.0
    """By which it is multiplied; 0: it is no objective, only bounded."""
    direction: Direction | None = None
    """Which way is better; None: as the runner says."""
    lower_bound: float | None = None
    upper_bound: float | None = None


@dataclass(frozen=True)
class Setup:
    """How long, how many at a time, and where results are kept."""

    n_trials: int | None = None
    """How many in all; None: all points for a strategy that ends, else 100."""
    n_jobs: int = 1
    """Processes that measure; no number of them changes the result."""
    timeout: float | None = None
    """Seconds after which no trial is started."""
    sum_scaled_metrics: bool = True
    """One objective, the sum; else one for each metric, and a Pareto front."""
    direction: Direction = "maximize"
    """Of the sum; metrics of the other direction count negative."""
    seed: int = 0
    batch: int | None = None
    """Points chosen before results are looked at; None: what suits the strategy."""
    threads: int = 1
    """Of torch, for a trial."""
    storage: str | None = None
    """
    Where trials are kept, and shared: `sqlite:///…`, another database's URL, or a
    journal file; None: nowhere, or in the output folder.
    """
    study: str = "search"
    """The name in the storage."""


_SETUP: dict[str, tuple[type, float | None]] = {
    "n_trials": (int, 1),
    "n_jobs": (int, 1),
    "timeout": (float, 0),
    "sum_scaled_metrics": (bool, None),
    "direction": (str, None),
    "seed": (int, 0),
    "batch": (int, 1),
    "threads": (int, 1),
    "storage": (str, None),
    "study": (str, None),
}
"""Kind and least value of each setting."""
_KINDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


@dataclass(frozen=True)
class Config:
    """A search, as it was asked for; tables of spaces and runners as they are."""

    space: Mapping[str, Any]
    strategy: type[Strategy]
    options: Mapping[str, Any]
    """The strategy's own keys of `setup`."""
    setup: Setup
    software: Mapping[str, Mapping[str, Any]]
    """Tables by the names of runners."""
    hardware: Mapping[str, Mapping[str, Any]]
    metrics: Mapping[str, Wanted]
    eval_mode: bool | None = None
    """False: some runner trains; None: whatever the runners do."""
    data: Mapping[str, Any] = field(default_factory=dict[str, Any])
    """Files by the name of the data."""
    where: str = "search"
    """For messages."""

    @staticmethod
    def of(
        source: str | Path | Mapping[str, Any],
        setup: Mapping[str, Any],
        passes: Mapping[str, Any],
    ) -> Config:
        """
        A TOML file, or what is in its table `[search]`; raises `UserError`.

        The file may be that of a whole run, whose other tables only have to be right:
        `passes` are those that there are. `setup` replaces settings in
        `strategy.setup`, except by None.
        """
        if isinstance(source, Mapping):
            return Config._of(source, setup, "search")
        tree = read_toml(str(source))
        where = f"config '{source}'"
        check_keys(tree, ("input", "passes", "search", "emit"), where)
        rest = {key: value for key, value in tree.items() if key != "search"}
        run_of(rest, where, passes)
        if "search" not in tree:
            raise UserError(f"{where} has no table [search]")
        table = table_of(tree["search"], f"{where}: search")
        return Config._of(table, setup, where)

    @staticmethod
    def _of(table: Mapping[str, Any], setup: Mapping[str, Any], where: str) -> Config:
        try:
            return Config._read(table, setup, where)
        except UserError as error:
            text = str(error)
            if text.startswith(where):
                raise
            raise UserError(f"{where}: {text}") from error

    @staticmethod
    def _read(table: Mapping[str, Any], over: Mapping[str, Any], where: str) -> Config:
        check_keys(table, ("search_space", "strategy", "data"), where)
        for key in ("search_space", "strategy"):
            if key not in table:
                raise UserError(f"{where} has no table [search.{key}]")
        space = table_of(table["search_space"], "search_space")
        if "name" not in space:
            raise UserError("search_space has no name, such as 'mixed_precision'")
        strategy = table_of(table["strategy"], "strategy")
        known = ("name", "eval_mode", "sw_runner", "hw_runner", "setup", "metrics")
        check_keys(strategy, known, "strategy")
        eval_mode = strategy.get("eval_mode")
        if not isinstance(eval_mode, bool | None):
            raise UserError(
                f"strategy.eval_mode is {eval_mode!r}, expected true or false"
            )
        made = STRATEGIES.find(strategy.get("name", "optuna"), "strategy.name")
        setup = dict(table_of(strategy.get("setup", {}), "strategy.setup"))
        setup |= {key: value for key, value in over.items() if value is not None}
        check_keys(setup, [*_SETUP, *made.keys], "strategy.setup")
        setup = {key: value for key, value in setup.items() if value != "NA"}
        options = {key: setup.pop(key, value) for key, value in made.keys.items()}
        runners = {
            kind: {
                name: table_of(value, f"strategy.{kind}.{name}")
                for name, value in table_of(
                    strategy.get(kind, {}), f"strategy.{kind}"
                ).items()
            }
            for kind in ("sw_runner", "hw_runner")
        }
        if not any(runners.values()):
            raise UserError(
                "strategy has no runner: add [search.strategy.sw_runner.evaluation]"
            )
        return Config(
            space,
            made,
            options,
            _setup(setup),
            runners["sw_runner"],
            runners["hw_runner"],
            _metrics(strategy.get("metrics", {})),
            eval_mode,
            table_of(table.get("data", {}), "data"),
            where,
        )


def _setup(table: Mapping[str, Any]) -> Setup:
    for key, value in table.items():
        kind, least = _SETUP[key]
        right = isinstance(value, (int, float) if kind is float else kind)
        if not right or (isinstance(value, bool) and kind is not bool):
            raise UserError(
                f"strategy.setup.{key} is {value!r}, expected {_KINDS[kind]}"
            )
        if least is not None and not least <= value:
            raise UserError(
                f"strategy.setup.{key} is {value}, expected at least {least}"
            )
    _direction(table.get("direction", "maximize"), "strategy.setup")
    return Setup(**table)


def _direction(value: Any, where: str) -> Direction:
    if value not in DIRECTIONS:
        raise UserError(
            f"{where}.direction is {value!r}, expected maximize or minimize"
        )
    return value


def _metrics(value: Any) -> dict[str, Wanted]:
    found: dict[str, Wanted] = {}
    for name, entry in table_of(value, "strategy.metrics").items():
        where = f"strategy.metrics.{name}"
        table = table_of(entry, where)
        check_keys(table, Wanted.__dataclass_fields__, where)
        if "direction" in table:
            _direction(table["direction"], where)
        for key in ("scale", "lower_bound", "upper_bound"):
            number = table.get(key, 1)
            is_number = isinstance(number, int | float) and not isinstance(number, bool)
            if not is_number or not isfinite(number):
                raise UserError(f"{where}.{key} is {number!r}, expected a number")
        if table.get("scale", 1) < 0:
            raise UserError(
                f"{where}.scale is {table['scale']}, expected at least 0: direction "
                "says which way is better"
            )
        low, high = table.get("lower_bound"), table.get("upper_bound")
        if low is not None and high is not None and low > high:
            raise UserError(
                f"{where}: no number is at least {low} and at most {high}: swap "
                "lower_bound and upper_bound"
            )
        found[name] = Wanted(**table)
    if not any(wanted.scale for wanted in found.values()):
        raise UserError(
            "strategy.metrics names no objective: add one that a runner measures, such "
            "as [search.strategy.metrics.accuracy]"
        )
    return found
