"""A cocotb test bench for the emitted SystemVerilog, with vectors."""

from __future__ import annotations

import json
from collections.abc import Collection
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.hardware import packing
from mase_opt.lib.hardware.interface import Port, PortLayout
from mase_opt.lib.hardware.memory import file_name
from mase_opt.lib.simulation import transactions
from mase_opt.lib.simulation.transactions import Codes
from mase_opt.lib.streams.layout import BEYOND

_FILES = Path(__file__).parent / "testbench_files"


def emit_testbench(
    layout: PortLayout, inputs: Codes, outputs: Codes, memories: Collection[str] = ()
) -> dict[str, bytes]:
    """
    The files of `tb/`: paths and contents.

    `inputs` and `outputs` are codes of shape (samples, elements), at least one sample.
    The test bench expects the SystemVerilog in the folder above, and the files of
    `memories`.
    """
    samples = transactions.check_inputs(layout, inputs, None)
    assert samples > 0, "a test bench needs a sample"
    codes = {**inputs, **outputs}
    vectors: dict[str, Any] = {
        "interface": layout.to_json(),
        "samples": samples,
        "memories": [file_name(name) for name in memories],
        "data": {p.name: _hex(_rows(p, codes[p.name]), p.width) for p in layout.ports},
    }
    if layout.has_channels:
        vectors["defined"] = {p.name: _defined(p) for p in layout.ports}
    return {
        "tb/run.py": (_FILES / "run.py").read_bytes(),
        f"tb/test_{layout.top}.py": (_FILES / "test_top.py").read_bytes(),
        "tb/vectors.json": (json.dumps(vectors, indent=1) + "\n").encode(),
    }


def _rows(port: Port, codes: NDArray[np.integer]) -> NDArray[np.integer]:
    """What is in the port at a time: samples, or their beats."""
    return codes if port.channel is None else transactions.to_beats(port, codes)


def _defined(port: Port) -> list[list[int]]:
    """The elements of each beat of a sample that do not lie beyond the end."""
    assert port.channel is not None
    inside = port.channel.indices != BEYOND
    return [np.flatnonzero(lanes).tolist() for lanes in inside]


def _hex(codes: NDArray[np.integer], width: int) -> list[str]:
    """A number per row, element 0 in the lowest bits."""
    return [row[::-1].tobytes().hex() for row in packing.pack(codes, width)]
