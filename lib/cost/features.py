"""What the cost of a model's circuit depends on, without building the circuit."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.adder_graph import AdderGraphOp, graph_codes
from mase_opt.dialects.mase.base import ArithmeticOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib import native
from mase_opt.lib.adder_graphs.numbers import Problem
from mase_opt.lib.adder_graphs.products import choose_products
from mase_opt.lib.adder_graphs.solver import Solver, constant_problems
from mase_opt.lib.adder_graphs.unroll import Graph
from mase_opt.lib.analysis.ranges import Ranges
from mase_opt.lib.conversion.convert_mase_to_hw import ConvertMaseToHwPass
from mase_opt.lib.conversion.unrolled.adder_graph import in_twos_complement
from mase_opt.lib.conversion.unrolled.legality import only_function
from mase_opt.lib.conversion.unrolled.registry import WIRINGS
from mase_opt.lib.conversion.unrolled.top import describe_op, live_ops, moved
from mase_opt.lib.cost.graphs import Sums, graph_cost
from mase_opt.lib.cost.liveness import live_elements
from mase_opt.lib.cost.registers import Numbers, Pipeline, pipeline
from mase_opt.lib.cost.samples import cost_of
from mase_opt.lib.hardware.codec import Wires, lanes_of
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.hardware.wire import Wire, depth_of
from mase_opt.lib.transforms.mase_build_adder_graphs import MaseBuildAdderGraphsPass

OTHER = "other_"
WHOLE = ("adders", "multiplies", "dsp")
"""What is counted for its own sake, whatever it computes with."""
SEARCHED = (0, 1 << 11, 1 << 14, 1 << 17)
"""Weights of a layer up to which the solver does more than at effort 0, by effort."""


@dataclass(frozen=True)
class Features:
    """What a circuit consists of."""

    counts: Mapping[str, float]
    """
    By what `operations.counts` and `graphs` tell apart, and whether it computes with
    other formats than fixed point (`OTHER` before the name).
    """
    pipeline: Pipeline
    is_fixed: bool
    """Whether all numbers are fixed point, binary or ternary, scaled or not."""


def features_of(
    module: ModuleOp, graphs: MaseBuildAdderGraphsPass, hardware: ConvertMaseToHwPass
) -> Features:
    """
    Of the function of `module`, which is explicit, after these two passes.

    Adder graphs that are still to be built are searched for at effort 0, and known to
    be smaller for the effort of `graphs`. Raises as the passes do.
    """
    graphs.check()
    pipelining = hardware.pipelining()
    sums = _sums_of(module, graphs)
    function = only_function(module)
    max_depth = pipelining.max_depth
    if pipelining.stages is not None:
        end = _Walk(function, sums, 0).end
        max_depth = max(-(-end // (pipelining.stages + 1)), 1)
    walk = _Walk(function, sums, max_depth)
    latency = max(-(-walk.end // max_depth) - 1, 0) if max_depth else 0
    if max_depth:
        latency = max(latency, pipelining.stages or int(pipelining.stall))
    stages = pipeline(walk.crossings(), walk.end, max_depth, latency)
    # The valid bit travels along.
    stages = replace(stages, registers=stages.registers + latency)
    return Features(dict(walk.counts), stages, walk.is_fixed)


def _sums_of(
    module: ModuleOp, graphs: MaseBuildAdderGraphsPass
) -> dict[Operation, Sums]:
    """The layers of a function that are adder graphs, or become such."""
    found: dict[Operation, Sums] = {}
    for op in module.walk():
        if isinstance(op, AdderGraphOp):
            found[op] = Sums(
                Graph(op.product_table, op.node_table, op.output_table),
                shape_of(op.input)[-1],
                op.offset_table,
                op.frac.value.data,
                op.scale_table,
                in_twos_complement(
                    op, op.frac.value.data, op.scales is not None, op.offset_table
                ),
                op.dropped_bits,
            )
    problems = constant_problems(module.walk(), Ranges()) if native.AVAILABLE else []
    solver = Solver(0, graphs.max_depth)
    chosen = choose_products(problems, graphs.dsp)
    for problem, products in zip(problems, chosen, strict=True):
        graph = solver.unchecked(problem, products)
        found[problem.op] = _sums(problem, graph, graphs.effort)
    return found


def _sums(problem: Problem, graph: Graph, effort: int) -> Sums:
    outputs = graph.outputs.copy()
    outputs[outputs[:, 0] >= 0, 1] += problem.lift
    scales = problem.scales
    if scales is None:
        scales = np.tile([1.0, 0.0], (problem.layer.outputs, 1))
    weights = max(kernel.weights.size for kernel in problem.kernels)
    op = problem.op
    assert isinstance(op, ArithmeticOp)
    return Sums(
        Graph(graph.products, graph.nodes, outputs),
        problem.layer.inputs,
        problem.offsets,
        problem.frac,
        scales,
        in_twos_complement(
            op, problem.frac, problem.scales is not None, problem.offsets
        ),
        problem.dropped,
        effort if weights <= SEARCHED[effort] else 0,
    )


class _Walk:
    """Goes through a function as `TopBuilder` does, and adds up what its ops take."""

    def __init__(
        self, function: func.FuncOp, sums: Mapping[Operation, Sums], max_depth: int
    ):
        self.sums = sums
        self.live = live_elements(function)
        self.max_depth = max_depth
        self.counts: dict[str, float] = defaultdict(float)
        self.is_fixed = True
        self.end = 0
        """The level of the latest result."""
        self._values: dict[SSAValue, Wires] = {}
        self._crossings: list[Numbers] = []
        self._last: dict[int, tuple[Wire, int]] = {}
        """Wires, by identity, and the levels behind the last cuts that they cross."""
        for argument in function.body.block.args:
            self._values[argument] = [
                Wire(argument, 0, lane.codes.bits, lo, hi)
                for lane in lanes_of(argument)
                for lo, hi in lane.spans
            ]
        for op in live_ops(function):
            if isinstance(op, func.ReturnOp):
                returned = [w for v in op.operands for w in self._wires(v)]
                self.end = depth_of(*returned)
                self._use(returned, self.end + 1)
            elif not isinstance(op, ConstantOp):
                try:
                    self._values[op.results[0]] = self._result(op)
                except HardwareError as error:
                    raise PassFailedException(
                        f"no circuit for {describe_op(op)}: {error}"
                    ) from error

    def crossings(self) -> Numbers:
        """All values, `[N, 3]` as of `registers.pipeline`."""
        between = [
            (w.depth, last, w.bits) for w, last in self._last.values() if last > w.depth
        ]
        table = np.array(between, np.float64).reshape(-1, 3)
        return np.concatenate([table, *self._crossings])

    def _wires(self, value: SSAValue) -> Wires:
        if value not in self._values:
            # Only now, since graphs have no use for weights.
            assert isinstance(value.owner, ConstantOp)
            self._values[value] = moved(value.owner, [])
        return self._values[value]

    def _result(self, op: Operation) -> Wires:
        if type(op) in WIRINGS:
            return moved(op, [self._wires(v) for v in op.operands])
        sums = self.sums.get(op)
        live = self.live[op.results[0]]
        if sums is not None:
            data = [v for v in op.operands if not isinstance(v.owner, ConstantOp)]
            x = self._wires(data[0])
            cost, result = graph_cost(op, sums, x, live, self.max_depth)
        else:
            operands = [self._wires(v) for v in op.operands]
            cost, result = cost_of(op, operands, live, self.max_depth)
            level = depth_of(*(w for wires in operands for w in wires))
            for wires in operands:
                self._use(wires, level)
        is_fixed = all(
            graph_codes(element_of(v)) is not None or isinstance(v.owner, ConstantOp)
            for v in (*op.operands, *op.results)
        )
        self.is_fixed &= is_fixed
        for name, count in cost.counts.items():
            alike = is_fixed or name in WHOLE
            self.counts[name if alike else OTHER + name] += count
        self._crossings += cost.crossings
        # Each a value of its own, though some stand for several.
        return [replace(w) if w.lo < w.hi else w for w in result]

    def _use(self, wires: Wires, level: int) -> None:
        for w in wires:
            if w.lo < w.hi:
                _, last = self._last.get(id(w), (w, 0))
                self._last[id(w)] = w, max(last, level)
