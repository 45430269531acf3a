"""
Exact contractions of integer arrays, as fast as a proven bound allows.

Sums of products are computed in float32 or float64 BLAS where every partial sum is
an integer of up to 2^24 or 2^53, in `int64` below 2^62, and digit by digit above.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mase_opt.lib.formats.rounding import INT64_SAFE, max_magnitude

Array = NDArray[Any]


def matmul(lhs: Array, rhs: Array) -> Array:
    """
    `lhs @ rhs` for `[…, M, K]` and `[…, K, N]`, both float or both integer.

    Integers of any dtype give exact `int64` or Python integers.
    """
    if lhs.dtype.kind == "f":
        return lhs @ rhs
    dtype = product_dtype(lhs, rhs, axis=-2)
    if dtype.kind == "O":
        return _by_limbs(np.matmul, lhs, rhs, terms=lhs.shape[-1])
    return _to_integers(np.matmul(lhs.astype(dtype), rhs.astype(dtype)))


def product_dtype(data: Array, weight: Array, axis: int) -> np.dtype[Any]:
    """
    The fastest dtype in which sums of products of `data` and `weight` are exact.

    `axis` of `weight` is the one summed over. Bounds every partial sum, in whatever
    order, by the largest magnitude in `data` times the largest sum of magnitudes.
    """
    largest, heaviest = max_magnitude(data), max_magnitude(weight)
    bound = largest * heaviest * weight.shape[axis]
    if bound >= 1 << 24 and object not in (data.dtype, weight.dtype):
        # Weights rarely have all their entries at the maximum.
        magnitudes = np.abs(weight, dtype=np.float64)
        total = magnitudes.sum(axis=axis).max(initial=0.0)
        bound = min(bound, int(largest * total * (1 + 1e-9)) + 1)
    # Products with zero are small, but their factors must be finite.
    bound = max(bound, largest, heaviest)
    if bound <= 1 << 24:
        return np.dtype(np.float32)
    if bound <= 1 << 53:
        return np.dtype(np.float64)
    return np.dtype(np.int64 if bound < INT64_SAFE else object)


def _by_limbs(
    product: Callable[[Array, Array], Array], lhs: Array, rhs: Array, terms: int
) -> Array:
    """
    A bilinear `product` of integers of any size, of which each entry sums `terms`.

    Both sides are split into digits so small that products of digits are exact in
    float64: x = Σ xᵢ · 2^(b·i).
    """
    bits = (53 - terms.bit_length()) // 2
    left, right = _digits(lhs, bits), _digits(rhs, bits)
    sums: dict[int, Array] = {}
    for (i, a), (j, b) in itertools.product(enumerate(left), enumerate(right)):
        part = product(a, b).astype(np.int64)
        # At most 2^53 each, so that any realistic number of digits fits.
        sums[i + j] = sums[i + j] + part if i + j in sums else part
    total = np.zeros(sums[0].shape, dtype=object)
    for place, part in sums.items():
        total += part.astype(object) << (bits * place)
    return total


def _digits(numbers: Array, bits: int) -> list[Array]:
    """The digits of integers in base 2^bits, lowest first, with the numbers' signs."""
    signs, rest = np.sign(numbers), np.abs(numbers.astype(object))
    result: list[Array] = []
    while not result or rest.any():
        digit = (rest & ((1 << bits) - 1)) * signs
        result.append(digit.astype(np.float64))
        rest = rest >> bits
    return result


def _to_integers(array: Array) -> Array:
    return array.astype(np.int64) if array.dtype.kind == "f" else array


def windows(
    image: Array,
    kernel: tuple[int, ...],
    strides: tuple[int, ...],
    dilation: tuple[int, ...],
    positions: tuple[int, ...],
) -> Array:
    """
    Views of all windows: `[…, *spatial]` → `[…, *positions, *kernel]`.

    The image must already be padded so that every position lies inside.
    """
    rank = len(kernel)
    spans = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    axes = tuple(range(image.ndim - rank, image.ndim))
    view = sliding_window_view(image, spans, axis=axes)  # pyright: ignore[reportCallIssue, reportArgumentType, reportUnknownVariableType]
    lead = (slice(None),) * (image.ndim - rank)
    starts = tuple(
        slice(0, (n - 1) * s + 1, s) for n, s in zip(positions, strides, strict=True)
    )
    steps = tuple(slice(None, None, d) for d in dilation)
    return view[(*lead, *starts, *steps)]


def pad(array: Array, margins: Sequence[tuple[int, int]], value: Any) -> Array:
    """Add `margins` (before, behind) to each dimension, filled with `value`."""
    # np.pad puts NumPy scalars, which overflow, into arrays of Python integers.
    sizes = [n + a + b for n, (a, b) in zip(array.shape, margins, strict=True)]
    result = np.full(sizes, value, dtype=array.dtype)
    inside = (slice(a, a + n) for n, (a, _) in zip(array.shape, margins, strict=True))
    result[tuple(inside)] = array
    return result


