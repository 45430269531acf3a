"""
Figures by matplotlib, which needs no display here.

As SVG they hold their text as text, and the same numbers give the same bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from io import BytesIO, StringIO
from typing import Any

from mase_opt.lib.errors import UserError

Figure = Any
"""matplotlib's, whose own types say little."""

COLOURS = (
    *("#0b6e99", "#d9730d", "#448361", "#9065b0", "#c14c8a", "#cb912f"),
    *("#d44c47", "#787774", "#7fb5d5", "#9f6b53", "#37352f"),
)
SIZE = 5.4, 3.6
"""Inches of one set of axes."""
BARS = 1.1, 0.24
"""Inches of height without bars, and of each bar."""


def new_figure(
    count: int, *, height: float | None = None
) -> tuple[Figure, Sequence[Any]]:
    """A figure with `count` sets of axes side by side, `height` inches high."""
    library = _library("figure")
    size = SIZE[0] * count, SIZE[1] if height is None else height
    figure = library.Figure(size, layout="constrained")
    all_axes = [figure.add_subplot(1, count, i + 1) for i in range(count)]
    for axes in all_axes:
        axes.set_prop_cycle(color=COLOURS)
        axes.spines[["top", "right"]].set_visible(False)
        axes.grid(color="#e6e6e4")
        axes.set_axisbelow(True)
    return figure, all_axes


def height_of_bars(rows: int) -> float:
    """The height of a figure with so many bars above each other."""
    empty, each = BARS
    return empty + each * rows


def svg(figure: Figure, name: str) -> str:
    """The figure as an element for HTML, where no other has its name."""
    stream = StringIO()
    # The metadata would name a creator and an address.
    metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    with _library().rc_context(
        {"svg.fonttype": "none", "svg.hashsalt": name, "svg.id": name}
    ):
        figure.savefig(stream, format="svg", metadata=metadata)
    text = stream.getvalue()
    return text[text.index("<svg") :]


def png(figure: Figure) -> bytes:
    """The figure as a file."""
    stream = BytesIO()
    figure.savefig(stream, format="png", dpi=120)
    return stream.getvalue()


def _library(part: str = "") -> Any:
    """matplotlib, or a module of it; raises `UserError` if it is missing."""
    try:
        return import_module(f"matplotlib.{part}".removesuffix("."))
    except ModuleNotFoundError as error:
        raise UserError(
            'figures need matplotlib: pip install "mase-opt[search]"'
        ) from error
