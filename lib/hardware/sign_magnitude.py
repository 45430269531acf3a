"""Codes of a sign above a magnitude, and what they need to be rounded."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from xdsl.dialects import comb
from xdsl.ir import SSAValue

from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.wire import Wire, constant, depth_of


def split(b: Builder, code: Wire, bits: int) -> tuple[Wire, Wire]:
    """What is above `bits` bits, and these."""
    low = (1 << bits) - 1
    if bits == 0:
        return code, constant(0)
    if code.constant is not None:
        return constant(code.constant >> bits), constant(code.constant & low)
    if code.hi <= low:
        return constant(0), code
    return arith.floor_shift(code, bits), replace(code, bits=bits, lo=0, hi=low)


def join(b: Builder, negative: Wire, magnitude: Wire, bits: int) -> Wire:
    """The reverse of `split`."""
    if bits == 0:
        return negative
    if negative.constant is not None:
        shift = negative.constant << bits
        return arith.add(b, magnitude, constant(shift))
    value = b.concat(b.read(negative, 1), b.read(magnitude, bits))
    hi = (1 << bits) | magnitude.hi
    return Wire(value, 0, bits + 1, 0, hi, depth_of(negative, magnitude))


def signed(b: Builder, negative: Wire, magnitude: Wire) -> Wire:
    """-magnitude if negative else magnitude"""
    return arith.mux(b, negative, arith.neg(b, magnitude), magnitude)


def unsigned(b: Builder, x: Wire) -> tuple[Wire, Wire]:
    """One bit: x < 0; and the magnitude of x."""
    negative = arith.compare(b, "lt", x, constant(0))
    magnitude = arith.mux(b, negative, arith.neg(b, x), x)
    if magnitude.constant is None:
        lo = max(x.lo, -x.hi, 0)
        magnitude = replace(magnitude, lo=lo, hi=max(-x.lo, x.hi))
    return negative, magnitude


def logic(b: Builder, function: Callable[..., SSAValue], *bits: Wire) -> Wire:
    """A bit computed from others, which the logic behind it takes in."""
    value = function(*(b.read(w, 1) for w in bits))
    return Wire(value, 0, 1, 0, 1, depth_of(*bits))


def both(b: Builder, x: SSAValue, y: SSAValue) -> SSAValue:
    return arith.bitwise(b, comb.AndOp, x, y)


def either(b: Builder, x: SSAValue, y: SSAValue) -> SSAValue:
    return arith.bitwise(b, comb.OrOp, x, y)
