"""Ternary elements: codes are integers; magnitudes are compared with a threshold."""

from __future__ import annotations

from fractions import Fraction

from mase_opt.lib.formats.ternary import Ternary
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.codec import Rounding, decoder, encoder
from mase_opt.lib.hardware.number import HardwareError, Number, Sum
from mase_opt.lib.hardware.thresholds import search
from mase_opt.lib.hardware.wire import Wire


@decoder(Ternary)
def decode(b: Builder, format: Ternary, code: Wire) -> Number:
    return Number(code)


@encoder(Ternary)
def encode(b: Builder, format: Ternary, x: Sum, options: Rounding) -> Wire:
    if format.threshold is None:
        raise HardwareError(
            "the threshold of its ternary result depends on all values: give a "
            "constant one, as `threshold` of a mase.cast to ternary"
        )
    threshold = Fraction(format.threshold)

    def place(value: Fraction) -> int:
        return 1 + (value > threshold) - (value < -threshold)

    return search(b, x, (-1, 0, 1), place)
