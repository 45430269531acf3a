"""
Adder graphs of constant layers: solve time and lookup tables, with da4ml as the peer.

Weights are random from a fixed seed, uniform from -128 to 127 or normal (sigma 32), or
those of the trained digits model. Ours is a module of the mase dialect on its way to
SystemVerilog; the peer, where it is installed, computes the same module, which is
compared bit by bit on random inputs. Both are cut into stages by their own tools, get
registers at their ports, and are mapped by Yosys (`synth_xilinx -family xcup`, no DSP),
which leaves out the tables that carries pass through (`route_through`). Prints one JSON
line per case:

- `solve`: CPU seconds (the least of three runs), adders, the bits that they add and
  memory for square matrices, by effort. The peer runs once, in its fast mode (one
  decomposition), and estimates tables; it is left out where it takes minutes;
- `synth`: matrices of 16x64 and 64x64, three adders per stage;
- `effort`: the former by effort: adders, the bits that they add, tables;
- `narrow`, `sparse`: the same with weights of 4 and 6 bits, and with 50 % and 80 % of
  them zero;
- `mlp`: 16-64-32-32-5, ReLU, half up, saturating, five adders per stage;
- `lenet`: two convolutions, two pools, two dense layers on 12x12, unrolled, in as many
  stages as the peer takes;
- `digits`: the trained models.

    python bench/bench_adder_graph.py                 # all of it: most of an hour
    python bench/bench_adder_graph.py solve 64 synth  # some of it
    python bench/bench_adder_graph.py mlp --no-peer
"""

from __future__ import annotations

import json
import resource
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from importlib import import_module
from importlib.util import find_spec
from math import prod
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.builder import ImplicitBuilder
from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import Operation, SSAValue

