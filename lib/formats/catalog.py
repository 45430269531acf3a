"""The list of formats: sizes, ranges and steps, as text and as pictures."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, TextIO

import numpy as np

from mase_opt.lib.formats import aliases
from mase_opt.lib.formats.block import Block
from mase_opt.lib.formats.fixed import Fixed
from mase_opt.lib.formats.format import Element, Format, Values
from mase_opt.lib.formats.scaled import Scaled
from mase_opt.lib.formats.spec import (
    EXAMPLES,
    FAMILIES,
    FormatSpec,
    ScaledSpec,
    Spec,
    parse_spec,
)
from mase_opt.lib.plugins import load_pending
from mase_opt.lib.table import Column, Table


@dataclass(frozen=True)
class Entry:
    """A line of the list; numbers as text."""

    name: str
    bits: str
    low: str
    high: str
    step: str
    meaning: str
    """The format spelled out."""

    @property
    def cells(self) -> tuple[str, ...]:
        return (self.name, self.bits, self.low, self.high, self.step, self.meaning)


HEADER = ("name", "bits", "lowest", "highest", "smallest step", "is")


def entries() -> Iterator[Entry]:
    """The examples, then all everyday names."""
    for name in (*EXAMPLES, *aliases.names()):
        yield describe(name, parse_spec(name))


def describe(name: str, spec: Spec) -> Entry:
    """The entry of a format, of which scales may be open."""
    unit = ""
    if isinstance(spec, ScaledSpec):
        numbers, unit = spec.element, " · scale"
        bits = Scaled(spec.element, 1.0).bits_per_element
        bits += 32 / spec.layout.group if spec.layout.group else 0
    else:
        numbers = _closed(spec)
        bits = numbers.bits_per_element
    low, high, step = (
        f"{number:.6g}{unit}"
        for number in (numbers.min_value, numbers.max_value, numbers.step)
    )
    return Entry(name, f"{bits:g}", low, high, step, str(spec))


def _closed(spec: FormatSpec | Format[Any]) -> Format[Any]:
    if not isinstance(spec, FormatSpec):
        return spec
    assert spec.width is not None, spec
    assert spec.frac is not None, spec
    return Fixed(spec.width, spec.frac, spec.signed is not False)


def element_format(spec: Spec) -> Element | None:
    """What has a code of its own in a format; None for formats that say not."""
    match spec:
        case FormatSpec():
            spec = _closed(spec)
        case ScaledSpec() | Scaled() | Block():
            return spec.element
        case _:
            pass
    return spec if isinstance(spec, Element) else None


def listing(stream: TextIO | None) -> str:
    """The text of `--list-formats`, as `stream` can show it."""
    load_pending()
    lines = ["formats"]
    lines += [f"  {spelling}" for _, spelling in FAMILIES.values()]
    table = Table(
        "examples and everyday names (numbers in a name may be others)",
        [Column(name) for name in HEADER],
        [entry.cells for entry in entries()],
    )
    return "\n".join([*lines, "", table.text_for(stream)])


WIDTH, MARGIN, HEIGHT = 720, 24, 56


def number_line(element: Element) -> str:
    """
    An SVG picture of all finite values of an element of up to 8 bits.

    On a linear scale from the lowest to the highest, one stroke each.
    """
    assert element.bits <= 8, f"too many values to draw: {element}"
    values = element.decode(np.arange(element.min_code, element.max_code + 1))
    values = np.unique(values[np.isfinite(values)]) + 0.0  # no negative zero
    low, high = float(values[0]), float(values[-1])
    places = MARGIN + (values - low) / (high - low) * (WIDTH - 2 * MARGIN)
    strokes = "".join(f"M{x:.1f} 8v20" for x in places.tolist())
    labels = "".join(
        f'<text x="{x:.1f}" y="46">{value:g}</text>'
        for x, value in _labels(values, places)
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" role="img">\n'
        f"<title>The {len(values)} values of {_escaped(str(element))}</title>\n"
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>\n'
        f'<path d="M{MARGIN} 28H{WIDTH - MARGIN}" stroke="silver"/>\n'
        f'<path d="{strokes}" stroke="black" stroke-width="0.8"/>\n'
        '<g font-family="sans-serif" font-size="11" text-anchor="middle">'
        f"{labels}</g>\n</svg>\n"
    )


def _labels(values: Values, places: Values) -> Iterator[tuple[float, float]]:
    """The lowest value, the one next to zero if it is in between, the highest."""
    middle = int(np.argmin(np.abs(values)))
    for index in sorted({0, middle, len(values) - 1}):
        yield float(places[index]), float(values[index])


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
