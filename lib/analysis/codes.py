"""
Codes at the ports of a circuit, and what the interpreter holds for them.

The two differ for number formats other than fixed point, of which the interpreter holds
the numbers.
"""

from __future__ import annotations

import numpy as np
from xdsl.ir import SSAValue

from mase_opt.dialects.mase.types import ElementType, element_of, exact_format
from mase_opt.lib.formats.format import Element
from mase_opt.lib.formats.scaled import Scaled
from mase_opt.lib.interpreters.exact import Array


def to_codes(value: SSAValue, array: Array) -> Array:
    """
    The codes of what the interpreter holds for `value`, samples along the first axis.

    Booleans become 0 and 1; builtin floats have no codes and stay.
    """
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    format = _coded(value)
    if format is None:
        return array
    if not format.per_sample:
        return format.encode(array)
    rows = [format.encode(sample) for sample in array]
    return np.array(rows, dtype=np.int64).reshape(array.shape)


def from_codes(value: SSAValue, codes: Array) -> Array:
    """The reverse of `to_codes`, but for booleans, which stay integers."""
    format = _coded(value)
    if format is None:
        return codes
    if not format.per_sample:
        return format.decode(codes.astype(np.int64))
    rows = [format.decode(sample) for sample in codes.astype(np.int64)]
    return np.array(rows, dtype=np.float64).reshape(codes.shape)


def _coded(value: SSAValue) -> Element | Scaled | None:
    """The format of `value`, if the interpreter holds its numbers."""
    element = element_of(value)
    if exact_format(element) is not None or not isinstance(element, ElementType):
        return None
    assert isinstance(element.format, Element | Scaled), f"no codes of {element}"
    return element.format
