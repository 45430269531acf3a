"""How each op is computed, found once for ops that are the same."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.ir import Attribute, Operation

from mase_opt.dialects.mase.base import MaseOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.frontend.to_torch.arithmetic import Function, into, rounded_into
from mase_opt.frontend.to_torch.kernels import TORCH_KERNELS
from mase_opt.frontend.to_torch.known import Known
from mase_opt.lib.errors import UserError

REMEMBERED = 512
"""How many steps models with a common origin share."""


@dataclass(frozen=True)
class Step:
    """How an op is computed, and what that gives."""

    run: Function
    """The exact result."""
    rounding: Function | None
    known: Known
    """The rounded result."""


def _step(op: Operation, operands: Sequence[Known]) -> Step:
    kernel = TORCH_KERNELS.get(type(op))
    if kernel is None or not isinstance(op, MaseOp):
        raise UserError(
            f"{op.name} has no meaning in torch: lower it to other mase ops, or add a "
            "kernel where it is defined (docs/extending.md)"
        )
    run, exact = kernel(op, operands)
    rounding, grid = into(op, exact)
    return Step(run, rounding, Known(grid))


class Steps:
    """
    The steps of ops that have been seen, the last ones.

    Ops are the same if they consist of the very same attributes: those of models that
    were made from one do, as far as they agree.
    """

    def __init__(self):
        self._steps: OrderedDict[tuple[object, ...], tuple[Step, object]] = (
            OrderedDict()
        )
        self._arguments: dict[Attribute, tuple[Function, Known]] = {}

    def argument(self, element: Attribute) -> tuple[Function, Known]:
        """What makes the numbers of an argument, and what is known of them."""
        if element not in self._arguments:
            cast, grid = rounded_into(element)
            self._arguments[element] = cast, Known(grid)
        return self._arguments[element]

    def of(self, op: Operation, operands: Sequence[Known]) -> Step:
        """How `op` is computed; raises `UserError` for an op without a kernel."""
        parts: list[object] = [*op.properties.values(), op.results[0].type, *operands]
        for value in op.operands:
            parts.append(value.type)
            if isinstance(value.owner, ConstantOp):
                parts += value.owner.properties.values()
        # By identity, which is quick; so the parts live as long as the entry.
        key = (type(op), len(operands), *op.properties, *map(id, parts))
        if (found := self._steps.get(key)) is not None:
            self._steps.move_to_end(key)
            return found[0]
        step = _step(op, operands)
        self._steps[key] = step, parts
        if len(self._steps) > REMEMBERED:
            self._steps.popitem(last=False)
        return step
