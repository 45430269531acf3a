"""
Simulation in process against Verilator -O3 on the same circuits, in the same run.

Per circuit one JSON line for the rate and one for the time from the circuit in memory
to the first result, tools and their imports included. Rates are the median of several
runs, the two simulators in turn: in process from codes to codes, of Verilator the C++
loop alone, without files and packing. Results are compared.

For models, also the CPU time for the vectors of a verification, of which few are worth
compiling a circuit: evaluated by NumPy, against compiled in process.

`python bench/bench_simulation.py [generated] [mlp] [cnn]`: a generated MLP with
multipliers, and the digits models; `generated mlp` by default.
"""

from __future__ import annotations

import itertools
import json
import random
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from xdsl.dialects.builtin import ModuleOp

from mase_opt.lib.hardware import packing
from mase_opt.lib.hardware.interface import Port, PortLayout
from mase_opt.lib.simulation import verilator
from mase_opt.lib.simulation.evaluator import Evaluator
from mase_opt.lib.simulation.simulator import Simulator
from mase_opt.lib.simulation.transactions import Codes
from mase_opt.lib.target import circt

RUNS = 5
SAMPLES = 200_000
VERIFIED = 265
"""Vectors on which mase-opt compares circuit and model where nothing else is said."""
VERIFY_TARGET = 0.15
RATE_TARGET = 1.3
FIRST_TARGET = 0.2
DIGITS = Path(__file__).parents[1] / "examples" / "digits"
SIZES = (64, 32, 10)
WIDTH = 8
SUM_WIDTH = 24


def generated() -> tuple[str, PortLayout]:
    """An unrolled MLP of multipliers and adder trees, a register every 3 adders."""
    draw = random.Random(0)
    modules: list[str] = []
    ports = f"in %clk: !seq.clock, in %rst: i1, in %in_valid: i1, in %x: i{64 * WIDTH}"
    top = [
        f"hw.module @generated({ports}, out out_valid: i1, out y: i{10 * WIDTH}) {{",
        "%false = hw.constant false",
    ]
    value, valid, stages = "%x", "%in_valid", 0
    for layer, (inputs, outputs) in enumerate(itertools.pairwise(SIZES)):
        depth = _layer(modules, draw, f"layer{layer}", inputs, outputs)
        top.append(
            f'%l{layer} = hw.instance "layer{layer}" @layer{layer}(clk: %clk: '
            f"!seq.clock, x: {value}: i{inputs * WIDTH}) -> (y: i{outputs * WIDTH})"
        )
        value = f"%l{layer}"
        for _ in range(depth):
            top.append(
                f"%v{stages} = seq.compreg {valid}, %clk reset %rst, %false : i1"
            )
            valid = f"%v{stages}"
            stages += 1
    top.append(f"hw.output {valid}, {value} : i1, i{10 * WIDTH}\n}}")
    layout = PortLayout(
        "generated",
        (Port("x", "in", SIZES[0], WIDTH), Port("y", "out", SIZES[-1], WIDTH)),
        latency=stages,
        has_clock=True,
        has_valid=True,
    )
    return "\n".join([*modules, *top]), layout


def _layer(
    modules: list[str], draw: random.Random, name: str, inputs: int, outputs: int
) -> int:
    """Append a layer's module; return its latency."""
    kind, pad = f"i{SUM_WIDTH}", SUM_WIDTH - WIDTH
    lines = [
        f"hw.module private @{name}(in %clk: !seq.clock, in %x: i{inputs * WIDTH}, "
        f"out y: i{outputs * WIDTH}) {{",
        f"%zero = hw.constant 0 : {kind}",
    ]
    for i in range(inputs):
        lines += [
            f"%e{i} = comb.extract %x from {i * WIDTH} : (i{inputs * WIDTH}) -> "
            f"i{WIDTH}",
            f"%s{i} = comb.extract %e{i} from {WIDTH - 1} : (i{WIDTH}) -> i1",
            f"%p{i} = comb.replicate %s{i} : (i1) -> i{pad}",
            f"%x{i} = comb.concat %p{i}, %e{i} : i{pad}, i{WIDTH}",
        ]
    stages = 0
    for j in range(outputs):
        terms: list[str] = []
        for i in range(inputs):
            weight = draw.randint(-127, 127)
            lines.append(f"%w{j}_{i} = hw.constant {weight} : {kind}")
            lines.append(f"%m{j}_{i} = comb.mul %x{i}, %w{j}_{i} : {kind}")
            terms.append(f"%m{j}_{i}")
        level = stages = 0
        while len(terms) > 1:
            level += 1
            sums: list[str] = []
            for k, pair in enumerate(zip(terms[::2], terms[1::2], strict=False)):
                result = f"%a{j}_{level}_{k}"
                lines.append(f"{result} = comb.add {', '.join(pair)} : {kind}")
                if level % 3 == 0:
                    lines.append(f"{result}r = seq.compreg {result}, %clk : {kind}")
                    result += "r"
                sums.append(result)
            assert len(terms) % 2 == 0, "layer inputs are powers of two"
            terms = sums
            stages += level % 3 == 0
        lines += [
            f"%c{j} = comb.icmp slt {terms[0]}, %zero : {kind}",
            f"%q{j} = comb.mux %c{j}, %zero, {terms[0]} : {kind}",
            f"%o{j} = comb.extract %q{j} from 9 : ({kind}) -> i{WIDTH}",
            f"%r{j} = seq.compreg %o{j}, %clk : i{WIDTH}",
        ]
    parts = ", ".join(f"%r{j}" for j in reversed(range(outputs)))
    kinds = ", ".join([f"i{WIDTH}"] * outputs)
    lines.append(f"%y = comb.concat {parts} : {kinds}")
    lines.append(f"hw.output %y : i{outputs * WIDTH}\n}}")
    modules.append("\n".join(lines))
    return stages + 1


