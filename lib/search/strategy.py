"""In which order the points of a space are tried."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from mase_opt.lib.search.registry import Registry
from mase_opt.lib.search.space import Point

if TYPE_CHECKING:
    import optuna

Direction = Literal["maximize", "minimize"]


@dataclass(frozen=True)
class Problem:
    """What a strategy has to do with."""

    parameters: Mapping[str, tuple[Any, ...]]
    directions: Sequence[Direction]
    """Of the objectives."""
    seed: int
    trials: int
    """How many may be measured in all."""
    samples: int | None
    """How many samples a whole measurement takes, if it takes any."""


@dataclass(frozen=True)
class Proposal:
    """A point to measure, on so many samples (None: all)."""

    point: Point
    samples: int | None = None


@dataclass(frozen=True)
class Outcome:
    """A trial so far: `values` are the objectives, None as long as there are none."""

    point: Point
    samples: int | None
    finished: bool
    values: tuple[float, ...] | None
    violation: float
    """By how much bounds are missed; 0 if they are kept."""


class Strategy(ABC):
    """How the next points are chosen; made for one search."""

    name: ClassVar[str]
    keys: ClassVar[Mapping[str, Any]] = {}
    """Its own keys in `[search.strategy.setup]`, with their defaults."""

    def __init__(self, table: Mapping[str, Any], problem: Problem):
        """`table` are `keys`, as set; raises `UserError` for what has no meaning."""
        self.table = table
        self.problem = problem

    batch: int = 8
    """
    How many points are chosen before the results of any is known.

    No number of processes changes it, so none changes the result.
    """

    @abstractmethod
    def ask(self, study: optuna.Study, count: int) -> int:
        """
        Start at most `count` trials in `study`; how many, 0 if none is left.
        """


class Proposing(Strategy):
    """A strategy of our own, which says what it wants to know next."""

    @abstractmethod
    def propose(self, history: Sequence[Outcome]) -> Sequence[Proposal]:
        """
        What to measure, given all trials in the order in which they were started.

        Nothing that is in `history`; empty at the end.
        """
