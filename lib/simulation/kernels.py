"""
Operations of circuits on values over time, by NumPy.

A value is an array of unsigned codes, up to a limb of 64 bits wide. Wider ones are kept
in parts, so that packing elements into a port and taking them out costs nothing; to
compute with one, it becomes an array of Python's integers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial, reduce
from itertools import accumulate
from typing import Any, cast

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects import comb, hw
from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute, Operation

LIMB = 64

Array = NDArray[Any]


@dataclass(frozen=True)
class Wide:
    """Parts side by side, the lowest first, none wider than a limb."""

    parts: Sequence[Array]
    widths: Sequence[int]
    ends: Sequence[int]
    """The bit behind each part."""


Value = Array | Wide
"""
`[cycles]`, or `[1]` for what never changes.

Arrays of the circuit have their elements in front: `[elements, cycles or 1]`.
"""

Kernel = Callable[..., Value]


class UnknownOperationError(Exception):
    """There is no kernel for an operation."""


def width_of(type: Attribute) -> int:
    """Bits of an integer or of each element of an array; 1 for a clock."""
    # Not `isinstance` for what nearly all are: for such classes it is slow.
    if type.__class__ is IntegerType:
        return cast(IntegerType, type).width.data
    if isinstance(type, hw.ArrayType):
        return width_of(cast(Attribute, type.get_element_type()))
    return 1


def each_part(function: Callable[[Array], Array], value: Value) -> Value:
    """`function` of all parts; it must keep their bits apart."""
    if isinstance(value, Wide):
        parts = [function(part) for part in value.parts]
        return Wide(parts, value.widths, value.ends)
    return function(value)


def constant(code: int, width: int) -> Value:
    """The low `width` bits of `code`, at all times."""
    return from_integers(np.array([code], object), width)


def to_integers(value: Value) -> Array:
    """Python's integers."""
    if isinstance(value, Wide):
        starts = [
            end - bits for end, bits in zip(value.ends, value.widths, strict=True)
        ]
        parts = zip(value.parts, starts, strict=True)
        return reduce(np.bitwise_or, (p.astype(object) << start for p, start in parts))
    return value.astype(object)


def from_integers(integers: Array, width: int) -> Value:
    """The low `width` bits of integers of Python."""
    limbs = [min(LIMB, width - start) for start in range(0, width, LIMB)]
    return join(
        [
            ((integers >> LIMB * i & (1 << bits) - 1).astype(np.uint64), bits)
            for i, bits in enumerate(limbs)
        ]
    )


def join(parts: Sequence[tuple[Value, int]]) -> Value:
    """Values of these widths side by side, the first in the lowest bits."""
    flat: list[Array] = []
    widths: list[int] = []
    for value, width in parts:
        if isinstance(value, Wide):
            flat += value.parts
            widths += value.widths
        else:
            flat.append(value)
            widths.append(width)
    ends = list(accumulate(widths))
    if ends[-1] > LIMB:
        return Wide(flat, widths, ends)
    result = flat[0]
    for part, end in zip(flat[1:], ends, strict=False):
        result = result | part << np.uint64(end)
    return result


def extract(value: Value, low: int, width: int) -> Value:
    """Bits `low` to `low + width - 1`."""
    if not isinstance(value, Wide):
        return value >> np.uint64(low) & np.uint64((1 << width) - 1)
    found: list[tuple[Value, int]] = []
    index = bisect_right(value.ends, low)
    while width:
        part, bits = value.parts[index], value.widths[index]
        start = low - (value.ends[index] - bits)
        taken = min(bits - start, width)
        found.append((part if taken == bits else extract(part, start, taken), taken))
        index, low, width = index + 1, low + taken, width - taken
    return join(found)


def register(cycles: int, data: Value, load: Value | None = None) -> Value:
    """
    What was last at the input before each cycle, at first 0.

    With `load`, only cycles in which it is set count.
    """
    cycle = np.arange(cycles)
    # 0 stands for the value at first, n for what came in cycle n - 1.
    source = cycle
    if load is not None:
        assert isinstance(load, np.ndarray)
        loaded = np.where(load[:-1] if load.size > 1 else load, cycle[1:], 0)
        source = np.concatenate([[0], np.maximum.accumulate(loaded)])

    def delayed(part: Array) -> Array:
        history = np.zeros(cycles + 1, np.uint64)
        history[1:] = part
        return history[source]

    return each_part(delayed, data)


