"""How much a model computes for one sample of its shape, and on how many bits."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from math import prod

from xdsl.dialects.builtin import FixedBitwidthType
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from mase_opt.dialects.mase.base import MaseOp, ints
from mase_opt.dialects.mase.elementwise import MulOp
from mase_opt.dialects.mase.layers import (
    ContractionOp,
    ConvTranspose2dOp,
    LookupOp,
)
from mase_opt.dialects.mase.normalization import AttentionOp
from mase_opt.dialects.mase.pooling import PoolOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import ElementType, element_of, shape_of
from mase_opt.lib.analysis.quantization import layers, parameter
from mase_opt.lib.errors import UserError
from mase_opt.lib.model_function import layer_of
from mase_opt.lib.suggest import did_you_mean
from mase_opt.lib.table import Cell, Column, Table

STATISTICS = ("mean", "variance")
"""Operands of batch norms that no training step changes."""
COLUMNS = (
    Column("layer"),
    Column("operation"),
    Column("parameters"),
    Column("products"),
    Column("flops"),
)


@dataclass(frozen=True)
class Operations:
    """Operations for one run of a function, whose batch is that of its shapes."""

    flops: int
    """
    Multiplications and additions of sums of products, each one; elements in the windows
    of pools; and one for each element that other layers read or give.
    """
    bit_operations: int
    """Products of two numbers, times the bits of the one, times those of the other."""


def operations(function: FuncOp) -> Operations:
    """The operations of the layers of `function`."""
    ops = [*layers(function)]
    return Operations(
        sum(_flops(op) for op in ops),
        sum(
            count * _bits(one) * _bits(other)
            for op in ops
            for one, other, count in _products(op)
        ),
    )


def operations_table(function: FuncOp, ignore: Collection[str] = ()) -> Table:
    """
    A row for each layer: parameters, products, and operations as in `Operations`.

    What `ignore` names, kinds (`conv2d`) or paths of layers, counts nowhere; a path
    stands for all layers below it. A parameter that layers share is counted at the
    first of them. Statistics of batch norms are no parameters. Raises `UserError` for
    names of nothing.
    """
    ops = [*layers(function)]
    kinds = {op.name.removeprefix("mase.") for op in ops}
    known = {*kinds, *(part for op in ops for part in _paths(op))}
    for name in ignore:
        if name not in known:
            raise UserError(
                f"options: ignore has '{name}', which is no kind or path of a layer"
                f"{did_you_mean(name, known)} (kinds: {', '.join(sorted(kinds))})"
            )
    rows: list[tuple[Cell, ...]] = []
    seen: set[ConstantOp] = set()
    for op in ops:
        kind = op.name.removeprefix("mase.")
        if kind in ignore or any(part in ignore for part in _paths(op)):
            continue
        own = {
            constant
            for index, value in enumerate(op.operands)
            if (constant := parameter(value)) is not None
            and not isinstance(op, LookupOp)
            and op.operand_name(index) not in STATISTICS
        } - seen
        seen |= own
        held = sum(_size(constant.result) for constant in own)
        products = sum(count for *_, count in _products(op))
        rows.append((layer_of(op) or "", kind, held, products, _flops(op)))
    totals = [sum(int(row[i] or 0) for row in rows) for i in (2, 3, 4)]
    return Table("Operations", COLUMNS, rows, ("total", None, *totals))


def _paths(op: MaseOp) -> Iterator[str]:
    """The path of a layer, and of all modules that it is in."""
    parts = (layer_of(op) or "").split(".")
    for end in range(1, len(parts) + 1):
        if parts[0]:
            yield ".".join(parts[:end])


def _flops(op: MaseOp) -> int:
    results = _size(op.result)
    match op:
        case ContractionOp() | ConvTranspose2dOp():
            products = sum(count for *_, count in _products(op))
            return 2 * products - results + results * (len(op.operands) > 2)
        case AttentionOp():
            products = sum(count for *_, count in _products(op))
            # Of scores there is one addition less than products each, and a softmax.
            return 2 * products - results
        case PoolOp():
            return results * prod(ints(op.kernel))
        case _:
            return max(results, *(_size(value) for value in op.operands))


def _products(op: MaseOp) -> Iterator[tuple[SSAValue, SSAValue, int]]:
    """What is multiplied with what, and how often."""
    results = _size(op.result)
    match op:
        case ContractionOp():
            yield op.operands[0], op.operands[1], results * op.terms
        case ConvTranspose2dOp():
            taps = prod(shape_of(op.weight)[1:])
            yield op.input, op.weight, _size(op.input) * taps
        case AttentionOp():
            # The weights of values are no operand: as wide as the query.
            *lead, _ = shape_of(op.result)
            keys, width = shape_of(op.key)[-2:]
            yield op.query, op.key, prod(lead) * keys * width
            yield op.query, op.value, results * keys
        case MulOp():
            yield op.operands[0], op.operands[1], results
        case _:
            pass


def _size(value: SSAValue) -> int:
    return prod(shape_of(value))


def _bits(value: SSAValue) -> int:
    """Bits of an element; what elements share is not multiplied."""
    element = element_of(value)
    if isinstance(element, ElementType):
        return element.codes.bits
    assert isinstance(element, FixedBitwidthType), f"no numbers of {element}"
    return element.bitwidth
