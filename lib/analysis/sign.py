"""Which values are never negative, whatever the input."""

from __future__ import annotations

from collections.abc import Iterable

from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from mase_opt.dialects.mase.base import MaseOp
from mase_opt.dialects.mase.types import ElementType, element_of


def non_negative(function: FuncOp, assumed: Iterable[SSAValue]) -> set[SSAValue]:
    """The values that cannot be negative, given that those in `assumed` are not."""
    known = set(assumed)
    for op in function.body.block.ops:
        for result in op.results:
            element = element_of(result)
            unsigned = isinstance(element, ElementType) and (
                element.format.min_value >= 0
            )
            if unsigned or (isinstance(op, MaseOp) and op.never_negative(known)):
                known.add(result)
    return known
