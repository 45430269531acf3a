"""
Exact contractions of integer arrays, as fast as a proven bound allows.

Sums of products are computed in float32 or float64 BLAS where every partial sum is
an integer below 2^24 or 2^53, in `int64` below 2^62, and in Python integers above.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from mase_opt.lib.formats.rounding import INT64_SAFE, IntArray, max_magnitude

Array = NDArray[Any]


def matmul(lhs: Array, rhs: Array) -> Array:
    """`lhs @ rhs` for `[…, M, K]` and `[…, K, N]`; exact when both are integers."""
    if lhs.dtype.kind == "f":
        return lhs @ rhs
    bound = _bound(lhs, rhs)
    if bound < 1 << 24:
        return (lhs.astype(np.float32) @ rhs.astype(np.float32)).astype(np.int64)
    if bound < 1 << 53:
        return (lhs.astype(np.float64) @ rhs.astype(np.float64)).astype(np.int64)
    if bound < INT64_SAFE:
        return lhs @ rhs
    return np.matmul(lhs.astype(object), rhs.astype(object))


def _bound(lhs: IntArray, rhs: IntArray) -> int:
    """A bound on the magnitude of every partial sum of `lhs @ rhs`."""
    depth = lhs.shape[-1]
    loose = max_magnitude(lhs) * max_magnitude(rhs) * depth
    if loose < 1 << 53 or lhs.dtype == object or rhs.dtype == object:
        return loose
    # Columns of weights rarely have all their entries at the maximum.
    columns = np.abs(rhs.astype(np.float64)).sum(axis=-2).max(initial=0.0)
    return min(loose, int(max_magnitude(lhs) * columns * (1 + 1e-9)) + 1)


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


def pad_spatial(
    image: Array, padding: tuple[int, ...], extra: tuple[int, ...], value: Any
) -> Array:
    """Pad the last dimensions by `padding` on both sides, `extra` more at the end."""
    if not any(padding) and not any(extra):
        return image
    lead = [(0, 0)] * (image.ndim - len(padding))
    spatial = [(p, p + e) for p, e in zip(padding, extra, strict=True)]
    return np.pad(image, [*lead, *spatial], constant_values=value)


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

    Exact when both are integers. Lowered to one matrix product per group.
    """
    rank = len(strides)
    kernel = weight.shape[2:]
    image = pad_spatial(image, padding, (0,) * rank, 0)
    positions = tuple(
        (n - d * (k - 1) - 1) // s + 1
        for n, k, s, d in zip(image.shape[2:], kernel, strides, dilation, strict=True)
    )
    view = windows(image, kernel, strides, dilation, positions)
    # [N, C, *positions, *kernel] -> [N, *positions, C, *kernel]
    view = np.moveaxis(view, 1, 1 + rank)
    batch, channels, out = image.shape[0], image.shape[1], weight.shape[0]
    size, count = int(np.prod(kernel)), int(np.prod(positions))
    view = view.reshape(batch, count, groups, channels // groups * size)
    columns = weight.reshape(groups, out // groups, -1)
    parts = [matmul(view[:, :, g], columns[g].T) for g in range(groups)]
    result = np.concatenate(parts, axis=-1)
    return np.moveaxis(result, -1, 1).reshape(batch, out, *positions)


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
    spread = np.pad(
        spread, [(0, 0), (0, 0), *((max(a, 0), max(b, 0)) for a, b in margins)]
    )
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
