"""Everyday names of formats, and what they stand for."""

from __future__ import annotations

import re
from collections.abc import Callable

ALIASES = {
    "fp8_e4m3": "minifloat<4, 3, fn>",
    "fp8_e5m2": "minifloat<5, 2, ieee>",
    "fp6_e3m2": "minifloat<3, 2, finite>",
    "fp6_e2m3": "minifloat<2, 3, finite>",
    "fp4_e2m1": "minifloat<2, 1, finite>",
    "bf16": "minifloat<8, 7, ieee>",
    "fp16": "minifloat<5, 10, ieee>",
    "tf32": "minifloat<8, 10, ieee>",
    "fp32": "minifloat<8, 23, ieee>",
    "mxfp8_e4m3": "block<minifloat<4, 3, fn>, e8m0, [32]>",
    "mxfp8_e5m2": "block<minifloat<5, 2, ieee>, e8m0, [32]>",
    "mxfp6_e3m2": "block<minifloat<3, 2, finite>, e8m0, [32]>",
    "mxfp6_e2m3": "block<minifloat<2, 3, finite>, e8m0, [32]>",
    "mxfp4_e2m1": "block<minifloat<2, 1, finite>, e8m0, [32]>",
}


def _mxint(width: int) -> str:
    return f"block<fixed<{width}, {width - 2}>, e8m0, [32]>"


def _msfp(bits: int) -> str:
    # 8 of the bits are the exponent that 16 elements share, one is the sign.
    return f"block<minifloat<0, {bits - 9}, no_implicit>, exp<8, 127>, [16]>"


def _int(width: int) -> str:
    return f"scaled<fixed<{width}, 0>, auto>"


def _uint(width: int) -> str:
    return f"scaled<ufixed<{width}, 0>, auto, zero_point = auto>"


def _grouped_int(width: int, group: int) -> str:
    return f"scaled<fixed<{width}, 0>, auto, axis = -1, group = {group}>"


NUMBERED: dict[str, tuple[re.Pattern[str], Callable[..., str]]] = {
    "mxint8": (re.compile(r"mxint(\d+)"), _mxint),
    "msfp12": (re.compile(r"msfp(\d+)"), _msfp),
    "int8": (re.compile(r"int(\d+)"), _int),
    "uint8": (re.compile(r"uint(\d+)"), _uint),
    "int4_g128": (re.compile(r"int(\d+)_g(\d+)"), _grouped_int),
}
"""An example, what such names look like, and the meaning of their numbers."""


def names() -> list[str]:
    """All names, by an example where there are numbers in it."""
    return [*ALIASES, *NUMBERED]


def meaning(name: str) -> str | None:
    """The format called `name`, spelled out; None if there is none."""
    if name in ALIASES:
        return ALIASES[name]
    for pattern, spell in NUMBERED.values():
        if match := pattern.fullmatch(name):
            return spell(*(int(n) for n in match.groups()))
    return None
