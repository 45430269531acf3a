"""What a trial's circuit is estimated to cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import Any, ClassVar

from mase_opt.lib.cost.estimate import Estimate
from mase_opt.search.runner import Metric, Runner, RunnerContext, Trial

COUNTS = [f.name for f in fields(Estimate) if f.type == "int"]
UNITS = {"latency": "cycles", "initiation_interval": "cycles", "logic_depth": "levels"}


class EstimatedHardware(Runner):
    """
    What `Model.estimate` says, of the hardware that the trial has chosen.

    Of designs of the same kind, LUTs of half are at most `lut_error` off, a share of
    those that Yosys counts, and of 95 % at most `lut_error_most`.
    """

    name = "estimate"
    metrics: ClassVar[Mapping[str, Metric]] = {
        **{name: Metric("minimize", UNITS.get(name, "")) for name in COUNTS},
        "lut_error": Metric("minimize"),
        "lut_error_most": Metric("minimize"),
    }

    def __init__(self, table: Mapping[str, Any], context: RunnerContext):
        pass

    def measure(self, trial: Trial) -> dict[str, float]:
        found = trial.model.estimate(**trial.decision.hardware)
        counts = {name: getattr(found, name) for name in COUNTS}
        error = found.error
        return {**counts, "lut_error": error.median, "lut_error_most": error.most}
