"""Values of which all that matters is how they compare with constants."""

from __future__ import annotations

from collections.abc import Callable

from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase.base import MaseOp


def is_only_compared(value: SSAValue, exact: Callable[[Operation], bool]) -> bool:
    """
    Whether `value` is read by comparisons with constants only.

    At once, or through ops whose results stay narrow if they are exact, and are for
    those that `exact` says so of.
    """
    readers = [use.operation for use in value.uses]
    return bool(readers) and all(_compares(op, exact) for op in readers)


def _compares(op: Operation, exact: Callable[[Operation], bool]) -> bool:
    if not isinstance(op, MaseOp):
        return False
    if op.compares_with_constant:
        return True
    return op.stays_narrow and exact(op) and is_only_compared(op.result, exact)
