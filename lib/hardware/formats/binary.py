"""Binary elements: the code is a bit, -1 or +1 is `2 · bit - 1`."""

from __future__ import annotations

from fractions import Fraction
from math import ceil

from mase_opt.lib.formats.binary import Binary
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.hardware import arith, rounding
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.codec import Rounding, decoder, encoder
from mase_opt.lib.hardware.number import Number, Sum
from mase_opt.lib.hardware.wire import Wire, constant


@decoder(Binary)
def decode(b: Builder, format: Binary, code: Wire) -> Number:
    return Number(code, Fraction(2), Fraction(-1)) if format.signed else Number(code)


@encoder(Binary)
def encode(b: Builder, format: Binary, x: Sum, options: Rounding) -> Wire:
    if not format.signed:
        target = rounding.Target(Fixed(1, 0, False), options.mode, options.overflow)
        return rounding.cast_sum(b, x, target)
    # The sign: where a sum of bits changes it depends on their number.
    wire = arith.total(b, x.terms)
    return arith.compare(b, "ge", wire, constant(ceil(-x.offset / x.unit)))
