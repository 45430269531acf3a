"""Reports as tables, CSV and JSON."""

from __future__ import annotations

import json
from math import inf, nan
from pathlib import Path

import pytest

from mase_opt.lib.errors import UserError
from mase_opt.lib.table import Column, Table

TABLE = Table(
    "Things",
    [Column("name"), Column("mean_size", ".1f"), Column("nothing")],
    [["block<x, [32]>", 0.25, None], ["a, b", inf, ""]],
    ["total", nan, None],
)


def written(table: Table, format: str, tmp_path: Path) -> str:
    path = tmp_path / "report"
    table.write(format, str(path))
    return path.read_text()


def test_a_table_for_people(tmp_path: Path) -> None:
    text = written(TABLE, "table", tmp_path)
    cells = [
        [cell.strip() for cell in line.split(line[0])[1:-1]]
        for line in text.splitlines()
        if line[0] in "┃│"
    ]
    assert cells == [
        ["name", "mean size"],
        ["block<x, [32]>", "0.2"],
        ["a, b", "inf"],
        ["total", "nan"],
    ]
    assert text.startswith("Things\n")


def test_csv_and_json_have_every_column(tmp_path: Path) -> None:
    assert written(TABLE, "csv", tmp_path) == (
        'name,mean_size,nothing\n"block<x, [32]>",0.25,\n"a, b",inf,\ntotal,nan,\n'
    )
    assert json.loads(written(TABLE, "json", tmp_path)) == {
        "rows": [
            {"name": "block<x, [32]>", "mean_size": 0.25, "nothing": None},
            {"name": "a, b", "mean_size": "inf", "nothing": ""},
        ],
        "total": {"name": "total", "mean_size": "nan", "nothing": None},
    }


@pytest.mark.parametrize("format", ["table", "csv", "json"])
def test_a_table_without_rows(format: str, tmp_path: Path) -> None:
    table = Table("Nothing", [Column("name"), Column("size")], [], ["total", 0])
    assert "total" in written(table, format, tmp_path)


def test_a_long_name_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    table = Table("Long", [Column("name")], [["x" * 500]], ["total"])
    table.write("table", None)
    assert "x" * 500 in capsys.readouterr().err


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"format is 'tables', .* mean 'table'"):
        TABLE.write("tables", None)
    with pytest.raises(UserError, match="it is a folder"):
        TABLE.write("csv", str(tmp_path))