from mase_opt import load
from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.base import ArithmeticOp
from mase_opt.dialects.mase.elementwise import ReluOp
from mase_opt.dialects.mase.layers import Conv2dOp, LinearOp
from mase_opt.dialects.mase.pooling import MaxPoolOp
from mase_opt.dialects.mase.shape import ConstantOp, ReshapeOp
from mase_opt.dialects.mase.types import (
    FixedType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.lib import native
from mase_opt.lib.adder_graphs.solver import added_bits
from mase_opt.lib.adder_graphs.unroll import Graph
from mase_opt.lib.analysis.ranges import Ranges
from mase_opt.lib.conversion.convert_mase_to_hw import ConvertMaseToHwPass
from mase_opt.lib.formats import Fixed, Overflow, RoundingMode
from mase_opt.lib.hardware.interface import PortLayout
from mase_opt.lib.interpreters.mase import evaluate, main_function
from mase_opt.lib.target.circt import export_verilog
from mase_opt.lib.target.layout import port_layout
from mase_opt.lib.target.yosys import Resources, synthesize
from mase_opt.lib.transforms.mase_build_adder_graphs import MaseBuildAdderGraphsPass
from mase_opt.model.emit import run_pass

SEED = 0
EFFORT = 1
EFFORTS = range(4)
SOLVE = {64: (0, 1, 2), 128: (0, 1), 256: (1,), 512: (1,)}
"""Rows and columns, and the efforts that are measured."""
RUNS = 3
"""Of which the fastest counts."""
PEER_UP_TO = 128
MATRIX = (16, 64)
LARGE_MATRIX = (64, 64)
MATRIX_DEPTH = 3
"""Adders per pipeline stage."""
MLP = (16, 64, 32, 32, 5)
NETWORK_DEPTH = 5
NETWORK_MAX_DEPTH = 8
"""Adders in a row per layer: as few as the widest layer can do with."""
LENET_STAGES = 8
"""As many as the peer has with `NETWORK_DEPTH`, by its count of levels."""
ACTIVATION = FixedType(8, 4)
WEIGHT = FixedType(8, 6)
HALF_UP = RoundingAttr((RoundingMode.HALF_UP, Overflow.SATURATE))
SAMPLES = 256
SHELL = "registered"
"""What holds a circuit and registers at its ports."""
DIGITS = Path(__file__).parents[1] / "examples" / "digits"

Codes = NDArray[np.int64]
Draw = Callable[[Sequence[int]], Codes]


def uniform(rng: np.random.Generator, bits: int = 8) -> Draw:
    """All codes alike."""
    half = 1 << (bits - 1)
    return lambda shape: rng.integers(-half, half, shape)


def normal(rng: np.random.Generator) -> Draw:
    """Sigma 32, clipped to 8 bits."""
    return lambda shape: np.clip(np.rint(rng.normal(0, 32, shape)), -128, 127).astype(
        np.int64
    )


def sparse(rng: np.random.Generator, zeros: float) -> Draw:
    """Some of them zero."""
    return lambda shape: rng.integers(-128, 128, shape) * (rng.random(shape) >= zeros)


def weights(name: str) -> Draw:
    """The weights of that name, from the start."""
    rng = np.random.default_rng(SEED)
    match name:
        case "uniform":
            return uniform(rng)
        case "normal":
            return normal(rng)
        case "50_%_zero" | "80_%_zero":
            return sparse(rng, int(name[:2]) / 100)
        case _:
            return uniform(rng, int(name.removesuffix("_bits")))


# ---- models -------------------------------------------------------------------------


def model(shape: Sequence[int], build: Callable[[SSAValue], Operation]) -> ModuleOp:
    """A function of one operand."""
    function = func.FuncOp("top", ([TensorType(ACTIVATION, shape)], ()))
    block = function.body.block
    with ImplicitBuilder(block):
        func.ReturnOp(build(block.args[0]))
    function.update_function_type()
    module = ModuleOp([function])
    module.verify()
    return module


def matrix(draw: Draw, shape: tuple[int, int] = MATRIX) -> ModuleOp:
    """One matrix product, exact."""
    rows, columns = shape
    width = ACTIVATION.format.width + WEIGHT.format.width + rows.bit_length()
    wide = FixedType(width, ACTIVATION.format.frac + WEIGHT.format.frac)
    codes = draw((rows, columns)).T

    def build(x: SSAValue) -> Operation:
        return LinearOp(x, ConstantOp.of(codes, WEIGHT), element=wide, layer="fc")

    return model((1, rows), build)


def dense(x: SSAValue, draw: Draw, outputs: int, index: int) -> LinearOp:
    """A linear layer with bias."""
    codes = draw((outputs, shape_of(x)[-1]))
    bias = ConstantOp.of(draw((outputs,)), WEIGHT)
    return LinearOp(
        x,
        ConstantOp.of(codes, WEIGHT),
        bias,
        element=ACTIVATION,
        layer=f"fc{index}",
        rounding=HALF_UP,
    )


def mlp(draw: Draw) -> ModuleOp:
    """Linear layers with ReLU between them."""

    def build(x: SSAValue) -> Operation:
        layer = dense(x, draw, MLP[1], 0)
        for index, outputs in enumerate(MLP[2:], 1):
            layer = dense(ReluOp(layer).result, draw, outputs, index)
        return layer

    return model((1, MLP[0]), build)


def lenet(draw: Draw) -> ModuleOp:
    """Two convolutions of 3x3, each with ReLU and pool, two linear layers."""

    def build(x: SSAValue) -> Operation:
        for index, channels in enumerate((4, 8)):
            taps = (channels, shape_of(x)[1], 3, 3)
            convolution = Conv2dOp(
                x,
                ConstantOp.of(draw(taps), WEIGHT),
                ConstantOp.of(draw((channels,)), WEIGHT),
                element=ACTIVATION,
                layer=f"conv{index}",
                rounding=HALF_UP,
            )
            x = MaxPoolOp(ReluOp(convolution), (2, 2)).result
        x = ReshapeOp(x, (1, prod(shape_of(x)))).result
        return dense(ReluOp(dense(x, draw, 16, 0)).result, draw, 10, 1)

    return model((1, 1, 12, 12), build)


def digits(name: str) -> ModuleOp:
    """A trained model with 8 bits."""
    module = load(DIGITS / f"{name}.mlir").ir.clone()
    data = str(DIGITS / f"{name}_calibration.npz")
    run_pass(
        Context(), module, "mase-quantize", {"data": (data,), "rounding": ("half_up",)}
    )
    return module


# ---- ours and the peer's ------------------------------------------------------------


def tables(resources: Resources) -> dict[str, Any]:
    """Tables and registers, and what carries take besides."""
    return {
        "lut": resources.lut,
        "route_through": resources.route_through,
        "carry": resources.carry,
        "ff": resources.ff,
    }


def with_graphs(
    module: ModuleOp, effort: int, max_depth: int | None = None
) -> tuple[ModuleOp, float]:
    """Constant layers as graphs, and the CPU seconds of that, of all threads."""
    module = module.clone()
    start = time.process_time()
    MaseBuildAdderGraphsPass(effort, max_depth).apply(Context(), module)
    return module, time.process_time() - start


def adders(module: ModuleOp) -> dict[str, int]:
    """How many, and the bits that both operands of one have: the estimate."""
    count = bits = 0
    ranges = Ranges()
    for op in module.walk():
        if isinstance(op, AdderGraphOp):
            codes = ranges.codes(op.input).reshape(2, -1, shape_of(op.input)[-1])
            ends = np.stack([codes[0].min(axis=0), codes[1].max(axis=0)], axis=1)
            graph = Graph(op.product_table, op.node_table, op.output_table)
            count += len(codes[0]) * len(graph.nodes)
            bits += len(codes[0]) * added_bits(graph, ends)
        ranges.visit(op)
    return {"adders": count, "added_bits": bits}


def ours(
    module: ModuleOp,
    effort: int,
    depth: int,
    max_depth: int | None = None,
    stages: int | None = None,
) -> dict[str, Any]:
    """What Yosys makes of a module, in stages of `depth` levels or in `stages`."""
    module, seconds = with_graphs(module, effort, max_depth)
    line = adders(module)
    limit = depth if stages is None else None
    ConvertMaseToHwPass(max_logic_depth=limit, stages=stages).apply(Context(), module)
    layout = port_layout(module)
    text = export_verilog(module) + registered(layout)
    resources = synthesize(text, SHELL, dsp=False)
    return {
        **line,
        **tables(resources),
        "latency": layout.latency,
        "logic_depth": layout.logic_depth,
        "solve_cpu_s": round(seconds, 3),
        "yosys": resources.version,
    }


def registered(layout: PortLayout) -> str:
    """A circuit between registers at its ports, which the peer's circuits have."""
    ports, wires = ["input clk"], [f"{layout.top} circuit(.in_valid(1'b1)"]
    wires += [".clk(clk), .rst(1'b0)"] if layout.has_clock else []
    body: list[str] = []
    for port in layout.ports:
        name, bits = port.name, f"[{port.elements * port.width - 1}:0]"
        wires.append(f".{name}(at_{name})")
        if port.direction == "in":
            ports.append(f"input {bits} {name}")
            body.append(f"reg {bits} at_{name};")
            body.append(f"always @(posedge clk) at_{name} <= {name};")
        else:
            ports.append(f"output reg {bits} {name}")
            body.append(f"wire {bits} at_{name};")
            body.append(f"always @(posedge clk) {name} <= at_{name};")
    head = f"module {SHELL}({', '.join(ports)});"
    return "\n".join([head, *body, f"{', '.join(wires)});", "endmodule", ""])


def traced(module: ModuleOp) -> Any:
    """The module in da4ml's way."""
    trace: Any = import_module("da4ml.trace")
    function = main_function(module)
    (argument,) = function.args
    x = trace.FixedVariableArrayInput(shape_of(argument))
    data = _fixed(argument)
    values: dict[SSAValue, Any] = {argument: x.quantize(*_bits(data))}
    for op in function.body.block.ops:
        match op:
            case ConstantOp():
                codes = np.asarray(op.codes(), np.float64)
                shaped = codes.reshape(shape_of(op.result))
                values[op.result] = shaped * 2.0 ** -_fixed(op.result).frac
            case LinearOp():
                value = values[op.input] @ values[op.weight].T
                values[op.result] = _finish(op, value, values, (-1,))
            case Conv2dOp():
                height, width = op.padding.get_values()
                padding = [(0, 0), (0, 0), (height, height), (width, width)]
                value = _convolution(
                    np.pad(values[op.input], padding), values[op.weight]
                )
                values[op.result] = _finish(op, value, values, (-1, 1, 1))
            case ReluOp():
                values[op.result] = _quantized(values[op.input].relu(), op.result, op)
            case MaxPoolOp():
                *lead, rows, columns = shape_of(op.result)
                used = values[op.input][..., : 2 * rows, : 2 * columns]
                blocks = used.reshape(*lead, rows, 2, columns, 2)
                values[op.result] = np.amax(blocks, (-3, -1))
            case ReshapeOp():
                values[op.result] = values[op.input].reshape(shape_of(op.result))
            case func.ReturnOp():
                (result,) = op.arguments
                return trace.comb_trace(values[argument], values[result])
            case _:
                raise ValueError(f"the peer has no {op.name} here")
    raise AssertionError("a function returns")


def _finish(
    op: LinearOp | Conv2dOp,
    value: Any,
    values: dict[SSAValue, Any],
    shape: tuple[int, ...],
) -> Any:
    """With bias, rounded."""
    if op.bias is not None:
        value = value + values[op.bias].reshape(shape)
    return _quantized(value, op.result, op)


def _quantized(x: Any, value: SSAValue, op: ArithmeticOp) -> Any:
    """Rounded to the type of `value`; what is not exact is rounded half up."""
    assert op.rounding in (HALF_UP, RoundingAttr.DEFAULT), "the peer's rounding"
    return x.quantize(*_bits(_fixed(value)), "SAT", "RND")


def _fixed(value: SSAValue) -> Fixed:
    format = exact_format(element_of(value))
    assert format is not None
    return format


def _bits(format: Fixed) -> tuple[int, int, int]:
    """Of the sign, of the integer, of the fraction."""
    integer = format.width - format.signed - format.frac
    return int(format.signed), integer, format.frac


def _convolution(x: Any, kernel: NDArray[np.float64]) -> Any:
    """Without strides, by windows side by side."""
    outputs, _, height, width = kernel.shape
    channels, rows, columns = (int(size) for size in x.shape[1:])
    places = np.arange(channels * rows * columns).reshape(channels, rows, columns)
    windows = [
        places[:, r : r + height, c : c + width].ravel()
        for r in range(rows - height + 1)
        for c in range(columns - width + 1)
    ]
    y = x.reshape(-1)[np.stack(windows)] @ kernel.reshape(outputs, -1).T
    return y.T.reshape(1, outputs, rows - height + 1, columns - width + 1)


def peers(module: ModuleOp, depth: int) -> dict[str, Any]:
    """What Yosys makes of the peer's Verilog; raises if the numbers differ."""
    codegen: Any = import_module("da4ml.codegen")
    start = time.process_time()
    logic = traced(module)
    seconds = time.process_time() - start
    _compare(module, logic)
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch)
        verilog = codegen.VerilogModel(
            logic, "top", folder / "model", latency_cutoff=depth
        )
        verilog.write()
        sources = sorted((folder / "model").rglob("*.v"))
        # Not used here, and reads a table that does not exist.
        sources = [s for s in sources if s.name != "lookup_table.v"]
        text = "\n".join(s.read_text(encoding="utf-8") for s in sources)
        resources = synthesize(text, "top", dsp=False)
        stages = sum(s.name.startswith("top_stage") for s in sources)
    return {
        "estimate": logic.cost,
        **tables(resources),
        "latency": stages - 1,
        "solve_cpu_s": round(seconds, 3),
    }


