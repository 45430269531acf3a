"""
Adder graphs of constant matrices: solve time and size, with da4ml as the peer.

Random 8-bit matrices from a fixed seed, the same for both. `solve` cases compare CPU
seconds and the number of adders, da4ml in its fast mode (one decomposition); `synth`
cases compare what Yosys makes of the pipelined circuit (`synth_xilinx -family xcup`, no
DSP), three adders per stage. Prints one JSON line per case. The peer is left out where
it is not installed, and where it would take minutes.

    python bench/bench_adder_graph.py            # all of it
    python bench/bench_adder_graph.py solve 64   # some of it
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp, TensorType

from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.dialects.mase.types import FixedType
from mase_opt.lib import native
from mase_opt.lib.conversion.convert_mase_to_hw import ConvertMaseToHwPass
from mase_opt.lib.target.circt import export_verilog
from mase_opt.lib.target.layout import port_layout
from mase_opt.lib.target.yosys import synthesize

SEED = 0
CUTOFF = 3
"""Adders per pipeline stage."""
SOLVE = {64: (0, 1, 2), 128: (0, 1), 256: (1,), 512: (1,)}
"""Rows and columns, and the efforts that are measured."""
PEER_UP_TO = 128
SYNTH = (16, 64)
SYNTH_EFFORTS = (0, 1, 2)
HAS_PEER = find_spec("da4ml") is not None


def matrix(rows: int, columns: int) -> NDArray[np.int64]:
    """Uniform from -128 to 127."""
    return np.random.default_rng(SEED).integers(-128, 128, (rows, columns))


def ours(weights: NDArray[np.int64], effort: int) -> tuple[native.AdderGraph, float]:
    """A graph, and the CPU seconds that it took, of all threads."""
    ranges = np.tile(np.array([[-128, 127]]), (len(weights), 1))
    start = time.process_time()
    graph = native.solve(weights, ranges, effort=effort)
    return graph, time.process_time() - start


def depth_of(graph: native.AdderGraph, inputs: int) -> int:
    """The most adders between an input and an output."""
    depth = [0] * inputs
    nodes: list[list[int]] = graph.nodes.tolist()
    for a, b, *_ in nodes:
        depth.append(max(depth[a], depth[b]) + 1)
    return max(depth)


def solve_case(size: int) -> None:
    """Solve time and adders for a square matrix."""
    weights = matrix(size, size)
    line: dict[str, Any] = {"benchmark": "adder_graph_solve", "size": size}
    for effort in SOLVE[size]:
        graph, seconds = ours(weights, effort)
        line[f"adders_effort_{effort}"] = len(graph.nodes)
        line[f"depth_effort_{effort}"] = depth_of(graph, size)
        line[f"cpu_s_effort_{effort}"] = round(seconds, 3)
    if HAS_PEER and size <= PEER_UP_TO:
        peer: Any = import_module("da4ml.cmvm")
        start = time.process_time()
        solution = peer.solve(weights.astype(np.float32), search_all_decompose_dc=False)
        seconds = time.process_time() - start
        line["da4ml_adders"] = int(solution.cost)
        line["da4ml_cpu_s"] = round(seconds, 3)
        best = min(line[f"cpu_s_effort_{e}"] for e in SOLVE[size])
        line["time_over_da4ml"] = round(best / seconds, 3)
    print(json.dumps(line), flush=True)


def circuit(weights: NDArray[np.int64], effort: int) -> dict[str, Any]:
    """What Yosys makes of our pipelined graph."""
    inputs, outputs = weights.shape
    graph, seconds = ours(weights, effort)
    function = func.FuncOp("top", ([TensorType(FixedType(8, 0), (1, inputs))], ()))
    op = AdderGraphOp(
        function.args[0],
        graph.nodes,
        graph.outputs,
        np.zeros(int(outputs), np.int64),
        frac=0,
        element=FixedType(21, 0),
    )
    function.body.block.add_ops([op, func.ReturnOp(op)])
    function.update_function_type()
    module = ModuleOp([function])
    ConvertMaseToHwPass(max_logic_depth=CUTOFF).apply(Context(), module)
    resources = synthesize(export_verilog(module), "top")
    return {
        "lut": resources.lut,
        "ff": resources.ff,
        "latency": port_layout(module).latency,
        "yosys": resources.version,
        "solve_cpu_s": round(seconds, 3),
    }


def peer_circuit(weights: NDArray[np.int64]) -> dict[str, Any]:
    """The same for da4ml: its own Verilog, cut into stages by itself."""
    codegen: Any = import_module("da4ml.codegen")
    trace: Any = import_module("da4ml.trace")
    start = time.process_time()
    inputs = trace.FixedVariableArrayInput(len(weights))
    outputs = inputs.quantize(1, 7, 0) @ weights.astype(np.float64)
    logic = trace.comb_trace(inputs, outputs)
    seconds = time.process_time() - start
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        model = codegen.VerilogModel(
            logic, "top", folder / "model", latency_cutoff=CUTOFF
        )
        model.write()
        sources = sorted((folder / "model").rglob("*.v"))
        # Not used here, and reads a table that does not exist.
        sources = [s for s in sources if s.name != "lookup_table.v"]
        text = "\n".join(s.read_text(encoding="utf-8") for s in sources)
        resources = synthesize(text, "top")
        stages = sum(s.name.startswith("top_stage") for s in sources)
    return {
        "lut": resources.lut,
        "ff": resources.ff,
        "latency": stages - 1,
        "solve_cpu_s": round(seconds, 3),
    }


def synth_case() -> None:
    """Tables and registers of a pipelined matrix."""
    weights = matrix(*SYNTH)
    rows, columns = SYNTH
    line: dict[str, Any] = {
        "benchmark": "adder_graph_synth",
        "size": f"{rows}x{columns}",
    }
    for effort in SYNTH_EFFORTS:
        line[f"effort_{effort}"] = circuit(weights, effort)
    if HAS_PEER:
        line["da4ml"] = peer_circuit(weights)
        for effort in SYNTH_EFFORTS:
            ratio = line[f"effort_{effort}"]["lut"] / line["da4ml"]["lut"]
            line[f"lut_over_da4ml_effort_{effort}"] = round(ratio, 3)
    print(json.dumps(line), flush=True)


def main() -> None:
    """Measure the cases that the command line names."""
    if not native.AVAILABLE:
        sys.exit("the solver is not installed: it takes a C++ compiler")
    kinds = [a for a in sys.argv[1:] if not a.isdigit()] or ["solve", "synth"]
    sizes = [int(a) for a in sys.argv[1:] if a.isdigit()] or list(SOLVE)
    if "solve" in kinds:
        for size in sizes:
            solve_case(size)
    if "synth" in kinds:
        synth_case()


if __name__ == "__main__":
    main()
