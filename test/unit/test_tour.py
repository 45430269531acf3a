"""The notebook: its cells run, one after the other."""

import json
from pathlib import Path
from typing import Any

import pytest

TOUR = Path(__file__).parents[2] / "examples" / "digits" / "tour.ipynb"


def test_the_tour(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(TOUR.parent)
    notebook = json.loads(TOUR.read_text(encoding="utf-8"))
    names: dict[str, Any] = {}
    for cell in notebook["cells"]:
        assert not cell.get("outputs"), "commit notebooks without outputs"
        if cell["cell_type"] == "code":
            exec(compile("".join(cell["source"]), TOUR.name, "exec"), names)
    accuracies = [accuracy for _, _, accuracy, _ in names["points"]]
    luts = [lut for *_, lut in names["points"]]
    assert min(accuracies) > 0.5
    assert luts[0] < luts[1] < luts[3]
    assert names["result"].verified >= 64
