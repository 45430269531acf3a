"""The table of kernels: op class → its function of tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from xdsl.ir import Operation

from mase_opt.frontend.to_torch.arithmetic import Function
from mase_opt.frontend.to_torch.known import Known
from mase_opt.lib.formats.multiples import Multiples

Kernel = Callable[[Any, Sequence[Known]], tuple[Function, Multiples | None]]
"""
`(op, operands) -> (function, numbers)`, decided once, from types and constants.

The function takes the operands' tensors, which have a leading axis for samples (size 1
where a value is the same for all), and gives the exact result, not yet rounded into the
result type. `numbers` says where that lies, if that is known.
"""

KERNELS: dict[type[Operation], Kernel] = {}


def kernel(*ops: type[Operation]) -> Callable[[Kernel], Kernel]:
    """Register the decorated function for `ops`."""

    def register(function: Kernel) -> Kernel:
        for op in ops:
            KERNELS[op] = function
        return function

    return register
