"""Fixed-point formats in which values, and exact results of ops, lose nothing."""

from __future__ import annotations

from dataclasses import dataclass
from math import frexp, isfinite, prod

import numpy as np
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase import elementwise, layers, pooling
from mase_opt.dialects.mase.base import SameElementOp, ints
from mase_opt.dialects.mase.formats import BlockType
from mase_opt.dialects.mase.shape import ConstantOp, PadOp
from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.lib.formats import Block, Fixed, Log
from mase_opt.lib.formats.fixed import MAX_FRAC, MAX_WIDTH
from mase_opt.lib.formats.format import Element


@dataclass(frozen=True)
class Range:
    """Multiples of 2^-frac, from `lo` of them to `hi` of them, zero among them."""

    lo: int
    hi: int
    frac: int

    @property
    def format(self) -> Fixed | None:
        """The narrowest format that has all these numbers; None if it is too wide."""
        magnitude = max(self.hi, ~self.lo).bit_length()
        width = max(magnitude + (self.lo < 0), 1)
        if width > MAX_WIDTH or abs(self.frac) > MAX_FRAC:
            return None
        return Fixed(width, self.frac, signed=self.lo < 0)

    def in_steps(self, frac: int) -> Range:
        """The same in finer steps, or in as fine ones."""
        shift = frac - self.frac
        return Range(self.lo << shift, self.hi << shift, frac)


def union(*ranges: Range) -> Range:
    frac = max(r.frac for r in ranges)
    ranges = tuple(r.in_steps(frac) for r in ranges)
    return Range(min(r.lo for r in ranges), max(r.hi for r in ranges), frac)


def number(value: float) -> Range:
    """A finite number, and zero."""
    numerator, denominator = value.as_integer_ratio()
    places = denominator.bit_length() - 1
    return Range(min(numerator, 0), max(numerator, 0), places)


def range_of(value: SSAValue) -> Range | None:
    """
    What numbers `value` can hold; None if that is not known, or not fixed point.

    Blocks are known by what was cast to them.
    """
    element = element_of(value)
    if (format := exact_format(element)) is not None:
        return Range(format.min_code, format.max_code, format.frac)
    op = value.owner
    match op:
        case ConstantOp():
            values = op.array()
            if not np.isfinite(values).all():
                return None
            return union(*(number(float(v)) for v in np.unique(values).tolist()))
        case elementwise.CastOp() if isinstance(element, BlockType):
            source = range_of(op.input)
            return source and _in_blocks(source, element.format)
        case SameElementOp() if all(op.moves(v) for v in op.operands):
            return range_of_result(op)
        case _:
            pass
    format = element.format if isinstance(element, ElementType) else None
    if not isinstance(format, Element) or format.has_nan or format.unit is None:
        return None
    ends = format.min_value, format.max_value, format.unit
    return union(*(number(end) for end in ends))


def _in_blocks(source: Range, format: Block) -> Range | None:
    """Numbers of `source` in blocks: no finer, and rounded up to a power of two."""
    element, scale = format.element, format.scale
    if isinstance(element, Log) and not element.zero:
        return None
    bits = max(-source.lo, source.hi).bit_length()
    # Without bump, all below the power of two above the largest one saturates there.
    limit = (1 << bits) - (not format.bump)
    lo, hi = (
        min(1 << (end - 1).bit_length(), limit) if end else 0
        for end in (-source.lo, source.hi)
    )
    result = Range(-lo, hi, source.frac)
    octave = bits - 1 - source.frac
    if octave - frexp(element.max_value)[1] + 1 > scale.highest:
        # What saturates is the highest number of the format, which may be finer.
        top = number(element.max_value * 2.0**scale.highest)
        result = result.in_steps(max(result.frac, top.frac))
    return result


def range_of_result(op: Operation) -> Range | None:
    """
    The numbers that the exact result of `op` can be, whatever its result type.

    None if they are not known, or not fixed point.
    """
    operands = [
        range_of(v)
        for v in op.operands
        if not isinstance(op, SameElementOp) or op.moves(v)
    ]
    known = [r for r in operands if r is not None]
    if len(known) < len(operands) or not known:
        return None
    x, y = known[0], known[-1]
    match op:
        case PadOp():
            value = op.value.value.data
            return union(x, number(value)) if isfinite(value) else None
        case SameElementOp() | elementwise.CastOp():
            return union(*known)
        case elementwise.SelectOp():
            return union(*known[1:])
        case elementwise.NegOp():
            return Range(-x.hi, -x.lo, x.frac)
        case elementwise.AbsOp():
            return Range(0, max(-x.lo, x.hi), x.frac)
        case elementwise.ReluOp():
            return Range(0, x.hi, x.frac)
        case elementwise.Relu6Op():
            return union(Range(0, x.hi, x.frac), number(6.0))
        case pooling.MaxPoolOp() | pooling.AdaptiveMaxPoolOp():
            return x
        case pooling.AvgPoolOp() if not op.ceil_mode and (
            op.count_include_pad or not any(ints(op.padding))
        ):
            return _mean(x, prod(ints(op.kernel)))
        case pooling.AdaptiveAvgPoolOp():
            sizes = shape_of(op.input)[-len(ints(op.output_size)) :]
            counts = zip(sizes, ints(op.output_size), strict=True)
            ratios = [divmod(n, m) for n, m in counts]
            if any(rest for _, rest in ratios):
                return None
            return _mean(x, prod(count for count, _ in ratios))
        case pooling.ReduceOp():
            count = prod(shape_of(op.input)[a] for a in ints(op.axes))
            match op.kind.data:
                case "sum":
                    return Range(x.lo * count, x.hi * count, x.frac)
                case "mean":
                    return _mean(x, count)
                case _:
                    return x
        case elementwise.AddOp() | elementwise.SubOp():
            y = Range(-y.hi, -y.lo, y.frac) if isinstance(op, elementwise.SubOp) else y
            return _sum(x, y)
        case elementwise.MulOp():
            return _product(x, y)
        case elementwise.MaximumOp() | elementwise.MinimumOp():
            return union(x, y)
        case layers.ContractionOp():
            y = known[1]
            terms = shape_of(op.operands[1])
            count = terms[-2] if isinstance(op, layers.MatmulOp) else prod(terms[1:])
            products = _product(x, y)
            total = Range(products.lo * count, products.hi * count, products.frac)
            return _sum(total, *known[2:])
        case _:
            return None


def _sum(*ranges: Range) -> Range:
    frac = max(r.frac for r in ranges)
    ranges = tuple(r.in_steps(frac) for r in ranges)
    return Range(sum(r.lo for r in ranges), sum(r.hi for r in ranges), frac)


def _product(x: Range, y: Range) -> Range:
    ends = [p * q for p in (x.lo, x.hi) for q in (y.lo, y.hi)]
    return Range(min(ends), max(ends), x.frac + y.frac)


def _mean(x: Range, count: int) -> Range | None:
    """Means of `count` numbers; None unless dividing by it is a shift."""
    if count & (count - 1) or not count:
        return None
    places = count.bit_length() - 1
    return x.in_steps(x.frac + places)
