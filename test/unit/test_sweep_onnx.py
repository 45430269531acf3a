"""ONNX operators, imported: what the package onnx says they compute, or refused."""

from __future__ import annotations

import pytest
from sweeps import check, sweep

pytest.importorskip("torch", reason="needs the extra 'torch'")
pytest.importorskip("onnx", reason="reads ONNX files")

EQUAL = {"A-Z": 116}
"""How many programs of each batch are imported and right, at least."""


@pytest.mark.slow
@pytest.mark.parametrize("batch", EQUAL)
def test_equal_or_refused(batch: str) -> None:
    check(f"onnx {batch}", sweep("sweep_onnx", batch), EQUAL[batch])
