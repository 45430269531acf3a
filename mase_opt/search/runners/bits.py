"""How much memory a trial's model takes up."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

from mase_opt.lib.analysis.storage import storage
from mase_opt.lib.errors import UserError
from mase_opt.search.runner import Metric, Runner, RunnerContext, Trial


class Bits(Runner):
    """
    Bits per number, exponents and scales that numbers share included.

    `average_bitwidth` is that of all parameters and of what layers read, each tensor
    once; `memory_density` is how many times less that is than `compare_to` (32).
    `model_bits` and `model_bytes` are those of the parameters.
    """

    name = "bits"
    metrics: ClassVar[Mapping[str, Metric]] = {
        "average_bitwidth": Metric("minimize", "bits"),
        "weight_bitwidth": Metric("minimize", "bits"),
        "activation_bitwidth": Metric("minimize", "bits"),
        "memory_density": Metric("maximize"),
        "model_bits": Metric("minimize", "bits"),
        "model_bytes": Metric("minimize", "bytes"),
    }
    keys = ("compare_to",)

    def __init__(self, table: Mapping[str, Any], context: RunnerContext):
        self.compare_to: Any = table.get("compare_to", 32)
        if type(self.compare_to) not in (int, float) or not self.compare_to > 0:
            raise UserError(
                f"{self.name}: compare_to is {self.compare_to!r}, expected a number of "
                "bits above 0"
            )

    def measure(self, trial: Trial) -> dict[str, float]:
        found = storage(trial.model.function)
        parameters = found.weights + found.others
        average = (parameters + found.activations).average
        return {
            "average_bitwidth": average,
            "weight_bitwidth": found.weights.average,
            "activation_bitwidth": found.activations.average,
            "memory_density": self.compare_to / average,
            "model_bits": parameters.bits,
            "model_bytes": -(-parameters.bits // 8),
        }
