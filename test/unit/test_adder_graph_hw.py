"""Circuits of adder graphs: the same numbers at every level, and no adder too many."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from levels import Model
from xdsl.dialects import comb
from xdsl.dialects.builtin import ModuleOp

from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.types import FixedType, UFixedType
from mase_opt.lib.formats import Overflow, RoundingMode
from mase_opt.lib.hardware.builder import width_of
from mase_opt.lib.target import yosys
from mase_opt.lib.target.circt import export_verilog
from mase_opt.testing import assert_levels_agree, lower

Element = FixedType | UFixedType
Rows = list[tuple[int, ...]]

needs_yosys = pytest.mark.skipif(
    yosys.available() is not None, reason=str(yosys.available())
)


def graph(
    inputs: int,
    nodes: Rows,
    outputs: Rows,
    offsets: list[int] | None = None,
    *,
    data: Element | None = None,
    element: Element | None = None,
    frac: int = 0,
    rounding: RoundingAttr = RoundingAttr.DEFAULT,
    rows: int = 1,
) -> ModuleOp:
    """A function that is one graph; wide enough for exact results by default."""
    model = Model((data or FixedType(8, 0), (rows, inputs)))
    with model as (x,):
        op = AdderGraphOp(
            x,
            np.array(nodes, np.int32).reshape(-1, 5),
            np.array(outputs, np.int32).reshape(-1, 3),
            np.array(offsets or [0] * len(outputs), np.int64),
            frac=frac,
            element=element or FixedType(40, 0),
            rounding=rounding,
        )
    return model.returns(op)


@st.composite
def elements(draw: st.DrawFn, width: int) -> Element:
    kind = draw(st.sampled_from([FixedType, UFixedType]))
    return kind(draw(st.integers(1, width)), draw(st.integers(-2, 4)))


@st.composite
def graphs(draw: st.DrawFn) -> ModuleOp:
    """Any graph: shifts on both sides, values used twice or by nothing."""
    inputs = draw(st.integers(1, 4))
    shifts, flags = st.integers(0, 4), st.integers(0, 1)
    nodes: Rows = []
    for _ in range(draw(st.integers(0, 8))):
        values = st.integers(0, inputs + len(nodes) - 1)
        nodes.append(draw(st.tuples(values, values, shifts, shifts, flags)))
    values = st.integers(-1, inputs + len(nodes) - 1)
    outputs = draw(st.lists(st.tuples(values, shifts, flags), min_size=1, max_size=4))
    offsets = [draw(st.integers(-(1 << 12), 1 << 12)) for _ in outputs]
    overflow = draw(st.sampled_from([Overflow.SATURATE, Overflow.WRAP]))
    return graph(
        inputs,
        nodes,
        outputs,
        draw(st.sampled_from([offsets, None])),
        data=draw(elements(8)),
        element=draw(elements(16)),
        frac=draw(st.integers(-1, 8)),
        rounding=RoundingAttr((draw(st.sampled_from(RoundingMode)), overflow)),
        rows=draw(st.integers(1, 2)),
    )


@given(graphs(), st.integers(0, 3))
@settings(max_examples=50)
def test_every_level_agrees(module: ModuleOp, max_logic_depth: int):
    assert_levels_agree(module, max_logic_depth=max_logic_depth, samples=24)


@pytest.mark.slow
def test_verilator_agrees():
    nodes = [(0, 1, 0, 3, 1), (2, 0, 2, 0, 1), (3, 2, 1, 0, 0), (4, 4, 5, 0, 1)]
    module = graph(
        2,
        nodes,
        [(3, 0, 1), (4, 1, 0), (5, 0, 1), (-1, 0, 0)],
        [-77, 1234, 0, 5],
        element=FixedType(8, 2),
        frac=5,
        rounding=RoundingAttr((RoundingMode.HALF_UP, Overflow.SATURATE)),
    )
    assert_levels_agree(module, max_logic_depth=2, verilator=True)


def test_inputs_that_cancel():
    module = graph(1, [(0, 0, 0, 0, 1), (0, 1, 2, 3, 0)], [(1, 0, 0), (2, 0, 1)])
    assert_levels_agree(module)


def adder_widths(module: ModuleOp) -> list[int]:
    """How wide the adders of the circuit are, without the zero below."""
    circuit, _ = lower(module, 0)
    widths: list[int] = []
    for op in circuit.walk():
        if isinstance(op, comb.AddOp | comb.SubOp):
            widths.append(width_of(op.result) - 1)
    return widths


def test_widths_are_exact():
    # 4x - x, whose operands together would take a bit more, and 7x as that and 4x.
    module = graph(
        1,
        [(0, 0, 2, 0, 1), (1, 0, 0, 2, 0)],
        [(1, 0, 0), (2, 0, 0)],
        data=UFixedType(8, 0),
    )
    assert adder_widths(module) == [10, 11]


def test_exact_sums_take_nothing_but_adders():
    nodes = [(0, 1, 0, 0, 0), (3, 2, 0, 1, 1)]
    exact = graph(3, nodes, [(4, 0, 0)])
    assert_levels_agree(exact)
    assert adder_widths(exact) == [9, 10]
    # What is added to outputs anyway takes what values without sign leave there.
    rounded = graph(3, nodes, [(4, 0, 0)], frac=1)
    assert adder_widths(rounded)[:2] == [9, 10]
    assert len(adder_widths(rounded)) > 2


def test_bits_that_wrap_are_not_built():
    # 8 bits above the 3 that rounding drops, of which the last node is shifted by 1.
    rounding = RoundingAttr((RoundingMode.HALF_UP, Overflow.WRAP))
    module = graph(
        3,
        [(0, 1, 0, 6, 0), (2, 3, 0, 5, 1)],
        [(4, 1, 0)],
        element=FixedType(8, 0),
        frac=3,
        rounding=rounding,
    )
    assert_levels_agree(module)
    assert adder_widths(module)[:2] == [5, 10]


def synthesized(module: ModuleOp) -> yosys.Resources:
    circuit, _ = lower(module, 0)
    return yosys.synthesize(export_verilog(circuit), "top", dsp=False)


def luts(module: ModuleOp) -> int:
    return synthesized(module).lut


@pytest.mark.slow
@needs_yosys
def test_an_adder_takes_the_bits_that_both_operands_have():
    assert luts(graph(2, [(0, 1, 0, 3, 0)], [(2, 0, 0)], [1])) == 5
    assert luts(graph(2, [(0, 1, 0, 3, 1)], [(2, 0, 0)], [1])) == 5
    assert luts(graph(2, [(0, 1, 3, 0, 1)], [(2, 0, 1)], [1])) == 5


@pytest.mark.slow
@needs_yosys
def test_an_exact_sum_takes_the_bits_of_its_adder():
    found = synthesized(graph(2, [(0, 1, 0, 3, 0)], [(2, 0, 0)]))
    assert (found.lut, found.route_through) == (8, 0)


@needs_yosys
def test_constants_take_none():
    nodes = [(0, 1, 0, 0, 0), (3, 2, 0, 0, 1)]
    assert luts(graph(3, nodes, [(4, 0, 0)], [12345])) == 8 + 8
