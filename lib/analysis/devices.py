"""What FPGAs have of each resource."""

from __future__ import annotations

from dataclasses import dataclass, fields


@dataclass(frozen=True)
class Resources:
    """Tables of six inputs, multiplier blocks, and block memories of 36 Kbit."""

    lut: float = 0
    dsp: float = 0
    bram: float = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(*(getattr(self, f) + getattr(other, f) for f in RESOURCES))

    def over(self, limits: Resources) -> str:
        """What is more than the limits, in words; empty if all fits."""
        pairs = ((f, getattr(self, f), getattr(limits, f)) for f in RESOURCES)
        return ", ".join(f"{n:.0f} {f} of {m:.0f}" for f, n, m in pairs if n > m)


RESOURCES = tuple(field.name for field in fields(Resources))

DEVICES = {
    "xc7z020": Resources(53_200, 220, 140),
    "xc7a35t": Resources(20_800, 90, 50),
    "xc7a100t": Resources(63_400, 240, 135),
    "xczu3eg": Resources(70_560, 360, 216),
    "xck26": Resources(117_120, 1_248, 144),
    "xczu7ev": Resources(230_400, 1_728, 312),
    "xczu9eg": Resources(274_080, 2_520, 912),
    "xcu50": Resources(871_680, 5_952, 1_344),
    "xcu250": Resources(1_728_000, 12_288, 2_688),
    "xcu280": Resources(1_303_680, 9_024, 2_016),
}
"""By the names of their families' data sheets."""


SHORT = 64
"""Words that are kept in LUTs, not in a block memory."""
_SHAPES = ((512, 36), (1024, 18), (2048, 9), (4096, 4), (8192, 2), (16384, 1))
"""Words and bits of half a block memory (RAMB18) that is written and read."""


def half_blocks(words: int, width: int) -> int:
    """How many RAMB18 so many words of `width` bits take."""
    if words <= SHORT:
        return 0
    return min(-(-words // deep) * -(-width // wide) for deep, wide in _SHAPES)


def dsp_blocks(x: int, y: int) -> int:
    """How many multiplier blocks a product of so many bits takes; 0 for short ones."""
    wide, narrow = max(x, y), min(x, y)
    if narrow < 2 or wide + narrow < 9:
        return 0
    return -(-wide // 27) * -(-narrow // 18)
