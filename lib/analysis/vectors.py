"""Input vectors that exercise a quantized function: corners first, then random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import IntegerType
from xdsl.ir import Attribute, SSAValue

from mase_opt.dialects.mase.types import FixedPoint, element_of, shape_of
from mase_opt.lib.interpreters.exact import Array


def code_range(element: Attribute) -> tuple[int, int]:
    """
    Smallest and largest code of an element type.

    Raises `ValueError` for types that are not fixed point or integers.
    """
    match element:
        case FixedPoint():
            return element.format.min_code, element.format.max_code
        case IntegerType() if element.width.data == 1:
            return 0, 1
        case IntegerType():
            half = 1 << (element.width.data - 1)
            return -half, half - 1
        case _:
            raise ValueError(f"no codes for element type {element}")


def input_vectors(
    values: Sequence[SSAValue], samples: int, seed: int = 0
) -> list[Array]:
    """
    Codes for `values`, each `[vectors, *shape]`: all corners and `samples` random ones.

    Corners: every element at the minimum, the maximum, 0, 1 and -1 (where these are
    codes), minimum and maximum alternating, and each of them at random.
    """
    rng = np.random.default_rng(seed)
    return [_vectors(v, samples, rng) for v in values]


def _vectors(value: SSAValue, samples: int, rng: np.random.Generator) -> Array:
    low, high = code_range(element_of(value))
    shape = shape_of(value)
    count = int(np.prod(shape))
    flags = np.arange(count) % 2 == 1
    ends = rng.integers(0, 2, (2, count)).astype(bool)
    wide = high >= 1 << 63 or low < -(1 << 63)
    dtype = object if wide else np.int64
    rows = [
        np.full(count, max(low, min(high, c)), dtype) for c in (low, high, 0, 1, -1)
    ]
    for choice in (flags, ~flags, *ends):
        rows.append(np.where(choice, np.array(low, dtype), np.array(high, dtype)))
    corners = np.stack(rows)
    if wide:
        bits = rng.integers(0, high, (samples, count), dtype=np.uint64, endpoint=True)
        random = bits.astype(object)
    else:
        random = rng.integers(low, high, (samples, count), endpoint=True)
    codes = np.concatenate([corners, random])
    if isinstance(element_of(value), IntegerType) and (low, high) == (0, 1):
        codes = codes.astype(np.bool_)
    return codes.reshape(-1, *shape)
