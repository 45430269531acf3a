"""Which of the simulators in this process runs a circuit."""

from __future__ import annotations

from contextlib import suppress

from xdsl.dialects.builtin import ModuleOp

from mase_opt.lib.hardware.interface import PortLayout
from mase_opt.lib.hardware.memory import Memories
from mase_opt.lib.simulation.evaluator import Evaluator
from mase_opt.lib.simulation.kernels import UnknownOperationError
from mase_opt.lib.simulation.simulator import Simulator

WORTH_COMPILING = 50_000
"""Samples on which an operation is evaluated in the time in which it is compiled."""


def simulator_for(
    circuit: ModuleOp | str,
    layout: PortLayout,
    samples: int,
    memories: Memories | None = None,
) -> Evaluator | Simulator:
    """
    The simulator that is done first with `samples` samples; the results are the same.

    Compiled is what is worth it, what has state, what is text already, which takes
    longer to parse, and what plug-ins made of operations that the evaluator doesn't
    know. Memories of text start with `memories`. Raises `UserError` if the circuit
    cannot be simulated.
    """
    evaluable = not layout.has_channels and samples <= WORTH_COMPILING
    if isinstance(circuit, ModuleOp) and evaluable:
        with suppress(UnknownOperationError):
            evaluator = Evaluator(circuit, layout)
            if samples * evaluator.work <= WORTH_COMPILING * evaluator.operations:
                return evaluator
    return Simulator(circuit, layout, memories=memories)
