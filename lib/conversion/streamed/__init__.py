"""Processes of layers: importing this package registers all of them."""

from importlib import import_module

for _name in (
    "linear",
    "matmul",
    "conv",
    "conv_transposed",
    "pool",
    "reduce",
    "elementwise",
    "concat",
    "pad",
    "resample",
    "embedding",
    "argmax",
):
    import_module(f"{__name__}.{_name}")
