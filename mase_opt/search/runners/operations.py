"""How much a trial's model computes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, ClassVar

from mase_opt.lib.analysis.operations import operations
from mase_opt.search.runner import Metric, Runner, RunnerContext, Trial


class CountedOperations(Runner):
    """
    Operations for one run of the model, of as many samples as its shapes say.

    `flops` are operations whatever the formats; `bit_operations` are products, each
    times the bits of both factors.
    """

    name = "operations"
    metrics: ClassVar[Mapping[str, Metric]] = {
        "flops": Metric("minimize", "operations"),
        "bit_operations": Metric("minimize", "bit operations"),
    }

    def __init__(self, table: Mapping[str, Any], context: RunnerContext):
        pass

    def measure(self, trial: Trial) -> dict[str, float]:
        return asdict(operations(trial.model.function))
