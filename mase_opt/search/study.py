"""The result of a search: its trials, and the best of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mase_opt.lib.errors import UserError
from mase_opt.lib.search.space import Decision, Point
from mase_opt.search.config import Config
from mase_opt.search.measure import Bench, Job, prepared, quietly
from mase_opt.search.objectives import Objectives
from mase_opt.search.runner import Runner

if TYPE_CHECKING:
    from mase_opt.model.model import Model


@dataclass(frozen=True)
class Tried:
    """A trial that is over."""

    number: int
    """From 0 on, in the order in which trials were started."""
    point: Point
    """Choices by the names of parameters."""
    decision: Decision | None
    """What the point means: `decision.toml()` is a run file; None: nothing."""
    samples: int | None
    """How many samples it took; None: all."""
    values: Mapping[str, float]
    """All metrics, by name; empty if it failed."""
    objectives: tuple[float, ...]
    """As the strategy sees them: scaled, summed if it says so; empty if it failed."""
    violation: float
    """By how much bounds are missed, each as a share of it; 0 if they are kept."""
    state: Literal["complete", "failed"]
    """Whether it has values."""
    reason: str
    """Why it failed."""
    seconds: float
    """That measuring took; 0 for what was known already."""


@dataclass(frozen=True)
class Study:
    """The result of a search."""

    trials: tuple[Tried, ...]
    """What is over, in the order in which it was started."""
    model: Model
    """The calibrated model that all trials started from."""
    config: Config
    """What was asked for."""
    objectives: Objectives
    """What is wanted of metrics."""
    bench: Bench
    """With what trials are made again."""
    runners: Sequence[Runner]
    """What was measured with."""
    interrupted: bool
    """Whether Ctrl-C has ended it."""

    @property
    def name(self) -> str:
        """The model's."""
        return self.model.function.sym_name.data

    def front(self) -> list[Tried]:
        """
        Trials within the bounds that no other is better than: the Pareto front.

        Those on all samples; of equal ones the first. Ordered by the first objective,
        best first.
        """
        signs = [1 if d == "minimize" else -1 for d in self.objectives.directions]

        def costs(trial: Tried) -> tuple[float, ...]:
            pairs = zip(signs, trial.objectives, strict=True)
            return tuple(sign * value for sign, value in pairs)

        front: list[Tried] = []
        # Whatever is better than a trial in all objectives comes before it.
        for trial in sorted(self._whole, key=lambda t: (costs(t), t.number)):
            own = costs(trial)
            if trial.violation > 0 or any(
                all(a <= b for a, b in zip(costs(other), own, strict=True))
                for other in front
            ):
                continue
            front.append(trial)
        return front

    @property
    def _whole(self) -> list[Tried]:
        """What succeeded on all samples."""
        return [t for t in self.trials if t.state == "complete" and t.samples is None]

    @property
    def best(self) -> Tried:
        """
        The trial of `front` with the best first objective.

        Raises `UserError` if there is none, with the nearest to the bounds.
        """
        if front := self.front():
            return front[0]
        if not self.trials:
            raise UserError("the search ended before any trial was over")
        if not self._whole:
            reasons = [t for t in self.trials if t.state == "failed"]
            if not reasons:
                raise UserError("the search ended before any trial took all samples")
            first = reasons[0]
            raise UserError(
                f"all of {len(self.trials)} trials failed; trial {first.number}: "
                f"{first.reason}"
            )
        nearest = min(self._whole, key=lambda t: (t.violation, t.number))
        missed = self.objectives.missed(nearest.values)
        raise UserError(
            f"no trial keeps the bounds; the nearest is trial {nearest.number}: "
            f"{'; '.join(missed)}"
        )

    def build(self, trial: Tried) -> Model:
        """The model of a trial; raises `UserError` if it has none."""
        if trial.decision is None:
            raise UserError(f"trial {trial.number} has no model: {trial.reason}")
        job = Job(trial.number, trial.point, trial.decision, trial.samples, "")
        with quietly(self.bench):
            return prepared(self.bench, self.runners, job).model
