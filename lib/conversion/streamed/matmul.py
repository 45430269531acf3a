"""Products of two streams: the second one stays while rows of the first pass."""

from __future__ import annotations

from math import prod

from xdsl.dialects.builtin import TensorType
from xdsl.ir import SSAValue

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.base import is_constant
from mase_opt.dialects.mase.shape import ReshapeOp, TransposeOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.dialects.stream.ops import JoinOp
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.analysis.blocks import is_block
from mase_opt.lib.analysis.parallelism import divisor
from mase_opt.lib.conversion.streamed.builder import (
    StreamBuilder,
    accumulated,
    exactly,
    parallelism,
)
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.processes import Nest, cast_to
from mase_opt.lib.conversion.streamed.registry import streamed
from mase_opt.lib.conversion.streamed.resample import resample
from mase_opt.lib.hardware.number import LOWER_BLOCKS, HardwareError
from mase_opt.lib.streams.layout import Layout
from mase_opt.lib.streams.schedule import Affine


@streamed(layers.MatmulOp)
def matmul(op: layers.MatmulOp, b: StreamBuilder) -> SSAValue:
    if is_constant(op.lhs) or is_constant(op.rhs):
        return resample(op, b)
    *batch, rows, columns = shape_of(op.result)
    terms = shape_of(op.lhs)[-1]
    if is_block(op.lhs) or is_block(op.rhs):
        return _of_blocks(op, b)
    given = parallelism(op) or (columns, terms)
    count, lanes = min(given[0], columns), divisor(terms, given[1])
    last = len(shape_of(op.lhs)) - 1
    lhs = convert(b, b.along(op.lhs, (last,), lanes), lanes, last)
    rhs = _columns(b, op.rhs, count, lanes)
    nest = Nest()
    for d, n in enumerate(batch):
        nest.add(f"batch{d}", n)
    nest.add("row", rows)
    nest.add("column", -(-columns // count))
    nest.add("term", terms // lanes)

    def read(shape: tuple[int, ...], *matrix: str) -> list[Affine]:
        """Which tiles; a matrix of which there is one is the same for all."""
        lead = [f"batch{d}" for d in range(len(batch) - len(shape) + 2, len(batch))]
        return [
            nest.at(**({loop: 1} if n > 1 else {}))
            for loop, n in zip((*lead, *matrix), shape, strict=True)
        ]

    reads = [
        read(shape_of(op.lhs), "row", "term"),
        read(shape_of(op.rhs), "term", "column"),
    ]
    shape = shape_of(op.result)
    layout = b.natural(shape, count, len(shape) - 1)
    write = [nest.at(**{f"batch{d}": 1}) for d in range(len(batch))]
    write += [nest.at(row=1), nest.at(column=1)]

    def body(x: SSAValue, y: SSAValue) -> SSAValue:
        matrix = ReshapeOp(y, (lanes, count)).result
        product = layers.MatmulOp(ReshapeOp(x, (1, lanes)), matrix)
        return cast_to(op, accumulated(exactly(product), terms // lanes))

    return b.process(op, [lhs, rhs], nest, reads, write, layout, body)


def _of_blocks(op: layers.MatmulOp, b: StreamBuilder) -> SSAValue:
    """A column at a time: both operands have a block in each beat."""
    *batch, rows, columns = shape_of(op.result)
    last = len(shape_of(op.lhs)) - 1
    terms = shape_of(op.lhs)[last]
    lhs = convert(b, b.along(op.lhs, (last,), terms), terms, last)
    row = len(shape_of(op.rhs)) - 2
    rhs = convert(b, b.along(op.rhs, (row,), terms), terms, row)
    nest = Nest()
    for d, n in enumerate(batch):
        nest.add(f"batch{d}", n)
    nest.add("row", rows)
    nest.add("column", columns)

    def read(shape: tuple[int, ...], *matrix: Affine) -> list[Affine]:
        lead = [f"batch{d}" for d in range(len(batch) - len(shape) + 2, len(batch))]
        steps = [nest.at(**({d: 1} if n > 1 else {})) for d, n in zip(lead, shape)]
        return [*steps, *matrix]

    for channel in (lhs, rhs):
        if channel_of(channel).layout.lanes < terms:
            raise HardwareError(f"it adds blocks: {LOWER_BLOCKS}")
    reads = [
        read(shape_of(op.lhs), nest.at(row=1), nest.at()),
        read(shape_of(op.rhs), nest.at(), nest.at(column=1)),
    ]
    shape = shape_of(op.result)
    layout = b.natural(shape, 1, len(shape) - 1)
    write = [nest.at(**{f"batch{d}": 1}) for d in range(len(batch))]
    write += [nest.at(row=1), nest.at(column=1)]

    def body(x: SSAValue, y: SSAValue) -> SSAValue:
        one, other = (ReshapeOp(v, (1, prod(shape_of(v)))).result for v in (x, y))
        return layers.LinearOp(
            one, other, element=element_of(op.result), rounding=op.rounding
        ).result

    return b.process(op, [lhs, rhs], nest, reads, write, layout, body)


def _columns(b: StreamBuilder, value: SSAValue, count: int, lanes: int) -> SSAValue:
    """The second operand in beats of `lanes` rows and `count` columns."""
    shape = shape_of(value)
    rank = len(shape)
    row, column = rank - 2, rank - 1
    channel = b.along(value, (row, column))
    down = channel_of(channel).layout.axis == row
    across, width = (row, lanes) if down else (column, count)
    along, joined = (column, count) if down else (row, lanes)
    channel = convert(b, channel, width, across)
    if joined == 1:
        return channel
    tile = (*[1] * (rank - 2), lanes, count)
    target = Layout(shape, tile, tuple(range(rank)))
    nest = Nest()
    for d, n in enumerate(target.grid):
        nest.add(f"dim{d}", n)
    nest.add("part", joined)
    write = [nest.at(**{f"dim{d}": 1}) for d in range(rank)]
    read = list(write)
    read[along] = nest.at(**{f"dim{along}": joined, "part": 1})
    element = element_of(value)

    def body(x: SSAValue) -> SSAValue:
        part = ReshapeOp(x, (width,)).result
        whole = JoinOp(part, TensorType(element, [lanes * count])).result
        if down:
            turned = ReshapeOp(whole, (count, lanes)).result
            whole = TransposeOp(turned, [1, 0]).result
        return ReshapeOp(whole, tile).result

    return b.add([channel], element, nest, [read], write, target, body)
