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
    if isinstance(type, hw.ArrayType):
        return width_of(cast(Attribute, type.get_element_type()))
    return cast(IntegerType, type).width.data if isinstance(type, IntegerType) else 1


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


def kernel(op: Operation) -> Kernel:
    """
    The function of the operands of `op`, an operation of a generated circuit.

    Raises `UnknownOperationError` for others.
    """
    if not op.results:
        raise UnknownOperationError(f"no kernel for {op.name}")
    widths = [width_of(v.type) for v in op.operands]
    width = width_of(op.results[0].type)
    match op:
        case hw.ConstantOp():
            code = constant(op.value.value.data, width)
            return lambda: code
        case comb.ExtractOp():
            return partial(extract, low=op.low_bit.value.data, width=width)
        case comb.ConcatOp():
            return partial(_concatenated, widths)
        case comb.ReplicateOp():
            return partial(_replicated, width // widths[0], widths[0])
        case hw.ArrayCreateOp() if width <= LIMB:
            return _array
        case hw.ArrayGetOp() if (
            len(cast(hw.ArrayType, op.input.type)) == 1 << widths[1]
        ):
            return _element
        case _:
            return lifted(_arithmetic(op, widths), widths, width)


def _concatenated(widths: Sequence[int], *values: Value) -> Value:
    return join([*zip(values, widths, strict=True)][::-1])


def _replicated(count: int, width: int, value: Value) -> Value:
    return join([(value, width)] * count)


def _array(*values: Array) -> Array:
    # The first operand is the element of the highest index.
    return np.stack(np.broadcast_arrays(*values[::-1]))


def _element(array: Array, index: Array) -> Array:
    return array[index, np.arange(array.shape[1])]


_FOLDS: dict[type[Operation], np.ufunc] = {
    comb.AddOp: np.add,
    comb.SubOp: np.subtract,
    comb.MulOp: np.multiply,
    comb.AndOp: np.bitwise_and,
    comb.OrOp: np.bitwise_or,
    comb.XorOp: np.bitwise_xor,
}

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


def _arithmetic(op: Operation, widths: Sequence[int]) -> Callable[..., Array]:
    """For codes and for Python's integers; all but the low bits are of no account."""
    if isinstance(op, comb.MuxOp):
        return np.where
    if isinstance(op, comb.ICmpOp) and op.predicate.value.data in _COMPARISONS:
        compare, signed = _COMPARISONS[op.predicate.value.data]
        sign = 1 << widths[0] - 1 if signed else 0
        return partial(_compared, compare, sign)
    fold = _FOLDS.get(type(op))
    if fold is None:
        raise UnknownOperationError(f"no kernel for {op.name}")
    return partial(_folded, fold)


def _compared(compare: np.ufunc, sign: int, x: Array, y: Array) -> Array:
    """The order of signed numbers is that of unsigned ones with the sign inverted."""
    return compare(x ^ sign, y ^ sign).astype(np.uint64)


def _folded(fold: np.ufunc, *values: Array) -> Array:
    return reduce(fold, values)


def lifted(function: Callable[..., Array], widths: Sequence[int], width: int) -> Kernel:
    """The low `width` bits of a function of operands of `widths`."""
    if max(width, *widths) > LIMB:
        return lambda *values: from_integers(
            function(*map(to_integers, values)).astype(object), width
        )
    mask = np.uint64((1 << width) - 1)
    return lambda *values: function(*values) & mask
