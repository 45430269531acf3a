"""Optuna's samplers."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from mase_opt.lib.errors import UserError
from mase_opt.lib.search.encoding import Encoding
from mase_opt.lib.search.space import Point
from mase_opt.lib.search.strategy import Problem, Strategy
from mase_opt.lib.suggest import did_you_mean

if TYPE_CHECKING:
    import optuna
    from optuna.samplers import BaseSampler

GRID_LIMIT = 100_000
"""How many points the grid, which is made as a whole, may have."""


@dataclass(frozen=True)
class Sampler:
    """A sampler of Optuna: how it is made of a seed, and what it can do."""

    make: Callable[[int, Encoding], BaseSampler]
    learns: bool = True
    """Whether results decide on further points."""
    exhaustive: bool = False
    """Whether it tries every point once."""
    one_seed: bool = False
    """Whether all trials must have the same seed, since they share a sequence."""
    numbers: bool = False
    """Whether choices must be ordered, and there must be one objective."""


def _random(seed: int, encoding: Encoding) -> BaseSampler:
    from optuna.samplers import RandomSampler

    return RandomSampler(seed)


def _tpe(seed: int, encoding: Encoding) -> BaseSampler:
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed)


def _nsgaii(seed: int, encoding: Encoding) -> BaseSampler:
    from optuna.samplers import NSGAIISampler

    return NSGAIISampler(seed=seed)


def _nsgaiii(seed: int, encoding: Encoding) -> BaseSampler:
    from optuna.samplers import NSGAIIISampler

    return NSGAIIISampler(seed=seed)


def _qmc(seed: int, encoding: Encoding) -> BaseSampler:
    from optuna.samplers import QMCSampler

    return QMCSampler(scramble=True, seed=seed, warn_independent_sampling=False)


def _cmaes(seed: int, encoding: Encoding) -> BaseSampler:
    from optuna.samplers import CmaEsSampler

    return CmaEsSampler(seed=seed, with_margin=True, warn_independent_sampling=False)


def _gp(seed: int, encoding: Encoding) -> BaseSampler:
    from optuna.samplers import GPSampler

    return GPSampler(seed=seed, deterministic_objective=True)


def _grid(seed: int, encoding: Encoding) -> BaseSampler:
    from optuna.samplers import GridSampler

    if encoding.size > GRID_LIMIT:
        raise UserError(
            f"sampler grid: the space has {encoding.size} points, more than "
            f"{GRID_LIMIT}: choose another sampler, or fewer values"
        )
    return GridSampler(encoding.values(), seed=seed)


def _brute_force(seed: int, encoding: Encoding) -> BaseSampler:
    from optuna.samplers import BruteForceSampler

    return BruteForceSampler(seed=seed)


SAMPLERS: dict[str, Sampler] = {
    "random": Sampler(_random, learns=False),
    "tpe": Sampler(_tpe),
    "nsgaii": Sampler(_nsgaii),
    "nsgaiii": Sampler(_nsgaiii),
    "qmc": Sampler(_qmc, one_seed=True),
    "cmaes": Sampler(_cmaes, numbers=True),
    "gp": Sampler(_gp),
    "grid": Sampler(_grid, learns=False, exhaustive=True, one_seed=True),
    "brute_force": Sampler(_brute_force, learns=False, exhaustive=True),
}


class OptunaStrategy(Strategy):
    """
    Points from the sampler `sampler`: random, tpe, nsgaii, nsgaiii, qmc, cmaes, gp,
    grid or brute_force.

    Grid and brute force try every point once. For cmaes the order in which formats are
    listed counts. With `warm_start` the others begin with the points of `uniform`.
    """

    name = "optuna"
    keys: ClassVar[Mapping[str, Any]] = {"sampler": "tpe", "warm_start": True}

    def __init__(self, table: Mapping[str, Any], problem: Problem):
        super().__init__(table, problem)
        name = table["sampler"]
        if name not in SAMPLERS:
            raise UserError(
                f"setup.sampler: unknown sampler '{name}'"
                f"{did_you_mean(str(name), SAMPLERS)} (samplers: {', '.join(SAMPLERS)})"
            )
        self._sampler = SAMPLERS[name]
        if self._sampler.numbers and len(problem.directions) > 1:
            raise UserError(
                f"setup.sampler: {name} has one objective, not "
                f"{len(problem.directions)}: set sum_scaled_metrics = true, or choose "
                "another sampler"
            )
        self.encoding = Encoding(problem.parameters, self._sampler.numbers)
        self.exhaustive = self.once = self._sampler.exhaustive
        if not self._sampler.learns:
            self.batch = 32
        self._sampler.make(problem.seed, self.encoding)
        warm = table["warm_start"]
        if not isinstance(warm, bool):
            raise UserError(f"setup.warm_start is {warm!r}, expected true or false")
        points = uniform(problem.parameters) if warm and not self.exhaustive else []
        self._first = [self.encoding.encode(point) for point in points]

    def ask(self, study: optuna.Study, count: int) -> list[optuna.Trial]:
        distributions = self.encoding.distributions()
        first = self._first[len(study.get_trials(deepcopy=False)) :]
        usual, study.sampler = study.sampler, self._seeded
        asked: list[optuna.Trial] = []
        try:
            for place in range(count):
                if place < len(first):
                    study.enqueue_trial(first[place])
                asked.append(study.ask(distributions))
        finally:
            study.sampler = usual
        return asked

    @cached_property
    def _seeded(self) -> BaseSampler:
        from mase_opt.lib.search.seeded_sampler import SeededSampler

        return SeededSampler(
            lambda number: self._sampler.make(self._seed(number), self.encoding)
        )

    def _seed(self, number: int) -> int:
        if self._sampler.one_seed:
            return self.problem.seed
        pair = np.random.SeedSequence([self.problem.seed, number])
        return int(pair.generate_state(1)[0])


def uniform(parameters: Mapping[str, tuple[Any, ...]]) -> list[Point]:
    """
    Points in which all parameters take the same place in their list.

    Formats that are listed by width then have the same one everywhere. Parameters with
    fewer choices than others, such as roundings, keep their first.
    """
    longest = max(len(choices) for choices in parameters.values())
    return [
        {
            name: choices[place if len(choices) == longest else 0]
            for name, choices in parameters.items()
        }
        for place in range(longest)
    ]
