"""Reports as tables, CSV and JSON."""

from __future__ import annotations

import io
import json
from collections import Counter
from math import inf, nan
from pathlib import Path

import pytest

from mase_opt.lib.errors import UserError
from mase_opt.lib.table import Column, Table, cell_width, shorten
from mase_opt.model.report import COLUMNS

TABLE = Table(
    "Things",
    [Column("name"), Column("mean_size", ".1f"), Column("nothing")],
    [["block<x, [32]>", 0.25, None], ["a, b", inf, ""]],
    ["total", nan, None],
)
LINEAR = (
    "linear",
    "1x64 ufixed<8, 7>",
    "1x32 ufixed<8, 5>",
    "fixed<8, 7>, fixed<6, 4>",
)
RELU = ("relu", "1x32 ufixed<8, 5>", "1x32 ufixed<8, 5>", "")
COSTS = Table(
    "net: latency 4",
    COLUMNS,
    [
        ("fc1", *LINEAR, 2080, 0, 1716, 2172, 0, 2),
        ("relu", *RELU, 0, 0, 0, 0, 0, 0),
    ],
    ("total", *[None] * 4, 2080, 0, 1716, 2172, 0, 2),
)
PATHS = Table(
    "deep",
    COLUMNS,
    [
        (f"encoder.layers.{i}.attention.self.query", *LINEAR, 9, 9, 9, 9, 9, 9)
        for i in range(12)
    ],
    ("total", *[None] * 4, 9, 9, 9, 9, 9, 9),
)


def written(table: Table, format: str, tmp_path: Path) -> str:
    path = tmp_path / "report"
    table.write(format, str(path))
    return path.read_text()


def test_a_table_for_people(tmp_path: Path) -> None:
    assert written(TABLE, "table", tmp_path) == (
        "Things\n"
        "name            mean size\n"
        "─────────────────────────\n"
        "block<x, [32]>        0.2\n"
        "a, b                  inf\n"
        "─────────────────────────\n"
        "total                 nan\n"
    )


def test_80_columns() -> None:
    """What is least important goes below, and no word is broken."""
    assert COSTS.text(80, ascii=True) == (
        "net: latency 4\n"
        "                                                         register\n"
        "layer  operation  output             parameters  adders      bits  stages\n"
        "-------------------------------------------------------------------------\n"
        "fc1    linear     1x32 ufixed<8, 5>        2080    1716      2172       2\n"
        "relu   relu       1x32 ufixed<8, 5>           0       0         0       0\n"
        "-------------------------------------------------------------------------\n"
        "total                                      2080    1716      2172       2\n"
        "\n"
        "                                                                memory\n"
        "layer  input              weights                   multiplies    bits\n"
        "----------------------------------------------------------------------\n"
        "fc1    1x64 ufixed<8, 7>  fixed<8, 7>, fixed<6, 4>           0       0\n"
        "relu   1x32 ufixed<8, 5>                                     0       0\n"
        "----------------------------------------------------------------------\n"
        "total                                                        0       0\n"
    )


@pytest.mark.parametrize("table", [COSTS, PATHS, TABLE], ids=lambda t: t.title)
@pytest.mark.parametrize("width", [30, 40, 60, 79, 80, 81, 100, 132, 200])
@pytest.mark.parametrize("ascii", [False, True])
def test_every_width(table: Table, width: int, ascii: bool) -> None:
    """Lines are no longer than that, and nothing but names is cut."""
    text = table.text(width, ascii)
    assert max(map(cell_width, text.splitlines())) <= width
    assert text.isascii() or not ascii
    cells = [cell for row in table.rows for cell in row[1:] if isinstance(cell, str)]
    words, wanted = (Counter(part.split()) for part in (text, " ".join(cells)))
    assert not wanted - words


def test_without_a_width_nothing_is_cut(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    table = Table("Long", [Column("name")], [["x" * 500]], ["total"])
    table.write("table", None)
    assert f"{'x' * 500}\n" in capsys.readouterr().err
    lines = PATHS.text().splitlines()
    assert len(lines) == 1 + 2 + 12 + 2
    assert lines[1].split("  ")[0] == "layer"
    assert "register bits  memory bits" in lines[1]


def test_short_names_stay_different() -> None:
    names = {
        line.split()[0] for line in PATHS.text(80).splitlines()[2:] if "1x" in line
    }
    assert len(names) == 12
    assert all("…" in name and len(name) <= 40 for name in names)


@pytest.mark.parametrize(
    ("text", "width", "expected"),
    [
        ("abcdef", 6, "abcdef"),
        ("abcdefg", 6, "abc…fg"),
        ("abcdefg", 5, "ab…fg"),
        ("abcdefg", 1, "…"),
        ("abcdefg", 0, ""),
    ],
)
def test_shorten(text: str, width: int, expected: str) -> None:
    assert shorten(text, width, "…") == expected
    assert len(shorten(text, width, "...")) <= width


def test_wide_letters_take_two_columns() -> None:
    table = Table("", [Column("a"), Column("b")], [["層", "x"], ["yy", "x"]])
    assert table.text().splitlines()[3:] == ["層  x", "yy  x"]


def test_streams_say_what_they_can_show(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("COLUMNS", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    unicode = io.TextIOWrapper(io.BytesIO(), encoding="utf-8")
    latin = io.TextIOWrapper(io.BytesIO(), encoding="latin-1")
    assert COSTS.text_for(unicode) == COSTS.text()
    assert COSTS.text_for(latin) == COSTS.text(ascii=True)
    monkeypatch.setenv("COLUMNS", "80")
    assert COSTS.text_for(unicode) == COSTS.text(80)
    monkeypatch.setenv("TERM", "dumb")
    assert COSTS.text_for(unicode) == COSTS.text(80, ascii=True)


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


def test_a_table_without_a_total(tmp_path: Path) -> None:
    table = Table("", [Column("name"), Column("size")], [["a", 1]])
    assert table.text().splitlines()[-1] == "a        1"
    assert written(table, "csv", tmp_path) == "name,size\na,1\n"
    assert json.loads(written(table, "json", tmp_path)) == {
        "rows": [{"name": "a", "size": 1}]
    }


def test_mistakes(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"format is 'tables', .* mean 'table'"):
        TABLE.write("tables", None)
    with pytest.raises(UserError, match="it is a folder"):
        TABLE.write("csv", str(tmp_path))
