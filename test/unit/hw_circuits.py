"""Small hw/comb/seq circuits with their interfaces, and what they compute."""

from __future__ import annotations

import numpy as np
from xdsl.context import Context
from xdsl.dialects import comb, hw, seq
from xdsl.dialects.builtin import Builtin, ModuleOp
from xdsl.ir import Dialect
from xdsl.parser import Parser

from mase_opt.dialects.circt import CompRegClockEnabledOp
from mase_opt.lib.hardware.interface import Port, PortLayout
from mase_opt.lib.simulation.evaluator import Evaluator
from mase_opt.lib.simulation.simulator import Simulator

SUMS = """
hw.module @sums(in %a: i36, in %b: i36, out s: i39, out p: i96) {
  %a0 = comb.extract %a from 0 : (i36) -> i12
  %a1 = comb.extract %a from 12 : (i36) -> i12
  %a2 = comb.extract %a from 24 : (i36) -> i12
  %b0 = comb.extract %b from 0 : (i36) -> i12
  %b1 = comb.extract %b from 12 : (i36) -> i12
  %b2 = comb.extract %b from 24 : (i36) -> i12
  %s0 = hw.instance "s0" @add(a: %a0: i12, b: %b0: i12) -> (y: i13)
  %s1 = hw.instance "s1" @add(a: %a1: i12, b: %b1: i12) -> (y: i13)
  %s2 = hw.instance "s2" @add(a: %a2: i12, b: %b2: i12) -> (y: i13)
  %s = comb.concat %s2, %s1, %s0 : i13, i13, i13
  %z = hw.constant 0 : i20
  %a0z = comb.concat %z, %a0 : i20, i12
  %a1z = comb.concat %z, %a1 : i20, i12
  %a2z = comb.concat %z, %a2 : i20, i12
  %b0z = comb.concat %z, %b0 : i20, i12
  %b1z = comb.concat %z, %b1 : i20, i12
  %b2z = comb.concat %z, %b2 : i20, i12
  %p0 = comb.mul %a0z, %b0z : i32
  %p1 = comb.mul %a1z, %b1z : i32
  %p2 = comb.mul %a2z, %b2z : i32
  %p = comb.concat %p2, %p1, %p0 : i32, i32, i32
  hw.output %s, %p : i39, i96
}
hw.module private @add(in %a: i12, in %b: i12, out y: i13) {
  %as = comb.extract %a from 11 : (i12) -> i1
  %bs = comb.extract %b from 11 : (i12) -> i1
  %ax = comb.concat %as, %a : i1, i12
  %bx = comb.concat %bs, %b : i1, i12
  %y = comb.add %ax, %bx : i13
  hw.output %y : i13
}
"""
"""Signed sums through instances, products of the same bits taken as unsigned."""

SUMS_LAYOUT = PortLayout(
    "sums",
    (
        Port("a", "in", 3, 12),
        Port("b", "in", 3, 12),
        Port("s", "out", 3, 13),
        Port("p", "out", 3, 32, signed=False),
    ),
)


def sums(inputs):
    """What `SUMS` computes."""
    a, b = inputs["a"].astype(np.int64), inputs["b"].astype(np.int64)
    return {"s": a + b, "p": (a & 0xFFF) * (b & 0xFFF)}


ROM = """
hw.module @rom(in %clk: !seq.clock, in %rst: i1, in %in_valid: i1, in %x: i6,
               out out_valid: i1, out y: i10) {
  %false = hw.constant false
  %t0 = hw.constant 11 : i5
  %t1 = hw.constant -16 : i5
  %t2 = hw.constant 7 : i5
  %t3 = hw.constant -1 : i5
  %t4 = hw.constant 0 : i5
  %t5 = hw.constant 3 : i5
  %t6 = hw.constant 15 : i5
  %t7 = hw.constant -9 : i5
  %table = hw.array_create %t7, %t6, %t5, %t4, %t3, %t2, %t1, %t0 : i5
  %x0 = comb.extract %x from 0 : (i6) -> i3
  %x1 = comb.extract %x from 3 : (i6) -> i3
  %y0 = hw.array_get %table[%x0] : !hw.array<8xi5>, i3
  %y1 = hw.array_get %table[%x1] : !hw.array<8xi5>, i3
  %r0 = seq.compreg %y0, %clk : i5
  %r1 = seq.compreg %y1, %clk : i5
  %v = seq.compreg %in_valid, %clk reset %rst, %false : i1
  %y = comb.concat %r1, %r0 : i5, i5
  hw.output %v, %y : i1, i10
}
"""
"""Two lookups in a constant table, one register behind."""

ROM_LAYOUT = PortLayout(
    "rom",
    (Port("x", "in", 2, 3, signed=False), Port("y", "out", 2, 5)),
    latency=1,
    has_clock=True,
    has_valid=True,
)


def rom(inputs):
    """What `ROM` computes."""
    table = np.array([11, -16, 7, -1, 0, 3, 15, -9])
    return {"y": table[inputs["x"].astype(int)]}


