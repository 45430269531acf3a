"""How low numbers must reach that only softmax and attention read."""

from __future__ import annotations

from collections.abc import Callable
from math import inf, log
from typing import Any

import numpy as np
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase.base import MaseOp, SameElementOp
from mase_opt.dialects.mase.elementwise import (
    AddOp,
    DivOp,
    MaximumOp,
    MinimumOp,
    MulOp,
    SelectOp,
    SubOp,
)
from mase_opt.dialects.mase.normalization import AttentionOp, SoftmaxOp
from mase_opt.dialects.mase.shape import ConstantOp, PadOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.analysis.calibration import calibration_of
from mase_opt.lib.analysis.masks import DEPTH, softmax_axis
from mase_opt.lib.formats import Format

LARGEST = np.finfo(np.float32).max
"""Calibration has its negative for all that is masked out."""


class Floors:
    """
    The numbers at or below which masks may be anything.

    A weight of a softmax is zero from some distance below the other scores on, so all
    that is further down is the same. `result_format` gives the format that an op's
    result will have, which says where zero begins; ops that are not `active` stay in
    floating point.
    """

    def __init__(
        self,
        active: Callable[[Operation], bool],
        result_format: Callable[[MaseOp], Format[Any]],
    ):
        self._active = active
        self._result_format = result_format
        self._reaches: dict[MaseOp, float] = {}

    def of(self, value: SSAValue) -> float:
        """The highest number that all readers take for any lower one; -inf if none."""
        return min(
            (self.of_operand(use.operation, use.index) for use in value.uses),
            default=-inf,
        )

    def of_operand(self, op: Operation, index: int) -> float:
        """The same of the number that `op` reads as operand `index`."""
        if not self._active(op):
            return -inf
        match op:
            case SoftmaxOp():
                return self._of_scores(op)
            case AttentionOp() if index == 3:
                return self._of_mask(op)
            case PadOp():
                return -inf
            case SameElementOp() if op.moves(op.operands[index]):
                return self.of(op.result)
            case SelectOp() if index > 0:
                return self.of(op.result)
            case MaximumOp() | MinimumOp():
                return self.of(op.result)
            case AddOp():
                return self.of(op.result) - _ends(op.operands[1 - index])[1]
            case SubOp() if index == 0:
                return self.of(op.result) + _ends(op.rhs)[0]
            case MulOp():
                return _over(self.of(op.result), op.operands[1 - index], 1)
            case DivOp() if index == 0:
                return _over(self.of(op.result), op.rhs, -1)
            case _:
                return -inf

    def _of_scores(self, op: SoftmaxOp) -> float:
        quantiles = calibration_of(op.input)
        if quantiles is None or softmax_axis(op.input) is None:
            return -inf
        # The first one may stand for masks.
        lowest = quantiles[quantiles > -LARGEST].min(initial=inf)
        return float(lowest) - self._reach(op, 1.0) if lowest < inf else -inf

    def _of_mask(self, op: AttentionOp) -> float:
        """Whatever the other scores are, as far as operands bound them."""
        assert op.mask is not None, "operand 3"
        query, key, value = (max(map(abs, _ends(v))) for v in op.operands[:3])
        bound = query * key * shape_of(op.query)[-1] * abs(op.scale.value.data)
        terms = shape_of(op.key)[-2] * value
        return _ends(op.mask)[1] - 2 * bound - self._reach(op, terms)

    def _reach(self, op: MaseOp, factor: float) -> float:
        """How far below others a score has a weight that, times `factor`, is zero."""
        if op not in self._reaches:
            step = self._result_format(op).step
            self._reaches[op] = min(max(log(4 * factor / step), 0.0), DEPTH)
        return self._reaches[op]


def _ends(value: SSAValue) -> tuple[float, float]:
    """The lowest and highest number that was seen of `value`; infinite if unknown."""
    if isinstance(value.owner, ConstantOp):
        array = value.owner.array().astype(np.float64)
    else:
        array = calibration_of(value)
    if array is None or array.size == 0:
        return -inf, inf
    return float(array.min()), float(array.max())


def _over(floor: float, factor: SSAValue, exponent: int) -> float:
    """The highest x for which x · factor^exponent is at most `floor`, if positive."""
    low, high = _ends(factor)
    if not isinstance(factor.owner, ConstantOp) or low <= 0:
        return -inf
    low, high = sorted((low**exponent, high**exponent))
    return floor / (low if floor < 0 else high)
