"""Circuits evaluated over time against the same circuits compiled."""

import random

import numpy as np
import pytest
from hw_circuits import (
    ROM,
    ROM_LAYOUT,
    STALL,
    STALL_LAYOUT,
    parse,
    random_inputs,
    rom,
    stall,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from mase_opt.lib.errors import UserError
from mase_opt.lib.hardware.interface import Port, PortLayout
from mase_opt.lib.simulation import evaluator
from mase_opt.lib.simulation.choose import WORTH_COMPILING, simulator_for
from mase_opt.lib.simulation.evaluator import Evaluator
from mase_opt.lib.simulation.kernels import UnknownOperationError
from mase_opt.lib.simulation.simulator import Simulator

PREDICATES = ("eq", "ne", "slt", "sle", "sgt", "sge", "ult", "ule", "ugt", "uge")
KINDS = (
    *("add", "sub", "mul", "and", "or", "xor", "icmp", "mux", "concat", "extract"),
    *("replicate", "array", "register", "enabled", "reset", "loop"),
)


class Circuit:
    """A random circuit of all operations, written down as it grows."""

    def __init__(self, draw: random.Random):
        self.draw = draw
        self.lines: list[str] = []
        self.values: list[tuple[str, int]] = []
        self.open: list[tuple[str, int]] = []
        """Registers whose input comes later: the ends of loops."""

    def add(self, text: str, width: int) -> str:
        name = f"%n{len(self.values)}"
        self.lines.append(f"{name} = {text}")
        self.values.append((name, width))
        return name

    def pick(self, width: int) -> str:
        """A value so far, cut or extended to `width` bits."""
        name, bits = self.draw.choice(self.values)
        if bits > width:
            low = self.draw.randint(0, bits - width)
            return self.add(
                f"comb.extract {name} from {low} : (i{bits}) -> i{width}", width
            )
        if bits < width:
            pad = width - bits
            code = self.draw.randint(-(1 << pad - 1), (1 << pad - 1) - 1)
            high = self.add(f"hw.constant {code} : i{pad}", pad)
            return self.add(f"comb.concat {high}, {name} : i{pad}, i{bits}", width)
        return name

    def grow(self, kind: str) -> None:
        width = self.draw.choice((1, 7, 8, 63, 64, 65, 100, 128, 200))
        width = self.draw.choice((width, self.draw.randint(1, 200)))
        x, y, bit = self.pick(width), self.pick(width), self.pick(1)
        match kind:
            case "icmp":
                predicate = self.draw.choice(PREDICATES)
                self.add(f"comb.icmp {predicate} {x}, {y} : i{width}", 1)
            case "mux":
                self.add(f"comb.mux {bit}, {x}, {y} : i{width}", width)
            case "concat" | "extract":
                self.pick(self.draw.randint(1, 200))
            case "replicate":
                copies = self.draw.randint(2, 4)
                total = copies * width
                self.add(f"comb.replicate {x} : (i{width}) -> i{total}", total)
            case "array":
                elements = [self.pick(9) for _ in range(4)]
                array = f"%a{len(self.lines)}"
                self.lines.append(
                    f"{array} = hw.array_create {', '.join(elements)} : i9"
                )
                self.add(
                    f"hw.array_get {array}[{self.pick(2)}] : !hw.array<4xi9>, i2", 9
                )
            case "register":
                self.add(f"seq.compreg {x}, %clk : i{width}", width)
            case "enabled":
                self.add(f"seq.compreg.ce {x}, %clk, {bit} : i{width}", width)
            case "reset":
                # Simulation by arc takes every reset value for 0.
                zero = self.add(f"hw.constant 0 : i{width}", width)
                reset = f"reset %rst, {zero}"
                self.add(f"seq.compreg.ce {x}, %clk, {bit} {reset} : i{width}", width)
            case "loop":
                end = f"%end{len(self.open)}"
                self.open.append((end, width))
                self.add(f"seq.compreg {end}, %clk : i{width}", width)
            case _:
                self.add(f"comb.{kind} {x}, {y} : i{width}", width)

    def text(self) -> str:
        """The circuit, with bits of many values at its output."""
        for name, width in self.open:
            value = self.pick(width)
            self.lines.append(f"{name} = comb.xor {value}, %ones{width} : i{width}")
        ones = [
            f"%ones{width} = hw.constant -1 : i{width}"
            for width in {width for _, width in self.open}
        ]
        picked = [self.pick(60) for _ in range(20)]
        y = self.add(f"comb.xor {', '.join(picked)} : i60", 60)
        body = "\n".join([*ones, *self.lines])
        return f"""hw.module @top(in %clk: !seq.clock, in %rst: i1, in %x: i120,
                                  out y: i60) {{
          {body}
          %y = seq.compreg {y}, %clk : i60
          hw.output %y : i60
        }}"""


PORTS = (Port("x", "in", 3, 40), Port("y", "out", 2, 30))
LAYOUT = PortLayout("top", PORTS, latency=1, has_clock=True)


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 1 << 32))
def test_random_circuits(seed: int):
    draw = random.Random(seed)
    circuit = Circuit(draw)
    circuit.values.append(("%x", 120))
    for kind in draw.choices(KINDS, k=16):
        circuit.grow(kind)
    text = circuit.text()
    simulator, evaluated = Simulator(text, LAYOUT), Evaluator(parse(text), LAYOUT)
    # Each lane starts from reset.
    inputs = random_inputs(LAYOUT, 12 * simulator.lanes, seed)
    expected = simulator.run(inputs)["y"]
    for start in range(0, len(expected), 12):
        part = slice(start, start + 12)
        actual = evaluated.run({"x": inputs["x"][part]})["y"]
        assert actual.tolist() == expected[part].tolist()


