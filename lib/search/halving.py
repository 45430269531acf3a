"""Many points on few samples, few points on all."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mase_opt.lib.errors import UserError
from mase_opt.lib.search.strategy import Outcome, Problem, Proposal, Proposing, rank


class Halving(Proposing):
    """
    Successive halving: random points on few samples, the better ones on more.

    From round to round one of `reduction` points is left, on `reduction` times as many
    samples, until the last round takes all; the first takes `min_samples` or a little
    less. There are as many points as `n_trials` allows for all rounds together.
    """

    name = "halving"
    keys: ClassVar[Mapping[str, Any]] = {"reduction": 3, "min_samples": 32}

    def __init__(self, table: Mapping[str, Any], problem: Problem):
        super().__init__(table, problem)
        for key, least in (("reduction", 2), ("min_samples", 1)):
            if type(table[key]) is not int or table[key] < least:
                raise UserError(
                    f"setup.{key} is {table[key]!r}, expected at least {least}"
                )
        if len(problem.directions) != 1:
            raise UserError(
                f"strategy halving has one objective, not {len(problem.directions)}: "
                "set sum_scaled_metrics = true"
            )
        if problem.samples is None:
            raise UserError("strategy halving needs a software runner with samples")
        if problem.trials is None:
            raise UserError("strategy halving needs setup.n_trials")
        self._rounds = self._plan(problem.trials, problem.samples)

    def _plan(self, trials: int, samples: int) -> list[tuple[int, int | None]]:
        """How many points each round has, on how many samples."""
        factor, least = self.table["reduction"], self.table["min_samples"]
        sizes: list[int | None] = [None]
        while samples // factor ** len(sizes) >= least:
            sizes.insert(0, samples // factor ** len(sizes))
        # The most points for which all rounds together fit.
        points = 1
        while sum(self._left(points + 1, r) for r in range(len(sizes))) <= trials:
            points += 1
        points = min(points, self.encoding.size)
        return [(self._left(points, r), size) for r, size in enumerate(sizes)]

    def _left(self, points: int, round: int) -> int:
        return max(points // self.table["reduction"] ** round, 1)

    def propose(self, history: Sequence[Outcome]) -> Sequence[Proposal]:
        (direction,) = self.problem.directions
        points = self._points(self._rounds[0][0])
        for count, samples in self._rounds:
            wanted = [Proposal(point, samples) for point in points[:count]]
            ranks: dict[int, tuple[float, float]] = {}
            for outcome in history:
                if outcome.finished and outcome.proposal in wanted:
                    place = wanted.index(outcome.proposal)
                    ranks[place] = rank(outcome, direction)
            if len(ranks) < len(wanted):
                return [p for place, p in enumerate(wanted) if place not in ranks]
            points = [
                wanted[place].point for place in sorted(ranks, key=ranks.__getitem__)
            ]
        return []

    def _points(self, count: int) -> list[dict[str, Any]]:
        """Distinct points, by chance."""
        chance = random.Random(self.problem.seed)
        found: list[dict[str, Any]] = []
        for place in _distinct(chance, self.encoding.size, count):
            point: dict[str, Any] = {}
            for name, choices in self.problem.parameters.items():
                place, index = divmod(place, len(choices))
                point[name] = choices[index]
            found.append(point)
        return found


def _distinct(chance: random.Random, size: int, count: int) -> list[int]:
    """`count` different numbers below `size`, which may be any."""
    found: dict[int, None] = {}
    while len(found) < count:
        found[chance.randrange(size)] = None
    return list(found)
