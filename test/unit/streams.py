"""Checks of streamed models: the same bits at every level, and times to the cycle."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp

from mase_opt.dialects.mase.base import int_array
from mase_opt.dialects.stream import channel_of
from mase_opt.lib.analysis.network import network_function, network_of
from mase_opt.lib.analysis.parallelism import PARALLELISM
from mase_opt.lib.conversion.convert_mase_to_stream import ConvertMaseToStreamPass
from mase_opt.lib.conversion.convert_stream_to_hw import ConvertStreamToHwPass
from mase_opt.lib.hardware.memory import memories_of
from mase_opt.lib.interpreters import stream
from mase_opt.lib.interpreters.mase import evaluate, main_function
from mase_opt.lib.simulation.simulator import Simulator
from mase_opt.lib.simulation.transactions import StallPattern
from mase_opt.lib.simulation.verilator import VerilatorSimulator
from mase_opt.lib.streams.timing import Network, keeps_up
from mase_opt.lib.target.circt import export_verilog
from mase_opt.lib.target.layout import port_layout
from mase_opt.lib.transforms.stream_size_fifos import StreamSizeFifosPass
from mase_opt.model.verify import results_of, to_ports
from mase_opt.testing import input_vectors

Folding = Mapping[str, tuple[int, int]]


def streamed(module: ModuleOp, folding: Folding | None = None, depth: int = 6):
    """The network of a function of mase ops, with the sizes of its buffers."""
    module = module.clone()
    for op in module.walk():
        layer = op.properties.get("layer")
        name = getattr(layer, "data", None)
        if folding and name in folding:
            op.attributes[PARALLELISM] = int_array(folding[name])
    ConvertMaseToStreamPass(max_logic_depth=depth).apply(Context(), module)
    module.verify()
    StreamSizeFifosPass().apply(Context(), module)
    module.verify()
    return module


def circuit_of(network: ModuleOp) -> ModuleOp:
    circuit = network.clone()
    ConvertStreamToHwPass().apply(Context(), circuit)
    return circuit


def assert_streams(
    module: ModuleOp,
    folding: Folding | None = None,
    *,
    depth: int = 6,
    samples: int = 3,
    seed: int = 0,
    verilator: bool = False,
    inputs: Sequence[Any] | None = None,
) -> ModuleOp:
    """
    Interpreter of mase == of stream == circuit, which takes the time foretold.

    With and without stalls at both ends. Gives the network.
    """
    function = main_function(module)
    vectors = inputs or input_vectors(function.args, samples, seed)
    expected = evaluate(module, vectors)
    network = streamed(module, folding, depth)
    streams = main_function(network)
    shaped = [
        np.asarray(v).reshape(len(v), *channel_of(a).layout.shape)
        for v, a in zip(vectors, streams.args, strict=True)
    ]
    for want, got in zip(expected, stream.evaluate(network, shaped), strict=True):
        assert (want.reshape(len(want), -1) == got.reshape(len(got), -1)).all()
    circuit = circuit_of(network)
    layout = port_layout(circuit)
    ports = to_ports(vectors, function.args, layout, "in")

    wanted = to_ports(expected, results_of(function), layout, "out")

    def run(simulator: Any, stall: StallPattern | None) -> None:
        codes = simulator.run(ports, stall)
        for name, want in wanted.items():
            assert (want == codes[name]).all(), name

    simulator = Simulator(circuit, layout)
    run(simulator, None)
    timing = network_of(network_function(network)).network
    assert_times(timing, simulator, len(vectors[0]))
    for stall in (StallPattern(seed), StallPattern(seed, 0.9, 0.2)):
        run(simulator, stall)
    if verilator:
        memories = memories_of(circuit)
        text = export_verilog(circuit)
        with VerilatorSimulator(text, layout, memories=memories) as verilated:
            run(verilated, None)
            assert_times(timing, verilated, len(vectors[0]))
            run(verilated, StallPattern(seed))
    return network


def assert_times(network: Network, simulator: Any, samples: int) -> None:
    """Every beat at the ports moves in the cycle that the schedules say."""
    times = network.run(samples)
    layout = simulator.layout
    start = min(simulator.transfers[port.name][0] for port in layout.inputs)
    # What lies around an image may be worked on before the first beat is taken.
    start -= min(int(times.at[station][0]) for station in range(len(layout.inputs)))
    stations = [*range(len(layout.inputs)), *network.outputs]
    last = max(int(times.at[station][-1]) for station in network.outputs)
    ports = [*layout.inputs, *layout.outputs]
    for station, port in zip(stations, ports, strict=True):
        seen, told = simulator.transfers[port.name] - start, times.at[station]
        # The simulation ends with the last output: nothing waits for what comes later.
        in_time = told <= last
        assert (told == seen)[in_time].all(), port.name


def assert_minimal(network: Network) -> None:
    """One place less in any buffer, and samples come later or not at all."""
    assert keeps_up(network)
    for station, buffers in enumerate(network.buffers):
        for port, buffer in enumerate(buffers):
            if buffer.capacity == 1:
                continue
            less = network.with_capacity(station, port, buffer.capacity - 1)
            assert not keeps_up(less), (station, port, buffer.capacity)
