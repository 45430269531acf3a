"""
Named pipelines: passes by name, in the order in which they run.

A pass of a pipeline leaves IR alone that is past its stage, so a pipeline can be run
on a module of any stage: it does whatever is still missing.
"""

IMPORT_PASS = "convert-torch-to-mase"
"""Brings what is still in the torch dialect to mase; `--emit-sv` runs it first."""

LOWER_TO_HARDWARE = (
    "mase-lower-block-arithmetic",
    "mase-lower-to-lookup",
    "convert-mase-to-hw",
)
"""From quantized mase IR to hw, comb and seq."""
