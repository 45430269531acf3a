"""What adder graphs take, all adders of a depth at a time."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from xdsl.ir import Operation

from mase_opt.dialects.mase.adder_graph_values import levels, spans
from mase_opt.dialects.mase.base import ArithmeticOp
from mase_opt.dialects.mase.types import element_of
from mase_opt.lib.adder_graphs.constant_layers import Indices
from mase_opt.lib.adder_graphs.unroll import Graph
from mase_opt.lib.conversion.unrolled.adder_graph import bits_of_sums, bits_seen
from mase_opt.lib.cost.liveness import Mask
from mase_opt.lib.cost.operations import product
from mase_opt.lib.cost.registers import Numbers, advance, last_cut
from mase_opt.lib.cost.samples import Copies, Cost, measure, some
from mase_opt.lib.formats.block import Block
from mase_opt.lib.hardware.arith import Term, floor_shift, mul_levels
from mase_opt.lib.hardware.builder import Builder, Design
from mase_opt.lib.hardware.codec import Wires, encode, format_of
from mase_opt.lib.hardware.number import Sum
from mase_opt.lib.hardware.wire import bits_for, constant


@dataclass(frozen=True)
class Sums:
    """A graph, and `output · 2^-frac · scale + bias` of its outputs and offsets."""

    graph: Graph
    inputs: int
    offsets: Indices
    frac: int
    scales: Numbers
    """`[O, 2]`: scale and bias."""
    dropped: Indices
    """Low bits of each input that are always zero, and no inputs of the graph."""
    effort: int = 0
    """How long is searched for a smaller graph."""


@dataclass
class _Values:
    """Inputs, products and adders of a graph."""

    low: Numbers
    size: Numbers
    """The highest less the lowest number."""
    level: Indices
    last: Indices
    """The level behind the last cut that the value crosses."""

    @property
    def bits(self) -> Numbers:
        return np.frexp(self.size)[1].astype(np.float64)


def graph_cost(
    op: Operation, sums: Sums, x: Wires, live: Mask, max_depth: int
) -> tuple[Cost, Wires]:
    """What the graph that `op` is or becomes takes, and its result."""
    zeros = np.tile(sums.dropped, len(x) // sums.inputs).tolist()
    x = [floor_shift(wire, low) for wire, low in zip(x, zeros, strict=True)]
    rows = len(x) // sums.inputs
    times = live.reshape(rows, -1).sum(axis=0)
    sums = replace(sums, graph=_without_dead(sums, times > 0))
    values, found = _adders(sums, x, _bits_seen(op, sums), max_depth)
    value, _, _ = sums.graph.outputs.T
    used = value >= 0
    start = int(values.level[value[used]].max(initial=0))
    np.maximum.at(values.last, value[used], start)
    cost, ends, behind = _rounding(op, sums, values, start, times, max_depth)
    for name, count in found.items():
        cost.counts[name] += rows * count
    crossed = values.last > values.level
    table = np.stack([values.level, values.last, rows * values.bits], 1, dtype=float)
    cost.crossings.append(table[crossed])
    later = behind - start
    level = np.where(used, values.level[value], 0) + later
    result = [
        replace(wire, depth=int(depth)) if wire.lo < wire.hi else wire
        for _ in range(rows)
        for wire, depth in zip(ends, level.tolist(), strict=True)
    ]
    return cost, result


def _without_dead(sums: Sums, live: Mask) -> Graph:
    """The graph without the adders that only outputs read that are not live."""
    graph = sums.graph
    outputs = np.where(live[:, None], graph.outputs, [-1, 0, 0])
    first = sums.inputs + len(graph.products)
    needed = np.zeros(first + len(graph.nodes), np.bool_)
    needed[outputs[outputs[:, 0] >= 0, 0]] = True
    by_depth, _ = levels(graph.nodes, sums.inputs, graph.products)
    for own in reversed(by_depth):
        kept = own[needed[first + own]]
        needed[graph.nodes[kept, :2]] = True
    needed[:first] = True
    place = np.cumsum(needed) - 1
    nodes = graph.nodes[needed[first:]]
    nodes[:, :2] = place[nodes[:, :2]]
    used = outputs[:, 0] >= 0
    outputs[used, 0] = place[outputs[used, 0]]
    return Graph(graph.products, nodes, outputs)


def _bits_seen(op: Operation, sums: Sums) -> Numbers | None:
    """Per value, the low bits that results depend on; None: all."""
    assert isinstance(op, ArithmeticOp)
    bits = bits_of_sums(op, sums.frac)
    if bits == sys.maxsize or (sums.scales != [1, 0]).any():
        return None
    graph, first = sums.graph, sums.inputs + len(sums.graph.products)
    seen = bits_seen(graph.nodes.tolist(), graph.outputs.tolist(), first, bits)
    return np.maximum(np.array(seen, np.float64), 0)


def _adders(
    sums: Sums, x: Wires, seen: Numbers | None, max_depth: int
) -> tuple[_Values, Counter[str]]:
    """
    The values of a graph, and what its adders and multipliers take.

    Adders have the low bits of their results that are `seen`.
    """
    graph, inputs = sums.graph, sums.inputs
    products, nodes = graph.products, graph.nodes
    given = inputs + len(products)
    count = given + len(nodes)
    columns = [x[i::inputs] for i in range(inputs)]
    ends = np.array(
        [(min(w.lo for w in c), max(w.hi for w in c)) for c in columns], object
    ).reshape(-1, 2)
    every = np.concatenate(
        [
            ends,
            np.sort(ends[products[:, 0]] * products[:, 1:], axis=1),
            spans(nodes, ends, products),
        ]
    ).astype(np.float64)
    size = every[:, 1] - every[:, 0]
    if seen is not None:
        size[given:] = np.minimum(size, np.exp2(seen) - 1)[given:]
    level = np.zeros(count, np.int64)
    level[:inputs] = [max(w.depth for w in c) for c in columns]
    values = _Values(every[:, 0], size, level, np.zeros_like(level))
    bits = values.bits
    found: Counter[str] = Counter()
    for index, (source, factor) in enumerate(products.tolist(), inputs):
        found += product(int(bits[source]), factor.bit_length())
        steps = mul_levels(int(bits[source]), factor.bit_length())
        level[index] = advance(int(level[source]), steps, max_depth)
        last = last_cut(int(level[index]), steps, max_depth)
        values.last[source] = max(values.last[source], last)
    by_depth, _ = levels(nodes, inputs, products)
    for own in by_depth:
        a, b, p, q, _ = nodes[own].T
        both = (bits[a] > 0) & (bits[b] > 0)
        level[given + own] = np.maximum(level[a], level[b]) + both
        np.maximum.at(values.last, a, level[given + own])
        np.maximum.at(values.last, b, level[given + own])
    a, b, p, q, _ = nodes.T
    both = (bits[a] > 0) & (bits[b] > 0)
    low = np.maximum(p, q)
    operands = np.minimum(bits[a] + p, bits[b] + q)
    shared = np.minimum(operands, bits[given:]) - low
    alone = bits[given:] - low - np.maximum(shared, 0)
    found["adders"] += int(both.sum())
    found["graph_both"] += int(np.maximum(shared, 0)[both].sum())
    for effort in range(1, sums.effort + 1):
        # What each adds to those below it.
        found[f"effort_{effort}"] = found["graph_both"]
    found["graph_one"] += int(np.maximum(alone, 0)[both].sum())
    return values, found


def _rounding(
    op: Operation,
    sums: Sums,
    values: _Values,
    start: int,
    times: Indices,
    max_depth: int,
) -> tuple[Cost, Wires, int]:
    """
    What turns sums into codes: of some outputs, for all, as many times as each is.

    The codes of a row, and the level behind that, where sums are there at `start`.
    """
    value = sums.graph.outputs[:, 0]
    bits = np.where(value >= 0, values.bits[value], 0)
    order = np.argsort(bits, kind="stable")
    format = format_of(element_of(op.results[0]))
    b = Builder(Design(stall=False), "rounding")
    if isinstance(format, Block):
        codes = encode(b, op, _sums(b, sums, values, range(len(order))))
        which = np.arange(len(codes))
        copies = np.full(len(codes), float(times.max()))
    else:
        few, stands = some(len(order))
        chosen: list[int] = order[few].tolist()
        codes = encode(b, op, _sums(b, sums, values, chosen), chosen)
        which = np.empty(len(order), np.int64)
        which[order] = stands
        copies = np.bincount(which, times, minlength=len(codes)).astype(np.float64)
    shares = float(times.max(initial=0))
    cost, end = measure(b, codes, Copies(copies, shares=shares), start, max_depth)
    return cost, [codes[i] for i in which.tolist()], end


def _sums(b: Builder, sums: Sums, values: _Values, chosen: Sequence[int]) -> list[Sum]:
    """The exact results of some outputs, from wires that hold what adders give."""
    unit = Fraction(2) ** -sums.frac
    result: list[Sum] = []
    for o in chosen:
        value, shift, negate = sums.graph.outputs[o].tolist()
        size = int(values.size[value]) if value >= 0 else 0
        low = int(values.low[value]) if value >= 0 else 0
        wire = constant(0)
        if size:
            (wire,) = b.input(f"sum{o}", bits_for(0, size), [(0, size)])
        added = low << shift
        total = int(sums.offsets[o]) + (-added if negate else added)
        scale, bias = (Fraction(v) for v in sums.scales[o].tolist())
        result.append(
            Sum(
                [Term(wire, shift, bool(negate))],
                unit * scale,
                total * unit * scale + bias,
            )
        )
    return result
