"""A search: trials, each measured from the untouched model, in a storage."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from mase_opt.lib.search.space import Decision, Point

if TYPE_CHECKING:
    from mase_opt.model.model import Model


@dataclass(frozen=True)
class Tried:
    """A trial that is over."""

    number: int
    point: Point
    decision: Decision | None
    """None if the point means nothing."""
    samples: int | None
    values: Mapping[str, float]
    """All metrics, by name; empty if it failed."""
    objectives: tuple[float, ...]
    """As the strategy sees them: scaled, summed if it says so; empty if it failed."""
    violation: float
    """By how much bounds are missed; 0 if they are kept."""
    state: Literal["complete", "failed"]
    reason: str
    """Why it failed."""
    seconds: float
    """That measuring took; 0 for what was known already."""


class Study:
    """The result of a search; `trials` in the order in which they were started."""

    def __init__(self, model: Model, trials: Sequence[Tried]):
        self.model = model
        """The calibrated model that all trials started from."""
        self.trials = tuple(trials)

    def front(self) -> list[Tried]:
        """Trials within the bounds that no other is better than in every objective."""
        raise NotImplementedError

    @property
    def best(self) -> Tried:
        """The trial of `front` with the best first objective."""
        raise NotImplementedError

    def build(self, trial: Tried) -> Model:
        """The model of a trial."""
        raise NotImplementedError
