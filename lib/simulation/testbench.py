"""A cocotb test bench for the emitted SystemVerilog, with vectors."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.hardware import packing
from mase_opt.lib.hardware.interface import PortLayout
from mase_opt.lib.simulation import transactions
from mase_opt.lib.simulation.transactions import Codes

_FILES = Path(__file__).parent / "testbench_files"


def emit_testbench(
    layout: PortLayout, inputs: Codes, outputs: Codes
) -> dict[str, bytes]:
    """
    The files of `tb/`: paths and contents.

    `inputs` and `outputs` are codes of shape (samples, elements), at least one sample.
    The test bench expects the SystemVerilog in the folder above.
    """
    samples = transactions.check_inputs(layout, inputs, None)
    assert samples > 0, "a test bench needs a sample"
    data = {p.name: _hex(inputs[p.name], p.width) for p in layout.inputs}
    data |= {p.name: _hex(outputs[p.name], p.width) for p in layout.outputs}
    vectors = {"interface": layout.to_json(), "samples": samples, "data": data}
    return {
        "tb/run.py": (_FILES / "run.py").read_bytes(),
        f"tb/test_{layout.top}.py": (_FILES / "test_top.py").read_bytes(),
        "tb/vectors.json": (json.dumps(vectors, indent=1) + "\n").encode(),
    }


def _hex(codes: NDArray[np.integer], width: int) -> list[str]:
    """A number per sample, element 0 in the lowest bits."""
    return [row[::-1].tobytes().hex() for row in packing.pack(codes, width)]
