"""
The table of kernels in torch: op class → its function of tensors.

Importing it does not import torch, so plug-ins can: their kernels import what they need
of torch when they are called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeAlias

from xdsl.ir import Operation

if TYPE_CHECKING:
    from mase_opt.frontend.to_torch.arithmetic import Function
    from mase_opt.frontend.to_torch.known import Known
    from mase_opt.lib.formats.multiples import Multiples

TorchKernel: TypeAlias = (
    "Callable[[Any, Sequence[Known]], tuple[Function, Multiples | None]]"
)
"""
`(op, operands) -> (function, numbers)`, decided once, from types and constants.

The function takes the operands' tensors, which have a leading axis for samples (size 1
where a value is the same for all), and gives the exact result, not yet rounded into the
result type. `numbers` says where that lies, if that is known.
"""

TORCH_KERNELS: dict[type[Operation], TorchKernel] = {}


def torch_kernel(*ops: type[Operation]) -> Callable[[TorchKernel], TorchKernel]:
    """Register the decorated function for `ops`."""

    def register(function: TorchKernel) -> TorchKernel:
        for op in ops:
            TORCH_KERNELS[op] = function
        return function

    return register
