"""
Element codes to bits and back, vectorised.

Codes are integer arrays of shape (samples, elements); rows are little-endian byte
strings with element 0 in the lowest bits, as the ports of a circuit are laid out.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

MAX_WIDTH = 64
"""Widest element that NumPy's integers hold."""


def _mask(width: int) -> np.uint64:
    return np.uint64((1 << width) - 1)


def storage_dtype(width: int, signed: bool) -> np.dtype[np.integer]:
    """The smallest NumPy integer that holds `width` bits (1 to 64)."""
    assert 1 <= width <= MAX_WIDTH, f"width {width} is not in 1..{MAX_WIDTH}"
    size = next(size for size in (1, 2, 4, 8) if width <= 8 * size)
    return np.dtype(f"{'i' if signed else 'u'}{size}")


def code_range(width: int, signed: bool) -> tuple[int, int]:
    """The least and the greatest code."""
    if signed:
        return -(1 << (width - 1)), (1 << (width - 1)) - 1
    return 0, (1 << width) - 1


def check_codes(codes: NDArray[np.integer], width: int, signed: bool) -> None:
    """Raise `ValueError` if a code does not fit."""
    if not np.issubdtype(codes.dtype, np.integer):
        raise ValueError(f"codes are integers, got {codes.dtype}")
    if not codes.size:
        return
    least, greatest = code_range(width, signed)
    low, high = int(codes.min()), int(codes.max())
    if low < least or high > greatest:
        raise ValueError(
            f"codes {low}..{high} do not fit {width} bits "
            f"{'signed' if signed else 'unsigned'} ({least}..{greatest})"
        )


def to_storage(codes: NDArray[np.integer], width: int) -> NDArray[np.integer]:
    """The low `width` bits of each code, zero-extended to the storage size."""
    dtype = storage_dtype(width, signed=False)
    return (codes.astype(dtype) & dtype.type(_mask(width))).astype(dtype, copy=False)


def from_storage(
    stored: NDArray[np.integer], width: int, signed: bool
) -> NDArray[np.integer]:
    """The reverse of `to_storage`; upper bits of `stored` are not looked at."""
    bits = 8 * stored.dtype.itemsize
    shift = bits - width
    target = np.dtype(f"{'i' if signed else 'u'}{stored.dtype.itemsize}")
    shifted = (stored << stored.dtype.type(shift)).view(target)
    return shifted >> target.type(shift)


def row_bytes(elements: int, width: int) -> int:
    """Bytes of a packed row."""
    return (elements * width + 7) // 8


def pack(codes: NDArray[np.integer], width: int) -> NDArray[np.uint8]:
    """Pack (samples, elements) codes to (samples, row_bytes); upper bits are zero."""
    samples, elements = codes.shape
    if width in (8, 16, 32, 64):
        stored = np.ascontiguousarray(to_storage(codes, width))
        little = stored.astype(stored.dtype.newbyteorder("<"), copy=False)
        return little.view(np.uint8).reshape(samples, elements * width // 8)
    values = codes.astype(np.uint64)
    places = np.arange(width, dtype=np.uint64)
    bits = ((values[..., np.newaxis] >> places) & np.uint64(1)).astype(np.uint8)
    return np.packbits(
        bits.reshape(samples, elements * width), axis=1, bitorder="little"
    )


def unpack(
    rows: NDArray[np.uint8], elements: int, width: int, signed: bool
) -> NDArray[np.integer]:
    """The reverse of `pack`, in the smallest dtype."""
    samples = rows.shape[0]
    assert rows.shape[1] == row_bytes(elements, width), "row length"
    dtype = storage_dtype(width, signed=False)
    if width in (8, 16, 32, 64):
        stored = np.ascontiguousarray(rows).view(dtype.newbyteorder("<"))
        return from_storage(
            stored.reshape(samples, elements).astype(dtype, copy=False), width, signed
        )
    bits = np.unpackbits(rows, axis=1, count=elements * width, bitorder="little")
    bits = bits.reshape(samples, elements, width)
    stored = np.zeros((samples, elements), np.uint64)
    for place in range(width):
        stored |= bits[:, :, place].astype(np.uint64) << np.uint64(place)
    return from_storage(stored.astype(dtype), width, signed)
