"""Metrics as what a search wants of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mase_opt.lib.errors import UserError
from mase_opt.lib.search.strategy import Direction
from mase_opt.lib.suggest import did_you_mean
from mase_opt.search.config import Config, Wanted
from mase_opt.search.runner import Metric, Runner


@dataclass(frozen=True)
class Objectives:
    """What is wanted of metrics, as numbers to maximize or minimize."""

    wanted: Mapping[str, Wanted]
    metrics: Mapping[str, Metric]
    """What runners measure."""
    total: Direction | None
    """Of the sum of all; None: each is an objective."""

    @staticmethod
    def of(config: Config, runners: Sequence[Runner]) -> Objectives:
        """Raises `UserError` for metrics that no runner, or more than one, measures."""
        metrics: dict[str, Metric] = {}
        for runner in runners:
            for name, metric in runner.metrics.items():
                if name in metrics:
                    raise UserError(
                        f"{config.where}: several runners measure {name}: keep one"
                    )
                metrics[name] = metric
        for name in config.metrics:
            if name not in metrics:
                raise UserError(
                    f"{config.where}: strategy.metrics: no runner measures '{name}'"
                    f"{did_you_mean(name, metrics)} (metrics: {', '.join(metrics)})"
                )
        setup = config.setup
        total = setup.direction if setup.sum_scaled_metrics else None
        return Objectives(config.metrics, metrics, total)

    def _direction(self, name: str) -> Direction:
        return self.wanted[name].direction or self.metrics[name].direction

    @property
    def names(self) -> list[str]:
        """The metrics that are objectives."""
        return [name for name, wanted in self.wanted.items() if wanted.scale]

    @property
    def by_metric(self) -> dict[str, Direction]:
        """Which way each of them is better."""
        return {name: self._direction(name) for name in self.names}

    @property
    def directions(self) -> list[Direction]:
        """One for each objective."""
        if self.total is not None:
            return [self.total]
        return [*self.by_metric.values()]

    def of_values(self, values: Mapping[str, float]) -> tuple[float, ...]:
        """The objectives of measured metrics."""
        scaled = {n: self.wanted[n].scale * values[n] for n in self.names}
        if self.total is None:
            return tuple(scaled.values())
        signs = {n: 1 if self._direction(n) == self.total else -1 for n in scaled}
        return (sum(signs[n] * value for n, value in scaled.items()),)

    def constraints(self, values: Mapping[str, float]) -> dict[str, float]:
        """Each bound's miss, as a share of it; not above 0 where it is kept."""
        found: dict[str, float] = {}
        for name, wanted in self.wanted.items():
            if (low := wanted.lower_bound) is not None:
                found[f"{name}.lower_bound"] = (low - values[name]) / (abs(low) or 1)
            if (high := wanted.upper_bound) is not None:
                found[f"{name}.upper_bound"] = (values[name] - high) / (abs(high) or 1)
        return found

    def missed(self, values: Mapping[str, float]) -> list[str]:
        """The bounds that are missed, in words."""
        found: list[str] = []
        for bound, miss in self.constraints(values).items():
            if miss > 0:
                name, _, kind = bound.rpartition(".")
                limit = getattr(self.wanted[name], kind)
                found.append(f"{name} is {values[name]:g}, {kind} {limit:g}")
        return found
