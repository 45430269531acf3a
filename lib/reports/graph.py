"""The graph of a model as a drawing: a box for each op, bits on the edges."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from xdsl.dialects.builtin import FixedBitwidthType

from mase_opt.dialects.mase.types import ElementType, element_of
from mase_opt.lib.analysis.nodes import Node
from mase_opt.lib.table import shorten

BOX = 200, 34
"""Width and height of a box, in pixels."""
GAP = 40, 46
"""Between boxes side by side, and between those below each other."""
SHOWN = 30
"""Characters of a name in a box."""


def graph_svg(nodes: Sequence[Node]) -> str:
    """
    The ops among `nodes` and the inputs, from top to bottom, as an element for HTML.

    An edge says how many bits an element has that is read, with the format as its
    title. Constants are not drawn.
    """
    drawn = [node for node in nodes if node.operation != "constant"]
    places = _places(drawn)
    width = max((x for x, _ in places.values()), default=0) + BOX[0] + GAP[0]
    height = max((y for _, y in places.values()), default=0) + BOX[1] + GAP[1]
    by_name = {node.name: node for node in drawn}
    edges = [
        _edge(by_name[source], places[source], places[node.name])
        for node in drawn
        for source in dict.fromkeys(node.reads)
        if source in by_name
    ]
    boxes = [_box(node, places[node.name]) for node in drawn]
    return "\n".join(
        [
            f'<svg viewBox="0 0 {width} {height}" width="{width}" '
            'font-size="12" font-family="system-ui, sans-serif">',
            *edges,
            *boxes,
            "</svg>",
        ]
    )


def _places(nodes: Sequence[Node]) -> Mapping[str, tuple[int, int]]:
    """The upper left corners of boxes: each is below all that it reads."""
    rows: dict[str, int] = {}
    filled: dict[int, int] = {}
    found: dict[str, tuple[int, int]] = {}
    for node in nodes:
        row = 1 + max((rows[name] for name in node.reads if name in rows), default=-1)
        column = filled.get(row, 0)
        rows[node.name], filled[row] = row, column + 1
        x, y = column * (BOX[0] + GAP[0]), row * (BOX[1] + GAP[1])
        found[node.name] = x + GAP[0] // 2, y + GAP[1] // 2
    return found


def _box(node: Node, place: tuple[int, int]) -> str:
    x, y = place
    name = shorten(node.name, SHOWN, "…")
    lines = [name] if node.operation == node.name else [name, node.operation]
    texts = [
        f'<text x="{x + BOX[0] // 2}" y="{y + 14 * (index + 1)}" '
        f'text-anchor="middle" fill="{colour}">{escape(line)}</text>'
        for index, (line, colour) in enumerate(
            zip(lines, ("#37352f", "#787774"), strict=False)
        )
    ]
    return (
        f"<g><title>{escape(f'{node.name}: {node.shape} {node.format}')}</title>"
        f'<rect x="{x}" y="{y}" width="{BOX[0]}" height="{BOX[1]}" rx="4" '
        f'fill="#f7f6f3" stroke="#d3d1cb"/>{"".join(texts)}</g>'
    )


def _edge(source: Node, start: tuple[int, int], end: tuple[int, int]) -> str:
    x1, y1 = start[0] + BOX[0] // 2, start[1] + BOX[1]
    x2, y2 = end[0] + BOX[0] // 2, end[1]
    bend = f"C {x1} {y1 + GAP[1]} {x2} {y2 - GAP[1]} {x2} {y2}"
    return (
        f'<g class="edge"><title>{escape(source.format)}</title>'
        f'<path d="M {x1} {y1} {bend}" fill="none" stroke="#787774"/>'
        f'<text x="{(x1 + x2) // 2 + 6}" y="{(y1 + y2) // 2 + 4}">'
        f"{_bits(source)}</text></g>"
    )


def _bits(node: Node) -> str:
    """Bits of an element; what blocks share is spread over them."""
    element = element_of(node.value)
    if isinstance(element, ElementType):
        return f"{element.format.bits_per_element:g} bit"
    assert isinstance(element, FixedBitwidthType), f"no numbers of {element}"
    return f"{element.bitwidth} bit"
