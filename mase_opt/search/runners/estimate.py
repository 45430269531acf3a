"""What a trial's circuit is estimated to cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any, ClassVar

from mase_opt.lib.cost.estimate import Estimate
from mase_opt.search.runner import Metric, Runner, RunnerContext, Trial

UNITS = {"latency": "cycles", "initiation_interval": "cycles", "logic_depth": "levels"}


class EstimatedHardware(Runner):
    """What `Model.estimate` says, of the hardware that the trial has chosen."""

    name = "estimate"
    metrics: ClassVar[Mapping[str, Metric]] = {
        f.name: Metric("minimize", UNITS.get(f.name, ""))
        for f in fields(Estimate)
        if f.type == "int"
    }

    def __init__(self, table: Mapping[str, Any], context: RunnerContext):
        pass

    def measure(self, trial: Trial) -> dict[str, float]:
        found = asdict(trial.model.estimate(**trial.decision.hardware))
        return {name: found[name] for name in self.metrics}
