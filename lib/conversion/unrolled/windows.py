"""Where the windows of convolutions and pools lie in a tensor."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

PADDING, BEYOND = -1, -2
"""Stand for an added element, and for one that `ceil_mode` adds behind those."""


def window_indices(
    shape: Sequence[int],
    positions: Sequence[int],
    kernel: Sequence[int],
    *,
    strides: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> NDArray[np.int64]:
    """
    Flat indices into a tensor of `shape` for windows over its last dimensions.

    Shape: `[*lead, *positions, *kernel]`. Entries outside are `PADDING` or `BEYOND`.
    """
    rank = len(kernel)
    index = np.arange(int(np.prod(shape))).reshape(tuple(shape))
    lead = [(0, 0)] * (index.ndim - rank)
    index = np.pad(index, [*lead, *((p, p) for p in padding)], constant_values=PADDING)
    spans = tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True))
    extra = [
        (0, max((n - 1) * s + span - size, 0))
        for n, s, span, size in zip(
            positions, strides, spans, index.shape[-rank:], strict=True
        )
    ]
    index = np.pad(index, [*lead, *extra], constant_values=BEYOND)
    axes = tuple(range(index.ndim - rank, index.ndim))
    view = sliding_window_view(index, spans, axis=axes)
    starts = tuple(
        slice(0, (n - 1) * s + 1, s) for n, s in zip(positions, strides, strict=True)
    )
    steps = tuple(slice(None, None, d) for d in dilation)
    return view[(*[slice(None)] * len(lead), *starts, *steps)]
