"""How much a model computes for one sample of its shape, and on how many bits."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod

from xdsl.dialects.builtin import FixedBitwidthType
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue

from mase_opt.dialects.mase.base import MaseOp, ints
from mase_opt.dialects.mase.elementwise import MulOp
from mase_opt.dialects.mase.layers import ContractionOp, ConvTranspose2dOp
from mase_opt.dialects.mase.normalization import AttentionOp
from mase_opt.dialects.mase.pooling import PoolOp
from mase_opt.dialects.mase.types import ElementType, element_of, shape_of
from mase_opt.lib.analysis.quantization import layers


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
