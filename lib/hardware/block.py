"""
Blocks of elements that share an exponent.

On wires a tensor in blocks is the codes of its elements, then those of its shared
exponents. An element's number has the exponent's code beside it, as `Number.shared`;
what sums of such numbers need is done to the sum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from fractions import Fraction
from math import frexp

import numpy as np

from mase_opt.lib.formats.block import Block
from mase_opt.lib.formats.format import Element
from mase_opt.lib.formats.ternary import Ternary
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.arith import Term
from mase_opt.lib.hardware.block_shift import leading_one, shift, span, union
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.number import HardwareError, Number, Sum, scaled
from mase_opt.lib.hardware.sign_magnitude import unsigned
from mase_opt.lib.hardware.wire import Wire, constant


def block_indices(format: Block, shape: tuple[int, ...]) -> list[int]:
    """The block that each element of a tensor is in, both counted row-major."""
    parts = format.parts(shape)
    grid = np.arange(int(np.prod(parts.grid))).reshape(parts.grid)
    return np.broadcast_to(parts.spread(grid), shape).ravel().tolist()


def with_exponents(
    format: Block, shape: tuple[int, ...], numbers: Sequence[Number], codes: list[Wire]
) -> list[Number]:
    """The elements of a tensor, given them without the exponents of their blocks."""
    result: list[Number] = []
    for x, block in zip(numbers, block_indices(format, shape), strict=True):
        code = codes[block]
        if x.constant == 0:
            result.append(x)
        elif code.constant is None:
            power = Fraction(2) ** -format.scale.bias
            result.append(replace(scaled(x, power), shared=code))
        elif code.constant == format.scale.nan_code:
            raise HardwareError(f"a constant operand of {format} holds NaN")
        else:
            power = Fraction(2) ** (code.constant - format.scale.bias)
            result.append(scaled(x, power))
    return result


def alone(b: Builder, x: Sum, element: Element, shifts: Sequence[Term] = ()) -> Sum:
    """
    `x · 2^(its shared exponent + Σ shifts)`, as far as rounding to `element` tells.

    Where rounding is to the nearest, or next, multiple of a power of two, that looks at
    two bits below the smallest step, of which the last one may stand for all that are
    lower. Other elements look at all bits: logarithmic ones are halfway at √2, those of
    plug-ins anywhere. None looks at magnitudes beyond twice the highest one,
    or twice the threshold.
    """
    powers = [*shifts, *([Term(x.shared)] if x.shared is not None else [])]
    if not powers:
        return x
    wire, unit = _integer(b, x)
    step = unit + span(powers)[0] - 1
    if element.rounds_to_steps:
        step = frexp(element.step)[1] - 3
    highest = element.max_value
    if isinstance(element, Ternary):
        highest = max(highest, element.threshold or 0)
    top = frexp(highest)[1] + 2 - step
    wire = shift(b, wire, powers, unit - step, top)
    return Sum([Term(wire)], Fraction(2) ** step)


def _integer(b: Builder, x: Sum) -> tuple[Wire, int]:
    """A wire and an exponent: `x` is `wire · 2^exponent`, but for what is shared."""
    parts = [v for v in (x.unit, x.offset) if v]
    if any(v.denominator & (v.denominator - 1) for v in parts):
        raise HardwareError(
            "a scale is no power of two, and exponents that blocks share take those "
            "only: cast to fixed point before"
        )
    exponent = min(_twos(v.numerator) - _twos(v.denominator) for v in parts)
    unit, offset = (int(v / Fraction(2) ** exponent) for v in (x.unit, x.offset))
    wire = arith.total(b, x.terms)
    return arith.total(b, [arith.term(b, wire, unit)], offset), exponent


def _twos(n: int) -> int:
    """How often 2 divides an integer that is not zero."""
    return (n & -n).bit_length() - 1


def to_blocks(
    b: Builder, format: Block, shape: tuple[int, ...], sums: Sequence[Sum]
) -> tuple[list[Sum], list[Wire]]:
    """
    Exact numbers divided by the powers of two of their blocks, and the codes of these.

    Raises `HardwareError` for formats without a circuit.
    """
    if format.bump:
        raise HardwareError(f"{format} has no circuit: leave bump out")
    members: dict[int, list[int]] = {}
    for i, block in enumerate(block_indices(format, shape)):
        members.setdefault(block, []).append(i)
    codes = [
        _shared_code(b, format, [sums[i] for i in members[block]])
        for block in sorted(members)
    ]
    bias = Fraction(2) ** format.scale.bias
    alones = list(sums)
    for block, code in enumerate(codes):
        for i in members[block]:
            x = replace(sums[i], unit=sums[i].unit * bias, offset=sums[i].offset * bias)
            alones[i] = alone(b, x, format.element, [Term(code, negative=True)])
    return alones, codes


def _shared_code(b: Builder, format: Block, sums: Sequence[Sum]) -> Wire:
    """
    The code of the exponent that a block has.

    Which is the highest bit set in any magnitude is that of the largest one.
    """
    highest = constant(0)
    groups: dict[Wire | None, list[Sum]] = {}
    for x in sums:
        groups.setdefault(x.shared, []).append(x)
    _, octave = frexp(format.element.max_value)
    for shared, group in groups.items():
        wires = [_integer(b, x) for x in group]
        unit = min(exponent for _, exponent in wires)
        place, positive = leading_one(
            b,
            union(
                b,
                [
                    arith.shift_left(b, unsigned(b, wire)[1], exponent - unit)
                    for wire, exponent in wires
                ],
            ),
        )
        powers = [place] if shared is None else [place, shared]
        offset = unit - (octave - 1) + format.scale.bias
        code = arith.total(b, [Term(w) for w in powers], offset)
        code = arith.maximum(b, code, constant(0))
        top = format.scale.highest + format.scale.bias
        code = arith.minimum(b, code, constant(top))
        code = arith.mux(b, positive, code, constant(0))
        highest = arith.maximum(b, highest, code)
    return highest