def digits(name: str) -> tuple[Any, PortLayout]:
    """A digits model, quantized to 8 bits and lowered."""
    from mase_opt import load

    calibration = str(DIGITS / f"{name}_calibration.npz")
    model = load(DIGITS / f"{name}.mlir").calibrate(calibration).quantize()
    return model.circuit, model.layout


def random_codes(layout: PortLayout, samples: int) -> Codes:
    """Codes over the whole range of every input."""
    draw = np.random.default_rng(0)
    codes: Codes = {}
    for port in layout.inputs:
        low, high = packing.code_range(port.width, port.signed)
        dtype = packing.storage_dtype(port.width, port.signed)
        shape = (samples, port.elements)
        codes[port.name] = draw.integers(low, high, shape, dtype, endpoint=True)
    return codes


def timed(action: Callable[[], Any]) -> tuple[float, Any]:
    """Wall time of a call, and its result."""
    start = time.perf_counter()
    result = action()
    return time.perf_counter() - start, result


def measure(name: str, circuit: Any, layout: PortLayout) -> None:
    """Print the figures of a circuit."""
    inputs = random_codes(layout, SAMPLES)
    one = {port: codes[:1] for port, codes in inputs.items()}
    # The order matters: only the first user pays for the imports.
    build, simulator = timed(lambda: Simulator(circuit, layout))
    first = build + timed(lambda: simulator.run(one))[0]
    build, verilated = timed(
        lambda: verilator.VerilatorSimulator(
            circt.export_verilog(circuit), layout, optimize=3
        )
    )
    rates: list[float] = []
    peer_rates: list[float] = []
    with verilated:
        peer_first = build + timed(lambda: verilated.run(one))[0]
        for _ in range(RUNS):
            seconds, results = timed(lambda: simulator.run(inputs))
            rates.append(SAMPLES / seconds)
            expected = verilated.run(inputs)
            peer_rates.append(SAMPLES / verilated.loop_seconds)
            for port, codes in expected.items():
                assert (results[port] == codes).all(), f"{name}: {port} differs"
    rate, peer_rate = statistics.median(rates), statistics.median(peer_rates)
    peer = f"{verilator.version()} -O3, g++ -O3"
    for line in (
        {
            "benchmark": f"simulate_{name}_rate",
            "samples_per_s": round(rate),
            "peer_samples_per_s": round(peer_rate),
            "ratio": round(rate / peer_rate, 2),
            "target_min": RATE_TARGET,
            "lanes": simulator.lanes,
            "samples": SAMPLES,
            "runs": RUNS,
            "peer": peer,
        },
        {
            "benchmark": f"simulate_{name}_first_result",
            "wall_s": round(first, 3),
            "peer_wall_s": round(peer_first, 3),
            "ratio": round(first / peer_first, 3),
            "target_max": FIRST_TARGET,
            "peer": peer,
        },
    ):
        print(json.dumps(line), flush=True)


def verify(name: str, circuit: ModuleOp, layout: PortLayout) -> None:
    """Print what it costs to compare a circuit on few vectors."""
    inputs = random_codes(layout, VERIFIED)
    seconds: list[float] = []
    results: list[Codes] = []
    for simulator in (Evaluator, Simulator):
        start = time.process_time()
        results.append(simulator(circuit, layout).run(inputs))
        seconds.append(time.process_time() - start)
    evaluated, compiled = results
    for port, codes in compiled.items():
        assert (evaluated[port] == codes).all(), f"{name}: {port} differs"
    line = {
        "benchmark": f"simulate_{name}_verify",
        "cpu_s": round(seconds[0], 3),
        "peer_cpu_s": round(seconds[1], 3),
        "ratio": round(seconds[0] / seconds[1], 3),
        "target_max": VERIFY_TARGET,
        "samples": VERIFIED,
        "peer": "compiled in process",
    }
    print(json.dumps(line), flush=True)


def main(names: list[str]) -> None:
    """Measure the named circuits."""
    for name in names:
        circuit, layout = generated() if name == "generated" else digits(name)
        if isinstance(circuit, ModuleOp):
            verify(name, circuit, layout)
        measure(name, circuit, layout)


if __name__ == "__main__":
    main(sys.argv[1:] or ["generated", "mlp"])
