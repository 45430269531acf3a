"""
The stages of a model: passes by name, in the order in which they run.

A pass of a pipeline leaves IR alone that is past its stage, so a pipeline can be run
on a module of any stage: it does whatever is still missing.
"""

from __future__ import annotations

from collections.abc import Mapping

from xdsl.context import Context
from xdsl.dialects import hw
from xdsl.dialects.builtin import ModuleOp
from xdsl.universe import Universe
from xdsl.utils.arg_spec import ArgSpec, ParameterListType

from mase_opt.pass_options import build_pass
from mase_opt.registry import load_universe

Options = Mapping[str, ParameterListType]

IMPORT_PASS = "convert-torch-to-mase"
"""Brings what is still in the torch dialect to mase."""

MAKE_EXPLICIT = ("mase-lower-block-arithmetic", "mase-lower-to-lookup")
"""From quantized mase IR to the accumulators and tables that hardware has."""

BUILD_HARDWARE = ("mase-build-adder-graphs", "convert-mase-to-hw")
"""From there to hw, comb and seq; a circuit must agree with the model before these."""

LOWER_TO_HARDWARE = MAKE_EXPLICIT + BUILD_HARDWARE


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
