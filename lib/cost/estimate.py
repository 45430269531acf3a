"""
What the circuit of a model costs on a device, from what it consists of.

The numbers in `fitted.json` say how much each part takes, and how far off estimates are
of designs that the numbers were not fitted to; `bench/bench_estimate.py` makes it.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from xdsl.dialects.builtin import ModuleOp

from mase_opt.lib.conversion.convert_mase_to_hw import ConvertMaseToHwPass
from mase_opt.lib.cost.features import Features, features_of
from mase_opt.lib.transforms.mase_build_adder_graphs import MaseBuildAdderGraphsPass


@dataclass(frozen=True)
class EstimateError:
    """How far LUTs are off, of designs of the same kind that were not fitted to."""

    kind: str
    """What those compute with: `fixed` point, scaled or not, or `other` formats."""
    designs: int
    median: float
    """Half of the designs are at most this far off, relative to what Yosys says."""
    most: float
    """95 % of them are."""
    tool: str
    """What they were synthesized with."""

    def __str__(self) -> str:
        return (
            f"{self.tool}, {self.kind}: half of {self.designs} designs within "
            f"{self.median:.0%}, 95 % of them within {self.most:.0%}"
        )


@dataclass(frozen=True)
class Estimate:
    """
    Resources of a circuit on an FPGA with 6-input LUTs, and when its results come.

    Estimated without the circuit, so nothing here is exact; `error` says how far off
    LUTs are. Adder graphs, which take long to search for, are found quickly, and known
    to be larger than those of the circuit.
    """

    lut: int
    """Tables of up to six inputs."""
    carry: int
    """Blocks of four carries."""
    ff: int
    """Register bits that are in no shift register."""
    dsp: int
    """Blocks of multipliers."""
    adders: int
    """Two-input additions and subtractions."""
    multiplies: int
    """Multiplications, be they blocks or tables."""
    latency: int
    """Cycles from a sample to its results."""
    initiation_interval: int
    """Cycles from one sample to the next."""
    logic_depth: int
    """Adders (or what takes as long) between two registers at most."""
    error: EstimateError
    """How far off LUTs are, of designs that no number here was fitted to."""

    def __str__(self) -> str:
        return (
            f"{self.lut} LUT, {self.carry} carry, {self.ff} FF, {self.dsp} DSP, "
            f"latency {self.latency}, logic depth {self.logic_depth}\n"
            f"(LUTs against {self.error})"
        )

    def to_json(self) -> dict[str, Any]:
        """As plain data, for `json.dumps`."""
        return asdict(self)


def estimate(
    module: ModuleOp, graphs: MaseBuildAdderGraphsPass, hardware: ConvertMaseToHwPass
) -> Estimate:
    """
    What the function of `module`, which is explicit, becomes by these two passes.

    Raises as the passes do.
    """
    features = features_of(module, graphs, hardware)
    counts, stages = features.counts, features.pipeline
    fitted = _fitted()
    found = {
        resource: round(weighted(coefficients, resource_features(features)))
        for resource, coefficients in fitted["coefficients"].items()
    }
    return Estimate(
        **found,
        dsp=round(counts.get("dsp", 0)),
        adders=round(counts.get("adders", 0)),
        multiplies=round(counts.get("multiplies", 0)),
        latency=stages.latency,
        # All is unrolled.
        initiation_interval=1,
        logic_depth=stages.depth,
        error=EstimateError(
            **fitted["errors"]["fixed" if features.is_fixed else "other"]
        ),
    )


def resource_features(features: Features) -> Mapping[str, float]:
    """What coefficients are for."""
    stages = features.pipeline
    return {**features.counts, "registers": stages.registers, "latency": stages.latency}


def weighted(coefficients: Mapping[str, float], features: Mapping[str, float]) -> float:
    """The sum of features, each times its coefficient."""
    return max(sum(c * features.get(name, 0) for name, c in coefficients.items()), 0.0)


@cache
def _fitted() -> dict[str, Any]:
    text = (
        files("mase_opt.lib.cost").joinpath("fitted.json").read_text(encoding="utf-8")
    )
    return json.loads(text)
