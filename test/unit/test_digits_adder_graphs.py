"""The digits models with and without adder graphs: the same bits at every level."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mase_opt import load
from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.dialects.mase.layers import Conv2dOp, LinearOp
from mase_opt.lib import native
from mase_opt.lib.interpreters.exact import Array
from mase_opt.model.model import Level, Model
from mase_opt.model.stages import BUILD_HARDWARE
from mase_opt.pass_options import parse_flag_options

DIGITS = Path(__file__).parents[2] / "examples" / "digits"
SAMPLES = 48

pytestmark = pytest.mark.skipif(
    not native.AVAILABLE, reason="installed without a C++ compiler"
)


def digits(name: str, data: str, quantize: str) -> tuple[Model, Array]:
    """A model, and samples for it."""
    model = load(DIGITS / f"{name}.mlir")
    model = model.calibrate(DIGITS / f"{data}_calibration.npz")
    model = model.apply("quantize", **parse_flag_options(quantize))
    with np.load(DIGITS / f"{data}_test.npz") as file:
        # Values have a sample axis before the batch of 1.
        return model, file["x"][:SAMPLES, None]


def layers(model: Model) -> tuple[int, int]:
    """How many constant layers are graphs, and how many are not."""
    ops = list(model.lowered.walk())
    graphs = sum(isinstance(op, AdderGraphOp) for op in ops)
    return graphs, sum(isinstance(op, LinearOp | Conv2dOp) for op in ops)


@pytest.mark.parametrize(
    ("name", "quantize", "graphs"),
    [
        # With graphs and 8 bits, test_mase_run.py compares them, Verilator included.
        ("mlp", "", False),
        ("mlp", "width=4", True),
        ("mlp", "width=4", False),
        ("mlp", "format=int8", True),
        ("cnn", "", False),
        ("cnn", "width=4", True),
    ],
)
def test_levels_agree(
    name: str, quantize: str, graphs: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not graphs:
        without = BUILD_HARDWARE[1:]
        monkeypatch.setattr("mase_opt.model.model.BUILD_HARDWARE", without)
    model, x = digits(name, name, quantize)
    assert layers(model) == ((2, 0) if graphs else (0, 2))
    (expected,) = model.results(Level.QUANTIZED, [x])
    for level in (Level.LOWERED, Level.RTL):
        (codes,) = model.results(level, [x])
        assert np.array_equal(codes, expected), level


@pytest.mark.parametrize("quantize", ["", "width=4"])
def test_the_transformer_keeps_its_bits(quantize: str) -> None:
    # As hardware, attention and norms have no template yet.
    model, x = digits("transformer", "cnn", quantize)
    assert layers(model) == (14, 0)
    (expected,) = model.results(Level.QUANTIZED, [x])
    (codes,) = model.results(Level.LOWERED, [x])
    assert np.array_equal(codes, expected)
