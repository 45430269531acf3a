"""Descent along one parameter after the other."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from typing import Any

from mase_opt.lib.errors import UserError
from mase_opt.lib.search.space import Point
from mase_opt.lib.search.strategy import Outcome, Problem, Proposal, Proposing, rank

Rank = tuple[float, float]


class Greedy(Proposing):
    """
    Descent ordered by sensitivity, from the first choice of every parameter.

    The last choice of each parameter alone says how sensitive the model is to it. From
    the least sensitive one on, each gets the choice that is best with what the others
    have, until none changes.
    """

    name = "greedy"

    def __init__(self, table: Mapping[str, Any], problem: Problem):
        super().__init__(table, problem)
        if len(problem.directions) != 1:
            raise UserError(
                f"strategy greedy has one objective, not {len(problem.directions)}: "
                "set sum_scaled_metrics = true, or scale = 0 for metrics that have "
                "bounds only"
            )

    def propose(self, history: Sequence[Outcome]) -> Sequence[Proposal]:
        (direction,) = self.problem.directions
        known = {
            _key(o.proposal.point): rank(o, direction) for o in history if o.finished
        }
        steps = self._steps()
        wanted = next(steps)
        try:
            while all(_key(point) in known for point in wanted):
                wanted = steps.send([known[_key(point)] for point in wanted])
        except StopIteration:
            return []
        return [Proposal(point) for point in wanted if _key(point) not in known]

    def _steps(self) -> Generator[Sequence[Point], list[Rank], None]:
        """The points that each step needs; it is sent how good they are."""
        parameters = self.problem.parameters
        here: Point = {name: choices[0] for name, choices in parameters.items()}
        (best,) = yield [here]
        ends = [here | {n: choices[-1]} for n, choices in parameters.items()]
        losses = dict(zip(parameters, (yield ends), strict=True))
        order = sorted(parameters, key=lambda name: losses[name])
        changed = True
        while changed:
            changed = False
            for name in order:
                around = [here | {name: choice} for choice in parameters[name]]
                ranks = yield around
                if min(ranks) < best:
                    best = min(ranks)
                    here, changed = around[ranks.index(best)], True


def _key(point: Point) -> str:
    return repr(sorted(point.items()))
