"""
Parts of an op that stand for all of it: built as a circuit, counted, and multiplied.

Elements that come from the same ranges become the same circuit, so one of them is
enough; of rows of a matrix, and of ranges that all differ, some are.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects import hw
from xdsl.dialects.builtin import TensorType
from xdsl.ir import Block, Operation, SSAValue

from mase_opt.dialects.mase import elementwise, layers, pooling
from mase_opt.dialects.mase.base import MaseOp, ints
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.conversion.unrolled.lookup import LEVELS
from mase_opt.lib.conversion.unrolled.registry import TEMPLATES
from mase_opt.lib.conversion.unrolled.top import (
    checked_wires,
    operand_names,
    used_builders,
)
from mase_opt.lib.cost.liveness import Mask
from mase_opt.lib.cost.operations import counts, tables
from mase_opt.lib.cost.registers import Numbers, advance, last_cut
from mase_opt.lib.hardware.builder import Builder, Design, Output
from mase_opt.lib.hardware.codec import Wires, format_of, split
from mase_opt.lib.hardware.registers import neighbours, topological
from mase_opt.lib.hardware.timing import Timing
from mase_opt.lib.hardware.wire import Wire, bits_for, depth_of

Indices = NDArray[np.int64]

ELEMENTS = 4
"""Elements that are built of those whose ranges differ, and rows of a matrix."""


@dataclass(frozen=True)
class Sample:
    """An op like another one, but smaller."""

    op: Operation
    operands: list[Wires]
    outputs: Indices
    """For each element of the whole result, the one that stands for it."""
    shares: float = 1.0
    """How often there is what several elements of the result share."""
    products: float = 0.0
    """How often there are products with constants, if rows share them."""


@dataclass
class Cost:
    """What circuits take."""

    counts: Counter[str]
    """By what `operations.counts` tells apart; products of linear layers apart."""
    crossings: list[Numbers]
    """`[N, 3]` as of `registers.pipeline`."""


def sample_of(op: Operation, operands: list[Wires]) -> Sample:
    """The part of `op` that is built; all of it, if its formats differ by place."""
    whole = Sample(op, operands, np.arange(prod(shape_of(op.results[0]))))
    if not isinstance(op, MaseOp) or any(
        map(_is_positional, (*op.operands, op.result))
    ):
        return whole
    match op:
        case (
            elementwise.CastOp()
            | elementwise.NegOp()
            | elementwise.AbsOp()
            | elementwise.ReluOp()
            | elementwise.Relu6Op()
            | elementwise.LeakyReluOp()
            | elementwise.BinaryOp()
            | elementwise.CompareOp()
            | elementwise.SelectOp()
            | elementwise.BitwiseOp()
        ):
            return _elements(op, operands)
        case pooling.PoolOp():
            rank = len(ints(op.kernel))
            return _slice(op, operands, range(len(shape_of(op.input)) - rank))
        case pooling.AdaptivePoolOp():
            rank = len(ints(op.output_size))
            return _slice(op, operands, range(len(shape_of(op.input)) - rank))
        case pooling.ReduceOp():
            axes = ints(op.axes)
            rest = [a for a in range(len(shape_of(op.input))) if a not in axes]
            return _slice(op, operands, rest)
        case layers.LinearOp():
            return _rows(op, operands)
        case layers.MatmulOp():
            return _matrices(op, operands)
        case _:
            return whole


def _is_positional(value: SSAValue) -> bool:
    format = format_of(element_of(value))
    return format is not None and format.positional


def _smaller(op: MaseOp, shapes: Sequence[Sequence[int]]) -> MaseOp:
    """`op` on operands of other shapes."""
    types = [
        TensorType(element_of(value), shape)
        for value, shape in zip(op.operands, shapes, strict=True)
    ]
    block = Block(arg_types=types)
    small = op.clone(dict(zip(op.operands, block.args, strict=True)))
    small.set_result(element_of(op.result))
    return small


def _lookup(operands: list[Wires], live: Mask, max_depth: int) -> tuple[Cost, Wires]:
    """Tables, each of the codes that its input can be, which is not all that it has."""
    x, table = operands
    mask = len(table) - 1
    known: dict[tuple[int, int], tuple[Counter[str], int, int]] = {}
    found: Counter[str] = Counter()
    result: Wires = []
    for wire, is_live in zip(x, live.tolist(), strict=True):
        if (wire.lo, wire.hi) not in known:
            codes = [table[code & mask].lo for code in range(wire.lo, wire.hi + 1)]
            # Negative codes come last, as in the circuit.
            lowest = -(1 << (wire.width - 1)) if wire.signed else 0
            every = range(lowest, lowest + (1 << wire.width))
            order = sorted(every, key=lambda code: code & mask)
            cost = tables([table[code & mask].lo for code in order])
            known[wire.lo, wire.hi] = cost, min(codes), max(codes)
        cost, lo, hi = known[wire.lo, wire.hi]
        if is_live:
            found.update(cost)
        level = advance(wire.depth, LEVELS, max_depth)
        result.append(Wire(wire.base, 0, bits_for(lo, hi), lo, hi, level))
    return Cost(found, []), result


def _elements(op: MaseOp, operands: list[Wires]) -> Sample:
    """Some elements of a function of single elements."""
    shape = shape_of(op.result)
    spread: list[list[int]] = [
        np.broadcast_to(np.arange(len(x)).reshape(shape_of(value)), shape)
        .ravel()
        .tolist()
        for value, x in zip(op.operands, operands, strict=True)
    ]
    kinds: dict[tuple[tuple[int, int], ...], int] = {}
    which: list[int] = []
    columns = zip(operands, spread, strict=True)
    rows = list(zip(*([x[i] for i in index] for x, index in columns), strict=True))
    first: list[int] = []
    for place, row in enumerate(rows):
        kind = tuple((w.lo, w.hi) for w in row)
        if kind not in kinds:
            kinds[kind] = len(kinds)
            first.append(place)
        which.append(kinds[kind])
    chosen, stands = some(len(first))
    picked = [first[i] for i in chosen]
    columns = zip(*(rows[i] for i in picked), strict=True)
    small: list[Wires] = [list(column) for column in columns]
    smaller = _smaller(op, [(len(picked),)] * len(operands))
    return Sample(smaller, small, stands[np.array(which, np.int64)])


def some(count: int) -> tuple[list[int], Indices]:
    """A few of `count`, and for each the place of the one that stands for it."""
    chosen = np.unique(np.linspace(0, count - 1, min(count, ELEMENTS)).round())
    stands = np.abs(np.arange(count)[:, None] - chosen).argmin(axis=1)
    return chosen.astype(int).tolist(), stands


def _slice(op: MaseOp, operands: list[Wires], axes: Sequence[int]) -> Sample:
    """The first slice along `axes`, along which the op does the same."""
    (x,) = operands
    shape = shape_of(op.operands[0])
    size = [1 if axis in axes else n for axis, n in enumerate(shape)]
    index = np.arange(len(x)).reshape(shape)[tuple(slice(n) for n in size)]
    small = _smaller(op, [size])
    slices = prod(shape) // prod(size)
    outputs = np.tile(np.arange(prod(shape_of(small.result))), slices)
    return Sample(small, [[x[i] for i in index.ravel()]], outputs, float(slices))


def _rows(op: layers.LinearOp, operands: list[Wires]) -> Sample:
    """Some outputs for one vector."""
    outputs, features = shape_of(op.weight)
    lead = shape_of(op.input)[:-1]
    chosen, stands = some(outputs)
    x, weight, *bias = operands
    small = _smaller(
        op,
        [
            (*(1,) * len(lead), features),
            (len(chosen), features),
            *[(len(chosen),)] * len(bias),
        ],
    )
    rows = [w for o in chosen for w in weight[o * features : (o + 1) * features]]
    # Rows share them, the more the more there are.
    all_products, some_products = (
        len({(i % features, w.lo) for i, w in enumerate(wires)})
        for wires in (weight, rows)
    )
    return Sample(
        small,
        [x[:features], rows, *([b[o] for o in chosen] for b in bias)],
        np.tile(stands, prod(lead)),
        float(prod(lead)),
        prod(lead) * all_products / some_products,
    )


def _matrices(op: layers.MatmulOp, operands: list[Wires]) -> Sample:
    """Two rows by two columns of one product, of matrices."""
    shapes = [shape_of(v) for v in op.operands]
    if min(map(len, shapes)) < 2:
        return Sample(op, operands, np.arange(prod(shape_of(op.result))))
    sizes = [[1] * len(s) for s in shapes]
    sizes[0][-2:] = [min(shapes[0][-2], 2), shapes[0][-1]]
    sizes[1][-2:] = [shapes[1][-2], min(shapes[1][-1], 2)]
    small = [
        [x[i] for i in np.arange(len(x)).reshape(s)[tuple(map(slice, n))].ravel()]
        for x, s, n in zip(operands, shapes, sizes, strict=True)
    ]
    count = prod(shape_of(op.result))
    smaller = _smaller(op, sizes)
    built = prod(shape_of(smaller.result))
    shares = sum(map(prod, shapes)) / sum(map(prod, sizes))
    return Sample(smaller, small, np.arange(count) % built, shares)


def cost_of(
    op: Operation, operands: list[Wires], live: Mask, max_depth: int
) -> tuple[Cost, Wires]:
    """What a layer takes of which some results are live, and its result."""
    if isinstance(op, layers.LookupOp):
        return _lookup(operands, live, max_depth)
    part = sample_of(op, operands)
    b = Builder(Design(stall=False), "layer")
    inputs: list[Wires] = []
    for name, value, wires in zip(
        operand_names(part.op), part.op.operands, part.operands, strict=True
    ):
        inputs.append([])
        for lane, own in split(value, wires):
            spans = [(w.lo, w.hi) for w in own]
            inputs[-1] += b.input(name + lane.suffix, lane.codes.bits, spans)
    result = checked_wires(part.op, TEMPLATES[type(part.op)](part.op, b, *inputs))
    counts_of = np.bincount(part.outputs, live, minlength=len(result))
    results = counts_of.astype(np.float64)
    # Exponents of blocks, which have no elements of their own.
    results[int(part.outputs.max(initial=-1)) + 1 :] = 1
    sizes = [sum(w.lo < w.hi for x in o for w in x) for o in (operands, part.operands)]
    inputs_like = sizes[0] / max(sizes[1], 1)
    level = depth_of(*(w for x in operands for w in x))
    copies = Copies(results, inputs_like, part.shares, part.products)
    cost, end = measure(b, result, copies, level, max_depth)
    made: Wires = [replace(w, depth=end) for w in result]
    if part.op is not op:
        made = [made[i] for i in part.outputs.tolist()]
    return cost, made


@dataclass(frozen=True)
class Copies:
    """How many circuits are like those that are built."""

    results: Numbers
    """Per wire of the result."""
    inputs: float = 1.0
    shares: float = 1.0
    """Of what several of them read."""
    products: float = 0.0
    """Of products with constants, if these are shared by more than is built."""


def measure(
    b: Builder, result: Wires, copies: Copies, level: int, max_depth: int
) -> tuple[Cost, int]:
    """
    What a circuit takes, and the level of the latest wire of its result.

    Its inputs are there at `level`.
    """
    weights = _weights(b, result, copies)
    b.finish([Output("out", max((w.bits for w in result), default=1), result)])
    timing = Timing(used_builders(b.design.builders))
    found: dict[str, Counter[str]] = {}
    for module in timing.builders.values():
        own = found[module.name] = Counter[str]()
        for op in module.block.ops:
            weight = weights.get(op, 1.0)
            if isinstance(op, hw.InstanceOp):
                name = op.module_name.string_value()
                one = found[name]
                inside = timing.builders[name].block.ops
                for inner in inside:
                    weights[inner] = weight
            else:
                one = counts(op, timing.pieces)
            for name, count in one.items():
                own[name] += weight * count  # pyright: ignore
    crossings, end = _crossings(timing, weights, copies.inputs, level, max_depth)
    return Cost(found[b.name], [crossings]), end


def _weights(b: Builder, result: Wires, copies: Copies) -> dict[Operation, float]:
    """How often there is what each operation does."""
    read: dict[SSAValue, int] = {}
    for index, wire in enumerate(result):
        if wire.base is not None:
            read[wire.base] = read.get(wire.base, 0) | 1 << index
    products = _products(b)
    weights: dict[Operation, float] = {}
    for op in reversed(list(b.block.ops)):
        mask = 0
        for value in op.results:
            mask |= read.get(value, 0)
        for value in op.operands:
            read[value] = read.get(value, 0) | mask
        if copies.products and op in products:
            weights[op] = copies.products
        elif mask.bit_count() == 1:
            weights[op] = float(copies.results[mask.bit_length() - 1])
        else:
            weights[op] = copies.shares
    return weights


def _products(b: Builder) -> set[Operation]:
    """What multiplies with odd constants."""
    found: set[Operation] = set()
    for (base, *_), wire in b.products.items():
        waiting = [] if wire.base is None else [wire.base]
        while waiting:
            value = waiting.pop()
            op = value.owner
            if value is not base and isinstance(op, Operation) and op not in found:
                found.add(op)
                waiting += op.operands
    return found


def _crossings(
    timing: Timing,
    weights: dict[Operation, float],
    inputs: float,
    level: int,
    max_depth: int,
) -> tuple[Numbers, int]:
    """The values inside, and the level of the latest output."""
    graph = timing.graph
    before, after = neighbours(len(graph.levels), graph.edges)
    behind = [level] * len(graph.levels)
    for v in topological(before, after):
        start = max((behind[u] for u in before[v]), default=level)
        behind[v] = advance(start, graph.levels[v], max_depth)
    weight = [inputs] * len(graph.levels)
    for op, node in timing.node.items():
        weight[node] = weights.get(op, 1.0)
    rows: list[tuple[float, float, float]] = []
    for net in graph.nets:
        last = max(last_cut(behind[u], graph.levels[u], max_depth) for u in net.users)
        if last > behind[net.source]:
            rows.append((behind[net.source], last, net.width * weight[net.source]))
    end = max((behind[v] for v in graph.ends), default=level)
    return np.array(rows, np.float64).reshape(-1, 3), end
