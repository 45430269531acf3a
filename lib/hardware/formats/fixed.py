"""Fixed point: codes are integers, rounded and brought into range."""

from __future__ import annotations

from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.hardware import rounding
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.codec import Rounding, decoder, encoder
from mase_opt.lib.hardware.number import Number, Sum, fixed
from mase_opt.lib.hardware.wire import Wire


@decoder(Fixed)
def decode(b: Builder, format: Fixed, code: Wire) -> Number:
    return fixed(code, format.frac)


@encoder(Fixed)
def encode(b: Builder, format: Fixed, x: Sum, options: Rounding) -> Wire:
    target = rounding.Target(format, options.mode, options.overflow)
    return rounding.cast_sum(b, x, target, options.zero_point)