def _compare(module: ModuleOp, logic: Any) -> None:
    function = main_function(module)
    returned = function.get_return_op()
    assert returned is not None
    (argument,), (result,) = function.args, returned.operands
    data, codes = _fixed(argument), _fixed(result)
    rng = np.random.default_rng(SEED)
    shape = (SAMPLES, *shape_of(argument))
    x = rng.integers(data.min_code, data.max_code, shape, endpoint=True)
    (expected,) = evaluate(with_graphs(module, 0)[0], [x])
    found = logic.predict(x.reshape(SAMPLES, -1) * 2.0**-data.frac) * 2.0**codes.frac
    if not np.array_equal(found, expected.reshape(SAMPLES, -1)):
        raise ValueError("the peer computes other numbers")


# ---- cases --------------------------------------------------------------------------


def report(case: str, line: dict[str, Any]) -> None:
    """One case; tables are compared with the peer's if it took part."""
    mine, peer = line.get("ours"), line.get("da4ml")
    if mine and peer:
        line["lut_over_da4ml"] = round(mine["lut"] / peer["lut"], 3)
        mine, peer = (r["lut"] + r["route_through"] for r in (mine, peer))
        line["with_route_through"] = round(mine / peer, 3)
    print(json.dumps({"benchmark": f"adder_graph_{case}", **line}), flush=True)


