"""Formats as text, with parts that may be left open: `fixed<8, auto>`."""

from __future__ import annotations

import re
from dataclasses import dataclass

from mase_opt.lib.formats.fixed import MAX_WIDTH
from mase_opt.lib.formats.rounding import FormatError

AVAILABLE = ("fixed<W, F>", "ufixed<W, F>")
"""What a format may look like, for messages."""

_FIXED = re.compile(r"(?:!mase\.)?(u?)fixed\s*<\s*([^,<>]+?)\s*,\s*([^,<>]+?)\s*>")


@dataclass(frozen=True)
class FormatSpec:
    """A fixed-point format; parts that are None are chosen from data."""

    signed: bool | None = None
    width: int | None = None
    frac: int | None = None

    def __post_init__(self):
        if self.width is not None and not 1 <= self.width <= MAX_WIDTH:
            raise FormatError(
                f"width must be between 1 and {MAX_WIDTH}, got {self.width}"
            )

    def __str__(self) -> str:
        width, frac = ("auto" if n is None else n for n in (self.width, self.frac))
        return f"{'u' if self.signed is False else ''}fixed<{width}, {frac}>"


def parse_format(text: str) -> FormatSpec:
    """
    Read `fixed<W, F>` or `ufixed<W, F>`; W or F may be `auto`.

    Raises `FormatError` saying what is available for anything else.
    """
    match = _FIXED.fullmatch(text.strip())
    if match is None:
        raise FormatError(
            f"'{text}' is not an available format, expected {' or '.join(AVAILABLE)} "
            "(W or F may be auto)"
        )
    unsigned, width, frac = match.groups()
    spec = FormatSpec(not unsigned, _number(width, text), _number(frac, text))
    if spec.width is None and spec.frac is None:
        raise FormatError(f"'{text}' leaves width and fraction open, give one of them")
    return spec


def _number(word: str, text: str) -> int | None:
    if word == "auto":
        return None
    try:
        return int(word)
    except ValueError:
        raise FormatError(
            f"'{word}' in '{text}' is neither a whole number nor auto"
        ) from None
