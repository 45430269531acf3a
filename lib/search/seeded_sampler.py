"""A sampler whose choices for a trial follow from the trial's number."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from optuna import Study
from optuna.distributions import BaseDistribution
from optuna.samplers import BaseSampler
from optuna.trial import FrozenTrial


class SeededSampler(BaseSampler):
    """
    A new sampler for each trial, made with its number.

    So a search that is taken up goes on as if it had not ended. Samplers are not told
    of results: some would end a loop that is not theirs, and none needs to know.

    What is searched is the same for all trials. A sampler finds it by going through all
    that came before; once one has, others needn't.
    """

    def __init__(self, make: Callable[[int], BaseSampler]):
        self._make = make
        self._searched: dict[str, BaseDistribution] = {}

    def before_trial(self, study: Study, trial: FrozenTrial) -> None:
        self._sampler = self._make(trial.number)
        self._sampler.before_trial(study, trial)

    def infer_relative_search_space(
        self, study: Study, trial: FrozenTrial
    ) -> dict[str, BaseDistribution]:
        if not self._searched:
            self._searched = self._sampler.infer_relative_search_space(study, trial)
        return self._searched

    def sample_relative(
        self,
        study: Study,
        trial: FrozenTrial,
        search_space: dict[str, BaseDistribution],
    ) -> dict[str, Any]:
        return self._sampler.sample_relative(study, trial, search_space)

    def sample_independent(
        self,
        study: Study,
        trial: FrozenTrial,
        param_name: str,
        param_distribution: BaseDistribution,
    ) -> Any:
        return self._sampler.sample_independent(
            study, trial, param_name, param_distribution
        )
