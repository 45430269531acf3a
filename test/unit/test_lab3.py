"""H3, H4, H6, H12, Q15: the lab's program, from Python."""

from __future__ import annotations

import ast
import re
import runpy
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPT = Path(__file__).parents[2] / "examples/lab3.py"


@pytest.mark.slow
def test_lab3(tmp_path: Path, capsys: Any, monkeypatch: pytest.MonkeyPatch):
    """All points by hand, brute force and TPE see the same accuracies."""
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), str(tmp_path)])
    runpy.run_path(str(SCRIPT), run_name="__main__")
    said = capsys.readouterr().out
    by_hand = re.findall(r"^(\{'data_in.*\}) \((\S+), (\S+)\)$", said, re.MULTILINE)
    accuracies = {point: float(found) for point, found, _ in by_hand}
    assert len(by_hand) == len(accuracies) == 16
    # Narrower weights take fewer bits.
    wide, narrow = (float(bits) for _, _, bits in (by_hand[0], by_hand[3]))
    assert narrow < wide / 3
    best = f"{max(accuracies.values()):.3f}"
    curves = {
        name: ast.literal_eval(curve)
        for name, curve in re.findall(r"^(\w+) \{.*\} (\[.*\])$", said, re.MULTILINE)
    }
    assert [*curves] == ["brute_force", "tpe"]
    assert len(curves["brute_force"]) == 16
    assert curves["brute_force"][-1] == best
    assert all(value <= best for value in curves["tpe"])
