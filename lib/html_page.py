"""Pages that need neither a network nor another file."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #37352f; max-width: 72em;
  margin: 2em auto; padding: 0 1em }
h1, h2 { font-weight: 600; line-height: 1.2 } h2 { margin-top: 2em }
svg { max-width: 100%; height: auto }
section { overflow-x: auto }
table { border-collapse: collapse; font-variant-numeric: tabular-nums }
caption { display: none }
th, td { padding: 0.25em 0.8em; border-bottom: 1px solid #e6e6e4; text-align: left }
"""


def page(title: str, summary: str, sections: Iterable[str]) -> str:
    """A page of `sections` as `section` makes them; `summary` is text."""
    return "\n".join(
        [
            "<!doctype html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta http-equiv="Content-Security-Policy" '
            "content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body>",
            f"<h1>{escape(title)}</h1>",
            f"<p>{escape(summary)}</p>",
            *sections,
            "</body></html>\n",
        ]
    )


def section(name: str, title: str, content: str, note: str = "") -> str:
    """A section with the id `name`; `content` is HTML, `note` is text before it."""
    lines = [f'<section id="{escape(name)}"><h2>{escape(title)}</h2>']
    if note:
        lines.append(f"<p>{escape(note)}</p>")
    return "\n".join([*lines, content, "</section>"])