@pytest.mark.parametrize("samples", [6, 7, 8, 15])
def test_many_samples_are_evaluated_in_parts(
    samples: int, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(evaluator, "ROWS", 7)
    inputs = random_inputs(ROM_LAYOUT, samples)
    results = Evaluator(parse(ROM), ROM_LAYOUT).run(inputs)
    assert results["y"].tolist() == rom(inputs)["y"].tolist()


def test_only_loops_are_evaluated_cycle_by_cycle():
    circuit = parse(STALL)
    handshake = Evaluator(circuit, STALL_LAYOUT)
    stream = Evaluator(parse(ROM), ROM_LAYOUT)
    assert handshake.work > 100 * handshake.operations
    assert stream.work == stream.operations


UNKNOWN = """hw.module @top(in %x: i8, out y: i8) {
  %two = hw.constant 2 : i8
  %y = comb.shl %x, %two : i8
  hw.output %y : i8
}"""
UNKNOWN_LAYOUT = PortLayout(
    "top", (Port("x", "in", 1, 8), Port("y", "out", 1, 8, signed=False))
)


def test_unknown_operations_are_compiled():
    circuit = parse(UNKNOWN)
    with pytest.raises(UnknownOperationError, match=r"no kernel for comb\.shl"):
        Evaluator(circuit, UNKNOWN_LAYOUT)
    inputs = random_inputs(UNKNOWN_LAYOUT, 20)
    results = simulator_for(circuit, UNKNOWN_LAYOUT, 20).run(inputs)["y"]
    assert results.tolist() == [[int(x) * 4 % 256] for x in inputs["x"][:, 0]]


def test_loops_without_registers_are_errors():
    text = """hw.module @top(in %x: i8, out y: i8) {
      %a = comb.xor %x, %b : i8
      %b = comb.and %x, %a : i8
      hw.output %b : i8
    }"""
    with pytest.raises(UserError, match="top has a loop without a register"):
        Evaluator(parse(text), UNKNOWN_LAYOUT)


@pytest.mark.parametrize(
    ("circuit", "samples", "expected"),
    [
        (ROM, 1, Simulator),
        (parse(ROM), 1, Evaluator),
        (parse(ROM), WORTH_COMPILING, Evaluator),
        (parse(ROM), WORTH_COMPILING + 1, Simulator),
    ],
)
def test_the_cheaper_one_is_chosen(circuit, samples, expected):
    assert type(simulator_for(circuit, ROM_LAYOUT, samples)) is expected


def test_loops_count_when_choosing():
    circuit, inputs = parse(STALL), random_inputs(STALL_LAYOUT, 40)
    for samples, expected in ((40, Evaluator), (4_000, Simulator)):
        chosen = simulator_for(circuit, STALL_LAYOUT, samples)
        assert type(chosen) is expected
        assert (chosen.run(inputs)["y"] == stall(inputs)["y"]).all()


@pytest.mark.parametrize("enable", [0, -1])
def test_registers_are_reset_to_values(enable: int):
    text = f"""hw.module @top(in %clk: !seq.clock, in %rst: i1, in %x: i8, out y: i8) {{
      %enable = hw.constant {enable} : i1
      %start = hw.constant 77 : i8
      %r = seq.compreg.ce %x, %clk, %enable reset %rst, %start : i8
      %y = seq.compreg %r, %clk : i8
      hw.output %y : i8
    }}"""
    ports = (Port("x", "in", 1, 8), Port("y", "out", 1, 8))
    layout = PortLayout("top", ports, latency=1, has_clock=True)
    results = Evaluator(parse(text), layout).run({"x": np.array([[1], [2], [3]])})
    assert results["y"][:, 0].tolist() == ([77, 1, 2] if enable else [77, 77, 77])


def test_codes_of_64_bits():
    text = """hw.module @top(in %x: i64, out y: i64) { hw.output %x : i64 }"""
    ports = (Port("x", "in", 1, 64, signed=False), Port("y", "out", 1, 64))
    layout = PortLayout("top", ports)
    inputs = {"x": np.array([[0], [1 << 63], [(1 << 64) - 1]], np.uint64)}
    results = Evaluator(parse(text), layout).run(inputs)
    assert results["y"].tolist() == [[0], [-1 << 63], [-1]]
