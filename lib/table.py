"""Tables about a model: for people, or as CSV or JSON for programs."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from mase_opt.lib.atomic import atomic_file
from mase_opt.lib.errors import UserError
from mase_opt.lib.suggest import did_you_mean

Cell = str | int | float | None
"""None: there is nothing to say."""
FORMATS = ("table", "csv", "json")
UNFOLDED = 1000
"""The width of a table that no terminal shows."""


@dataclass(frozen=True)
class Column:
    """A column: its name, and how its numbers look to people (a format spec)."""

    name: str
    spec: str = ""


@dataclass(frozen=True)
class Table:
    """Rows of cells, one per column, and a last row for all of them."""

    title: str
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell]]
    total: Sequence[Cell]

    def write(self, format: str, output: str | None) -> None:
        """
        Write as one of `FORMATS`, to the file `output` or to standard error.

        A table for people leaves out columns without content. CSV has the total as
        its last row. JSON is an object with a list `rows` and an object `total`;
        numbers that are not finite are strings there. Raises `UserError` if the file
        cannot be written.
        """
        width = None if output is None and sys.stderr.isatty() else UNFOLDED
        match check_format(format):
            case "csv":
                text = self._csv()
            case "json":
                text = self._json()
            case _:
                text = self._text(width)
        if output is None:
            sys.stderr.write(text)
            return
        with atomic_file(output) as stream:
            stream.write(text)

    def _csv(self) -> str:
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow([column.name for column in self.columns])
        writer.writerows([*self.rows, self.total])
        return stream.getvalue()

    def _json(self) -> str:
        names = [column.name for column in self.columns]
        rows, total = (
            [
                {name: _plain(cell) for name, cell in zip(names, row, strict=True)}
                for row in part
            ]
            for part in (self.rows, [self.total])
        )
        return json.dumps({"rows": rows, "total": total[0]}, indent=1) + "\n"

    def _text(self, width: int | None) -> str:
        from rich.console import Console
        from rich.table import Table as RichTable

        table = RichTable(title=self.title, title_justify="left")
        shown = [
            index
            for index in range(len(self.columns))
            if any(row[index] not in (None, "") for row in (*self.rows, self.total))
        ]
        for index in shown:
            left = any(isinstance(row[index], str) for row in self.rows)
            table.add_column(
                self.columns[index].name.replace("_", " "),
                justify="left" if left else "right",
                overflow="fold",
            )
        for row in self.rows:
            table.add_row(*(self._shown(row, index) for index in shown))
        table.add_section()
        table.add_row(*(self._shown(self.total, index) for index in shown))
        console = Console(file=io.StringIO(), width=width)
        with console.capture() as capture:
            console.print(table)
        return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())

    def _shown(self, row: Sequence[Cell], index: int) -> str:
        from rich.markup import escape

        cell = row[index]
        if cell is None:
            return ""
        if isinstance(cell, str):
            return escape(cell)
        return format(cell, self.columns[index].spec)


def check_format(format: str) -> str:
    """Raises `UserError` for what is not one of `FORMATS`."""
    if format not in FORMATS:
        raise UserError(
            f"options: format is '{format}', expected one of {', '.join(FORMATS)}"
            f"{did_you_mean(format, FORMATS)}"
        )
    return format


def _plain(cell: Cell) -> Cell:
    """JSON has neither infinity nor NaN."""
    return str(cell) if isinstance(cell, float) and not isfinite(cell) else cell
