"""Between which codes values stay, whatever the input."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import i1
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase import layers, shape
from mase_opt.dialects.mase.adder_graph import graph_codes
from mase_opt.dialects.mase.base import ArithmeticOp, MaseOp, SameElementOp
from mase_opt.dialects.mase.cast_elements import CastElementsOp
from mase_opt.dialects.mase.elementwise import ReluOp
from mase_opt.dialects.mase.pooling import AdaptiveMaxPoolOp, MaxPoolOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.formats import Overflow, RoundingMode
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.rounding import IntArray, integers
from mase_opt.lib.formats.ternary import Ternary
from mase_opt.lib.interpreters.codes import from_codes, to_codes
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.mase import evaluate_op


class Ranges:
    """
    The lowest and highest value of every element, and its step, as far as ops tell.

    Values are as the interpreter holds them, `[2, *shape]`: two samples, on which ops
    that keep the order of numbers are run. Of others, all that the type has is assumed.
    """

    def __init__(self):
        self._ends: dict[SSAValue, Array] = {}
        self._zeros: dict[SSAValue, IntArray] = {}

    def codes(self, value: SSAValue) -> IntArray:
        """
        The lowest and highest code of each element, `[2, *shape]`.

        For types that adder graphs take.
        """
        ends = self._ends_of(value)
        assert ends is not None, f"no codes of {element_of(value)}"
        return integers(to_codes(value, ends))

    def zeros(self, value: SSAValue) -> IntArray:
        """How many low bits of each element's codes are always zero, `[*shape]`."""
        return self._zeros.get(value, np.zeros(shape_of(value), np.int64))

    def visit(self, op: Operation) -> None:
        """Find out about the result of `op`, whose operands are known."""
        for result in op.results:
            if (zeros := self._moved_zeros(op)) is not None:
                self._zeros[result] = np.broadcast_to(zeros, shape_of(result))
            ends = self._result(op, result)
            if ends is not None:
                ends = np.broadcast_to(ends, (2, *shape_of(result)))
                self._ends[result] = np.stack([ends.min(axis=0), ends.max(axis=0)])

    def set(self, value: SSAValue, ends: Array) -> None:
        """Say what is the lowest and highest of `value`, `[2, *shape]`."""
        self._ends[value] = ends

    def _ends_of(self, value: SSAValue) -> Array | None:
        """What `value` can be; None for types whose codes are not in order."""
        if value not in self._ends:
            codes = graph_codes(element_of(value))
            if codes is None:
                return None
            limits = np.array([codes.min_code, codes.max_code], object)
            if codes.bits < 63:
                limits = limits.astype(np.int64)
            size = shape_of(value)
            full = np.broadcast_to(limits.reshape(2, *(1,) * len(size)), (2, *size))
            self._ends[value] = from_codes(value, full)
        return self._ends[value]

    def _result(self, op: Operation, result: SSAValue) -> Array | None:
        codes = graph_codes(element_of(result))
        if isinstance(op, CastElementsOp) and not keeps_order(op):
            size = shape_of(result)
            return np.stack([np.broadcast_to(e, size) for e in op.elements.ends])
        if codes is None or not keeps_order(op):
            return None
        match op:
            case shape.ConstantOp():
                return np.asarray(op.array())[None]
            case layers.LookupOp():
                return self._lookup(op)
            case MaseOp() if op.directions:
                return self._run(op, op.directions)
            case _:
                return None

    def _run(self, op: Operation, directions: Sequence[int]) -> Array | None:
        """Ends of an op whose result follows its operands in `directions`."""
        operands: list[Array] = []
        for value, direction in zip(op.operands, directions, strict=True):
            ends = self._ends_of(value)
            if ends is None:
                return None
            operands.append(ends[::direction])
        try:
            result = evaluate_op(op, operands)
        except InterpretationError:
            return None
        return integers(result) if result.dtype.kind in "iu" else result

    def _moved_zeros(self, op: Operation) -> IntArray | None:
        """What `zeros` are of the result, where it consists of codes of operands."""
        match op:
            case CastElementsOp():
                return op.elements.zeros
            case ReluOp() | MaxPoolOp() | AdaptiveMaxPoolOp():
                if element_of(op.input) != element_of(op.result):
                    return None
            case SameElementOp() if not op.ADDS and all(map(op.moves, op.operands)):
                pass
            case _:
                return None
        operands = [self.zeros(v) for v in op.operands]
        # What is chosen for being large has the zeros that all have.
        most = max(int(zeros.max(initial=0)) for zeros in operands)
        if most == 0:
            return None
        return most - integers(evaluate_op(op, [most - z[None] for z in operands])[0])

    def _lookup(self, op: layers.LookupOp) -> Array | None:
        table, ends = self._ends_of(op.table), self.codes(op.input)
        if not isinstance(op.table.owner, shape.ConstantOp) or table is None:
            return None
        format = graph_codes(element_of(op.input))
        assert isinstance(format, Fixed), "verified"
        # By code, the lowest first.
        entries = np.roll(table[0], -format.min_code)
        pairs, which = np.unique(
            ends.reshape(2, -1) - format.min_code, axis=1, return_inverse=True
        )
        parts: list[NDArray[np.generic]] = []
        for low, high in pairs.T.tolist():
            part = entries[low : high + 1]
            parts.append(np.stack([part.min(), part.max()]))
        return np.stack(parts, 1)[:, which.ravel()].reshape(2, *shape_of(op.input))


def keeps_order(op: Operation) -> bool:
    """Whether a larger exact result of `op` never becomes a smaller value."""
    if not isinstance(op, ArithmeticOp):
        return True
    element = element_of(op.result)
    return (
        element != i1
        and not isinstance(graph_codes(element), Ternary)
        and isinstance(op.rounding.mode, RoundingMode)
        and op.rounding.overflow is Overflow.SATURATE
    )
