"""Points as Optuna has them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import TYPE_CHECKING, Any

from mase_opt.lib.search.space import Point

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution


@dataclass(frozen=True)
class Encoding:
    """
    Numbers that rise or fall are places in their list, other choices texts.

    With `ordinal`, all are places: the order in which they are listed says what is
    near to what.
    """

    parameters: Mapping[str, tuple[Any, ...]]
    ordinal: bool

    @property
    def size(self) -> int:
        """How many points there are."""
        return prod(len(choices) for choices in self.parameters.values())

    def distributions(self) -> dict[str, BaseDistribution]:
        """What Optuna draws from."""
        from optuna.distributions import CategoricalDistribution, IntDistribution

        return {
            name: IntDistribution(0, len(choices) - 1)
            if self._by_place(choices)
            else CategoricalDistribution([text_of(c) for c in choices])
            for name, choices in self.parameters.items()
        }

    def values(self) -> dict[str, list[Any]]:
        """All values of each parameter, as Optuna has them."""
        return {n: [self._of(c, v) for v in c] for n, c in self.parameters.items()}

    def encode(self, point: Point) -> dict[str, Any]:
        """A point as Optuna's parameters."""
        return {n: self._of(self.parameters[n], value) for n, value in point.items()}

    def decode(self, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """The point of Optuna's parameters; None if some are missing."""
        if values.keys() != self.parameters.keys():
            return None
        found: dict[str, Any] = {}
        for name, choices in self.parameters.items():
            places = [self._of(choices, choice) for choice in choices]
            found[name] = choices[places.index(values[name])]
        return found

    def _of(self, choices: tuple[Any, ...], choice: Any) -> Any:
        if self._by_place(choices):
            return choices.index(choice)
        return text_of(choice)

    def _by_place(self, choices: tuple[Any, ...]) -> bool:
        return self.ordinal or is_sorted(choices)


def is_sorted(choices: tuple[Any, ...]) -> bool:
    """Whether choices are numbers that rise or fall."""
    if not all(isinstance(c, int | float) and type(c) is not bool for c in choices):
        return False
    return sorted(choices) in (list(choices), list(reversed(choices)))


def text_of(choice: Any) -> str:
    """A choice as one reads it."""
    return choice if isinstance(choice, str) else json.dumps(choice)
