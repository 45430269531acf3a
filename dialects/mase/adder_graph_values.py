"""What the values of an adder graph are: vectors over the inputs, and their ranges."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.formats.rounding import IntArray, max_magnitude

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
    columns: NDArray[np.integer[Any]]
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

    def spans(self, ranges: IntArray, count: int) -> IntArray:
        """
        The lowest and highest sum of each of `count` rows, `[count, 2]`.

        `ranges` are `[columns, 2]`, the lowest and highest value of what a column is
        multiplied with. Python integers where 63 bits do not suffice.
        """
        longest = int(np.bincount(self.rows).max(initial=0))
        largest = max_magnitude(self.values) * max_magnitude(ranges) * longest
        dtype = object if largest >= 1 << 63 else np.int64
        ends = self.values.astype(dtype)[:, None] * ranges.astype(dtype)[self.columns]
        result = np.zeros((count, 2), dtype)
        np.add.at(result, self.rows, np.sort(ends, axis=1))
        return result


NO_PRODUCTS = np.zeros((0, 2), np.int64)


def expand(
    nodes: Table, outputs: Table, inputs: int, products: Table = NO_PRODUCTS
) -> SparseRows:
    """The outputs of a graph as sums of multiples of its inputs, exactly."""
    value, shift, negative = outputs.astype(np.int64).T
    pool = _Pool(nodes, inputs, products, 1 << int(shift.max(initial=0)))
    used = np.flatnonzero(value >= 0)
    entries, row = pool.entries(value[used])
    factors = powers(shift[used], negative[used], pool.values.dtype)
    return SparseRows(
        used[row], pool.columns[entries], pool.values[entries] * factors[row]
    )


def spans(nodes: Table, ranges: IntArray, products: Table = NO_PRODUCTS) -> IntArray:
    """
    The exact lowest and highest value of each node, `[N, 2]`.

    `ranges` are `[I, 2]`, the lowest and highest value of each input. Python integers
    where 63 bits do not suffice.
    """
    pool = _Pool(nodes, len(ranges), products, 1)
    entries, row = pool.entries(np.arange(pool.given, pool.given + len(nodes)))
    found = SparseRows(row, pool.columns[entries], pool.values[entries])
    return found.spans(ranges, len(nodes))


def levels(
    nodes: Table, inputs: int, products: Table
) -> tuple[list[NDArray[np.int64]], float]:
    """
    Nodes by depth, and a bound of the largest value relative to that of an input.

    The bound also holds for whatever is computed on the way.
    """
    given = inputs + len(products)
    depth = [0] * given
    left: list[int] = nodes[:, 0].tolist()
    right: list[int] = nodes[:, 1].tolist()
    for a, b in zip(left, right, strict=True):
        x, y = depth[a], depth[b]
        depth.append((x if x > y else y) + 1)
    depths = np.array(depth[given:], np.int64)
    order = np.argsort(depths, kind="stable")
    found = np.split(order, np.flatnonzero(np.diff(depths[order])) + 1)
    found = [level for level in found if len(level)]
    bounds = np.ones(given + len(nodes))
    bounds[inputs:given] = np.abs(products[:, 1].astype(np.float64))
    with np.errstate(over="ignore"):
        for level in found:
            a, b, p, q, _ = nodes[level].T
            bounds[given + level] = np.ldexp(bounds[a], p) + np.ldexp(bounds[b], q)
    # More than what was rounded away.
    return found, float(bounds.max(initial=0)) * 1.001


def powers(
    shifts: NDArray[np.int64], negative: NDArray[np.int64], dtype: np.dtype[Any]
) -> IntArray:
    """`±2^shift`"""
    return np.left_shift(np.ones(1, dtype), shifts.astype(dtype)) * (1 - 2 * negative)


class _Pool:
    """The vectors of all values of a graph, one after the other, without zeros."""

    def __init__(self, nodes: Table, inputs: int, products: Table, largest: int):
        """`largest` is what vectors will be multiplied with."""
        self.inputs = inputs
        self.given = inputs + len(products)
        nodes = nodes.astype(np.int64)
        by_depth, bound = levels(nodes, inputs, products)
        count = self.given + len(nodes)
        # Most nodes have few entries.
        self.columns = np.empty(4 * count, np.int64)
        self.values: IntArray = np.ones(
            4 * count, object if bound * largest >= 1 << 63 else np.int64
        )
        self.columns[:inputs] = np.arange(inputs)
        self.columns[inputs : self.given] = products[:, 0]
        self.values[inputs : self.given] = products[:, 1]
        self.size = self.given
        self.start = np.arange(count)
        self.length = np.ones(count, np.int64)
        for level in by_depth:
            self._add(self.given + level, nodes[level])

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
        factors = powers(np.stack([p, q], 1).ravel(), signs.ravel(), self.values.dtype)
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
