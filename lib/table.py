"""Tables about a model: for people, or as CSV or JSON for programs."""

from __future__ import annotations

import csv
import io
import json
import sys
import textwrap
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from html import escape
from itertools import zip_longest
from math import isfinite
from typing import TextIO

from mase_opt.lib.atomic import atomic_file
from mase_opt.lib.console import is_ascii, line_width, tell
from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean

Cell = str | int | float | None
"""None: there is nothing to say."""
FORMATS = ("table", "csv", "json")
GAP = "  "
RULE = ("─", "-")
"""Below headers and above the total, in Unicode and in ASCII."""
ELLIPSIS = ("…", "...")


@dataclass(frozen=True)
class Column:
    """A column: its name, and how it looks to people."""

    name: str
    spec: str = ""
    """The format of its numbers."""
    fold: int = 0
    """Where not all fit side by side, those of higher numbers go below the others."""


@dataclass(frozen=True)
class Table:
    """Rows of cells, one per column, and a last row for all of them."""

    title: str
    columns: Sequence[Column]
    """The first one says what a row is about."""
    rows: Sequence[Sequence[Cell]]
    total: Sequence[Cell] = ()
    """Empty: there is none."""

    def write(self, format: str, output: str | None) -> None:
        """
        Write as one of `FORMATS`, to the file `output` or to standard error.

        A table for people leaves out columns without content. CSV has the total as
        its last row. JSON is an object with a list `rows` and an object `total`;
        numbers that are not finite are strings there. Raises `UserError` if the file
        cannot be written.
        """
        match check_format(format):
            case "csv":
                text = self._csv()
            case "json":
                text = self._json()
            case _:
                text = self.text() if output is not None else self.text_for(sys.stderr)
        if output is None:
            tell(text)
            return
        with atomic_file(output) as stream:
            stream.write(text)

    def _csv(self) -> str:
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([column.name for column in self.columns])
        writer.writerows(self._all_rows())
        return stream.getvalue()

    def _json(self) -> str:
        data: dict[str, object] = {"rows": [*map(_finite, self.records())]}
        if self.total:
            data["total"] = _finite(self._record(self.total))
        return json.dumps(data, indent=1) + "\n"

    def records(self) -> list[dict[str, Cell]]:
        """The rows without the total, cells by names of columns."""
        return [self._record(row) for row in self.rows]

    def _record(self, row: Sequence[Cell]) -> dict[str, Cell]:
        names = [column.name for column in self.columns]
        return dict(zip(names, row, strict=True))

    def _all_rows(self) -> Sequence[Sequence[Cell]]:
        return [*self.rows, self.total] if self.total else self.rows

    def __str__(self) -> str:
        return self.text(80)

    def _repr_html_(self) -> str:
        return self.html()

    def html(self) -> str:
        """The table for notebooks; columns without content are left out."""
        rows = self._all_rows()
        columns = range(len(self.columns))
        shown = [i for i in columns if any(r[i] not in (None, "") for r in rows)]

        def line(cells: Sequence[Cell], tag: str) -> str:
            texts = [_text(cells[i], self.columns[i].spec) for i in shown]
            return "".join(f"<{tag}>{escape(text)}</{tag}>" for text in texts)

        head = line([column.name for column in self.columns], "th")
        body = "".join(f"<tr>{line(row, 'td')}</tr>" for row in rows)
        return (
            f"<table><caption>{escape(self.title)}</caption>"
            f"<thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"
        )

    def text_for(self, stream: TextIO | None) -> str:
        """The table as `stream` can show it."""
        return self.text(line_width(stream), is_ascii(stream))

    def text(self, width: int | None = None, ascii: bool = False) -> str:
        """
        The table for people, in lines of at most `width` characters.

        Where that is too little, long names in the first column are shortened in the
        middle, and columns go below the others, behind the names once more.
        """
        shown = self._shown(ELLIPSIS[ascii], width)
        if not shown:
            return f"{self.title}\n"
        blocks = [*_blocks(shown[0], shown[1:], width)]
        has_total = bool(self.total)
        text = "\n".join(b.text(RULE[ascii], has_total=has_total) for b in blocks)
        return f"{self.title}\n{text}"

    def _shown(self, ellipsis: str, width: int | None) -> list[_Shown]:
        """The columns with content, of names as long as they may be."""
        found: list[_Shown] = []
        for index, column in enumerate(self.columns):
            cells = [row[index] for row in self._all_rows()]
            if all(cell in (None, "") for cell in cells):
                continue
            texts = [_text(cell, column.spec) for cell in cells]
            is_text = any(isinstance(row[index], str) for row in self.rows)
            narrow = width is not None
            found.append(_Shown(column, texts, right=not is_text, narrow=narrow))
        if found and width is not None and not _fits(found, width):
            found[0].texts = _shortened(found[0].texts, width, ellipsis)
        return found


