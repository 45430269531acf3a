"""Windows that do not slide evenly, made of even ones that are a little larger."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from math import ceil, floor

import numpy as np

from mase_opt.lib.streams.layout import Index


@dataclass(frozen=True)
class Windows:
    """
    The places in a dimension from which each place of a result comes.

    Those of result `period · a + r` are `start + outer · a + inner · r + step · tap`.
    """

    start: int
    outer: int
    taps: int
    period: int = 1
    inner: int = 0
    step: int = 1

    def rounds(self, size: int) -> int:
        """How often the period starts in a result of some size."""
        return -(-size // self.period)

    def places(self, size: int) -> Index:
        """The places, `[size, taps]`; some may lie outside."""
        a, r = np.divmod(np.arange(size)[:, None], self.period)
        tap = np.arange(self.taps)
        return self.start + self.outer * a + self.inner * r + self.step * tap

    @staticmethod
    def around(low: Index, high: Index) -> Windows:
        """
        Windows that contain the places from `low` up to, not including, `high`.

        Of all periods the one that takes the fewest taps together. Where `high` is not
        above `low`, nothing needs to be in the window.
        """
        size = len(low)
        used = np.flatnonzero(high > low)
        if not len(used):
            return Windows(0, 0, 1)
        low, high = low[used], high[used]
        span = (low[-1] + high[-1] - low[0] - high[0]) / 2
        slope = float(span) / max(int(used[-1] - used[0]), 1)
        best: tuple[int, int, Windows] | None = None
        for period in range(1, size + 1):
            a, r = np.divmod(used, period)
            for outer, inner in product(
                {floor(slope * period), ceil(slope * period)},
                {floor(slope), ceil(slope)} if period > 1 else {0},
            ):
                base = outer * a + inner * r
                start = int((low - base).min())
                taps = int((high - base).max()) - start
                cost = -(-size // period) * period * taps
                if best is None or (cost, period) < best[:2]:
                    found = Windows(start, outer, taps, period, inner)
                    best = cost, period, found
        assert best is not None, "there is a period"
        return best[2]


def transposed(
    kernel: int, stride: int, padding: int, dilation: int
) -> tuple[Windows, Index]:
    """
    The windows of a transposed convolution, and what meets their taps.

    That is the place in the kernel by phase and tap, `[stride, taps]`; `kernel` if
    there is none.
    """
    phase, place = np.indices((stride, kernel))
    reached = phase + padding - dilation * place
    meets = reached % stride == 0
    phase, place, offset = phase[meets], place[meets], reached[meets] // stride
    found: list[tuple[int, Windows]] = []
    for inner in (0, 1):
        start, last = (int(f(offset - inner * phase)) for f in (np.min, np.max))
        taps = last - start + 1
        found.append((taps, Windows(start, 1, taps, stride, inner)))
    taps, windows = min(found, key=lambda pair: pair[0])
    kernels = np.full((stride, taps), kernel)
    kernels[phase, offset - windows.start - windows.inner * phase] = place
    return windows, kernels
