"""Constant products that stay multiplications."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.adder_graphs.constant_layers import Indices
from mase_opt.lib.adder_graphs.numbers import Kernel, Problem
from mase_opt.lib.formats.rounding import max_magnitude

PRODUCT_BITS = 48
"""Of the widest product in a layer that has some: as many as a DSP block adds up."""


def choose_products(problems: Sequence[Problem], budget: int) -> list[list[Indices]]:
    """
    For each kernel of each problem the `[P, 2]` inputs and odd constants, most useful
    first, of at most `budget` multipliers in all.

    A product saves an adder for each nonzero digit but one, wherever it is used. It is
    built at every place where there is an input.
    """
    found: list[tuple[int, int, int, int, int, int]] = []
    for p, problem in enumerate(problems):
        for k, kernel in enumerate(problem.kernels):
            built = (kernel.template.planes >= 0).sum(axis=(1, 2)) * problem.rows
            odd = odd_part(kernel.weights)
            widest = max_magnitude(kernel.weights) * max_magnitude(kernel.ranges)
            if widest.bit_length() > PRODUCT_BITS:
                continue
            for i, weights in enumerate(odd):
                values, counts = np.unique(weights, return_counts=True)
                for value, count in zip(values.tolist(), counts.tolist(), strict=True):
                    saved = ((3 * value ^ value).bit_count() - 1) * count
                    if saved > 0 and built[i]:
                        found.append((-saved, p, k, i, value, int(built[i])))
    chosen: list[list[list[tuple[int, int]]]] = [
        [[] for _ in problem.kernels] for problem in problems
    ]
    for _, p, k, i, value, count in sorted(found):
        if count <= budget:
            budget -= count
            chosen[p][k].append((i, value))
    return [[np.array(rows, np.int64).reshape(-1, 2) for rows in own] for own in chosen]


def odd_part(weights: Indices) -> Indices:
    """The odd factor of each magnitude, 0 of zero."""
    magnitude = np.abs(weights)
    return magnitude // np.maximum(magnitude & -magnitude, 1)


def split(
    kernel: Kernel, products: Indices
) -> tuple[Indices, Indices, NDArray[np.int32]]:
    """Weights, ranges and depths of the inputs, and of the products as more inputs."""
    weights, odd = kernel.weights.copy(), odd_part(kernel.weights)
    more: list[Indices] = []
    for i, value in products.tolist():
        taken = odd[i] == value
        more.append(np.where(taken, kernel.weights[i] // value, 0))
        weights[i][taken] = 0
    ends = kernel.ranges[products[:, 0]] * products[:, 1:]
    depths = np.repeat(np.array([0, 1], np.int32), [len(weights), len(products)])
    return (
        np.concatenate([weights, *(m[None] for m in more)]),
        np.concatenate([kernel.ranges, ends]),
        depths,
    )
