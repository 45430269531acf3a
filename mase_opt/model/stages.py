"""
The stages of a model: passes by name, in the order in which they run.

A pass of a pipeline leaves IR alone that is past its stage, so a pipeline can be run
on a module of any stage: it does whatever is still missing.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from math import inf

from xdsl.context import Context
from xdsl.dialects import hw
from xdsl.dialects.builtin import ModuleOp
from xdsl.universe import Universe
from xdsl.utils.arg_spec import ArgSpec, ParameterListType

from mase_opt.lib.errors import UserError
from mase_opt.pass_options import build_pass
from mase_opt.registry import load_universe

Options = Mapping[str, ParameterListType]

IMPORT_PASS = "convert-torch-to-mase"
"""Brings what is still in the torch dialect to mase."""

MAKE_EXPLICIT = ("mase-lower-block-arithmetic", "mase-lower-to-lookup")
"""From quantized mase IR to the accumulators and tables that hardware has."""

BUILD_HARDWARE = ("mase-build-adder-graphs", "convert-mase-to-hw")
"""From there to hw, comb and seq; a circuit must agree with the model before these."""

BUILD_STREAMS = (
    "mase-allocate-parallelism",
    "convert-mase-to-stream",
    "stream-size-fifos",
    "convert-stream-to-hw",
)
"""The same to hardware that shares multipliers over time."""


class Architecture(StrEnum):
    """What a model becomes."""

    UNROLLED = "unrolled"
    """A multiplier, or an adder graph, for each product."""
    STREAMED = "streamed"
    """Processes with loops, joined by channels."""

    @property
    def passes(self) -> tuple[str, ...]:
        """From explicit mase IR to hardware."""
        streamed = self is Architecture.STREAMED
        return BUILD_STREAMS if streamed else BUILD_HARDWARE

    @staticmethod
    def of(name: str) -> Architecture:
        """Raises `UserError` for another name."""
        try:
            return Architecture(name)
        except ValueError:
            raise UserError(
                f"architecture is '{name}', expected one of {', '.join(Architecture)}"
            ) from None


def check_clock(clock: float) -> float:
    """A clock in hertz. Raises `UserError` unless it is positive."""
    if not (0 < clock < inf):
        raise UserError(f"clock is {clock:g}, expected hertz, as 200e6")
    return clock


def needs_mase(name: str) -> bool:
    """Whether a pass works on the mase dialect, by its name."""
    return name.startswith(("mase-", "convert-mase-"))


def is_hardware(module: ModuleOp) -> bool:
    """Whether `module` holds circuits."""
    return any(isinstance(op, hw.HWModuleOp) for op in module.ops)


def run_pass(
    ctx: Context,
    module: ModuleOp,
    name: str,
    options: Options | None = None,
    universe: Universe | None = None,
) -> None:
    """
    Run a registered pass, of `universe` if it is given, and verify the result.

    Hardware is left to CIRCT's verifiers.
    """
    passes = (universe or load_universe()).all_passes
    build_pass(passes, ArgSpec(name, dict(options or {}))).apply(ctx, module)
    if not is_hardware(module):
        module.verify()