STALL = """
hw.module @stall(in %clk: !seq.clock, in %rst: i1, in %in_valid: i1,
                 in %out_ready: i1, in %x: i9, out out_valid: i1, out in_ready: i1,
                 out y: i18) {
  %false = hw.constant false
  %true = hw.constant true
  %free1 = comb.xor %v1, %true : i1
  %ready1 = comb.or %free1, %out_ready : i1
  %free0 = comb.xor %v0, %true : i1
  %ready0 = comb.or %free0, %ready1 : i1
  %sign = comb.extract %x from 8 : (i9) -> i1
  %signs = comb.replicate %sign : (i1) -> i9
  %wide = comb.concat %signs, %x : i9, i9
  %square = comb.mul %wide, %wide : i18
  %x0 = seq.compreg.ce %square, %clk, %ready0 : i18
  %v0 = seq.compreg.ce %in_valid, %clk, %ready0 reset %rst, %false : i1
  %one = hw.constant 1 : i18
  %more = comb.add %x0, %one : i18
  %x1 = seq.compreg.ce %more, %clk, %ready1 : i18
  %v1 = seq.compreg.ce %v0, %clk, %ready1 reset %rst, %false : i1
  hw.output %v1, %ready0, %x1 : i1, i1, i18
}
"""
"""Square plus one in two stages that can stall."""

STALL_LAYOUT = PortLayout(
    "stall",
    (Port("x", "in", 1, 9), Port("y", "out", 1, 18, signed=False)),
    latency=2,
    has_clock=True,
    has_valid=True,
    has_ready=True,
)


def stall(inputs):
    """What `STALL` computes."""
    return {"y": inputs["x"].astype(np.int64) ** 2 + 1}


TURNS = """
hw.module @turns(in %clk: !seq.clock, in %rst: i1, in %in_valid: i1, in %x: i16,
                 out out_valid: i1, out y: i16) {
  %false = hw.constant false
  %x0 = comb.extract %x from 0 : (i16) -> i8
  %x1 = comb.extract %x from 8 : (i16) -> i8
  %later = seq.compreg %x1, %clk : i8
  %busy = seq.compreg %in_valid, %clk reset %rst, %false : i1
  %v = seq.compreg %busy, %clk reset %rst, %false : i1
  %now = comb.mux %busy, %later, %x0 : i8
  %sign = comb.extract %now from 7 : (i8) -> i1
  %signs = comb.replicate %sign : (i1) -> i8
  %wide = comb.concat %signs, %now : i8, i8
  %square = comb.mul %wide, %wide : i16
  %sum = comb.add %square, %total : i16
  %next = comb.mux %busy, %sum, %square : i16
  %total = seq.compreg %next, %clk : i16
  hw.output %v, %total : i1, i16
}
"""
"""The sum of two squares, with one multiplier in turns: a sample every two cycles."""

TURNS_LAYOUT = PortLayout(
    "turns",
    (Port("x", "in", 2, 8), Port("y", "out", 1, 16, signed=False)),
    latency=2,
    initiation_interval=2,
    has_clock=True,
    has_valid=True,
)


def turns(inputs):
    """What `TURNS` computes."""
    squares = inputs["x"].astype(np.int64) ** 2
    return {"y": squares.sum(axis=1, keepdims=True)}


CASES = {
    "turns": (TURNS, TURNS_LAYOUT, turns),
    "sums": (SUMS, SUMS_LAYOUT, sums),
    "rom": (ROM, ROM_LAYOUT, rom),
    "stall": (STALL, STALL_LAYOUT, stall),
}


def parse(text: str) -> ModuleOp:
    """A circuit as xDSL has it, with the operations that CIRCT alone has."""
    ctx = Context()
    operations = [*seq.Seq.operations, CompRegClockEnabledOp]
    all_of_seq = Dialect("seq", operations, list(seq.Seq.attributes))
    for dialect in (Builtin, comb.Comb, hw.HW, all_of_seq):
        ctx.load_dialect(dialect)
    return Parser(ctx, text).parse_module()


def evaluator(text: str, layout: PortLayout) -> Evaluator:
    """As `Simulator`, for the text of a circuit."""
    return Evaluator(parse(text), layout)


SIMULATORS = {"compiled": Simulator, "evaluated": evaluator}


def random_inputs(layout: PortLayout, samples: int, seed: int = 0):
    """Codes over the whole range of each input, the extremes among them."""
    from mase_opt.lib.hardware.packing import code_range, storage_dtype

    generator = np.random.default_rng(seed)
    inputs = {}
    for port in layout.inputs:
        low, high = code_range(port.width, port.signed)
        dtype = storage_dtype(port.width, port.signed)
        shape = (samples, port.elements)
        codes = generator.integers(low, high, shape, dtype, endpoint=True)
        codes[: samples // 8] = low
        codes[samples // 8 : samples // 4] = high
        inputs[port.name] = codes
    return inputs
