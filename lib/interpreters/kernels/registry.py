"""The table of kernels: op class → its meaning."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.ir import Operation

from mase_opt.lib.interpreters.exact import Array

Kernel = Callable[..., Array]
"""
`(op, *operands) -> result`.

Arrays have a leading axis for samples (size 1 where a value is the same for all).
Elements are codes, of any integer dtype, for fixed point and integers, and numbers for
all other types: float64 for number formats. Raises `FormatError` for values that the op
or its result type excludes.
"""

KERNELS: dict[type[Operation], Kernel] = {}


def kernel(*ops: type[Operation]) -> Callable[[Kernel], Kernel]:
    """Register the decorated function as the meaning of `ops`."""

    def register(function: Kernel) -> Kernel:
        for op in ops:
            KERNELS[op] = function
        return function

    return register
