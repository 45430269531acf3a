"""`mase.cast` and `mase.cast_elements`: rounding and overflow."""

from __future__ import annotations

import numpy as np

from mase_opt.dialects.mase import elementwise
from mase_opt.dialects.mase.cast_elements import CastElementsOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.conversion.unrolled.registry import template
from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder
from mase_opt.lib.hardware.codec import Wires, decode, encode, encode_element
from mase_opt.lib.hardware.number import total
from mase_opt.lib.hardware.wire import constant


@template(elementwise.CastOp)
def cast(op: elementwise.CastOp, b: Builder, x: Wires) -> Wires:
    return encode(b, op, [total(b, [n]) for n in decode(b, op.input, x)])


@template(CastElementsOp)
def cast_elements(op: CastElementsOp, b: Builder, x: Wires) -> Wires:
    elements, shape = op.elements, shape_of(op.result)
    result = [constant(0)] * len(x)
    numbers = decode(b, op.input, x)
    for format, where in elements.formats:
        zeros = elements.container.frac - format.frac
        for place in np.flatnonzero(np.broadcast_to(where, shape)).tolist():
            number = total(b, [numbers[place]])
            code = encode_element(b, op, format, number)
            result[place] = arith.shift_left(b, code, zeros)
    return result
