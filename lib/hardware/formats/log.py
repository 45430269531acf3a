"""Logarithmic elements: exponents add, and rounding finds the octave."""

from __future__ import annotations

from fractions import Fraction

from mase_opt.lib.formats.log import Log
from mase_opt.lib.formats.rounding import Overflow, RoundingMode
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.codec import Rounding, decoder, encoder
from mase_opt.lib.hardware.number import Number, Sum
from mase_opt.lib.hardware.rounding import overflow_error
from mase_opt.lib.hardware.sign_magnitude import signed, split
from mase_opt.lib.hardware.thresholds import search
from mase_opt.lib.hardware.wire import Wire, constant


@decoder(Log)
def decode(b: Builder, format: Log, code: Wire) -> Number:
    negative, field = split(b, code, format.bits - 1)
    one = constant(1)
    if format.zero:
        one = arith.compare(b, "ne", field, constant(0))
    unit = Fraction(2) ** -format.offset
    return Number(signed(b, negative, one), unit, exponent=field)


@encoder(Log)
def encode(b: Builder, format: Log, x: Sum, options: Rounding) -> Wire:
    top = (1 << (format.bits - 1)) - 1
    sign = top + 1
    # From the lowest number to the highest one.
    codes = [*(sign + field for field in range(top, -1, -1)), *range(top + 1)]

    def place(value: Fraction) -> int:
        negative, field = rounded(format, value, options.mode)
        if field > top and options.overflow is Overflow.ERROR:
            raise overflow_error(format, f"up to {float(value)}")
        field = min(field, top)
        return top - field if negative else sign + field

    return search(b, x, codes, place)


def rounded(format: Log, value: Fraction, mode: RoundingMode) -> tuple[bool, int]:
    """Sign and exponent field of an exact number, as if the field had no end."""
    negative, magnitude = value < 0, abs(value)
    up = mode is RoundingMode.CEIL
    directed = up or mode is RoundingMode.FLOOR
    away = directed and up != negative
    field = _octave(magnitude) + format.offset if value else -1
    low = Fraction(2) ** (field - format.offset)
    if away:
        field += magnitude > low
    elif not directed and mode is not RoundingMode.ZERO:
        # Halfway on a logarithmic scale, where no rational number is.
        field += magnitude**2 > 2 * low**2
    if field >= format.zero:
        return negative, field
    if format.zero:
        return negative, int(away and value != 0)
    # Without a zero, what is between the smallest magnitudes is one of them.
    return not up if directed else negative, 0


def _octave(magnitude: Fraction) -> int:
    """⌊log2 magnitude⌋"""
    guess = magnitude.numerator.bit_length() - magnitude.denominator.bit_length()
    return guess if magnitude >= Fraction(2) ** guess else guess - 1
