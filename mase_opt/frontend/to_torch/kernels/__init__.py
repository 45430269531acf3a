"""What the ops compute in torch, by family; the modules imported here register it."""

from mase_opt.frontend.to_torch.kernels import (
    adder_graph,
    elementwise,
    linear,
    norm,
    pool,
    shape,
)
from mase_opt.frontend.to_torch.kernels.registry import KERNELS, Kernel, kernel

__all__ = [
    "KERNELS",
    "Kernel",
    "adder_graph",
    "elementwise",
    "kernel",
    "linear",
    "norm",
    "pool",
    "shape",
]
