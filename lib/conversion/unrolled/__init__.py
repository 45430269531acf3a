"""Hardware templates and formats: importing this package registers all of them."""

from importlib import import_module

import_module("mase_opt.lib.hardware.formats")
for _name in (
    "linear",
    "adder_graph",
    "conv",
    "conv_transposed",
    "embedding",
    "elementwise",
    "compare",
    "cast",
    "pool",
    "reduce",
    "lookup",
    "shape",
):
    import_module(f"{__name__}.{_name}")
