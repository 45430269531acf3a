"""mase-opt: torch models to SystemVerilog that computes the same bits."""

__version__ = "0.1.0"
