"""What the values of an adder graph are: vectors over the inputs, and their ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.formats.rounding import IntArray

Table = NDArray[np.integer[Any]]
"""Rows of numbers, as in `mase.adder_graph`."""


@dataclass(frozen=True)
class SparseRows:
    """
    Rows of which most entries are zero.

    Row `rows[k]` has `values[k]`, which is not zero, in column `columns[k]`; sorted by
    row, then by column.
    """

    rows: NDArray[np.int64]
    columns: NDArray[np.int64]
    values: IntArray

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, SparseRows)
            and np.array_equal(self.rows, other.rows)
            and np.array_equal(self.columns, other.columns)
            and np.array_equal(self.values, other.values)
        )

    @staticmethod
    def of(matrix: IntArray) -> SparseRows:
        """The rows of a matrix."""
        rows, columns = np.nonzero(matrix)
        return SparseRows(rows, columns, matrix[rows, columns])


def expand(nodes: Table, outputs: Table, inputs: int) -> SparseRows:
    """The outputs of a graph as sums of multiples of its inputs, exactly."""
    value, shift, negative = outputs.astype(np.int64).T
    pool = _Pool(nodes, inputs, 1 << int(shift.max(initial=0)))
    used = np.flatnonzero(value >= 0)
    entries, row = pool.entries(value[used])
    factors = _powers(shift[used], negative[used], pool.values.dtype)
    return SparseRows(
        used[row], pool.columns[entries], pool.values[entries] * factors[row]
    )


def spans(nodes: Table, ranges: IntArray) -> IntArray:
    """
    The exact lowest and highest value of each node, `[N, 2]`.

    `ranges` are `[I, 2]`, the lowest and highest value of each input. Python integers
    where 63 bits do not suffice.
    """
    inputs = len(ranges)
    largest = max((abs(int(v)) for v in ranges.ravel().tolist()), default=0)
    pool = _Pool(nodes, inputs, max(largest, 1))
    entries, row = pool.entries(np.arange(inputs, inputs + len(nodes)))
    ends = ranges.astype(pool.values.dtype)[pool.columns[entries]]
    ends = np.sort(pool.values[entries][:, None] * ends, axis=1)
    result = np.zeros((len(nodes), 2), pool.values.dtype)
    np.add.at(result, row, ends)
    return result


class _Pool:
    """The vectors of all values of a graph, one after the other, without zeros."""

    def __init__(self, nodes: Table, inputs: int, largest: int):
        """`largest` is what vectors will be multiplied with."""
        self.inputs = inputs
        nodes = nodes.astype(np.int64)
        levels, bound = _levels(nodes, inputs)
        wide = bound * largest >= 1 << 63
        self.columns = np.arange(inputs, dtype=np.int64)
        self.values: IntArray = np.ones(inputs, object if wide else np.int64)
        self.size = inputs
        count = inputs + len(nodes)
        self.start = np.zeros(count, np.int64)
        self.start[:inputs] = np.arange(inputs)
        self.length = np.zeros(count, np.int64)
        self.length[:inputs] = 1
        for level in levels:
            self._add(inputs + level, nodes[level])

    def entries(
        self, values: NDArray[np.int64]
    ) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """Where the entries of `values` are, and which of `values` each belongs to."""
        counts = self.length[values]
        row = np.repeat(np.arange(len(values)), counts)
        before = np.cumsum(counts) - counts
        return np.arange(len(row)) + (self.start[values] - before)[row], row

    def _add(self, ids: NDArray[np.int64], nodes: NDArray[np.int64]) -> None:
        """Compute `nodes`, whose operands are there."""
        a, b, p, q, subtract = nodes.T
        entries, operand = self.entries(np.stack([a, b], 1).ravel())
        signs = np.stack([np.zeros_like(subtract), subtract], 1)
        factors = _powers(np.stack([p, q], 1).ravel(), signs.ravel(), self.values.dtype)
        key = operand // 2 * self.inputs + self.columns[entries]
        order = np.argsort(key, kind="stable")
        key, terms = key[order], (self.values[entries] * factors[operand])[order]
        first = np.flatnonzero(np.diff(key, prepend=-1))
        sums = np.add.reduceat(terms, first) if len(first) else terms
        kept = sums != 0
        row, column = np.divmod(key[first][kept], max(self.inputs, 1))
        self.length[ids] = np.bincount(row, minlength=len(ids))
        self.start[ids] = self.size + np.cumsum(self.length[ids]) - self.length[ids]
        end = self.size + len(row)
        if end > len(self.values):
            more = max(end, 2 * len(self.values)) - len(self.values)
            self.columns = np.append(self.columns, np.empty(more, np.int64))
            self.values = np.append(self.values, np.empty(more, self.values.dtype))
        self.columns[self.size : end] = column
        self.values[self.size : end] = sums[kept]
        self.size = end


def _powers(
    shifts: NDArray[np.int64], negative: NDArray[np.int64], dtype: np.dtype[Any]
) -> IntArray:
    """`±2^shift`"""
    return np.left_shift(np.ones(1, dtype), shifts.astype(dtype)) * (1 - 2 * negative)


def _levels(
    nodes: NDArray[np.int64], inputs: int
) -> tuple[list[NDArray[np.int64]], int]:
    """Nodes by depth, and a bound of the sum of a vector's magnitudes."""
    depth, bounds = [0] * inputs, [1] * inputs
    rows: list[list[int]] = nodes.tolist()
    for a, b, p, q, _ in rows:
        depth.append(max(depth[a], depth[b]) + 1)
        bounds.append((bounds[a] << p) + (bounds[b] << q))
    depths = np.array(depth[inputs:], np.int64)
    order = np.argsort(depths, kind="stable")
    levels = np.split(order, np.flatnonzero(np.diff(depths[order])) + 1)
    return [level for level in levels if len(level)], max(bounds, default=0)
