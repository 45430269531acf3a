"""
Where registers go: as few bits of them as a linear program finds.

Every node of a circuit without loops gets a pipeline stage; what goes from stage s to
stage t passes t - s registers. Between registers there are at most `max_depth` logic
levels: for the two ends of every path that has more, there is a constraint. That is
retiming for minimum area (Leiserson and Saxe, 1991). All constraints bound differences
of two stages, so that the corners of the program, among which the simplex method looks,
are integers.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from mase_opt.lib.standard_output import stdout_dropped


@dataclass(frozen=True)
class Net:
    """What goes through one chain of registers: `width` bits from node to users."""

    source: int
    users: tuple[int, ...]
    width: int


@dataclass(frozen=True)
class Graph:
    """The nodes of a circuit, as numbers, and what connects them."""

    levels: Sequence[int]
    """Per node: the logic levels that it adds."""
    edges: set[tuple[int, int]]
    """From a node to one that uses it."""
    nets: Sequence[Net]
    starts: Sequence[int]
    """The inputs of the circuit, all of them at stage 0."""
    ends: Sequence[int]
    """Its outputs, all of them at the last stage."""


@dataclass(frozen=True)
class Schedule:
    """A stage for every node."""

    stages: Sequence[int]
    latency: int
    """Stages between the inputs and the outputs of the top."""
    depth: int
    """Most logic levels between registers."""


class Scheduler:
    """Finds stages for the nodes of a graph."""

    def __init__(self, graph: Graph):
        self.levels = graph.levels
        self.starts, self.ends = graph.starts, graph.ends
        self.before, self.after = neighbours(len(self.levels), graph.edges)
        order = topological(self.before, self.after)
        needed = set(self.ends)
        for v in reversed(order):
            if not needed.isdisjoint(self.after[v]):
                needed.add(v)
        self.order = [v for v in order if v in needed]
        """The nodes that outputs depend on, each behind its predecessors."""
        self.rest = [v for v in order if v not in needed]
        """Those of which no bit is used."""
        self.after = [[w for w in users if w in needed] for users in self.after]
        self.nets = [
            replace(net, users=tuple(u for u in net.users if u in needed))
            for net in graph.nets
            if not needed.isdisjoint(net.users)
        ]

    def with_depth(self, max_depth: int, *, least: int = 0) -> Schedule:
        """
        The fewest stages, at least `least`, with at most `max_depth` levels each.

        An operation that has more levels is alone in its stage.
        """
        early, latency = self._early(max_depth)
        latency = max(latency, least)
        late = self._late(max_depth, latency)
        stages = self._place(max_depth, early, late)
        for v in self.rest:
            stages[v] = max((stages[u] for u in self.before[v]), default=0)
        return Schedule(stages, latency, self._depth(stages))

    def with_stages(self, latency: int) -> Schedule:
        """`latency` stages, with as few levels between registers as that allows."""
        low, high = 1, max(self._depth([0] * len(self.levels)), 1)
        while low < high:
            middle = (low + high) // 2
            if self._early(middle)[1] <= latency:
                high = middle
            else:
                low = middle + 1
        return self.with_depth(low, least=latency)

    def combinational(self) -> Schedule:
        """No registers at all."""
        stages = [0] * len(self.levels)
        return Schedule(stages, 0, self._depth(stages))

    def _early(self, max_depth: int) -> tuple[list[int], int]:
        """The first stage that each node can have, and the first of all outputs."""
        stages = [0] * len(self.levels)
        depths = [0] * len(self.levels)
        for v in self.order:
            stage = depth = 0
            for u in self.before[v]:
                if stages[u] > stage:
                    stage, depth = stages[u], depths[u]
                elif stages[u] == stage:
                    depth = max(depth, depths[u])
            if depth and self.levels[v] and depth + self.levels[v] > max_depth:
                stage, depth = stage + 1, 0
            stages[v], depths[v] = stage, depth + self.levels[v]
        return stages, max((stages[v] for v in self.ends), default=0)

    def _late(self, max_depth: int, latency: int) -> list[int]:
        """The last stage that each node can have."""
        stages = [latency] * len(self.levels)
        depths = [0] * len(self.levels)
        for v in reversed(self.order):
            stage, depth = latency, 0
            for w in self.after[v]:
                if stages[w] < stage:
                    stage, depth = stages[w], depths[w]
                elif stages[w] == stage:
                    depth = max(depth, depths[w])
            if depth and self.levels[v] and depth + self.levels[v] > max_depth:
                stage, depth = stage - 1, 0
            stages[v], depths[v] = stage, depth + self.levels[v]
        for v in self.starts:
            stages[v] = 0
        return stages

    def _depth(self, stages: Sequence[int]) -> int:
        """Most logic levels between registers."""
        depths = [0] * len(self.levels)
        for v in self.order:
            same = (depths[u] for u in self.before[v] if stages[u] == stages[v])
            depths[v] = max(same, default=0) + self.levels[v]
        return max(depths, default=0)

    def _place(self, max_depth: int, early: list[int], late: list[int]) -> list[int]:
        """Stages between `early` and `late` that take the fewest register bits."""
        for v in self.ends:
            early[v] = late[v]
        constraints = [
            (u, v, 0) for v in self.order for u in self.before[v] if late[u] > early[v]
        ]
        constraints += [
            (u, v, 1)
            for u, v in too_long(
                max_depth, self.levels, self.before, self.order, early, late
            )
        ]
        for v in self.rest:
            late[v] = early[v]
        if early == late:
            return early
        stages = _minimize(self.nets, constraints, early, late)
        assert all(stages[v] - stages[u] >= least for u, v, least in constraints)
        return stages


def neighbours(
    count: int, edges: set[tuple[int, int]]
) -> tuple[list[list[int]], list[list[int]]]:
    """Predecessors and successors of each node."""
    before: list[list[int]] = [[] for _ in range(count)]
    after: list[list[int]] = [[] for _ in range(count)]
    for u, v in sorted(edges):
        before[v].append(u)
        after[u].append(v)
    return before, after


def topological(
    before: Sequence[Sequence[int]], after: Sequence[Sequence[int]]
) -> list[int]:
    """The nodes, each behind its predecessors."""
    missing = [len(nodes) for nodes in before]
    order = [v for v, count in enumerate(missing) if count == 0]
    for u in order:
        for v in after[u]:
            missing[v] -= 1
            if missing[v] == 0:
                order.append(v)
    assert len(order) == len(before), "a circuit has a loop"
    return order


def too_long(
    max_depth: int,
    levels: Sequence[int],
    before: Sequence[Sequence[int]],
    order: Sequence[int],
    early: Sequence[int],
    late: Sequence[int],
) -> list[tuple[int, int]]:
    """
    Pairs of nodes that need a register between them: the ends of paths that are longer
    than `max_depth` while all shorter parts are not.

    Those that are apart anyway, from the stages that they can have, are left out.
    """
    place = [0] * len(before)
    for index, v in enumerate(order):
        place[v] = index
    pairs: list[tuple[int, int]] = []
    for v in order:
        if levels[v] == 0:
            continue
        depth = {v: levels[v]}
        heap = [-place[v]]
        apart: set[int] = set()
        while heap:
            w = order[-heapq.heappop(heap)]
            if w in apart:
                continue
            for u in before[w]:
                if late[u] < early[v] or u in apart:
                    continue
                total = depth[w] + levels[u]
                if levels[u] and total > max_depth:
                    pairs.append((u, v))
                    apart.add(u)
                elif u not in depth:
                    depth[u] = total
                    heapq.heappush(heap, -place[u])
                else:
                    depth[u] = max(depth[u], total)
    return pairs


def _minimize(
    nets: Sequence[Net],
    constraints: Sequence[tuple[int, int, int]],
    early: Sequence[int],
    late: Sequence[int],
) -> list[int]:
    """Stages of the fewest register bits, by linear programming."""
    # Importing it takes long where nothing is pipelined.
    import highspy

    cost = np.zeros(len(early))
    chains: list[Net] = []
    for net in nets:
        if len(net.users) == 1:
            cost[net.source] -= net.width
            cost[net.users[0]] += net.width
        else:
            chains.append(net)
    # One row per constraint, and one per user of a chain, whose length is a column.
    rows = [(v, u, -1, least) for u, v, least in constraints]
    for index, net in enumerate(chains, start=len(early)):
        rows += [(index, user, net.source, 0) for user in net.users]
    table = np.array(rows, dtype=np.int64).reshape(-1, 4)
    plus, minus, source, least = table.T
    chained = source >= 0
    sizes = np.where(chained, 3, 2)
    starts = np.concatenate([[0], np.cumsum(sizes)])
    index = np.zeros(int(starts[-1]), np.int32)
    value = np.zeros(int(starts[-1]))
    for place, (column, factor) in enumerate(((plus, 1), (minus, -1))):
        index[starts[:-1] + place], value[starts[:-1] + place] = column, factor
    index[starts[:-1][chained] + 2] = source[chained]
    value[starts[:-1][chained] + 2] = 1
    program = highspy.HighsLp()
    program.num_col_ = len(early) + len(chains)
    program.num_row_ = len(rows)
    program.col_cost_ = np.concatenate([cost, [net.width for net in chains]])
    zeros = np.zeros(len(chains))
    program.col_lower_ = np.concatenate([np.array(early, float), zeros])
    program.col_upper_ = np.concatenate([np.array(late, float), zeros + np.inf])
    program.row_lower_ = least.astype(float)
    program.row_upper_ = np.full(len(rows), np.inf)
    program.a_matrix_.format_ = highspy.MatrixFormat.kRowwise
    program.a_matrix_.start_ = starts
    program.a_matrix_.index_ = index
    program.a_matrix_.value_ = value
    # Some versions introduce themselves before they can be told to be quiet.
    with stdout_dropped():
        solver = highspy.Highs()
    solver.setOptionValue("output_flag", False)
    solver.setOptionValue("threads", 1)
    solver.passModel(program)
    solver.run()
    assert solver.getModelStatus() == highspy.HighsModelStatus.kOptimal
    found = np.array(solver.getSolution().col_value[: len(early)])
    return np.rint(found).astype(int).tolist()
