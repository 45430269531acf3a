"""The graph of a model as a table: what its nodes are, read and hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import prod

from xdsl.dialects.func import FuncOp
from xdsl.ir import BlockArgument, SSAValue

from mase_opt.dialects.mase.base import MaseOp, show
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import ElementType, element_of, shape_of
from mase_opt.lib.analysis.quantization import storage_bits
from mase_opt.lib.errors import UserError
from mase_opt.lib.model_function import argument_names, layer_of
from mase_opt.lib.suggest import did_you_mean
from mase_opt.lib.table import Cell, Column, Table

ORDERS = ("node", "type")
"""What rows can be of."""


@dataclass(frozen=True)
class Node:
    """An argument or an op, whose only result it stands for."""

    name: str
    """Of the argument, the constant or the layer; no other node has it."""
    operation: str
    """The op without `mase.`, or `input`."""
    layer: str
    reads: tuple[str, ...]
    """Names of nodes, operand by operand."""
    value: SSAValue

    @property
    def shape(self) -> str:
        """`1x3x32x32`"""
        return show(shape_of(self.value))

    @property
    def format(self) -> str:
        """The element type, without `!mase.`."""
        element = element_of(self.value)
        return str(element.format if isinstance(element, ElementType) else element)

    @property
    def bits(self) -> int:
        """What the tensor takes up, for the batch of its type."""
        return storage_bits(element_of(self.value), shape_of(self.value))


def nodes(function: FuncOp) -> list[Node]:
    """The graph of `function`, what is read before what reads it."""
    names = _names(function)
    inputs = [Node(names[a], "input", "", (), a) for a in function.args]
    return inputs + [
        Node(
            names[op.result],
            op.name.removeprefix("mase."),
            layer_of(op) or "",
            tuple(names[value] for value in op.operands),
            op.result,
        )
        for op in function.body.block.ops
        if isinstance(op, MaseOp)
    ]


def _names(function: FuncOp) -> Mapping[SSAValue, str]:
    """A name for each value; those that several want are numbered."""
    taken: Counter[str] = Counter()
    found: dict[SSAValue, str] = {}
    for value, name in _wanted(function):
        taken[name] += 1
        found[value] = name if taken[name] == 1 else f"{name}#{taken[name]}"
    return found


def _wanted(function: FuncOp) -> Iterator[tuple[SSAValue, str]]:
    arguments = argument_names(function)
    for value in function.args:
        assert isinstance(value, BlockArgument)
        yield value, arguments[value.index]
    for op in function.body.block.ops:
        if isinstance(op, ConstantOp):
            yield op.result, op.value.label
        elif isinstance(op, MaseOp):
            yield op.result, layer_of(op) or op.name.removeprefix("mase.")


def nodes_table(function: FuncOp, by: str = "node") -> Table:
    """A row for each node, or with `by` = type for each kind; raises `UserError`."""
    found = nodes(function)
    match by:
        case "node":
            return _by_node(found)
        case "type":
            return _by_type(found)
        case _:
            raise UserError(
                f"options: by is '{by}', expected one of {', '.join(ORDERS)}"
                f"{did_you_mean(by, ORDERS)}"
            )


def _by_node(found: list[Node]) -> Table:
    columns = (
        Column("node"),
        Column("operation"),
        Column("layer", fold=2),
        Column("reads", fold=1),
        Column("shape"),
        Column("format"),
        Column("bits"),
    )
    rows: list[tuple[Cell, ...]] = [
        (n.name, n.operation, n.layer, ", ".join(n.reads), n.shape, n.format, n.bits)
        for n in found
    ]
    return Table("Graph", columns, rows)


def _by_type(found: list[Node]) -> Table:
    columns = (
        Column("operation"),
        Column("nodes"),
        Column("formats"),
        Column("elements"),
        Column("bits"),
    )
    rows: list[tuple[Cell, ...]] = []
    for kind in dict.fromkeys(node.operation for node in found):
        same = [node for node in found if node.operation == kind]
        rows.append((kind, len(same), _formats(same), _elements(same), _bits(same)))
    total = ("total", len(found), None, _elements(found), _bits(found))
    return Table("Graph", columns, rows, total)


def _formats(found: list[Node]) -> str:
    return ", ".join(dict.fromkeys(node.format for node in found))


def _elements(found: list[Node]) -> int:
    return sum(prod(shape_of(node.value)) for node in found)


def _bits(found: list[Node]) -> int:
    return sum(node.bits for node in found)
