"""Where the blocks of block formats lie, and which ops keep every block whole."""

from __future__ import annotations

from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase.base import Shape, ints
from mase_opt.dialects.mase.formats import BlockType
from mase_opt.dialects.mase.shape import PadOp, SliceOp
from mase_opt.dialects.mase.types import element_of, shape_of


def is_block(value: SSAValue) -> bool:
    """Whether elements of `value` share exponents."""
    return isinstance(element_of(value), BlockType)


def touches_blocks(op: Operation) -> bool:
    """Whether an operand or a result of `op` has a block format."""
    return any(is_block(v) for v in (*op.operands, *op.results))


def has_zero(value: SSAValue) -> bool:
    """Whether the block format of `value` has a zero."""
    element = element_of(value)
    assert isinstance(element, BlockType)
    return element.codes.has_zero


def extents(value: SSAValue) -> Shape:
    """
    The size of the parts of `value` that share an exponent, in every dimension.

    Of formats without blocks, the whole tensor.
    """
    element, shape = element_of(value), shape_of(value)
    if not isinstance(element, BlockType):
        return shape
    return tuple(max(n, 1) for n in element.format.parts(shape).extent)


def keeps_blocks(op: Operation) -> bool:
    """
    Whether `op` only takes whole blocks out of a tensor, or adds blocks of zeros.

    Then elements and exponents stay as they are.
    """
    match op:
        case SliceOp():
            spans = zip(ints(op.starts), ints(op.stops), ints(op.strides), strict=True)
            return all(
                stride == 1
                and start % extent == 0
                and (stop == size or stop % extent == 0)
                for extent, size, (start, stop, stride) in zip(
                    extents(op.input), shape_of(op.input), spans, strict=True
                )
            )
        case PadOp():
            margins = zip(ints(op.low), ints(op.high), strict=True)
            return op.value.value.data == 0 and all(
                not low + high or extent == 1
                for extent, (low, high) in zip(extents(op.result), margins, strict=True)
            )
        case _:
            return False
