"""Adder graphs of convolutions, repeated for every place where a layer is applied."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mase_opt.dialects.mase.adder_graph_values import levels
from mase_opt.lib.adder_graphs.constant_layers import Indices, Template


@dataclass(frozen=True)
class Solved:
    """A template and the graph for it."""

    template: Template
    products: Indices
    """`[P, 2]`: an input of the template and a constant; inputs behind the others."""
    nodes: Indices
    """`[N, 7]` of the solver: value b is read at a tap `dy, dx` from that of a."""
    outputs: Indices
    """`[O, 5]` of the solver: a value, read at a tap `dy, dx`."""


@dataclass(frozen=True)
class Graph:
    """The numbers of `mase.adder_graph`."""

    products: Indices
    nodes: Indices
    outputs: Indices


def unroll(solved: Sequence[Solved], inputs: int, outputs: int) -> Graph:
    """
    One graph for all places of all templates.

    A node becomes an adder at every place where somebody needs its value, once. Where
    an operand is zero, outside of the image, its value is that of the other one.
    """
    placed = [_Placed(s) for s in solved]
    rows = [p.product_rows() for p in placed]
    none = np.zeros((0, 2), np.int64)
    products, numbers = np.unique(
        np.concatenate([none, *rows]), axis=0, return_inverse=True
    )
    table = np.tile([-1, 0, 0], (outputs, 1))
    nodes = [np.zeros((0, 5), np.int64)]
    count, done = inputs + len(products), 0
    for p, own in zip(placed, rows, strict=True):
        p.number_products(inputs + numbers.ravel()[done : done + len(own)])
        done += len(own)
        new = p.build(count)
        count += sum(map(len, new))
        nodes += new
        table[p.solved.template.outputs.reshape(len(p.solved.outputs), -1)] = (
            p.outputs()
        )
    return Graph(products, np.concatenate(nodes), table)


class _Placed:
    """
    The values of a template on a grid of places: ±value · 2^shift of the whole graph.

    The grid has the places of the template's outputs, and all that are read from there.
    """

    def __init__(self, solved: Solved):
        self.solved = solved
        template, nodes = solved.template, solved.nodes
        self.operands = nodes[:, :5]
        self.planes = len(template.planes)
        self.first = self.planes + len(solved.products)
        without_places = np.zeros((0, 2), np.int64)
        self.levels, _ = levels(self.operands, self.first, without_places)
        step = np.array(template.step)
        ahead, read = nodes[:, 5:] * step, solved.outputs[:, 3:] * step
        low, high = self._reach(ahead, read)
        places = np.array(template.outputs.shape[1:])
        size = np.array(template.planes.shape[1:])
        low, high = np.minimum(low, 0), np.maximum(high, size - places)
        rows, self.width = (high - low + places).tolist()
        self.values = np.full((self.first + len(nodes), rows * self.width), -1)
        grid = self.values[: self.planes].reshape(self.planes, rows, self.width)
        y, x = (-low).tolist()
        grid[:, y : y + size[0], x : x + size[1]] = template.planes
        self.shifts = np.zeros(self.values.shape, np.int32)
        self.negative = np.zeros(self.values.shape, np.bool_)
        self.ahead = self._distance(ahead)
        corner = np.argwhere(np.ones(places, np.bool_)) - low
        self.read = self._distance(read)[:, None] + self._distance(corner)
        self.needed = self._needed()

    def _distance(self, offsets: Indices) -> Indices:
        """Offsets `[…, 2]` on the grid, row-major."""
        return offsets[:, 0] * self.width + offsets[:, 1]

    def _reach(self, ahead: Indices, read: Indices) -> tuple[Indices, Indices]:
        """The lowest and highest offset at which values are read."""
        far = np.iinfo(np.int32).max
        count = self.first + len(ahead)
        low, high = np.full((count, 2), far), np.full((count, 2), -far)
        value = self.solved.outputs[:, 0]
        used = value >= 0
        np.minimum.at(low, value[used], read[used])
        np.maximum.at(high, value[used], read[used])
        for level in reversed(self.levels):
            own = self.first + level
            for operand, offset in zip(self.operands.T[:2], (0, ahead), strict=True):
                offset = np.broadcast_to(offset, ahead.shape)[level]
                np.minimum.at(low, operand[level], low[own] + offset)
                np.maximum.at(high, operand[level], high[own] + offset)
        return low.min(axis=0, initial=0), high.max(axis=0, initial=0)

    def _needed(self) -> NDArray[np.bool_]:
        """Where which value is read."""
        needed = np.zeros(self.values.shape, np.bool_)
        value = self.solved.outputs[:, 0]
        used = value >= 0
        needed[value[used, None], self.read[used]] = True
        for level in reversed(self.levels):
            row, place = np.nonzero(needed[self.first + level])
            node = level[row]
            needed[self.operands[node, 0], place] = True
            needed[self.operands[node, 1], place + self.ahead[node]] = True
        return needed

    def _product_places(self) -> tuple[Indices, Indices]:
        own = self.needed[self.planes : self.first]
        which, place = np.nonzero(own & (self.values[self.solved.products[:, 0]] >= 0))
        return which, place

    def product_rows(self) -> Indices:
        """Which inputs of the whole graph are multiplied with what."""
        which, place = self._product_places()
        plane, factor = self.solved.products[which].T
        return np.stack([self.values[plane, place], factor], 1)

    def number_products(self, numbers: Indices) -> None:
        """Tell which values of the whole graph `product_rows` are."""
        which, place = self._product_places()
        self.values[self.planes + which, place] = numbers

    def build(self, count: int) -> list[Indices]:
        """New adders, the first one of which is value `count`."""
        built: list[Indices] = []
        for level in self.levels:
            row, place = np.nonzero(self.needed[self.first + level])
            node = level[row]
            a, b, p, q, subtract = self.operands[node].T
            other = place + self.ahead[node]
            left, left_up, left_minus = self._read(a, place)
            right, right_up, right_minus = self._read(b, other)
            left_up, right_up = left_up + p, right_up + q
            right_minus = right_minus ^ (subtract == 1)
            # -x + y = y - x; a difference has a minus at the right.
            swap = (left < 0) | (left_minus & ~right_minus & (right >= 0))
            left, right = np.where(swap, (right, left), (left, right))
            left_up, right_up = np.where(swap, (right_up, left_up), (left_up, right_up))
            left_minus, right_minus = np.where(
                swap, (right_minus, left_minus), (left_minus, right_minus)
            )
            low = np.minimum(left_up, right_up)
            twice = (left == right) & (left_up == right_up)
            new = (right >= 0) & ~twice
            cancels = twice & (left_minus != right_minus)
            value, up = left, left_up + (twice & (left >= 0))
            value = np.where(cancels, -1, value)
            value[new] = count + np.arange(np.count_nonzero(new))
            own = self.first + node
            self.values[own, place] = value
            self.shifts[own, place] = np.where(new, low, up)
            self.negative[own, place] = left_minus
            table = np.stack(
                [left, right, left_up - low, right_up - low, left_minus != right_minus],
                axis=1,
            )
            built.append(table[new].astype(np.int64))
            count += len(built[-1])
        return built

    def _read(
        self, value: Indices, place: Indices
    ) -> tuple[Indices, Indices, NDArray[np.bool_]]:
        return (
            self.values[value, place],
            self.shifts[value, place].astype(np.int64),
            self.negative[value, place],
        )

    def outputs(self) -> Indices:
        """The outputs at all places, `[O, places, 3]`."""
        value, up, minus = (column[:, None] for column in self.solved.outputs.T[:3])
        found, shift, negative = self._read(value, self.read)
        found = np.where(value < 0, -1, found)
        negative = negative ^ (minus == 1)
        rows = np.stack([found, shift + up, negative], -1)
        return np.where(found[..., None] < 0, [-1, 0, 0], rows)
