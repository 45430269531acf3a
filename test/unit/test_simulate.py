"""Simulation in process, both ways, against what circuits are known to compute."""

import dataclasses

import numpy as np
import pytest
from hw_circuits import (
    CASES,
    ROM,
    ROM_LAYOUT,
    SIMULATORS,
    STALL,
    STALL_LAYOUT,
    TURNS,
    TURNS_LAYOUT,
    random_inputs,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mase_opt.lib.errors import UserError
from mase_opt.lib.hardware.interface import Port, PortLayout
from mase_opt.lib.simulation.simulator import Simulator
from mase_opt.lib.simulation.transactions import SimulationError, StallPattern
from mase_opt.lib.target.circt import CirctError


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("simulate", SIMULATORS)
def test_results_are_those_of_the_circuit(simulate: str, name: str):
    text, layout, reference = CASES[name]
    inputs = random_inputs(layout, 100)
    results = SIMULATORS[simulate](text, layout).run(inputs)
    for port, expected in reference(inputs).items():
        assert results[port].tolist() == expected.tolist()


@pytest.mark.parametrize("samples", [1, 15, 16, 17, 100, 16 * 512, 16 * 512 + 3])
@pytest.mark.parametrize("name", ["sums", "rom", "turns"])
def test_lanes_take_any_number_of_samples(name: str, samples: int):
    text, layout, reference = CASES[name]
    simulator = Simulator(text, layout)
    assert simulator.lanes > 1
    inputs = random_inputs(layout, samples)
    results = simulator.run(inputs)
    for port, expected in reference(inputs).items():
        assert (results[port] == expected).all()


def test_wide_values_are_simulated_without_lanes():
    text = """hw.module @top(in %clk: !seq.clock, in %rst: i1, in %x: i40, out y: i40) {
      %sign = comb.extract %x from 39 : (i40) -> i1
      %signs = comb.replicate %sign : (i1) -> i40
      %wide = comb.concat %signs, %x : i40, i40
      %square = comb.mul %wide, %wide : i80
      %r = seq.compreg %square, %clk : i80
      %y = comb.extract %r from 40 : (i80) -> i40
      hw.output %y : i40
    }"""
    ports = (Port("x", "in", 1, 40), Port("y", "out", 1, 40))
    layout = PortLayout("top", ports, latency=1, has_clock=True)
    inputs = random_inputs(layout, 40)
    simulator = Simulator(text, layout)
    assert simulator.lanes == 1
    results = simulator.run(inputs)["y"]
    assert results[:, 0].tolist() == [int(x) ** 2 >> 40 for x in inputs["x"][:, 0]]


@pytest.mark.parametrize("clocked", [False, True])
@pytest.mark.parametrize("simulate", SIMULATORS)
def test_valid_without_registers(simulate: str, clocked: bool):
    clock = "in %clk: !seq.clock, in %rst: i1, " if clocked else ""
    text = f"""hw.module @top({clock}in %in_valid: i1, in %x: i8, out out_valid: i1,
                             out y: i8) {{
      %one = hw.constant -1 : i8
      %y = comb.xor %x, %one : i8
      hw.output %in_valid, %y : i1, i8
    }}"""
    ports = (Port("x", "in", 1, 8), Port("y", "out", 1, 8))
    layout = PortLayout("top", ports, has_clock=clocked, has_valid=True)
    inputs = random_inputs(layout, 40)
    results = SIMULATORS[simulate](text, layout).run(inputs)
    assert (results["y"] == ~inputs["x"]).all()


@pytest.mark.parametrize("simulate", SIMULATORS)
def test_runs_are_independent(simulate: str):
    simulator = SIMULATORS[simulate](ROM, ROM_LAYOUT)
    first = simulator.run(random_inputs(ROM_LAYOUT, 5, seed=1))
    simulator.run(random_inputs(ROM_LAYOUT, 7, seed=2))
    again = simulator.run(random_inputs(ROM_LAYOUT, 5, seed=1))
    assert (first["y"] == again["y"]).all()


@pytest.mark.parametrize("simulate", SIMULATORS)
def test_no_samples(simulate: str):
    results = SIMULATORS[simulate](ROM, ROM_LAYOUT).run(
        {"x": np.zeros((0, 2), np.uint8)}
    )
    assert results["y"].shape == (0, 2)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize("rates", [(0.5, 0.5), (1.0, 0.2), (0.2, 1.0), (1.0, 1.0)])
@pytest.mark.parametrize("simulate", SIMULATORS)
def test_stalls_change_nothing(simulate: str, seed: int, rates: tuple[float, float]):
    text, layout, reference = CASES["stall"]
    inputs = random_inputs(layout, 60, seed)
    pattern = StallPattern(seed, in_valid=rates[0], out_ready=rates[1])
    results = SIMULATORS[simulate](text, layout).run(inputs, pattern)
    assert results["y"].tolist() == reference(inputs)["y"].tolist()


@pytest.mark.parametrize(
    ("register", "message"),
    [
        ("%more", "has changed in the next cycle"),
        ("%v0", "stands still or loses data"),
    ],
)
@pytest.mark.parametrize("simulate", SIMULATORS)
def test_lost_data_is_found(simulate: str, register: str, message: str):
    # The second stage takes new data whether or not the old has been taken.
    broken = STALL.replace(f"{register}, %clk, %ready1", f"{register}, %clk, %true")
    with pytest.raises(SimulationError, match=message):
        SIMULATORS[simulate](broken, STALL_LAYOUT).run(
            random_inputs(STALL_LAYOUT, 40), StallPattern(0)
        )


@pytest.mark.parametrize(
    ("outputs", "message"),
    [
        ("%false, %ready0", "stands still or loses data"),
        ("%v1, %false", "comes before its sample has been taken"),
    ],
)
@pytest.mark.parametrize("simulate", SIMULATORS)
def test_broken_handshake_is_found(simulate: str, outputs: str, message: str):
    broken = STALL.replace("hw.output %v1, %ready0", f"hw.output {outputs}")
    with pytest.raises(SimulationError, match=message):
        SIMULATORS[simulate](broken, STALL_LAYOUT).run(random_inputs(STALL_LAYOUT, 4))


@pytest.mark.parametrize("simulate", SIMULATORS)
def test_samples_wait_for_the_interval(simulate: str):
    """At a sample per cycle, the multiplier would be taken from the one before."""
    layout = dataclasses.replace(TURNS_LAYOUT, initiation_interval=1)
    inputs = random_inputs(layout, 40)
    wrong = SIMULATORS[simulate](TURNS, layout).run(inputs)["y"]
    assert (wrong != CASES["turns"][2](inputs)["y"]).any()


@pytest.mark.parametrize("simulate", SIMULATORS)
def test_results_without_valid_come_by_the_interval(simulate: str):
    text = TURNS.replace("out out_valid: i1, ", "")
    text = text.replace("hw.output %v, %total : i1, i16", "hw.output %total : i16")
    # Without valid, the circuit counts by itself from reset on.
    text = text.replace("in %in_valid: i1, ", "")
    text = text.replace("compreg %in_valid,", "compreg %idle,")
    text = text.replace(
        "%v = seq.compreg %busy, %clk reset %rst, %false : i1",
        "%true = hw.constant true\n  %idle = comb.xor %busy, %true : i1",
    )
    layout = dataclasses.replace(TURNS_LAYOUT, has_valid=False)
    inputs = random_inputs(layout, 40)
    results = SIMULATORS[simulate](text, layout).run(inputs)["y"]
    assert (results == CASES["turns"][2](inputs)["y"]).all()


@pytest.mark.parametrize("latency", [2, 3])
@pytest.mark.parametrize("simulate", SIMULATORS)
def test_wrong_latency_is_found(simulate: str, latency: int):
    layout = dataclasses.replace(ROM_LAYOUT, latency=latency)
    with pytest.raises(SimulationError, match="expected in cycle"):
        SIMULATORS[simulate](ROM, layout).run(random_inputs(layout, 4))


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 64), st.integers(1, 64), st.booleans(), st.integers(1, 5))
def test_all_widths(width: int, wider: int, signed: bool, elements: int):
    """Extension to, or truncation to, another width, element by element."""
    lines = []
    for i in range(elements):
        lines.append(
            f"%e{i} = comb.extract %x from {i * width} : (i{elements * width}) -> "
            f"i{width}"
        )
        if wider > width:
            pad = wider - width
            if signed:
                lines += [
                    f"%s{i} = comb.extract %e{i} from {width - 1} : (i{width}) -> i1",
                    f"%p{i} = comb.replicate %s{i} : (i1) -> i{pad}",
                ]
            else:
                lines.append(f"%p{i} = hw.constant 0 : i{pad}")
            lines.append(f"%y{i} = comb.concat %p{i}, %e{i} : i{pad}, i{width}")
        else:
            lines.append(f"%y{i} = comb.extract %e{i} from 0 : (i{width}) -> i{wider}")
    parts = ", ".join(f"%y{i}" for i in reversed(range(elements)))
    kinds = ", ".join([f"i{wider}"] * elements)
    body = "\n".join(lines)
    text = f"""hw.module @top(in %x: i{elements * width}, out y: i{elements * wider}) {{
      {body}
      %y = comb.concat {parts} : {kinds}
      hw.output %y : i{elements * wider}
    }}"""
    layout = PortLayout(
        "top",
        (
            Port("x", "in", elements, width, signed),
            Port("y", "out", elements, wider, signed),
        ),
    )
    inputs = random_inputs(layout, 12, seed=width)
    results = Simulator(text, layout).run(inputs)["y"]
    for got, given_code in zip(results.flat, inputs["x"].flat, strict=True):
        expected = int(given_code) % (1 << wider)
        if signed and expected >> (wider - 1):
            expected -= 1 << wider
        assert int(got) == expected


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, r"has inputs \['x'\], got \[\]"),
        ({"x": np.zeros((3, 1), np.int8)}, r"\(samples, 2\), got \(3, 1\)"),
        ({"x": np.full((1, 2), 8)}, "do not fit 3 bits unsigned"),
        ({"x": np.zeros((1, 2))}, "codes are integers, got float64"),
    ],
)
def test_wrong_inputs_are_user_errors(inputs, message: str):
    with pytest.raises(UserError, match=message):
        Simulator(ROM, ROM_LAYOUT).run(inputs)


def test_stall_needs_ready():
    with pytest.raises(UserError, match="no ready signals"):
        Simulator(ROM, ROM_LAYOUT).run(random_inputs(ROM_LAYOUT, 1), StallPattern(0))


def test_ports_are_checked_against_the_layout():
    layout = dataclasses.replace(ROM_LAYOUT, has_valid=False)
    with pytest.raises(CirctError, match="its layout says"):
        Simulator(ROM, layout)


def test_diagnostics_end_in_the_exception(capfd: pytest.CaptureFixture[str]):
    with pytest.raises(CirctError, match="expected"):
        Simulator("hw.module @top(", ROM_LAYOUT)
    captured = capfd.readouterr()
    assert captured.err == captured.out == ""
