"""Operations of the stream dialect: processes, and what is in their bodies."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from math import prod
from typing import ClassVar, cast

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import (
    AffineMapAttr,
    AnyTensorTypeConstr,
    ArrayAttr,
    IntegerAttr,
    StringAttr,
    TensorType,
    i64,
)
from xdsl.ir import Attribute, Block, BlockArgument, Operation, Region, SSAValue
from xdsl.ir.affine import AffineExpr, AffineMap
from xdsl.irdl import (
    BaseAttr,
    IRDLOperation,
    ParsePropInAttrDict,
    VarConstraint,
    irdl_op_definition,
    operand_def,
    opt_prop_def,
    prop_def,
    region_def,
    result_def,
    traits_def,
    var_operand_def,
)
from xdsl.traits import IsolatedFromAbove, IsTerminator, Pure
from xdsl.utils.exceptions import VerifyException

from mase_opt.dialects.mase.attrs import DenseAttr
from mase_opt.dialects.mase.base import I64ArrayConstr, int_array, ints, show
from mase_opt.dialects.mase.types import element_of, exact_format, shape_of
from mase_opt.dialects.stream.types import ChannelType, channel_of
from mase_opt.lib.streams.schedule import (
    Access,
    Affine,
    Read,
    Schedule,
    ScheduleError,
)


class Kind(StrEnum):
    """How tiles are accumulated."""

    SUM = "sum"
    MAX = "max"
    MIN = "min"


@irdl_op_definition
class YieldOp(IRDLOperation):
    """
    What the process writes, in those iterations that write.

    ```mlir
    stream.yield %2 : tensor<1x4x!mase.fixed<8, 4>>
    ```
    """

    name = "stream.yield"

    value = operand_def(AnyTensorTypeConstr)

    traits = traits_def(IsTerminator(), Pure())
    assembly_format = "$value attr-dict `:` type($value)"

    def __init__(self, value: SSAValue | Operation):
        super().__init__(operands=[value])


@irdl_op_definition
class RomOp(IRDLOperation):
    """
    A tile of constant data, another one in each iteration of `loops`.

    `value` holds the codes of the tiles one after the other: one for each iteration of
    the loops with the numbers `loops`, the first of these outermost.

    ```mlir
    %w = stream.rom <i8, fc1.weight_0123456789ab> {loops = array<i64: 1, 2>}
      : tensor<4x8x!mase.fixed<8, 6>>
    ```
    """

    name = "stream.rom"

    value = prop_def(DenseAttr)
    loops = prop_def(I64ArrayConstr)
    result = result_def(AnyTensorTypeConstr)

    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$value attr-dict `:` type($result)"

    def __init__(
        self, value: DenseAttr, loops: Sequence[int], type: TensorType[Attribute]
    ):
        super().__init__(
            properties={"value": value, "loops": int_array(loops)}, result_types=[type]
        )

    def words(self) -> NDArray[np.generic]:
        """The codes, `[words, elements]`. Raises `ValueError` without data."""
        return self.value.array().reshape(-1, int(np.prod(shape_of(self.result))))


@irdl_op_definition
class AccumulateOp(IRDLOperation):
    """
    A tile combined with those of the iterations before, back to the last written beat.

    What it gives in an iteration that writes is the sum, maximum or minimum of all
    tiles that lead to the written beat. It is exact: the result has the fraction of the
    input, and must be wide enough.

    ```mlir
    %2 = stream.accumulate "sum" %1
      : tensor<1x4x!mase.fixed<18, 10>> -> tensor<1x4x!mase.fixed<22, 10>>
    ```
    """

    name = "stream.accumulate"

    kind = prop_def(StringAttr)
    input = operand_def(AnyTensorTypeConstr)
    result = result_def(AnyTensorTypeConstr)

    traits = traits_def(Pure())
    assembly_format = "$kind $input attr-dict `:` type($input) `->` type($result)"

    def __init__(self, kind: Kind, input: SSAValue | Operation, element: Attribute):
        input = SSAValue.get(input)
        super().__init__(
            operands=[input],
            properties={"kind": StringAttr(kind)},
            result_types=[TensorType(element, shape_of(input))],
        )

    def verify_(self) -> None:
        if self.kind.data not in list(Kind):
            raise VerifyException(
                f"kind is '{self.kind.data}', expected one of {', '.join(Kind)}"
            )
        source, result = (
            exact_format(element_of(v)) for v in (self.input, self.result)
        )
        if source is None or result is None or source.frac != result.frac:
            raise VerifyException(
                f"{element_of(self.input)} is not accumulated exactly in "
                f"{element_of(self.result)}: expected fixed point of the same fraction"
            )
        if shape_of(self.input) != shape_of(self.result):
            raise VerifyException(
                f"result has shape {show(shape_of(self.result))}, expected "
                f"{show(shape_of(self.input))}"
            )


@irdl_op_definition
class SelectOp(IRDLOperation):
    """
    A part of a tile, another one in each iteration of a loop.

    The lanes of `input` are cut into parts as large as the result; the counter of
    `loop` says which one it is.

    ```mlir
    %1 = stream.select %0 {loop = 3 : i64}
      : tensor<1x6x!mase.fixed<8, 4>> -> tensor<1x2x!mase.fixed<8, 4>>
    ```
    """

    name = "stream.select"

    input = operand_def(AnyTensorTypeConstr)
    loop = prop_def(IntegerAttr)
    result = result_def(AnyTensorTypeConstr)

    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$input attr-dict `:` type($input) `->` type($result)"

    def __init__(self, input: SSAValue, loop: int, type: TensorType[Attribute]):
        super().__init__(
            operands=[input],
            properties={"loop": IntegerAttr(loop, i64)},
            result_types=[type],
        )

    def verify_(self) -> None:
        _check_parts(self.input, self.result)


@irdl_op_definition
class JoinOp(IRDLOperation):
    """
    The tiles of the iterations that lead to a written beat, side by side.

    ```mlir
    %1 = stream.join %0
      : tensor<1x2x!mase.fixed<8, 4>> -> tensor<1x6x!mase.fixed<8, 4>>
    ```
    """

    name = "stream.join"

    input = operand_def(AnyTensorTypeConstr)
    result = result_def(AnyTensorTypeConstr)

    traits = traits_def(Pure())
    assembly_format = "$input attr-dict `:` type($input) `->` type($result)"

    def __init__(self, input: SSAValue, type: TensorType[Attribute]):
        super().__init__(operands=[input], result_types=[type])

    def verify_(self) -> None:
        _check_parts(self.result, self.input)


@irdl_op_definition
class MergeOp(IRDLOperation):
    """
    The tile of the first operand whose place lies inside of its tensor, or the last.

    Operands are tiles that the process reads.

    ```mlir
    %2 = stream.merge %0, %1 : tensor<1x4x!mase.fixed<8, 4>>
    ```
    """

    name = "stream.merge"

    TILE: ClassVar = VarConstraint("Tile", AnyTensorTypeConstr)

    inputs = var_operand_def(TILE)
    result = result_def(TILE)

    traits = traits_def(Pure())
    assembly_format = "$inputs attr-dict `:` type($result)"

    def __init__(self, inputs: Sequence[SSAValue]):
        super().__init__(operands=[inputs], result_types=[inputs[0].type])

    def verify_(self) -> None:
        if any(not isinstance(value, BlockArgument) for value in self.inputs):
            raise VerifyException("expected tiles that are read, not what is computed")


@irdl_op_definition
class TableOp(IRDLOperation):
    """
    A tile of constant data, chosen by a number that is read.

    `value` holds the codes of the tiles one after the other, from number 0 on. Numbers
    beyond the last one give anything.

    ```mlir
    %1 = stream.table %0, <i8, wte_0123456789ab>
      : tensor<1x1x!mase.ufixed<7, 0>> -> tensor<1x1x8x!mase.fixed<8, 6>>
    ```
    """

    name = "stream.table"

    input = operand_def(AnyTensorTypeConstr)
    value = prop_def(DenseAttr)
    result = result_def(AnyTensorTypeConstr)

    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$input `,` $value attr-dict `:` type($input) `->` type($result)"

    def __init__(self, input: SSAValue, value: DenseAttr, type: TensorType[Attribute]):
        super().__init__(
            operands=[input], properties={"value": value}, result_types=[type]
        )

    def words(self) -> NDArray[np.generic]:
        """The codes, `[words, elements]`. Raises `ValueError` without data."""
        return self.value.array().reshape(-1, int(np.prod(shape_of(self.result))))

    def verify_(self) -> None:
        format = exact_format(element_of(self.input))
        if prod(shape_of(self.input)) != 1 or format is None or format.frac:
            raise VerifyException(
                f"{self.input.type} chooses, expected one number without fraction bits"
            )


def _check_parts(whole: SSAValue, part: SSAValue) -> None:
    """Raises `VerifyException` unless `whole` is so many times `part`."""
    (lanes, one), (large, small) = (
        [prod(shape_of(v)) for v in (whole, part)],
        [max(shape_of(v), default=1) for v in (whole, part)],
    )
    same = element_of(whole) == element_of(part)
    if not same or lanes % one or (lanes, one) != (large, small):
        raise VerifyException(
            f"{part.type} is no part of {whole.type} along its one dimension"
        )


Accumulator = AccumulateOp | JoinOp | TableOp
"""What has registers of its own, and divides a body into parts."""


@irdl_op_definition
class ProcessOp(IRDLOperation):
    """
    A static loop nest around a datapath; one iteration a cycle, if nothing is missing.

    `loops` are the sizes of the loops, outermost first. For each operand, `reads` has
    the map from their counters to the place in the grid of tiles that an iteration
    reads; where it lies outside, elements are the code in `fill`. What is read comes
    from a buffer of `capacity` beats, which drops those that lie before the first one
    that is read in an iteration of the `held` outermost loops. `write` is the map for
    the result; an iteration writes if it is the last one of the loops that the map
    leaves out and if the place lies inside. The body is what an iteration computes, on
    tiles. Its circuit has `stages` registers in each part: before, between and behind
    `stream.accumulate`, `stream.join` and `stream.table`.

    ```mlir
    %1 = stream.process %0 {layer = "fc", loops = array<i64: 3, 8>,
        reads = [affine_map<(n, k) -> (0, k)>], fill = array<i64: 0>,
        held = array<i64: 0>, write = affine_map<(n, k) -> (0, n)>,
        stages = array<i64: 1, 1>, capacity = array<i64: 16>}
      : (!stream.channel<tensor<1x64x!mase.fixed<8, 4>>, tile [1, 8], order [0, 1]>)
      -> !stream.channel<tensor<1x10x!mase.fixed<8, 4>>, tile [1, 4], order [0, 1]> {
    ^bb0(%x: tensor<1x8x!mase.fixed<8, 4>>):
      …
      stream.yield %y : tensor<1x4x!mase.fixed<8, 4>>
    }
    ```
    """

    name = "stream.process"

    inputs = var_operand_def(ChannelType)
    layer = opt_prop_def(StringAttr)
    """Path of the layer in the torch model."""
    loops = prop_def(I64ArrayConstr)
    reads = prop_def(ArrayAttr[AffineMapAttr])
    fill = prop_def(I64ArrayConstr)
    held = prop_def(I64ArrayConstr)
    write = prop_def(AffineMapAttr)
    stages = opt_prop_def(I64ArrayConstr)
    capacity = opt_prop_def(I64ArrayConstr)
    result = result_def(ChannelType)
    body = region_def("single_block")

    traits = traits_def(Pure(), IsolatedFromAbove())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = (
        "$inputs attr-dict `:` `(` type($inputs) `)` `->` type($result) $body"
    )

    def __init__(
        self,
        inputs: Sequence[SSAValue],
        result: ChannelType,
        schedule: Schedule,
        fill: Sequence[int],
        body: Block,
        layer: str | None,
    ):
        count = len(schedule.loops)
        super().__init__(
            operands=[inputs],
            properties={
                "layer": StringAttr(layer) if layer else None,
                "loops": int_array(schedule.loops),
                "reads": ArrayAttr([_map(r, count) for r in schedule.reads]),
                "fill": int_array(fill),
                "held": int_array([r.held for r in schedule.reads]),
                "write": _map(schedule.write, count),
            },
            result_types=[result],
            regions=[Region(body)],
        )

    @property
    def schedule(self) -> Schedule:
        """The loop nest, with accesses to the layouts of operands and result."""
        loops = ints(self.loops)
        return Schedule(
            loops,
            tuple(
                Read(channel_of(value).layout, _tiles(map.data), held)
                for value, map, held in zip(
                    self.inputs, self.reads, ints(self.held), strict=True
                )
            ),
            Access(channel_of(self.result).layout, _tiles(self.write.data)),
            self.latency,
        )

    @property
    def accumulators(self) -> list[Accumulator]:
        """What divides the body into parts."""
        return [op for op in self.body.block.ops if isinstance(op, Accumulator)]

    @property
    def latency(self) -> int:
        """Cycles from an iteration to the arrival of what it writes: 1 is to read."""
        stages = ints(self.stages) if self.stages is not None else ()
        return 1 + sum(stages) + len(self.accumulators)

    def verify_(self) -> None:
        loops, count = ints(self.loops), len(self.inputs)
        if not loops or min(loops) < 1:
            raise VerifyException(f"loops are {list(loops)}, expected positive sizes")
        for name in ("reads", "fill", "held", "capacity"):
            attr = self.properties.get(name)
            if attr is not None and len(cast("ArrayAttr[Attribute]", attr)) != count:
                raise VerifyException(
                    f"{name} must have {count} entries, one per operand"
                )
        for what, map, value in (
            *(
                (f"reads[{i}]", m, v)
                for i, (m, v) in enumerate(zip(self.reads, self.inputs, strict=True))
            ),
            ("write", self.write, self.result),
        ):
            rank = len(channel_of(value).layout.shape)
            if map.data.num_dims != len(loops) or len(map.data.results) != rank:
                raise VerifyException(
                    f"{what} is a map from {map.data.num_dims} counters to "
                    f"{len(map.data.results)} dimensions, expected {len(loops)} to "
                    f"{rank}"
                )
            _tiles(map.data)
        self._verify_body()
        try:
            self.schedule.check()
        except ScheduleError as error:
            raise VerifyException(str(error)) from error

    def _verify_body(self) -> None:
        block = self.body.block
        types = [channel_of(v).beat for v in self.inputs]
        if list(block.arg_types) != types:
            raise VerifyException(
                f"the body takes {', '.join(map(str, block.arg_types))}, expected "
                f"{', '.join(map(str, types))}"
            )
        last = block.last_op
        wanted = channel_of(self.result).beat
        if not isinstance(last, YieldOp) or last.value.type != wanted:
            raise VerifyException(f"the body must yield {wanted}")
        parts = len(self.accumulators) + 1
        if self.stages is not None and len(self.stages) != parts:
            raise VerifyException(
                f"stages has {len(self.stages)} entries, expected {parts}, one per part"
            )
        loops = ints(self.loops)
        group = self.schedule.group
        for op in block.ops:
            if isinstance(op, SelectOp):
                level = op.loop.value.data
                lanes, part = (prod(shape_of(v)) for v in (op.input, op.result))
                if not 0 <= level < len(loops) or loops[level] * part != lanes:
                    raise VerifyException(
                        f"stream.select: loop {level} does not go through {lanes} "
                        f"lanes in steps of {part}"
                    )
            if isinstance(op, JoinOp):
                lanes, part = (prod(shape_of(v)) for v in (op.result, op.input))
                if group * part != lanes:
                    raise VerifyException(
                        f"stream.join: {group} iterations lead to a beat, expected "
                        f"{lanes // part}"
                    )
            if isinstance(op, RomOp):
                levels = ints(op.loops)
                if any(not 0 <= level < len(loops) for level in levels):
                    raise VerifyException(f"stream.rom: no loop {max(levels)}")
                words = int(np.prod([loops[level] for level in levels], dtype=int))
                if len(op.words()) != words:
                    raise VerifyException(
                        f"stream.rom has {len(op.words())} tiles, expected {words}, "
                        "one for each iteration of its loops"
                    )


@irdl_op_definition
class ViewOp(IRDLOperation):
    """
    The same beats as those of another tensor: no circuit, only another name.

    What lies in lanes beyond the end on one side is not defined on the other.

    ```mlir
    %1 = stream.view %0
      : !stream.channel<tensor<1x6x2x2x!mase.fixed<8, 4>>, tile [1, 6, 1, 1],
          order [0, 2, 3, 1]>
      -> !stream.channel<tensor<4x6x!mase.fixed<8, 4>>, tile [1, 6], order [0, 1]>
    ```
    """

    name = "stream.view"

    input = operand_def(ChannelType)
    result = result_def(ChannelType)

    traits = traits_def(Pure())
    assembly_format = "$input attr-dict `:` type($input) `->` type($result)"

    def __init__(self, input: SSAValue, type: ChannelType):
        super().__init__(operands=[input], result_types=[type])

    def verify_(self) -> None:
        source, result = channel_of(self.input), channel_of(self.result)
        if source.element != result.element:
            raise VerifyException(
                f"elements are {result.element}, expected {source.element}"
            )
        for what in ("beats", "lanes"):
            found, wanted = getattr(result.layout, what), getattr(source.layout, what)
            if found != wanted:
                raise VerifyException(f"result has {found} {what}, expected {wanted}")


@irdl_op_definition
class FifoOp(IRDLOperation):
    """
    The end of a channel at an output of the design: `capacity` beats can wait there.

    ```mlir
    %2 = stream.fifo %1 {capacity = 2 : i64}
      : !stream.channel<tensor<1x10x!mase.fixed<8, 4>>, tile [1, 4], order [0, 1]>
    ```
    """

    name = "stream.fifo"

    CHANNEL: ClassVar = VarConstraint("Channel", BaseAttr(ChannelType))

    input = operand_def(CHANNEL)
    capacity = opt_prop_def(IntegerAttr)
    result = result_def(CHANNEL)

    traits = traits_def(Pure())
    irdl_options = (ParsePropInAttrDict(),)
    assembly_format = "$input attr-dict `:` type($input)"

    def __init__(self, input: SSAValue | Operation):
        input = SSAValue.get(input)
        super().__init__(operands=[input], result_types=[input.type])


def _map(access: Access, loops: int) -> AffineMapAttr:
    """The map of an access: counters of `loops` to places in the grid."""
    results: list[AffineExpr] = []
    for tile in access.tiles:
        terms = [
            AffineExpr.dimension(level) * factor
            if factor != 1
            else AffineExpr.dimension(level)
            for level, factor in enumerate(tile.factors)
            if factor
        ]
        if tile.offset or not terms:
            terms.append(AffineExpr.constant(tile.offset))
        total = terms[0]
        for term in terms[1:]:
            total = total + term
        results.append(total)
    return AffineMapAttr(AffineMap(loops, 0, tuple(results)))


def _tiles(map: AffineMap) -> tuple[Affine, ...]:
    """
    The places in the grid, as numbers.

    Raises `VerifyException` for what is not an offset and multiples of counters.
    """
    zero = [0] * map.num_dims
    offsets = map.eval(zero, [])
    units = [
        [int(i == level) for i in range(map.num_dims)] for level in range(map.num_dims)
    ]
    columns = [map.eval(unit, []) for unit in units]
    result = tuple(
        Affine(offset, tuple(column[row] - offset for column in columns))
        for row, offset in enumerate(offsets)
    )
    probe = [3 + 2 * level for level in range(map.num_dims)]
    linear = tuple(
        t.offset + sum(f * p for f, p in zip(t.factors, probe, strict=True))
        for t in result
    )
    if map.eval(probe, []) != linear:
        raise VerifyException(
            f"{map} is not linear in the counters: no counter of a circuit follows it"
        )
    return result
