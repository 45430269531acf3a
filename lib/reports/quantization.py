"""A page about what quantization has done to each layer."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.types import ElementType, element_of
from mase_opt.lib.analysis.nodes import nodes
from mase_opt.lib.analysis.observation import Inputs, observe_batches
from mase_opt.lib.analysis.quantization import (
    is_weight,
    layers,
    matched,
    numbers,
    parameter,
    summary,
)
from mase_opt.lib.drawing import svg
from mase_opt.lib.html_page import page, section
from mase_opt.lib.reports.distributions import Distribution, figure
from mase_opt.lib.reports.graph import graph_svg
from mase_opt.lib.table import Cell, Table

Array = NDArray[Any]
SQNR = ("output_sqnr_db", "weight_sqnr_db")
"""What layers are ranked by: the first that there is."""
KEPT = 1 << 16
"""Numbers of a result that a histogram is of, at most."""


def quantization_page(function: FuncOp, reference: FuncOp, inputs: Inputs) -> str:
    """
    The page: layers by their noise against `reference` on `inputs`, the worst first.

    Each with how its weights and results lie on the numbers of their formats; then the
    graph. Raises `UserError` if `reference` is of another model, or cannot be run.
    """
    table = summary(function, reference, inputs)
    pairs = matched(function, reference)
    results = _results(reference, [pair.results[0] for pair in pairs.values()], inputs)
    ranked = [*zip(table.rows, layers(function), strict=True)]
    ranked.sort(key=lambda item: _sqnr(table, item[0]))
    rows = [row for row, _ in ranked]
    sections = [section("layers", "Layers", _ranked(table, rows).html())]
    for index, (row, op) in enumerate(ranked):
        if op not in pairs:
            continue
        shown = _distributions(op, pairs[op], results)
        if shown:
            sections.append(
                section(
                    f"layer{index}",
                    f"{row[0] or row[1]}",
                    svg(figure(shown), f"layer{index}_svg"),
                    _note(table, row),
                )
            )
    sections.append(section("graph", "Graph", graph_svg(nodes(function))))
    samples = max((len(array) for array in inputs), default=1)
    return page(
        f"Quantization of {function.sym_name.data}",
        f"{len(rows)} layers, those with the most noise first, on {samples} samples. "
        "Histograms are of the model in floating point; the lines below them are the "
        "numbers of the format.",
        sections,
    )


def _ranked(table: Table, rows: Sequence[Sequence[Cell]]) -> Table:
    """The table with the noise in front, where a narrow window shows it."""
    names = [column.name for column in table.columns]
    front = [names.index(name) for name in ("layer", "operation", *SQNR)]
    order = [*front, *(i for i in range(len(names)) if i not in front)]

    def ordered(row: Sequence[Cell]) -> Sequence[Cell]:
        return [row[i] for i in order]

    columns = [table.columns[i] for i in order]
    return Table(table.title, columns, [*map(ordered, rows)], ordered(table.total))


def _cell(table: Table, row: Sequence[Any], name: str) -> Any:
    return row[[column.name for column in table.columns].index(name)]


def _sqnr(table: Table, row: Sequence[Any]) -> float:
    known = (_cell(table, row, name) for name in SQNR)
    return next((value for value in known if value is not None), inf)


def _note(table: Table, row: Sequence[Any]) -> str:
    """What the layer is, and its noise."""
    said = [str(_cell(table, row, "operation"))]
    for name, what in zip(SQNR, ("results", "weights"), strict=True):
        value = _cell(table, row, name)
        if value is not None:
            said.append(f"SQNR of {what} {value:.2f} dB")
    return ", ".join(said)


def _results(
    reference: FuncOp, wanted: Sequence[SSAValue], inputs: Inputs
) -> dict[SSAValue, Array]:
    """The numbers of results in floating point, as many as histograms need."""
    seen: dict[SSAValue, list[Array]] = {
        value: [] for value in wanted if is_float(element_of(value))
    }

    def look(value: SSAValue, array: Array) -> None:
        if value in seen and sum(part.size for part in seen[value]) < KEPT:
            seen[value].append(array)

    observe_batches(reference, inputs, look, "distributions")
    return {v: np.concatenate(parts) for v, parts in seen.items() if parts}


def _distributions(
    op: Operation, other: Operation, results: dict[SSAValue, Array]
) -> list[Distribution]:
    """Of the weights of a layer and of its results, as far as they have formats."""
    found: list[Distribution] = []
    for value, float_value in zip(op.operands, other.operands, strict=True):
        if parameter(value) is None or not is_weight(op, value):
            continue
        if isinstance(element_of(value), ElementType):
            found.append(_one("weights", numbers(float_value), element_of(value)))
            break
    result = results.get(other.results[0])
    if result is not None and isinstance(element_of(op.results[0]), ElementType):
        found.append(_one("results", result, element_of(op.results[0])))
    return found


def _one(what: str, values: Array, element: Attribute) -> Distribution:
    assert isinstance(element, ElementType)
    return Distribution(f"{what}: {element.format}", values, element)
