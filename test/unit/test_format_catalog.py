"""The list of formats says what the formats say."""

from __future__ import annotations

import io
import re

import numpy as np
import pytest

from mase_opt.lib.formats import MiniFloat, parse_spec
from mase_opt.lib.formats.catalog import element_format, entries, listing, number_line
from mase_opt.lib.formats.minifloat import Kind


def test_entries():
    lines = {entry.name: entry.cells[1:] for entry in entries()}
    spelled = "block<minifloat<4, 3, fn>, e8m0, [32]>"
    highest = f"{448 * 2.0**127:.6g}"
    step = f"{2.0**-136:.6g}"
    assert lines["mxfp8_e4m3"] == ("8.25", f"-{highest}", highest, step, spelled)
    assert lines["fp8_e4m3"][:4] == ("8", "-448", "448", "0.00195312")
    assert lines["fixed<8, 4>"][:4] == ("8", "-8", "7.9375", "0.0625")
    assert lines["int4_g128"] == (
        *("4.25", "-8 · scale", "7 · scale", "1 · scale"),
        "scaled<fixed<4, 0>, auto, axis = -1, group = 128>",
    )
    assert lines["msfp12"][0] == "4.5"
    assert len(lines) > 20


def test_listing_has_all_of_it(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv("COLUMNS", raising=False)
    text = listing(io.StringIO())
    for entry in entries():
        pattern = r"\s+".join(re.escape(cell) for cell in entry.cells)
        assert re.search(rf"^{pattern}$", text, re.MULTILINE), entry
    assert "  minifloat<E, M, kind, bias>\n" in text


@pytest.mark.parametrize("entry", list(entries()), ids=lambda entry: entry.name)
def test_pictures(entry):
    element = element_format(parse_spec(entry.name))
    assert element is not None
    if element.bits > 8:
        with pytest.raises(AssertionError, match="too many values"):
            number_line(element)
        return
    picture = number_line(element)
    codes = np.arange(element.min_code, element.max_code + 1)
    values = element.decode(codes)
    count = len(set(values[np.isfinite(values)].tolist()))
    assert picture.count("v20") == count
    assert f"The {count} values of" in picture


def test_a_picture_is_to_scale():
    picture = number_line(MiniFloat(2, 1, Kind.FINITE))
    places = [float(x) for x in re.findall(r"M([\d.]+) 8v20", picture)]
    values = [-6, -4, -3, -2, -1.5, -1, -0.5, 0, 0.5, 1, 1.5, 2, 3, 4, 6]
    wanted = [360 + v / 6 * 336 for v in values]
    assert places == pytest.approx(wanted, abs=0.05)
    assert re.findall(r">(-?[\d.]+)</text>", picture) == ["-6", "0", "6"]
