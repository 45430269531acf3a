"""Processes of layers: importing this package registers all of them."""

from importlib import import_module

for _name in (
    "linear",
    "matmul",
    "conv",
    "pool",
    "reduce",
    "elementwise",
    "concat",
    "pad",
):
    import_module(f"{__name__}.{_name}")
