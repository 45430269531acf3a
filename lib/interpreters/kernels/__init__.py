"""
The meaning of every op: a kernel from operand arrays to the result array.

A kernel computes the exact real result as `code * 2**-frac` where all operands are of
number formats, in floating point otherwise, and rounds once into the result type. The
modules imported here register them.
"""

from mase_opt.lib.interpreters.kernels import (
    adder_graph,
    elementwise,
    linear,
    norm,
    pool,
    shape,
)
from mase_opt.lib.interpreters.kernels.registry import KERNELS, Kernel, kernel
from mase_opt.lib.interpreters.kernels.values import (
    Exact,
    align,
    all_exact,
    decode,
    exact,
    exact_add,
    exact_mul,
    exact_neg,
    exact_sum,
    floats,
    from_exact,
    from_float,
    from_ratio,
    moved,
    same_rank,
    take,
)

__all__ = [
    "KERNELS",
    "Exact",
    "Kernel",
    "adder_graph",
    "align",
    "all_exact",
    "decode",
    "elementwise",
    "exact",
    "exact_add",
    "exact_mul",
    "exact_neg",
    "exact_sum",
    "floats",
    "from_exact",
    "from_float",
    "from_ratio",
    "kernel",
    "linear",
    "moved",
    "norm",
    "pool",
    "same_rank",
    "shape",
    "take",
]
