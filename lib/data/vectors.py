"""Input vectors that exercise a quantized function: corners first, then random."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from xdsl.dialects.builtin import i1
from xdsl.ir import Attribute, SSAValue

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.base import SameElementOp
from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.lib.formats.block import Block
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.format import Element
from mase_opt.lib.interpreters.codes import from_codes
from mase_opt.lib.interpreters.exact import Array


def element_codes(element: Attribute) -> Element:
    """
    The codes of an element type.

    Raises `ValueError` for types that are not number formats or integers.
    """
    if isinstance(element, ElementType):
        return element.codes
    format = exact_format(element)
    if format is None:
        raise ValueError(f"no codes for element type {element}")
    return format


def input_vectors(
    values: Sequence[SSAValue], samples: int, seed: int = 0
) -> list[Array]:
    """
    Inputs of the interpreter for `values`, each `[vectors, *shape]`.

    All corners and `samples` of random codes; none of infinities and NaN. Corners:
    every element the lowest, the highest, zero, the smallest step above and below zero
    (where these are codes), lowest and highest alternating, and each of them at random.
    What chooses rows of an embedding chooses some that are there.
    """
    rng = np.random.default_rng(seed)
    return [_vectors(v, samples, rng) for v in values]


def _vectors(value: SSAValue, samples: int, rng: np.random.Generator) -> Array:
    format = element_codes(element_of(value))
    shape = shape_of(value)
    count = int(np.prod(shape))
    if (rows := _rows(value)) is not None:
        last = min(rows - 1, int(format.max_code))
        ends = [np.full(count, end) for end in (0, last)]
        # As many as of other inputs: random ones for all corners but the ends.
        random = rng.integers(0, last, (samples + 7, count), endpoint=True)
        return from_codes(value, np.stack([*ends, *random]).reshape(-1, *shape))
    flags = np.arange(count) % 2 == 1
    ends = rng.integers(0, 2, (2, count)).astype(bool)
    wide = format.max_code >= 1 << 63 or format.min_code < -(1 << 63)
    dtype = object if wide else np.int64
    corners = _corners(format)
    rows = [np.full(count, c, dtype) for c in corners]
    for choice in (flags, ~flags, *ends):
        low, high = (np.array(c, dtype) for c in corners[:2])
        rows.append(np.where(choice, low, high))
    if wide:
        random = rng.integers(
            0, format.max_code, (samples, count), dtype=np.uint64, endpoint=True
        ).astype(object)
    else:
        random = rng.integers(
            format.min_code, format.max_code, (samples, count), endpoint=True
        )
    if format.has_nan:
        # Not inputs that a circuit must take.
        random = np.where(np.isfinite(format.decode(random)), random, corners[2])
    codes = np.concatenate([np.stack(rows), random]).reshape(-1, *shape)
    element = element_of(value)
    if element == i1:
        return codes.astype(np.bool_)
    if isinstance(element, ElementType) and isinstance(element.format, Block):
        powers = _powers(element.format, len(codes), rng)
        return element.held((format.decode(codes).T * powers).T)
    return from_codes(value, codes)


def _rows(value: SSAValue) -> int | None:
    """How many rows there are of what a value, maybe moved, chooses rows of."""
    found: list[int] = []
    for use in value.uses:
        match use.operation:
            case layers.EmbeddingOp() as op if op.indices is value:
                found.append(shape_of(op.weight)[0])
            case SameElementOp() as op if op.moves(value):
                rows = _rows(op.result)
                found += [] if rows is None else [rows]
            case _:
                pass
    return min(found, default=None)


def _powers(format: Block, count: int, rng: np.random.Generator) -> Array:
    """A power of two for each vector: every other one is of a common size."""
    lowest, highest = format.scale.lowest, format.scale.highest
    exponents = rng.integers(lowest, highest, count, endpoint=True)
    exponents[::2] = np.clip(rng.integers(-8, 8, len(exponents[::2])), lowest, highest)
    return np.ldexp(1.0, exponents)


def _corners(format: Element) -> list[int]:
    """The codes of the lowest and the highest number, of zero, and of those beside."""
    if isinstance(format, Fixed):
        low, high = format.min_code, format.max_code
        return [max(low, min(high, code)) for code in (low, high, 0, 1, -1)]
    numbers = (format.min_value, format.max_value, 0.0, format.step, -format.step)
    return format.encode(np.array(numbers)).tolist()
