"""Torch modules and functions, imported: what they compute, or refused."""

from __future__ import annotations

import pytest
from sweeps import check, sweep

pytest.importorskip("torch", reason="needs the extra 'torch'")

EQUAL = {"modules": 115, "functions": 215, "integers": 157}
"""How many programs of each batch are imported and right, at least."""


@pytest.mark.slow
@pytest.mark.parametrize("batch", EQUAL)
def test_equal_or_refused(batch: str) -> None:
    check(f"torch {batch}", sweep("sweep_torch", batch), EQUAL[batch])