def compare(case: str, module: ModuleOp, with_peer: bool, **about: Any) -> None:
    """A matrix, or a network, and the peer's."""
    network = any(isinstance(op, ReluOp) for op in module.walk())
    depth = NETWORK_DEPTH if network else MATRIX_DEPTH
    max_depth = NETWORK_MAX_DEPTH if network else None
    stages = LENET_STAGES if case == "lenet" else None
    line = {**about, "ours": ours(module, EFFORT, depth, max_depth, stages)}
    if with_peer:
        line["da4ml"] = peers(module, depth)
    report(case, line)


def solved(size: int, effort: int) -> dict[str, float]:
    """Adders and what they add, depth, time and memory for a square matrix."""
    codes = weights("uniform")((size, size))
    ends = np.tile(np.array([[-128, 127]]), (size, 1))

    def seconds() -> float:
        start = time.process_time()
        native.solve(codes, ends, effort=effort)
        return time.process_time() - start

    graph = native.solve(codes, ends, effort=effort)
    least = min(seconds() for _ in range(RUNS))
    depth = [0] * size
    nodes: list[list[int]] = graph.nodes.tolist()
    for a, b, *_ in nodes:
        depth.append(max(depth[a], depth[b]) + 1)
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    outputs = graph.outputs.astype(np.int64)
    whole = Graph(np.zeros((0, 2), np.int64), graph.nodes.astype(np.int64), outputs)
    return {
        "adders": len(nodes),
        "added_bits": added_bits(whole, ends),
        "depth": max(depth),
        "cpu_s": round(least, 3),
        "peak_rss_mib": memory >> 10,
    }


