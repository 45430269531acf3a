"""
Search for formats and hardware of the digits MLP, and compare with uniform widths.

    python examples/digits/search.py build/digits_search

Searches on the training samples, as `search.toml` says. Then, for each uniform width,
takes the cheapest point of the front with no more loss, synthesizes both with Yosys, and
measures them on the held-out fifth. Prints a Markdown table, and draws `digits.svg`
into the folder. `--trials` and `--jobs` are as in `[search.strategy.setup]`.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from train import SHAPES, split

import mase_opt as mo
from mase_opt.lib.target.yosys import Resources
from mase_opt.search.figures import svg
from mase_opt.search.report import front_figure
from mase_opt.search.study import Study, Tried

HERE = Path(__file__).parent
WIDTHS = (8, 6, 4)


@dataclass(frozen=True)
class Row:
    """A model, synthesized."""

    name: str
    loss: float
    """On the training samples."""
    accuracy: float
    """On the held-out samples."""
    resources: Resources
    latency: int

    def text(self) -> str:
        """A line of the table."""
        found = self.resources
        return (
            f"| {self.name} | {self.accuracy:.2%} | {self.loss:.4f} | {found.lut} | "
            f"{found.lut + found.route_through} | {found.carry} | {found.ff} | "
            f"{self.latency} |"
        )
