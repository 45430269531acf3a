"""
Named pipelines: passes by name, in the order in which they run.

A pass of a pipeline leaves IR alone that is past its stage, so a pipeline can be run
on a module of any stage: it does whatever is still missing.
"""

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
