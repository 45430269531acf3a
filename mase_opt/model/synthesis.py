"""What synthesis says of a circuit."""

from __future__ import annotations

from dataclasses import dataclass

from mase_opt.lib.target.yosys import Resources


@dataclass(frozen=True)
class Synthesis:
    """Resources, and how much lies between two registers."""

    resources: Resources
    gate_depth: int | None
    """Levels of an and-inverter graph between two registers, without memories."""
