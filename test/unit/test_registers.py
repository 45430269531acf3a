"""Pipelining: stages by linear programming, and the registers that follow from them."""

from __future__ import annotations

from itertools import pairwise, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from levels import Model
from xdsl.context import Context
from xdsl.dialects import hw, seq
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.circt import CompRegClockEnabledOp
from mase_opt.dialects.mase.elementwise import AddOp, ReluOp
from mase_opt.dialects.mase.layers import LinearOp
from mase_opt.dialects.mase.shape import ConstantOp, SliceOp
from mase_opt.dialects.mase.types import FixedType
from mase_opt.lib.conversion.convert_mase_to_hw import ConvertMaseToHwPass
from mase_opt.lib.hardware.builder import width_of
from mase_opt.lib.hardware.registers import Graph, Net, Schedule, Scheduler
from mase_opt.lib.target.layout import port_layout
from mase_opt.testing import assert_levels_agree

# ---- schedules --------------------------------------------------------------------


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    """Two inputs, up to five operations of 0 to 2 levels, and one output."""
    count = draw(st.integers(1, 5))
    levels = [0, 0, *draw(st.lists(st.integers(0, 2), min_size=count, max_size=count))]
    edges: set[tuple[int, int]] = set()
    for v in range(2, 2 + count):
        for u in draw(st.sets(st.integers(0, v - 1), min_size=1, max_size=2)):
            edges.add((u, v))
    sources = {u for u, _ in edges}
    end = len(levels)
    levels.append(0)
    edges |= {(v, end) for v in range(end) if v not in sources}
    users: dict[int, list[int]] = {}
    for u, v in sorted(edges):
        users.setdefault(u, []).append(v)
    nets = [Net(u, tuple(vs), draw(st.integers(1, 9))) for u, vs in users.items()]
    return Graph(levels, edges, nets, starts=[0, 1], ends=[end])


def register_bits(graph: Graph, stages: list[int]) -> int:
    return sum(
        net.width * max(stages[user] - stages[net.source] for user in net.users)
        for net in graph.nets
    )


def fits(graph: Graph, stages: list[int], max_depth: int) -> bool:
    """Whether signals never go back, and paths within a stage are short."""
    depths: list[int] = []
    for v, own in enumerate(graph.levels):
        before = [u for u, w in graph.edges if w == v]
        if any(stages[u] > stages[v] for u in before):
            return False
        depth = max((depths[u] for u in before if stages[u] == stages[v]), default=0)
        if depth and own and depth + own > max_depth:
            return False
        depths.append(depth + own)
    return True


def best(graph: Graph, max_depth: int, latency: int) -> int | None:
    """The fewest register bits of all assignments."""
    inner = len(graph.levels) - 3
    found: int | None = None
    for middle in product(range(latency + 1), repeat=inner):
        stages = [0, 0, *middle, latency]
        if fits(graph, stages, max_depth):
            bits = register_bits(graph, stages)
            found = bits if found is None else min(found, bits)
    return found


@given(graphs(), st.integers(1, 4), st.integers(0, 1))
def test_registers_are_fewest(graph: Graph, max_depth: int, more: int) -> None:
    scheduler = Scheduler(graph)
    latency = scheduler.with_depth(max_depth).latency
    if latency:
        assert best(graph, max_depth, latency - 1) is None
    schedule = scheduler.with_depth(max_depth, least=latency + more)
    stages = list(schedule.stages)
    assert fits(graph, stages, max_depth)
    assert schedule.latency == latency + more == stages[-1]
    assert register_bits(graph, stages) == best(graph, max_depth, schedule.latency)


@given(graphs(), st.integers(0, 4))
def test_stages_share_the_depth(graph: Graph, stages: int) -> None:
    scheduler = Scheduler(graph)
    schedule: Schedule = scheduler.with_stages(stages)
    assert schedule.latency == stages
    assert fits(graph, list(schedule.stages), schedule.depth)
    widest = max(graph.levels)
    if schedule.depth > max(widest, 1):
        assert scheduler.with_depth(schedule.depth - 1).latency > stages


# ---- circuits ---------------------------------------------------------------------


def registers(circuit: ModuleOp) -> int:
    """Register bits, counted once per instance of their module."""
    modules = {m.sym_name.data: m for m in circuit.ops if isinstance(m, hw.HWModuleOp)}

    def bits(module: hw.HWModuleOp) -> int:
        total = 0
        for op in module.body.block.ops:
            if isinstance(op, seq.CompRegOp | CompRegClockEnabledOp):
                total += width_of(op.results[0])
            elif isinstance(op, hw.InstanceOp):
                total += bits(modules[op.module_name.string_value()])
        return total

    (top,) = (m for m in modules.values() if "mase.interface" in m.attributes)
    return bits(top)


def perceptron(rng: np.random.Generator, *sizes: int) -> ModuleOp:
    """Linear layers with relu between them, of 8-bit numbers."""
    element = FixedType(8, 4)
    model = Model((element, (1, sizes[0])))
    with model as (x,):
        value: SSAValue = x
        for inputs, outputs in pairwise(sizes):
            codes = rng.integers(-128, 128, (outputs, inputs))
            weight = ConstantOp.of(codes, FixedType(8, 6), "w")
            layer = LinearOp(value, weight.result, element=element)
            value = ReluOp(layer.result, element=element).result
    return model.returns(value)


@pytest.mark.parametrize("stages", [1, 2, 5])
@pytest.mark.parametrize("stall", [False, True])
def test_a_number_of_stages(stages: int, stall: bool) -> None:
    module = perceptron(np.random.default_rng(0), 5, 4, 3)
    circuit = module.clone()
    ConvertMaseToHwPass(stages=stages, stall=stall).apply(Context(), circuit)
    circuit.verify()
    layout = port_layout(circuit)
    assert layout.latency == stages
    deeper = module.clone()
    ConvertMaseToHwPass(max_logic_depth=layout.logic_depth).apply(Context(), deeper)
    assert port_layout(deeper).latency <= stages


@pytest.mark.parametrize("depth", [1, 2, 3, 7])
def test_pipelined_layers_agree(depth: int) -> None:
    module = perceptron(np.random.default_rng(depth), 7, 5, 3)
    layout = assert_levels_agree(module, max_logic_depth=depth)
    assert layout.logic_depth <= depth


def test_registers_move_across_layers() -> None:
    """The sum waits, not what is added: 9 bits, not 16."""
    model = Model((FixedType(8, 0), (2,)))
    with model as (x,):
        low = SliceOp(x, starts=[0], stops=[1])
        high = SliceOp(x, starts=[1], stops=[2])
        total = AddOp(low, high, element=FixedType(9, 0), layer="first")
        result = ReluOp(total, element=FixedType(9, 0), layer="second")
    circuit = model.returns(result)
    ConvertMaseToHwPass(stages=1).apply(Context(), circuit)
    # The sum and the valid bit.
    assert registers(circuit) == 10


def test_depth_and_stages_exclude_each_other() -> None:
    with pytest.raises(PassFailedException, match="not both"):
        ConvertMaseToHwPass(max_logic_depth=2, stages=2).apply(
            Context(), perceptron(np.random.default_rng(0), 2, 2)
        )
