"""
Casting by looking it up: every value of a format in order, as fractions.

Independent of the formats under test, which compute in floats.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise

import numpy as np

from mase_opt.lib.formats import Overflow, RoundingMode
from mase_opt.lib.formats.format import Element

Midpoint = Callable[[Fraction, Fraction, Fraction], int]
"""Whether a number is below (-1), at (0) or above (1) the middle between two others."""


def linear(x: Fraction, low: Fraction, high: Fraction) -> int:
    middle = (low + high) / 2
    return (x > middle) - (x < middle)


@dataclass
class Table:
    """Non-negative magnitudes in ascending order, one more than the format has."""

    magnitudes: list[Fraction]

    def cast(
        self, x: Fraction, mode: RoundingMode, middle: Midpoint = linear
    ) -> tuple[int, Fraction]:
        """The sign and the magnitude of `x` after rounding; the last overflows."""
        sign = -1 if x < 0 else 1
        x = abs(x)
        if x >= self.magnitudes[-1]:
            return sign, self.magnitudes[-1]
        at = bisect_right(self.magnitudes, x) - 1
        low, high = self.magnitudes[at], self.magnitudes[at + 1]
        if x == low:
            return sign, low
        side = middle(x, low, high)
        match mode:
            case RoundingMode.FLOOR:
                up = sign < 0
            case RoundingMode.CEIL:
                up = sign > 0
            case RoundingMode.ZERO:
                up = False
            case _ if side:
                up = side > 0
            case RoundingMode.NEAREST_EVEN:
                up = at % 2 == 1
            case RoundingMode.NEAREST_AWAY:
                up = True
            case RoundingMode.HALF_UP:
                up = sign > 0
        return sign, high if up else low


def probes(table: Table) -> Iterator[float]:
    """
    Every value, every midpoint, and the floats next to them, with both signs.

    A step beyond the end of the table as well.
    """
    points = [float(m) for m in table.magnitudes]
    points += [(a + b) / 2 for a, b in pairwise(points)]
    points += [points[-1] * 1.5, points[-1] * 1e30, 5e-324, 1e-300]
    for point in points:
        for p in (point, np.nextafter(point, 0), np.nextafter(point, np.inf)):
            yield float(p)
            yield -float(p)


def check_codes(format: Element) -> None:
    """Every code decodes to a value that is encoded as the same value."""
    codes = np.arange(format.min_code, format.max_code + 1)
    assert len(codes) == 2**format.bits or str(format) == "ternary"
    values = format.decode(codes)
    assert values.dtype == np.float64
    again = format.encode(values, overflow=Overflow.ERROR)
    assert np.array_equal(format.decode(again), values, equal_nan=True)
    finite = values[np.isfinite(values)]
    assert finite.max() == format.max_value
    assert finite.min() == format.min_value
    assert np.diff(np.unique(finite)).min() == format.step
