"""Fixed-point formats in which values, and exact results of ops, lose nothing."""

from __future__ import annotations

from functools import reduce
from math import frexp

import numpy as np
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase.base import MaseOp, SameElementOp
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.formats import BlockType
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import ElementType, element_of, exact_format
from mase_opt.lib.formats import Block, Fixed
from mase_opt.lib.formats.fixed import MAX_FRAC, MAX_WIDTH
from mase_opt.lib.formats.format import Element
from mase_opt.lib.formats.multiples import Multiples
from mase_opt.lib.formats.scaled import Scaled


def narrowest(numbers: Multiples) -> Fixed | None:
    """The narrowest format that has all these numbers; None if it is too wide."""
    magnitude = max(numbers.high, ~numbers.low).bit_length()
    width = max(magnitude + (numbers.low < 0), 1)
    if width > MAX_WIDTH or abs(numbers.frac) > MAX_FRAC:
        return None
    return Fixed(width, numbers.frac, signed=numbers.low < 0)


def range_of(value: SSAValue) -> Multiples | None:
    """
    What numbers `value` can hold; None if that is not known, or not fixed point.

    Blocks are known by what was cast to them.
    """
    element = element_of(value)
    if (format := exact_format(element)) is not None:
        return format.multiples
    op = value.owner
    match op:
        case ConstantOp():
            values = op.array()
            if not np.isfinite(values).all():
                return None
            found: list[float] = np.unique(values).tolist()
            ranges = (Multiples.of(float(v)) for v in found)
            return reduce(Multiples.__or__, ranges, Multiples(0, 0, 0))
        case CastOp() if isinstance(element, BlockType):
            source = range_of(op.input)
            return source and _in_blocks(source, element.format)
        case SameElementOp() if all(op.moves(v) for v in op.operands):
            return range_of_result(op)
        case _:
            pass
    format = element.format if isinstance(element, ElementType) else None
    if not isinstance(format, Element | Scaled) or format.has_nan:
        return None
    numbers = format.multiples
    return numbers and numbers.at(max(numbers.frac, 0))


def _in_blocks(source: Multiples, format: Block) -> Multiples | None:
    """Numbers of `source` in blocks: no finer, and rounded up to a power of two."""
    element, scale = format.element, format.scale
    if not element.has_zero:
        return None
    bits = source.magnitude.bit_length()
    # Without bump, all below the power of two above the largest one saturates there.
    limit = (1 << bits) - (not format.bump)
    low, high = (
        min(1 << (end - 1).bit_length(), limit) if end else 0
        for end in (-source.low, source.high)
    )
    result = Multiples(source.frac, -low, high)
    octave = bits - 1 - source.frac
    if octave - frexp(element.max_value)[1] + 1 > scale.highest:
        # What saturates is the highest number of the format, which may be finer.
        top = Multiples.of(element.max_value * 2.0**scale.highest)
        result = result.at(max(result.frac, top.frac))
    return result


def range_of_result(op: Operation) -> Multiples | None:
    """
    The numbers that the exact result of `op` can be, whatever its result type.

    None if they are not known, or not fixed point.
    """
    if not isinstance(op, MaseOp):
        return None
    read = [v for v in op.operands if not isinstance(op, SameElementOp) or op.moves(v)]
    known = [r for r in map(range_of, read) if r is not None]
    return op.exact_result(known) if len(known) == len(read) > 0 else None
