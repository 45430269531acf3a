"""
Damaged and hostile inputs of every kind: an error in a line, or the right result.

`MASE_MUTATION_SEED=7 MASE_MUTATION_FACTOR=10 pytest test/unit/test_mutations.py` hunts
among others, ten times as many.
"""

from __future__ import annotations

import os
import random
from collections.abc import Callable
from pathlib import Path

import mutations
import pytest
from mutations import Mutant, hunt

FACTOR = int(os.environ.get("MASE_MUTATION_FACTOR", "1"))

CASES = {
    "text": 800,
    "data": 600,
    "config": 250,
    "options": 200,
    "plugin": 100,
    "emitted": 60,
    "torch_text": 60,
    "onnx": 60,
    "pt2": 40,
}
"""How many inputs of each kind; those for torch take longest."""


def maker(kind: str, folder: Path) -> Callable[[random.Random], Mutant]:
    """What makes a mutant of a kind."""
    made = getattr(mutations, kind)
    match kind:
        case "text":
            corpus = mutations.corpus()
            return lambda rng: made(rng, corpus)
        case "emitted":
            original = folder / "original"
            original.mkdir()
            files = mutations.emitted_folder(original)
            return lambda rng: made(rng, files)
        case "onnx":
            pytest.importorskip("onnx", reason="reads ONNX files")
            model = mutations.onnx_model()
            return lambda rng: made(rng, model)
        case "pt2":
            pytest.importorskip("torch", reason="needs the extra 'torch'")
            program = mutations.pt2_program()
            return lambda rng: made(rng, program)
        case _:
            return made


@pytest.mark.slow
@pytest.mark.parametrize("part", range(2))
@pytest.mark.parametrize("kind", CASES)
def test_an_error_or_the_right_result(kind: str, part: int, tmp_path: Path) -> None:
    count = CASES[kind] * FACTOR // 2
    cases = range(part * count, (part + 1) * count)
    found = list(hunt(kind, maker(kind, tmp_path), cases, tmp_path))
    assert not found, "\n".join(found)
