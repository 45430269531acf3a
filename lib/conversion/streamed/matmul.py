"""`mase.matmul` of two streams: the second one stays while rows of the first pass."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects.builtin import TensorType
from xdsl.ir import Operation, SSAValue

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.base import ints, is_constant
from mase_opt.dialects.mase.shape import ReshapeOp, TransposeOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.dialects.stream.ops import JoinOp
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.analysis.parallelism import divisor
from mase_opt.lib.conversion.streamed.builder import (
    Nest,
    StreamBuilder,
    accumulated,
    cast_to,
    exactly,
    parallelism,
)
from mase_opt.lib.conversion.streamed.converter import convert
from mase_opt.lib.conversion.streamed.registry import streamed
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.streams.layout import Layout
from mase_opt.lib.streams.schedule import Affine


@streamed(layers.MatmulOp)
def matmul(op: layers.MatmulOp, b: StreamBuilder) -> SSAValue:
    for name, value in (("first", op.lhs), ("second", op.rhs)):
        if is_constant(value):
            raise HardwareError(
                f"the {name} operand is a constant: expected a stream, or mase.linear"
            )
    *batch, rows, columns = shape_of(op.result)
    terms = shape_of(op.lhs)[-1]
    given = parallelism(op) or (columns, terms)
    count, lanes = min(given[0], columns), divisor(terms, given[1])
    lhs = _seen(b, op.lhs)
    lhs = _View(convert(b, lhs.channel, lanes, lhs.axes[-1]), lhs.axes)
    rhs = _columns(b, _seen(b, op.rhs), count, lanes)
    nest = Nest()
    for d, n in enumerate(batch):
        nest.add(f"batch{d}", n)
    nest.add("row", rows)
    nest.add("column", -(-columns // count))
    nest.add("term", terms // lanes)

    def read(view: _View, shape: tuple[int, ...], *matrix: str) -> list[Affine]:
        """Which tiles; a matrix of which there is one is the same for all."""
        lead = [f"batch{d}" for d in range(len(batch) - len(shape) + 2, len(batch))]
        places = [
            nest.at(**({loop: 1} if n > 1 else {}))
            for loop, n in zip((*lead, *matrix), shape, strict=True)
        ]
        return [places[view.axes.index(d)] for d in range(len(shape))]

    reads = [
        read(lhs, shape_of(op.lhs), "row", "term"),
        read(rhs, shape_of(op.rhs), "term", "column"),
    ]
    shape = shape_of(op.result)
    layout = b.natural(shape, count, len(shape) - 1)
    write = [nest.at(**{f"batch{d}": 1}) for d in range(len(batch))]
    write += [nest.at(row=1), nest.at(column=1)]

    def body(x: SSAValue, y: SSAValue) -> SSAValue:
        matrix = ReshapeOp(y, (lanes, count)).result
        product = layers.MatmulOp(ReshapeOp(x, (1, lanes)), matrix)
        return cast_to(op, accumulated(exactly(product), terms // lanes))

    channels = [lhs.channel, rhs.channel]
    return b.process(op, channels, nest, reads, write, layout, body)


def only_for_products(op: Operation) -> bool:
    """Whether `op` transposes what nothing but products read: these see through it."""
    return isinstance(op, TransposeOp) and all(
        isinstance(use.operation, layers.MatmulOp) or only_for_products(use.operation)
        for use in op.result.uses
    )


@dataclass(frozen=True)
class _View:
    """A channel, and the dimension of it that each of a value's dimensions is."""

    channel: SSAValue
    axes: tuple[int, ...]


def _seen(b: StreamBuilder, value: SSAValue) -> _View:
    """The channel of what is transposed to `value`: buffers are read in any order."""
    axes = tuple(range(len(shape_of(value))))
    while isinstance(value.owner, TransposeOp):
        permutation = ints(value.owner.permutation)
        axes = tuple(permutation[axis] for axis in axes)
        value = value.owner.input
    return _View(b.shaped(value), axes)


def _columns(b: StreamBuilder, view: _View, count: int, lanes: int) -> _View:
    """The second operand in beats of `lanes` rows and `count` columns."""
    *_, row, column = view.axes
    source = channel_of(view.channel).layout
    down = source.tile[row] == source.lanes > 1
    across, width = (row, lanes) if down else (column, count)
    along, joined = (column, count) if down else (row, lanes)
    channel = convert(b, view.channel, width, across)
    if joined == 1:
        return _View(channel, view.axes)
    type = channel_of(channel)
    source = type.layout
    rank = len(view.axes)
    shape = tuple(source.shape[axis] for axis in view.axes)
    tile = (*[1] * (rank - 2), lanes, count)
    target = Layout(shape, tile, tuple(range(rank)))
    nest = Nest()
    for d, n in enumerate(target.grid):
        nest.add(f"dim{d}", n)
    nest.add("part", joined)
    write = [nest.at(**{f"dim{d}": 1}) for d in range(rank)]
    read = [write[view.axes.index(d)] for d in range(rank)]
    read[along] = read[along].scaled(joined).plus(nest.at(part=1))

    def body(x: SSAValue) -> SSAValue:
        part = ReshapeOp(x, (width,)).result
        whole = JoinOp(part, TensorType(type.element, [lanes * count])).result
        if down:
            turned = ReshapeOp(whole, (count, lanes)).result
            whole = TransposeOp(turned, [1, 0]).result
        return ReshapeOp(whole, tile).result

    matrix = b.add(channel, type.element, nest, read, write, target, body)
    return _View(matrix, tuple(range(rank)))
