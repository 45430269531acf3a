"""Graphs as drawings: boxes from top to bottom, with labels on the edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape

from xdsl.dialects.builtin import FixedBitwidthType

from mase_opt.dialects.mase.types import ElementType, element_of
from mase_opt.lib.analysis.nodes import Node
from mase_opt.lib.table import shorten

WIDTH = 200
"""Of a box, in pixels."""
LINE = 14
"""Height of a line of text."""
LETTER = 7
"""Width of a letter, about."""
GAP = 40, 46
"""Between boxes side by side, and between those below each other."""
COLOURS = "#37352f", "#787774"
"""Of the name, and of what is below it."""
SHOWN = 30
"""Characters of a name in a box."""


@dataclass(frozen=True)
class Box:
    """Something with a name that no other has."""

    name: str
    lines: Sequence[str]
    """What is in the box below the name."""
    title: str


@dataclass(frozen=True)
class Edge:
    """From a box to one behind it."""

    source: str
    target: str
    label: str
    title: str


def graph_svg(nodes: Sequence[Node]) -> str:
    """
    The ops among `nodes` and the inputs, from top to bottom, as an element for HTML.

    An edge says how many bits an element has that is read, with the format as its
    title. Constants are not drawn.
    """
    drawn = [node for node in nodes if node.operation != "constant"]
    by_name = {node.name: node for node in drawn}
    boxes = [
        Box(
            node.name,
            [] if node.operation == node.name else [node.operation],
            f"{node.name}: {node.shape} {node.format}",
        )
        for node in drawn
    ]
    edges = [
        Edge(source, node.name, _bits(by_name[source]), by_name[source].format)
        for node in drawn
        for source in dict.fromkeys(node.reads)
        if source in by_name
    ]
    return drawing(boxes, edges)


def drawing(boxes: Sequence[Box], edges: Sequence[Edge]) -> str:
    """Boxes, each below those with an edge to it, as an element for HTML."""
    tall = LINE * (1 + max((len(box.lines) for box in boxes), default=0)) + 6
    places = _places(boxes, edges, tall)
    right = [x + WIDTH for x, _ in places.values()]
    right += [places[e.target][0] + WIDTH // 2 + LETTER * len(e.label) for e in edges]
    width = max(right, default=0) + GAP[0]
    height = max((y for _, y in places.values()), default=0) + tall + GAP[1]
    return "\n".join(
        [
            f'<svg viewBox="0 0 {width} {height}" width="{width}" '
            'font-size="12" font-family="system-ui, sans-serif">',
            *(_edge(edge, places, tall, _number(edge, edges)) for edge in edges),
            *(_box(box, places[box.name], tall) for box in boxes),
            "</svg>",
        ]
    )


def _places(
    boxes: Sequence[Box], edges: Sequence[Edge], tall: int
) -> Mapping[str, tuple[int, int]]:
    """The upper left corners of boxes."""
    before: dict[str, list[str]] = {}
    for edge in edges:
        before.setdefault(edge.target, []).append(edge.source)
    rows: dict[str, int] = {}
    filled: dict[int, int] = {}
    found: dict[str, tuple[int, int]] = {}
    for box in boxes:
        row = 1 + max((rows[name] for name in before.get(box.name, ())), default=-1)
        column = filled.get(row, 0)
        rows[box.name], filled[row] = row, column + 1
        x, y = column * (WIDTH + GAP[0]), row * (tall + GAP[1])
        found[box.name] = x + GAP[0] // 2, y + GAP[1] // 2
    return found


def _box(box: Box, place: tuple[int, int], tall: int) -> str:
    x, y = place
    lines = [shorten(line, SHOWN, "…") for line in (box.name, *box.lines)]
    texts = [
        f'<text x="{x + WIDTH // 2}" y="{y + LINE * (index + 1)}" '
        f'text-anchor="middle" fill="{COLOURS[index > 0]}">{escape(line)}</text>'
        for index, line in enumerate(lines)
    ]
    return (
        f"<g><title>{escape(box.title)}</title>"
        f'<rect x="{x}" y="{y}" width="{WIDTH}" height="{tall}" rx="4" '
        f'fill="#f7f6f3" stroke="#d3d1cb"/>{"".join(texts)}</g>'
    )


def _number(edge: Edge, edges: Sequence[Edge]) -> int:
    """Which one it is of those that end in the same box."""
    return [e for e in edges if e.target == edge.target].index(edge)


def _edge(
    edge: Edge, places: Mapping[str, tuple[int, int]], tall: int, number: int
) -> str:
    """A curve, with its label where it ends, above those before it."""
    start, end = places[edge.source], places[edge.target]
    x1, y1 = start[0] + WIDTH // 2, start[1] + tall
    x2, y2 = end[0] + WIDTH // 2, end[1]
    bend = f"C {x1} {y1 + GAP[1]} {x2} {y2 - GAP[1]} {x2} {y2}"
    return (
        f'<g class="edge"><title>{escape(edge.title)}</title>'
        f'<path d="M {x1} {y1} {bend}" fill="none" stroke="#787774"/>'
        f'<text x="{x2 + 6}" y="{y2 - 6 - LINE * number}">'
        f"{escape(edge.label)}</text></g>"
    )


def _bits(node: Node) -> str:
    """Bits of an element; what blocks share is spread over them."""
    element = element_of(node.value)
    if isinstance(element, ElementType):
        return f"{element.format.bits_per_element:g} bit"
    assert isinstance(element, FixedBitwidthType), f"no numbers of {element}"
    return f"{element.bitwidth} bit"
