"""Wires: bits of a circuit together with the exact range of the integer they hold."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.ir import SSAValue


def bits_for(lo: int, hi: int) -> int:
    """
    Bits that hold every integer from `lo` to `hi`.

    Unsigned where `lo >= 0`, two's complement otherwise; at least 1.
    """
    if lo >= 0:
        return max(1, hi.bit_length())
    return max((~lo).bit_length(), hi.bit_length() if hi >= 0 else 0) + 1


@dataclass(frozen=True, slots=True, eq=False)
class Wire:
    """
    An integer in `[lo, hi]`, held by `bits` bits of `base` from bit `low` on.

    The bits are the integer modulo 2^bits, and `bits` is enough to tell it from
    `lo` and `hi`; signedness follows from `lo`. Constants (`lo == hi`) have no base.
    """

    base: SSAValue | None
    low: int
    bits: int
    lo: int
    hi: int
    depth: int = 0
    """Logic levels between the top's inputs and this wire."""

    @property
    def constant(self) -> int | None:
        """The integer, if it is always the same."""
        return self.lo if self.lo == self.hi else None

    @property
    def width(self) -> int:
        """The smallest width that holds the integer."""
        return bits_for(self.lo, self.hi)

    @property
    def signed(self) -> bool:
        return self.lo < 0


def constant(value: int) -> Wire:
    """A wire that always holds `value`; belongs to no module."""
    return Wire(None, 0, bits_for(value, value), value, value)


def depth_of(*wires: Wire) -> int:
    """Logic levels before the latest of the wires."""
    return max((w.depth for w in wires if w.lo != w.hi), default=0)
