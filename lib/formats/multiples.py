"""Which numbers values can be, and arithmetic on that: multiples of a power of two."""

from __future__ import annotations

import math
from dataclasses import dataclass

from mase_opt.lib.formats.rounding import INT64_SAFE, Overflow


@dataclass(frozen=True)
class Multiples:
    """Numbers code · 2^-frac with an integer low ≤ code ≤ high; low ≤ 0 ≤ high."""

    frac: int
    low: int
    high: int

    @staticmethod
    def between(unit: float, low: float, high: float) -> Multiples:
        """Multiples of `unit`, a power of two, from `low` to `high`, and zero."""
        numerator, denominator = unit.as_integer_ratio()

        def code(value: float) -> int:
            top, bottom = value.as_integer_ratio()
            return top * denominator // (bottom * numerator)

        frac = 1 - math.frexp(unit)[1]
        return Multiples(frac, min(code(low), 0), max(code(high), 0))

    @staticmethod
    def of(value: float) -> Multiples:
        """A finite number, and zero."""
        numerator, denominator = value.as_integer_ratio()
        frac = denominator.bit_length() - 1
        return Multiples(frac, min(numerator, 0), max(numerator, 0))

    @property
    def magnitude(self) -> int:
        return max(-self.low, self.high)

    @property
    def fits_int64(self) -> bool:
        """Whether codes, and those scaled to them in float64, are exact in `int64`."""
        return self.magnitude < INT64_SAFE and abs(self.frac) <= 900

    def at(self, frac: int) -> Multiples:
        """The same numbers with at least as many fraction bits."""
        shift = frac - self.frac
        return Multiples(frac, self.low << shift, self.high << shift)

    def __neg__(self) -> Multiples:
        return Multiples(self.frac, -self.high, -self.low)

    def __add__(self, other: Multiples) -> Multiples:
        a, b = _aligned(self, other)
        return Multiples(a.frac, a.low + b.low, a.high + b.high)

    def __or__(self, other: Multiples) -> Multiples:
        """The numbers of both."""
        a, b = _aligned(self, other)
        return Multiples(a.frac, min(a.low, b.low), max(a.high, b.high))

    def __mul__(self, other: Multiples) -> Multiples:
        ends = [p * q for p in (self.low, self.high) for q in (other.low, other.high)]
        return Multiples(self.frac + other.frac, min(ends), max(ends))

    def __abs__(self) -> Multiples:
        return Multiples(self.frac, 0, self.magnitude)

    def sum_of(self, count: int) -> Multiples:
        """Sums of up to `count` numbers."""
        return Multiples(self.frac, self.low * count, self.high * count)

    def mean_of(self, count: int) -> Multiples | None:
        """Means of `count` numbers; None unless dividing by it is a shift."""
        if count & (count - 1) or not count:
            return None
        return self.at(self.frac + count.bit_length() - 1)

    def inside(self, other: Multiples) -> bool:
        """Whether all these numbers are among the others."""
        if self.low == self.high == 0:
            return True
        if self.frac > other.frac:
            return False
        moved = self.at(other.frac)
        return other.low <= moved.low and moved.high <= other.high

    def rounded(self, into: Multiples, overflow: Overflow) -> Multiples:
        """Where these numbers lie once rounded to fixed point, in any mode."""
        if self.inside(into):
            return self.at(into.frac) if self.frac <= into.frac else into
        if overflow is Overflow.WRAP:
            return into
        shift = self.frac - into.frac
        low = self.low << -shift if shift < 0 else self.low >> shift
        high = self.high << -shift if shift < 0 else -(-self.high >> shift)
        return Multiples(into.frac, max(into.low, low), min(into.high, high))


def _aligned(a: Multiples, b: Multiples) -> tuple[Multiples, Multiples]:
    frac = max(a.frac, b.frac)
    return a.at(frac), b.at(frac)
