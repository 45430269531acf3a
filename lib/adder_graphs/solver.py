"""Layers of constants that become adder graphs, and the graphs they become."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from xdsl.ir import Operation
from xdsl.pattern_rewriter import PatternRewriter
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.dialects.mase.adder_graph_values import expand, spans
from mase_opt.dialects.mase.base import ArithmeticOp
from mase_opt.dialects.mase.shape import ConstantOp, ReshapeOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib import native
from mase_opt.lib.adder_graphs.constant_layers import Indices, constant_layer
from mase_opt.lib.adder_graphs.numbers import Kernel, Problem, problem_of
from mase_opt.lib.adder_graphs.products import split
from mase_opt.lib.adder_graphs.unroll import Graph, Solved, unroll
from mase_opt.lib.analysis.ranges import Ranges
from mase_opt.lib.errors import UserError
from mase_opt.lib.model_function import describe, layer_of

EFFORT = 1
"""How long to search unless something else is asked for."""
WHOLE = 1 << 14
"""How many entries a matrix may have to be solved as a whole as well, at effort 1."""


def can_solve() -> bool:
    """Whether there is a solver; warns if there is none."""
    if not native.AVAILABLE:
        warnings.warn(
            "the solver of adder graphs is not installed (it takes a C++ "
            "compiler): constant layers stay constant multiplications",
            stacklevel=3,
        )
    return native.AVAILABLE


def constant_problems(ops: Iterable[Operation], ranges: Ranges) -> list[Problem]:
    """The layers among ops that become graphs; `ranges` get to know all values."""
    problems: list[Problem] = []
    for op in ops:
        layer = constant_layer(op)
        problem = problem_of(op, layer, ranges) if layer is not None else None
        if problem is None:
            ranges.visit(op)
        else:
            problems.append(problem)
    return problems


def after(layers: int, show: Callable[[float], None]) -> Callable[[int, int], None]:
    """What tells how much is done, behind some layers."""
    return lambda done, total: show(layers + done / max(total, 1))


class Solver:
    """Solves problems; kernels that occur again are solved once."""

    def __init__(self, effort: int = EFFORT, max_depth: int | None = None):
        self.effort = effort
        self.max_depth = max_depth
        self.progress = after(0, lambda done: None)
        """Called with how much of a search is done, and of all."""
        self.known: dict[tuple[object, ...], native.AdderGraph] = {}

    def graph(self, problem: Problem, products: Sequence[Indices]) -> Graph:
        """
        The graph of a problem, checked against its matrix.

        Raises `PassFailedException` if it cannot be as deep as it may be.
        """
        graph = self.unchecked(problem, products)
        inputs = problem.layer.inputs
        built = expand(graph.nodes, graph.outputs, inputs, graph.products)
        if built != problem.matrix:
            # The op that the error is about.
            op = problem.op
            raise PassFailedException(
                f"{describe(op.results[0])}: the adder graph is not that of "
                "the constants; this is a bug"
            )
        return graph

    def unchecked(self, problem: Problem, products: Sequence[Indices]) -> Graph:
        """The graph of a problem; raises as `graph` does."""
        # The op that an error is about.
        op = problem.op
        try:
            return self._smallest(problem, products)
        except UserError as error:
            raise PassFailedException(f"{describe(op.results[0])}: {error}") from error

    def _smallest(self, problem: Problem, products: Sequence[Indices]) -> Graph:
        """
        That of the templates, which repeats itself, or of the matrix as a whole.

        Where there are few places, what templates build at borders may outweigh.
        """
        inputs, outputs = problem.layer.inputs, problem.layer.outputs
        solved = [
            self._solve(kernel, own)
            for kernel, own in zip(problem.kernels, products, strict=True)
        ]
        graph = unroll(solved, inputs, outputs)
        overlap = any(k.template.taps[0, 0].size > 1 for k in problem.kernels)
        if not overlap or len(problem.matrix.values) > WHOLE * self.effort:
            return graph
        whole = self._solve(problem.whole(), graph.products)
        other = unroll([whole], inputs, outputs)
        return min(graph, other, key=lambda g: added_bits(g, problem.ranges))

    def _solve(self, kernel: Kernel, products: Indices) -> Solved:
        weights, ranges, depths = split(kernel, products)
        arrays = (weights, ranges, depths)
        key = (weights.shape, *(a.tobytes() for a in arrays))
        if key not in self.known:
            self.known[key] = native.solve(
                weights,
                ranges,
                depths=depths,
                max_depth=self.max_depth,
                effort=self.effort,
                progress=self.progress,
            )
        found = self.known[key]
        return Solved(
            kernel.template,
            products,
            found.nodes.astype(np.int64),
            found.outputs.astype(np.int64),
        )


def added_bits(graph: Graph, ranges: Indices) -> int:
    """The bits that both operands of an adder have, of all adders."""
    products = ranges[graph.products[:, 0]] * graph.products[:, 1:]
    nodes = spans(graph.nodes, ranges, graph.products)
    low, high = np.concatenate([ranges, products, nodes]).T.astype(np.float64)
    _, widths = np.frexp(high - low)
    a, b, p, q, _ = graph.nodes.T
    both = np.minimum(widths[a] + p, widths[b] + q) - np.maximum(p, q)
    return int(np.maximum(both, 0).sum())


def replace(problem: Problem, graph: Graph) -> None:
    """`layer(x) -> reshape(adder_graph(reshape(x)))`, reshaped where need be"""
    op, layer = problem.op, problem.layer
    assert isinstance(op, ArithmeticOp)
    rewriter = PatternRewriter(op)
    value = op.operands[problem.operand]
    if shape_of(value) != (shape := (*layer.lead, layer.inputs)):
        value = rewriter.insert(ReshapeOp(value, shape)).result
    outputs = graph.outputs.astype(np.int32)
    outputs[outputs[:, 0] >= 0, 1] += problem.lift
    dropped = problem.dropped.astype(np.int32)
    new = AdderGraphOp(
        value,
        graph.nodes.astype(np.int32),
        outputs,
        problem.offsets,
        frac=problem.frac,
        products=graph.products if len(graph.products) else None,
        scales=problem.scales,
        dropped=dropped if dropped.any() else None,
        element=element_of(op.result),
        layer=layer_of(op),
        rounding=op.rounding,
    )
    rewriter.insert(new)
    last = new.result
    if shape_of(last) != shape_of(op.result):
        last = rewriter.insert(ReshapeOp(last, shape_of(op.result))).result
    last.name_hint = op.result.name_hint
    constants = {v.owner for v in op.operands if isinstance(v.owner, ConstantOp)}
    rewriter.replace(op, [], [last])
    for constant in constants:
        if not constant.result.uses:
            rewriter.erase(constant)
