"""
Codes at the ports of a circuit, and what the interpreter holds for them.

The two differ for number formats other than fixed point, of which the interpreter holds
the numbers.
"""

from __future__ import annotations

from math import prod

import numpy as np
from xdsl.ir import SSAValue

from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.lib.formats.block import Block, Encoded
from mase_opt.lib.formats.format import Element
from mase_opt.lib.formats.rounding import Overflow
from mase_opt.lib.formats.scaled import Scaled
from mase_opt.lib.interpreters.exact import Array


def to_codes(value: SSAValue, array: Array) -> Array:
    """
    The codes of what the interpreter holds for `value`, samples along the first axis.

    Booleans become 0 and 1; builtin floats have no codes and stay. Of blocks, the codes
    of elements and those of shared exponents lie behind each other, row-major.
    """
    if array.dtype == np.bool_:
        return array.astype(np.uint8)
    format = _coded(value)
    if format is None:
        return array
    if isinstance(format, Block):
        rows = [_flat(format.encode(sample)) for sample in array]
        return np.array(rows, dtype=np.int64).reshape(len(array), -1)
    # All are numbers of the format; infinities are, where there are any.
    overflow = Overflow.INFINITY if np.isinf(array).any() else Overflow.SATURATE
    if not format.per_sample:
        return format.encode(array, overflow=overflow)
    rows = [format.encode(sample, overflow=overflow) for sample in array]
    return np.array(rows, dtype=np.int64).reshape(array.shape)


def from_codes(value: SSAValue, codes: Array) -> Array:
    """The reverse of `to_codes`, but for booleans, which stay integers."""
    format = _coded(value)
    if format is None:
        return codes
    if isinstance(format, Block):
        shape = shape_of(value)
        elements, scales = np.split(codes.astype(np.int64), [prod(shape)], axis=1)
        pairs = zip(
            elements.reshape(-1, *shape),
            scales.reshape(-1, *format.parts(shape).grid),
            strict=True,
        )
        rows = [format.decode(Encoded(*pair)) for pair in pairs]
        return np.array(rows, dtype=np.float64).reshape(-1, *shape)
    if not format.per_sample:
        return format.decode(codes.astype(np.int64))
    rows = [format.decode(sample) for sample in codes.astype(np.int64)]
    return np.array(rows, dtype=np.float64).reshape(codes.shape)


def _flat(codes: Encoded) -> Array:
    return np.concatenate([codes.codes.ravel(), codes.scales.ravel()])


def _coded(value: SSAValue) -> Element | Scaled | Block | None:
    """The format of `value`, if the interpreter holds its numbers."""
    element = element_of(value)
    if exact_format(element) is not None or not isinstance(element, ElementType):
        return None
    assert isinstance(element.format, Element | Scaled | Block), (
        f"no codes of {element}"
    )
    return element.format
