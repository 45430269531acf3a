"""
`mase.adder_graph`: an adder per node, of numbers that have no sign.

A value is a wire without sign plus a constant, or the negative of that. So no sign is
extended: where only one operand has bits, the adder is a chain of carries without
lookup tables of its own (on a device the way into the chain may still be through one).
The constants meet at the outputs, with the offsets and what rounding adds. With the
same graph of 16 by 64 random 8-bit weights, bias, rounding and saturation, Yosys 0.23
(synth_xilinx -nodsp) counts 26 % fewer tables than in two's complement.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.dialects.mase.adder_graph_values import spans
from mase_opt.dialects.mase.base import ArithmeticOp
from mase_opt.dialects.mase.types import element_of, exact_format, shape_of
from mase_opt.lib.conversion.unrolled.registry import template
from mase_opt.lib.formats import Overflow, RoundingMode
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.arith import Term
from mase_opt.lib.hardware.builder import Builder, Span
from mase_opt.lib.hardware.codec import Wires, encode
from mase_opt.lib.hardware.number import Sum
from mase_opt.lib.hardware.wire import Wire, constant


@dataclass(frozen=True, slots=True)
class Value:
    """`(wire - excess) · 2^shift`, negated if `negative`."""

    wire: Wire
    """Never negative; 0 if it is constant."""
    excess: int = 0
    shift: int = 0
    negative: bool = False


@template(AdderGraphOp)
def adder_graph(op: AdderGraphOp, b: Builder, x: Wires) -> Wires:
    products: list[list[int]] = op.product_table.tolist()
    nodes: list[list[int]] = op.node_table.tolist()
    outputs: list[list[int]] = op.output_table.tolist()
    offsets: list[int] = op.offset_table.tolist()
    scales = [(Fraction(s), Fraction(t)) for s, t in op.scale_table.tolist()]
    unit = Fraction(2) ** -op.frac.value.data
    inputs = shape_of(op.input)[-1]
    dropped: list[int] = op.dropped_bits.tolist()
    given = inputs + len(products)
    bits = sys.maxsize if op.scales else bits_of_sums(op, op.frac.value.data)
    seen = bits_seen(nodes, outputs, given, bits)
    sums: list[Sum] = []
    for start in range(0, len(x), inputs):
        row = [
            arith.floor_shift(wire, zeros)
            for wire, zeros in zip(x[start : start + inputs], dropped, strict=True)
        ]
        wires = [*row, *(arith.multiplier(b, row[i], w) for i, w in products)]
        values = [_without_sign(b, w) for w in wires]
        ends = np.array([(w.lo, w.hi) for w in row], object).reshape(-1, 2)
        ranges: list[Span] = spans(op.node_table, ends, op.product_table).tolist()
        for (left, right, p, q, subtract), span in zip(nodes, ranges, strict=True):
            operands = [(values[left], p, False), (values[right], q, bool(subtract))]
            values.append(_node(b, operands, span, seen[len(values)]))
        for (v, shift, negate), offset, (scale, bias) in zip(
            outputs, offsets, scales, strict=True
        ):
            value = values[v] if v >= 0 else Value(constant(0))
            term = Term(value.wire, value.shift + shift, value.negative != bool(negate))
            excess = value.excess << term.shift
            total = offset + excess if term.negative else offset - excess
            sums.append(Sum([term], unit * scale, total * unit * scale + bias))
    return encode(b, op, sums)


def bits_seen(
    nodes: list[list[int]], outputs: list[list[int]], first: int, bits: int
) -> list[int]:
    """
    The low bits of each value that results depend on, of two's complement.

    Those of `nodes` are behind `first` others; results depend on `bits` of `outputs`.
    """
    seen = [0] * (first + len(nodes))
    for v, shift, _ in outputs:
        if v >= 0:
            seen[v] = max(seen[v], bits - shift)
    for n, (left, right, p, q, _) in reversed(list(enumerate(nodes, first))):
        seen[left] = max(seen[left], seen[n] - p)
        seen[right] = max(seen[right], seen[n] - q)
    return seen


def bits_of_sums(op: ArithmeticOp, frac: int) -> int:
    """
    The low bits of sums that results depend on: not all, if results wrap.

    `op` rounds sums times 2^-`frac`.
    """
    format = exact_format(element_of(op.result))
    needs_sign = op.rounding.mode in (RoundingMode.ZERO, RoundingMode.NEAREST_AWAY)
    if format is None or needs_sign or op.rounding.overflow is not Overflow.WRAP:
        return sys.maxsize
    return max(format.width + frac - format.frac, 0)


def _without_sign(b: Builder, x: Wire) -> Value:
    """A wire of which the sign is inverted."""
    if x.constant is not None:
        return Value(constant(0), -x.constant)
    if not x.signed:
        return Value(x)
    assert x.base is not None
    excess = 1 << (x.width - 1)
    bits = arith.invert(b, arith.sign(b, x))
    if x.width > 1:
        bits = b.concat(bits, b.slice(x.base, x.low, x.width - 1))
    return Value(b.wire(bits, (x.lo + excess, x.hi + excess), x), excess)


def _node(
    b: Builder, operands: Sequence[tuple[Value, int, bool]], span: Span, seen: int
) -> Value:
    """
    The sum of two shifted values, some of them subtracted, which is in `span`.

    At least the low `seen` bits of it.
    """
    terms = [
        (v, v.shift + shift, v.negative ^ subtract) for v, shift, subtract in operands
    ]
    # Bits below the other operand are not added: those must not be subtracted either.
    terms.sort(key=lambda t: (t[1], -t[0].wire.width))
    (low, shift, negative), (high, place, other) = terms
    place -= shift
    subtract = negative != other
    x, y = low.wire, arith.shift_left(b, high.wire, place)
    excess = high.excess << place
    excess = low.excess - excess if subtract else low.excess + excess
    if y.constant is not None:
        return Value(x, excess, shift, negative)
    if x.constant is not None:
        return Value(y, -excess if subtract else excess, shift, other)
    lo, hi = (end >> shift for end in ((-span[1], -span[0]) if negative else span))
    if lo == hi or seen <= shift:
        return Value(constant(0), -lo, shift, negative)
    # Above the bits of the shorter operand a constant takes nothing: ones, if it is
    # subtracted, which leave the other one as it is.
    top = min(x.hi, y.hi).bit_length()
    ones = 1 << top if subtract and x.hi >= y.hi else 0
    width, best = _window(lo, hi, excess + ones, top)
    ends = lo + best, hi + best
    if width > seen - shift:
        width, best = seen - shift, excess
        ends = 0, (1 << width) - 1
    added = best - excess
    if x.hi < y.hi:
        x = _with_high(b, x, added, width)
    else:
        y = _with_high(b, y, -added if subtract else added, width)
    wire = arith.add_apart(b, x, y, ends, subtract=subtract)
    return Value(wire, best, shift, negative)


def _with_high(b: Builder, x: Wire, added: int, width: int) -> Wire:
    """A wire of `width` bits that has a constant above its own, which is added."""
    top = x.hi.bit_length()
    high = (added >> top) % (1 << max(width - top, 0))
    if not high:
        return x
    bits = b.concat(b.literal(high, width - top), b.read(x, top))
    return b.wire(bits, (x.lo + (high << top), x.hi + (high << top)), x)


def _window(lo: int, hi: int, excess: int, top: int) -> tuple[int, int]:
    """
    The fewest bits for numbers from `lo` to `hi`, and what is to be added to them.

    That differs from `excess` by a multiple of 2^bits, else of 2^top, and leaves the
    numbers without sign.
    """
    width = max((hi - lo).bit_length(), 1)
    while True:
        for step in (width, top):
            least = (excess + lo) % (1 << step) - lo
            if hi + least < 1 << width:
                return width, least
        width += 1