def _text(cell: Cell, spec: str) -> str:
    if cell is None:
        return ""
    return cell if isinstance(cell, str) else format(cell, spec)


@dataclass(eq=False)
class _Shown:
    """A column as text."""

    column: Column
    texts: list[str]
    """Of all rows, the total included."""
    right: bool
    """Whether the texts end below each other."""
    narrow: bool
    """Whether the name may take several lines."""

    @property
    def head(self) -> str:
        return self.column.name.replace("_", " ")

    @property
    def width(self) -> int:
        words = self.head.split() if self.narrow else [self.head]
        return max(map(cell_width, (*self.texts, *words)))


def _side_by_side(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


def _fits(columns: Sequence[_Shown], width: int) -> bool:
    return _side_by_side([column.width for column in columns]) <= width


@dataclass(frozen=True)
class _Block:
    """Columns side by side, and how wide each of them is."""

    columns: Sequence[_Shown]
    widths: Sequence[int]

    def text(self, rule: str, *, has_total: bool) -> str:
        line = rule * _side_by_side(self.widths)
        heads = [wrapped(c.head, w) for c, w in self._pairs()]
        height = max(map(len, heads))
        lines = [*self._lines([[""] * (height - len(h)) + h for h in heads]), line]
        rows = [
            [wrapped(column.texts[row], width) for column, width in self._pairs()]
            for row in range(len(self.columns[0].texts))
        ]
        for row in rows[: len(rows) - has_total]:
            lines += self._lines(row)
        # Columns of text alone have none.
        if has_total and (len(self.columns) == 1 or any(map(any, rows[-1][1:]))):
            lines += [line, *self._lines(rows[-1])]
        return "".join(f"{line}\n" for line in lines)

    def _pairs(self) -> Iterator[tuple[_Shown, int]]:
        return zip(self.columns, self.widths, strict=True)

    def _lines(self, cells: Sequence[Sequence[str]]) -> Iterator[str]:
        """The lines of a row, whose cells may have several."""
        for parts in zip_longest(*cells, fillvalue=""):
            padded = [
                " " * (width - cell_width(part)) + part
                if column.right
                else part + " " * (width - cell_width(part))
                for part, (column, width) in zip(parts, self._pairs(), strict=True)
            ]
            yield GAP.join(padded).rstrip()


def _blocks(
    name: _Shown, columns: Sequence[_Shown], width: int | None
) -> Iterator[_Block]:
    """What fits side by side, then the others, each time behind the name."""
    left: list[_Shown] = [*columns]
    if not left:
        yield _block([name], width)
    while left:
        kept: list[_Shown] = []
        for column in sorted(left, key=lambda c: c.column.fold):
            if not kept or width is None or _fits([name, *kept, column], width):
                kept.append(column)
        yield _block([name, *(c for c in left if c in kept)], width)
        left = [c for c in left if c not in kept]


def _block(columns: Sequence[_Shown], width: int | None) -> _Block:
    """A block whose last column is narrower than its texts if need be."""
    widths = [column.width for column in columns]
    if width is not None:
        excess = _side_by_side(widths) - width
        widths[-1] -= max(0, min(excess, widths[-1] - 1))
    return _Block(columns, widths)


def _shortened(names: Sequence[str], width: int, ellipsis: str) -> list[str]:
    """
    Names without their middles: of a third of a line if they stay different so, of half
    a line at most.
    """
    short: list[str] = []
    for limit in range(width // 3, max(width // 2, 1) + 1):
        short = [shorten(name, limit, ellipsis) for name in names]
        if len(set(short)) == len(set(names)):
            break
    return short


def shorten(text: str, width: int, ellipsis: str) -> str:
    """`text` in at most `width` characters, without its middle if it is longer."""
    if len(text) <= width:
        return text
    kept = max(width - len(ellipsis), 0)
    short = text[: kept - kept // 2] + ellipsis + text[len(text) - kept // 2 :]
    return short[:width]


def wrapped(text: str, width: int) -> list[str]:
    """Lines of at most `width` characters, broken at spaces where there are some."""
    if cell_width(text) <= width:
        return [text]
    return textwrap.wrap(text, width, break_on_hyphens=False)


def cell_width(text: str) -> int:
    """The columns that a text takes up on a terminal."""
    if text.isascii():
        return len(text)
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def check_format(format: str) -> str:
    """Raises `UserError` for what is not one of `FORMATS`."""
    if format not in FORMATS:
        raise UserError(
            f"options: format is '{format}', expected one of {', '.join(FORMATS)}"
            f"{did_you_mean(format, FORMATS)}"
        )
    return format


def _finite(record: dict[str, Cell]) -> dict[str, Cell]:
    """JSON has neither infinity nor NaN."""
    return {
        name: str(cell) if isinstance(cell, float) and not isfinite(cell) else cell
        for name, cell in record.items()
    }
