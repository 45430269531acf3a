"""In which order the points of a space are tried."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mase_opt.lib.search.encoding import Encoding
from mase_opt.lib.search.registry import Registry
from mase_opt.lib.search.space import Point

if TYPE_CHECKING:
    import optuna

Direction = Literal["maximize", "minimize"]

SAMPLES = "samples"
"""The attribute of a trial that says how many samples it takes."""
VIOLATION = "violation"
"""The attribute of a trial that says by how much it misses bounds."""


@dataclass(frozen=True)
class Problem:
    """What a strategy has to do with."""

    parameters: Mapping[str, tuple[Any, ...]]
    directions: Sequence[Direction]
    """Of the objectives."""
    seed: int
    trials: int | None
    """How many there may be in all; None: as many as it takes."""
    samples: int | None
    """How many samples a whole measurement takes; None if that is not known."""


@dataclass(frozen=True)
class Proposal:
    """A point to measure, on so many samples (None: all)."""

    point: Point
    samples: int | None = None


@dataclass(frozen=True)
class Outcome:
    """A trial so far."""

    proposal: Proposal
    finished: bool
    values: tuple[float, ...] | None
    """The objectives; None while it runs, and if it failed."""
    violation: float
    """By how much bounds are missed; 0 if they are kept."""


class Strategy(ABC):
    """
    How the next points are chosen; made for one search.

    The state of a search is in its trials alone, so that it can be taken up again.
    """

    name: ClassVar[str]
    keys: ClassVar[Mapping[str, Any]] = {}
    """Its own keys in `[search.strategy.setup]`, with their defaults."""

    batch: int = 8
    """
    How many points are chosen before the results of any is known.

    No number of processes changes it, so none changes the result.
    """
    exhaustive: bool = False
    """Whether it ends by itself."""
    once: bool = False
    """Whether it tries every point once."""

    def __init__(self, table: Mapping[str, Any], problem: Problem):
        """`table` are `keys`, as set; raises `UserError` for what has no meaning."""
        self.table = table
        self.problem = problem
        self.encoding = Encoding(problem.parameters, ordinal=False)

    @abstractmethod
    def ask(self, study: optuna.Study, count: int) -> list[optuna.Trial]:
        """Start at most `count` trials in `study`; none at the end."""


class Proposing(Strategy):
    """A strategy of our own, which says what it wants to know next."""

    exhaustive = True

    @abstractmethod
    def propose(self, history: Sequence[Outcome]) -> Sequence[Proposal]:
        """
        What to measure, given all trials in the order in which they were started.

        What is in `history` already is not measured again; empty at the end.
        """

    def ask(self, study: optuna.Study, count: int) -> list[optuna.Trial]:
        history = [
            outcome
            for trial in study.get_trials(deepcopy=False)
            if (outcome := self._outcome(trial)) is not None
        ]
        known = [outcome.proposal for outcome in history]
        wanted = [p for p in self.propose(history) if p not in known][:count]
        asked: list[optuna.Trial] = []
        for proposal in wanted:
            study.enqueue_trial(
                self.encoding.encode(proposal.point),
                user_attrs={SAMPLES: proposal.samples},
            )
            asked.append(study.ask(self.encoding.distributions()))
        return asked

    def _outcome(self, trial: optuna.trial.FrozenTrial) -> Outcome | None:
        point = self.encoding.decode(trial.params)
        if point is None:
            return None
        values = tuple(trial.values) if trial.values is not None else None
        violation: float = trial.user_attrs.get(VIOLATION, 0.0)
        proposal = Proposal(point, trial.user_attrs.get(SAMPLES))
        return Outcome(proposal, trial.state.is_finished(), values, violation)


_HERE = "mase_opt.lib.search"
STRATEGIES: Registry[Strategy] = Registry(
    "strategy",
    {
        "optuna": f"{_HERE}.optuna_strategy:OptunaStrategy",
        "greedy": f"{_HERE}.greedy:Greedy",
        "halving": f"{_HERE}.halving:Halving",
    },
)
"""All strategies; `STRATEGIES.add` is a decorator."""


def rank(outcome: Outcome, direction: Direction) -> tuple[float, float]:
    """Smaller is better: what misses bounds is worse than all that keeps them."""
    if outcome.values is None:
        return (float("inf"), float("inf"))
    (value,) = outcome.values
    return (outcome.violation, -value if direction == "maximize" else value)