def lifted(function: Callable[..., Array], widths: Sequence[int], width: int) -> Kernel:
    """
    The low `width` bits of a function of operands of `widths`.

    It must give these for arrays of limbs as for those of Python's integers.
    """
    if max(width, *widths) > LIMB:
        return lambda *values: from_integers(
            function(*map(to_integers, values)).astype(object), width
        )
    mask = np.uint64((1 << width) - 1)
    return lambda *values: function(*values) & mask


def kernel(op: Operation, width: int) -> Kernel:
    """
    The function of the operands of `op`, whose result has `width` bits.

    Raises `UnknownOperationError` for others.
    """
    make = _KERNELS.get(type(op))
    made = make(op, width) if make is not None else None
    if made is None:
        raise UnknownOperationError(f"no kernel for {op.name}")
    return made


def _operand_widths(op: Operation) -> list[int]:
    return [width_of(v.type) for v in op.operands]


def _constant(op: hw.ConstantOp, width: int) -> Kernel:
    code = constant(op.value.value.data, width)
    return lambda: code


def _extract(op: comb.ExtractOp, width: int) -> Kernel:
    return partial(extract, low=op.low_bit.value.data, width=width)


def _concat(op: comb.ConcatOp, width: int) -> Kernel:
    return partial(_concatenated, _operand_widths(op)[::-1])


def _concatenated(widths: Sequence[int], *values: Value) -> Value:
    # The first operand is in the highest bits.
    return join([*zip(values[::-1], widths, strict=True)])


def _replicate(op: comb.ReplicateOp, width: int) -> Kernel:
    (copied,) = _operand_widths(op)
    return partial(_copied, copied, width // copied)


def _copied(width: int, count: int, value: Value) -> Value:
    return join([(value, width)] * count)


def _array_create(op: hw.ArrayCreateOp, width: int) -> Kernel | None:
    return _array if width <= LIMB else None


def _array(*values: Array) -> Array:
    # The first operand is the element of the highest index.
    return np.stack(np.broadcast_arrays(*values[::-1]))


def _array_get(op: hw.ArrayGetOp, width: int) -> Kernel | None:
    elements = len(cast(hw.ArrayType, op.input.type))
    return _element if elements == 1 << width_of(op.index.type) else None


def _element(array: Array, index: Array) -> Array:
    return array[index, np.arange(array.shape[1])]


def _fold(function: np.ufunc, op: Operation, width: int) -> Kernel:
    return lifted(partial(_folded, function), _operand_widths(op), width)


def _folded(function: np.ufunc, *values: Array) -> Array:
    return reduce(function, values)


_COMPARISONS: dict[int, tuple[np.ufunc, bool]] = {
    0: (np.equal, False),
    1: (np.not_equal, False),
    2: (np.less, True),
    3: (np.less_equal, True),
    4: (np.greater, True),
    5: (np.greater_equal, True),
    6: (np.less, False),
    7: (np.less_equal, False),
    8: (np.greater, False),
    9: (np.greater_equal, False),
}
"""By the number of the predicate; whether they are signed."""


def _icmp(op: comb.ICmpOp, width: int) -> Kernel | None:
    if op.predicate.value.data not in _COMPARISONS:
        return None
    compare, signed = _COMPARISONS[op.predicate.value.data]
    widths = _operand_widths(op)
    sign = 1 << widths[0] - 1 if signed else 0
    return lifted(partial(_compared, compare, sign), widths, width)


def _compared(compare: np.ufunc, sign: int, x: Array, y: Array) -> Array:
    """The order of signed numbers is that of unsigned ones with the sign inverted."""
    return compare(x ^ sign, y ^ sign).astype(np.uint64)


def _mux(op: comb.MuxOp, width: int) -> Kernel:
    return lifted(np.where, _operand_widths(op), width)


_KERNELS: dict[type[Operation], Callable[[Any, int], Kernel | None]] = {
    hw.ConstantOp: _constant,
    hw.ArrayCreateOp: _array_create,
    hw.ArrayGetOp: _array_get,
    comb.ExtractOp: _extract,
    comb.ConcatOp: _concat,
    comb.ReplicateOp: _replicate,
    comb.ICmpOp: _icmp,
    comb.MuxOp: _mux,
    comb.AddOp: partial(_fold, np.add),
    comb.SubOp: partial(_fold, np.subtract),
    comb.MulOp: partial(_fold, np.multiply),
    comb.AndOp: partial(_fold, np.bitwise_and),
    comb.OrOp: partial(_fold, np.bitwise_or),
    comb.XorOp: partial(_fold, np.bitwise_xor),
}
"""A function of the operation and the width of its result; None: it has no kernel."""
