"""What the ops compute in torch, by family; the modules imported here register it."""

from mase_opt.frontend.to_torch.kernels import (
    adder_graph,
    elementwise,
    linear,
    norm,
    pool,
    shape,
)
from mase_opt.frontend.torch_kernels import TORCH_KERNELS

__all__ = [
    "TORCH_KERNELS",
    "adder_graph",
    "elementwise",
    "linear",
    "norm",
    "pool",
    "shape",
]
