"""
Rounding tensors of fractions into any number format, by its definition.

Formats of elements are lists of their values here, in which the nearest is looked up.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from itertools import product
from typing import Any

import numpy as np
import reference
from format_reference import Midpoint, Table
from reference import Array, Shape

from mase_opt.lib.formats import (
    Binary,
    Block,
    Element,
    Fixed,
    Format,
    Log,
    Overflow,
    RoundingMode,
    Scaled,
    Ternary,
)

SATURATE = Overflow.SATURATE


def octave(x: Fraction) -> int:
    """floor(log2(x)) of a positive number."""
    guess = x.numerator.bit_length() - x.denominator.bit_length()
    return guess if Fraction(2) ** guess <= x else guess - 1


@cache
def table(format: Element) -> Table:
    values = format.decode(np.arange(format.min_code, format.max_code + 1))
    magnitudes = np.unique(np.abs(values[np.isfinite(values)]))
    return Table([Fraction(m) for m in magnitudes.tolist()])


def element(x: Fraction, format: Element, mode: RoundingMode) -> Fraction:
    """The value of an element of up to 9 bits, or of fixed point, for `x`."""
    match format:
        case Fixed():
            code = reference.encoded(x, format, mode, SATURATE)
            assert code is not None
            return code / Fraction(2) ** format.frac
        case Binary(signed=True):
            return Fraction(-1 if x < 0 else 1)
        case Binary():
            return min(
                max(Fraction(reference.rounded(x, mode)), Fraction(0)), 1 + 0 * x
            )
        case Log(zero=False):
            return _without_zero(x, format, mode)
        case Log():
            sign, magnitude = table(format).cast(x, mode, _geometric(format))
        case _:
            sign, magnitude = table(format).cast(x, mode)
    return sign * magnitude


def _geometric(format: Log) -> Midpoint:
    def middle(x: Fraction, low: Fraction, high: Fraction) -> int:
        # Zero stands where the next power of two would be.
        square = (low or high / 2) * high
        return (x * x > square) - (x * x < square)

    return middle


def _without_zero(x: Fraction, format: Log, mode: RoundingMode) -> Fraction:
    smallest = Fraction(format.smallest)
    if abs(x) >= smallest:
        sign, magnitude = table(format).cast(x, mode, _geometric(format))
        return sign * magnitude
    match mode:
        case RoundingMode.FLOOR:
            return -smallest
        case RoundingMode.CEIL:
            return smallest
        case _:
            return -smallest if x < 0 else smallest


def cast(values: Array, format: Format[Any], mode: RoundingMode) -> Array:
    """`values`, fractions of one sample, as `format` has them."""
    match format:
        case Block():
            return _blocks(values, format, mode)
        case Scaled():
            return _scaled(values, format, mode)
        case Ternary():
            return _ternary(values, format, [tuple(np.ndindex(values.shape))])
        case Element():
            return reference.built(
                values.shape, lambda *at: element(values[at], format, mode)
            )
        case _:
            raise NotImplementedError(format)


def _ternary(values: Array, format: Ternary, parts: list[tuple[Shape, ...]]) -> Array:
    result = np.empty(values.shape, dtype=object)
    for part in parts:
        if (threshold := format.threshold) is None and part:
            mean = sum(abs(values[at]) for at in part) / Fraction(len(part))
            threshold = 0.7 * float(mean)
        for at in part:
            x = values[at]
            result[at] = Fraction((x > 0) - (x < 0) if abs(x) > threshold else 0)
    return result


def _groups(shape: Shape, extent: Shape) -> Iterator[tuple[Shape, ...]]:
    """The indices in each part of `extent`, part by part."""
    starts = (range(0, n, e) for n, e in zip(shape, extent, strict=True))
    for start in product(*starts):
        spans = (
            range(s, min(s + e, n))
            for s, e, n in zip(start, extent, shape, strict=True)
        )
        yield tuple(product(*spans))


def _blocks(values: Array, format: Block, mode: RoundingMode) -> Array:
    free = values.ndim - len(format.shape)
    extent = (1,) * free + tuple(
        n if b == -1 else b
        for n, b in zip(values.shape[free:], format.shape, strict=True)
    )
    highest = Fraction(format.element.max_value)
    result = np.empty(values.shape, dtype=object)
    for part in _groups(values.shape, extent):
        largest = max(abs(values[at]) for at in part)
        shared = format.scale.lowest
        if largest:
            shared = octave(largest) - octave(highest)
        shared = min(max(shared, format.scale.lowest), format.scale.highest)
        if format.bump:
            assert isinstance(format.element, Fixed)
            wide = Fixed(64, format.element.frac)
            units = (
                element(values[at] / Fraction(2) ** shared, wide, mode) for at in part
            )
            shared += any(abs(unit) > highest for unit in units)
            shared = min(shared, format.scale.highest)
        for at in part:
            x = element(values[at] / Fraction(2) ** shared, format.element, mode)
            result[at] = max(x, -highest) * Fraction(2) ** shared
    return result


def _scaled(values: Array, format: Scaled, mode: RoundingMode) -> Array:
    layout, shape = format.layout, values.shape
    extent = [1] * len(shape) if layout.group else list(shape)
    if layout.axis is not None:
        extent[layout.axis] = layout.group or 1
    parts = list(_groups(shape, tuple(extent)))
    if not shape:
        parts = [((),)]
    scales = [Fraction(s) for s in format.scales.ravel().tolist()]
    assert len(parts) == len(scales) or not math.prod(shape)
    if isinstance(format.element, Ternary):
        result = _ternary(values, format.element, parts)
        for part, scale in zip(parts, scales, strict=True):
            for at in part:
                result[at] *= scale
        return result
    result = np.empty(shape, dtype=object)
    offset = format.zero_point * Fraction(format.element.step)
    for part, scale in zip(parts, scales, strict=True):
        for at in part:
            quotient = values[at] / scale
            if offset:
                assert isinstance(format.element, Fixed)
                wide = Fixed(64, format.element.frac)
                quotient = element(quotient, wide, mode) + offset
            result[at] = (element(quotient, format.element, mode) - offset) * scale
    return result