def solve(sizes: Iterable[int], with_peer: bool) -> None:
    """Solve times, each in a process of its own."""
    previous: tuple[int, float] | None = None
    for size in sizes:
        line: dict[str, Any] = {"size": size}
        for effort in SOLVE[size]:
            with ProcessPoolExecutor(1, get_context("spawn")) as pool:
                line[f"effort_{effort}"] = pool.submit(solved, size, effort).result()
        seconds = line[f"effort_{EFFORT}"]["cpu_s"]
        if previous is not None and size == 2 * previous[0]:
            line["growth"] = round(seconds / previous[1], 2)
        previous = size, seconds
        if with_peer and size <= PEER_UP_TO:
            peer: Any = import_module("da4ml.cmvm")
            codes = weights("uniform")((size, size)).astype(np.float32)
            start = time.process_time()
            solution = peer.solve(
                codes,
                qintervals=[(-128.0, 127.0, 1.0)] * size,
                adder_size=1,
                carry_size=-1,
                search_all_decompose_dc=False,
            )
            spent = time.process_time() - start
            line["da4ml"] = {"estimate": solution.cost, "cpu_s": round(spent, 3)}
            line["time_over_da4ml"] = round(seconds / spent, 4)
        elif with_peer:
            line["da4ml"] = "left out: it takes minutes"
        report("solve", line)


def synth(with_peer: bool) -> None:
    for name in ("uniform", "normal"):
        compare("synth", matrix(weights(name)), with_peer, weights=name)
    large = matrix(weights("uniform"), LARGE_MATRIX)
    compare("synth", large, with_peer, weights="uniform", shape=LARGE_MATRIX)


def effort(with_peer: bool) -> None:
    module = matrix(weights("uniform"))
    for level in EFFORTS:
        line = {"effort": level, "ours": ours(module, level, MATRIX_DEPTH)}
        report("effort", line)


def narrow(with_peer: bool) -> None:
    for name in ("4_bits", "6_bits"):
        compare("narrow", matrix(weights(name)), with_peer, weights=name)


def zeros(with_peer: bool) -> None:
    for name in ("50_%_zero", "80_%_zero"):
        compare("sparse", matrix(weights(name)), with_peer, weights=name)


def network(with_peer: bool) -> None:
    for name in ("uniform", "normal"):
        compare("mlp", mlp(weights(name)), with_peer, weights=name)


def convolutions(with_peer: bool) -> None:
    for name in ("uniform", "normal"):
        compare("lenet", lenet(weights(name)), with_peer, weights=name)


def trained(with_peer: bool) -> None:
    for name in ("mlp", "cnn"):
        compare("digits", digits(name), with_peer, model=name)


CASES: dict[str, Callable[[bool], None]] = {
    "synth": synth,
    "effort": effort,
    "narrow": narrow,
    "sparse": zeros,
    "mlp": network,
    "lenet": convolutions,
    "digits": trained,
}


def main() -> None:
    """Measure the cases that the command line names."""
    if not native.AVAILABLE:
        sys.exit("the solver is not installed: it takes a C++ compiler")
    arguments = sys.argv[1:]
    with_peer = find_spec("da4ml") is not None and "--no-peer" not in arguments
    sizes = [int(a) for a in arguments if a.isdigit()] or list(SOLVE)
    names = [a for a in arguments if not a.isdigit() and a != "--no-peer"]
    unknown = set(names) - {"solve", *CASES}
    if unknown or not set(sizes) <= set(SOLVE):
        sys.exit(f"cases are solve {' '.join(map(str, SOLVE))} {' '.join(CASES)}")
    if not names or "solve" in names:
        solve(sizes, with_peer)
    for name, case in CASES.items():
        if not names or name in names:
            case(with_peer)


if __name__ == "__main__":
    main()