def pad_spatial(
    image: Array, padding: tuple[int, ...], extra: tuple[int, ...], value: Any
) -> Array:
    """Pad the last dimensions by `padding` on both sides, `extra` more at the end."""
    if not any(padding) and not any(extra):
        return image
    lead = [(0, 0)] * (image.ndim - len(padding))
    spatial = [(p, p + e) for p, e in zip(padding, extra, strict=True)]
    return pad(image, [*lead, *spatial], value)


CHUNK_BYTES = 1 << 26
"""How much memory the unfolded windows of a convolution may take at a time."""


def conv(
    image: Array,
    weight: Array,
    *,
    strides: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> Array:
    """
    Cross-correlation `[N, C, *spatial]` with `[O, C / groups, *kernel]`.

    Both float or both integer; integers of any dtype give exact `int64` or Python
    integers. Lowered to matrix products, some samples at a time.
    """
    rank = len(strides)
    kernel = weight.shape[2:]
    rows = weight.reshape(groups, weight.shape[0] // groups, -1)
    is_float = image.dtype.kind == "f"
    dtype = image.dtype if is_float else product_dtype(image, rows, axis=-1)
    if dtype.kind == "O":

        def float_conv(data: Array, filters: Array) -> Array:
            return conv(
                data,
                filters,
                strides=strides,
                padding=padding,
                dilation=dilation,
                groups=groups,
            )

        return _by_limbs(float_conv, image, weight, terms=rows.shape[2])
    rows = rows.astype(dtype, copy=False)
    positions = tuple(
        (n + 2 * p - d * (k - 1) - 1) // s + 1
        for n, p, k, s, d in zip(
            image.shape[2:], padding, kernel, strides, dilation, strict=True
        )
    )
    count = prod(positions)
    # [N, C, *positions, *kernel] -> [N, C, *kernel, *positions]
    order = (0, 1, *range(2 + rank, 2 + 2 * rank), *range(2, 2 + rank))
    samples, out = image.shape[0], weight.shape[0]
    is_fast = not is_float and dtype.kind == "f"
    result = np.empty((samples, out, *positions), np.int64 if is_fast else dtype)
    size = groups * rows.shape[2] * count * dtype.itemsize
    step = max(CHUNK_BYTES // max(size, 1), 1)
    for start in range(0, samples, step):
        part = image[start : start + step].astype(dtype, copy=False)
        part = pad_spatial(part, padding, (0,) * rank, 0)
        view = windows(part, kernel, strides, dilation, positions).transpose(order)
        columns = view.reshape(len(part), groups, rows.shape[2], count)
        product = np.matmul(rows, columns)
        result[start : start + step] = product.reshape(len(part), out, *positions)
    return result


def conv_transpose(
    image: Array,
    weight: Array,
    *,
    strides: tuple[int, ...],
    padding: tuple[int, ...],
    output_padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> Array:
    """
    Transposed convolution: `[N, C, *spatial]` with `[C, O / groups, *kernel]`.

    Exact when both are integers: a convolution of the image spread by the strides
    with the flipped kernel.
    """
    rank = len(strides)
    batch, channels, *size = image.shape
    kernel = weight.shape[2:]
    spread = np.zeros(
        (batch, channels, *((n - 1) * s + 1 for n, s in zip(size, strides))),
        dtype=image.dtype,
    )
    spread[(slice(None), slice(None), *(slice(None, None, s) for s in strides))] = image
    margins = [
        (d * (k - 1) - p, d * (k - 1) - p + o)
        for k, d, p, o in zip(kernel, dilation, padding, output_padding, strict=True)
    ]
    wide = [(max(a, 0), max(b, 0)) for a, b in margins]
    spread = pad(spread, [(0, 0), (0, 0), *wide], 0)
    crop = tuple(
        slice(max(-a, 0), n - max(-b, 0))
        for (a, b), n in zip(margins, spread.shape[2:], strict=True)
    )
    spread = spread[(slice(None), slice(None), *crop)]
    flipped = np.flip(weight, axis=tuple(range(2, 2 + rank)))
    per_group = weight.shape[1]
    flipped = flipped.reshape(groups, channels // groups, per_group, *kernel)
    flipped = np.moveaxis(flipped, 2, 1).reshape(
        groups * per_group, channels // groups, *kernel
    )
    return conv(
        spread,
        flipped,
        strides=(1,) * rank,
        padding=(0,) * rank,
        dilation=dilation,
        groups=groups,
    )
