"""Number formats of single elements: where they go, and what types follow from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from math import frexp

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import ReturnOp
from xdsl.ir import BlockArgument, Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter

from mase_opt.dialects.mase.attrs import RoundingAttr, is_float
from mase_opt.dialects.mase.base import MaseOp, SameElementOp, UnaryOp
from mase_opt.dialects.mase.cast_elements import CastElementsOp
from mase_opt.dialects.mase.layers import ContractionOp
from mase_opt.dialects.mase.pooling import AdaptiveMaxPoolOp, MaxPoolOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import (
    FixedPoint,
    FixedType,
    UFixedType,
    element_of,
    fixed_type,
    shape_of,
)
from mase_opt.lib.adder_graphs.constant_layers import constant_layer
from mase_opt.lib.adder_graphs.numbers import problem_of
from mase_opt.lib.analysis.exact_range import narrowest, range_of_result
from mase_opt.lib.analysis.ranges import Ranges
from mase_opt.lib.analysis.sign import non_negative
from mase_opt.lib.formats import Overflow, RoundingMode
from mase_opt.lib.formats.multiples import Multiples
from mase_opt.lib.model_function import describe, layer_of, model_function

WHOLE = 16
"""Bits before the point, until ranges are known."""


class Granularity(StrEnum):
    """What has a format of its own."""

    TENSOR = "tensor"
    CHANNEL = "channel"
    ELEMENT = "element"

    def grid(self, op: MaseOp, value: SSAValue) -> tuple[int, ...]:
        """The shape of formats for `value`, the data of `op`."""
        shape = shape_of(value)
        match self:
            case Granularity.TENSOR:
                return (1,) * len(shape)
            case Granularity.CHANNEL:
                axis = op.channel_axis(len(shape)) % len(shape)
                return tuple(n if i == axis else 1 for i, n in enumerate(shape))
            case Granularity.ELEMENT:
                return shape


@dataclass(frozen=True)
class Start:
    """The formats that learning starts from."""

    data: Granularity = Granularity.ELEMENT
    """What has a format of its own among inputs and results of layers."""
    input_width: int = 8
    """Bits of the model's inputs, before their casts."""
    input_frac: int = 4
    data_frac: int = 5
    weight_frac: int = 6
    overflow: Overflow = Overflow.SATURATE
    """What becomes of results beyond the range that was seen."""


def insert_casts(
    module: ModuleOp, ranges: Sequence[tuple[float, float]], start: Start
) -> list[str]:
    """
    Cast what constant layers of a model in floating point multiply, element by element.

    Arguments, of which `ranges` are the lowest and highest numbers, become fixed point.
    Results stay in floating point. Gives the layers that are left as they are.
    """
    function = model_function(module)
    block, left = function.body.block, list[str]()
    for argument, (low, high) in zip(block.args, ranges, strict=True):
        if is_float(element_of(argument)):
            element = _fitting(low, high, start.input_width)
            Rewriter.replace_value_with_new_type(
                argument, TensorType(element, shape_of(argument))
            )
    positive = non_negative(
        function, [a for a in block.args if isinstance(element_of(a), UFixedType)]
    )
    for op in list(block.ops):
        if not isinstance(op, ContractionOp):
            continue
        data, *constants = op.operands
        if not all(_is_constant(v) for v in constants):
            left.append(describe(op.result))
            continue
        source = _source(data)
        if not isinstance(source.owner, CastElementsOp):
            given = isinstance(source, BlockArgument)
            frac = start.input_frac if given else start.data_frac
            grid = start.data.grid(_with_channels(source, op), source)
            element = UFixedType if source in positive else FixedType
            rounding = RoundingAttr((RoundingMode.FLOOR, start.overflow))
            _cast(source, np.full(grid, frac), element(WHOLE + frac, frac), rounding)
        for value in op.operands[1:]:
            if isinstance(value.owner, ConstantOp):
                fracs = np.full(shape_of(value), start.weight_frac)
                element = FixedType(WHOLE + start.weight_frac, start.weight_frac)
                _cast(value, fracs, element, RoundingAttr.DEFAULT)
    function.update_function_type()
    return left


def _fitting(low: float, high: float, width: int) -> FixedPoint:
    """The format of `width` bits whose range has all from `low` to `high`."""
    whole = max(frexp(high)[1], frexp(low)[1] if low < 0 else 0)
    if low >= 0:
        return UFixedType(width, width - whole)
    return FixedType(width, width - 1 - whole)


def _is_constant(value: SSAValue) -> bool:
    """Also of what another layer multiplies, too."""
    op = value.owner
    return isinstance(
        op.input.owner if isinstance(op, CastElementsOp) else op, ConstantOp
    )


def _with_channels(value: SSAValue, reader: MaseOp) -> MaseOp:
    """The op that says where the channels of `value` are."""
    op = value.owner
    if isinstance(op, UnaryOp) and op.SAME_CHANNELS:
        return _with_channels(op.input, reader)
    return op if isinstance(op, MaseOp) else reader


def _source(value: SSAValue) -> SSAValue:
    """Where the numbers come from that are moved or chosen for being large."""
    op = value.owner
    if isinstance(op, SameElementOp) and not op.ADDS and len(op.operands) == 1:
        return _source(op.operands[0])
    if isinstance(op, MaxPoolOp | AdaptiveMaxPoolOp):
        return _source(op.input)
    return value


def _cast(
    value: SSAValue,
    fracs: NDArray[np.int64],
    element: FixedPoint,
    rounding: RoundingAttr,
) -> None:
    """Insert a cast of `value` that all who use it get instead."""
    owner = value.owner
    widths = np.full(fracs.shape, element.format.width)
    op = CastElementsOp(
        value,
        widths,
        fracs,
        element=element,
        layer=layer_of(owner) if isinstance(owner, Operation) else None,
        rounding=rounding,
    )
    if isinstance(owner, Operation):
        point = InsertPoint.after(owner)
    else:
        point = InsertPoint.at_start(owner)
    Rewriter.insert_op(op, point)
    value.replace_uses_with_if(op.result, lambda use: use.operation is not op)


def exact_types(module: ModuleOp) -> list[str]:
    """
    Give results in floating point the types of what they exactly are.

    As far as that is known and fixed point: of sums of products of fixed point, for
    example. Layers with constants get the range of their constants. Gives what is left.
    """
    function, ranges, left = model_function(module), Ranges(), list[str]()
    for op in function.body.block.ops:
        if isinstance(op, MaseOp) and is_float(element_of(op.result)):
            exact = range_of_result(op)
            format = exact and narrowest(exact)
            if format is None:
                left.append(describe(op.result))
                continue
            _retype(op.result, fixed_type(format))
            _narrow(op, ranges)
        elif not isinstance(op, ReturnOp):
            ranges.visit(op)
    function.update_function_type()
    return left


def _narrow(op: MaseOp, ranges: Ranges) -> None:
    """As narrow as its elements are, by what is known of operands and constants."""
    layer = constant_layer(op)
    if layer is None or problem_of(op, layer, ranges) is None:
        ranges.visit(op)
    element = element_of(op.result)
    assert isinstance(element, FixedPoint), "given before"
    ends = ranges.codes(op.result)
    low, high = min(int(ends.min()), 0), max(int(ends.max()), 0)
    format = narrowest(Multiples(element.format.frac, low, high))
    assert format is not None, "narrower than before"
    _retype(op.result, fixed_type(format))
    ranges.set(op.result, ends)


def _retype(value: SSAValue, element: FixedPoint) -> None:
    Rewriter.replace_value_with_new_type(value, TensorType(element, shape_of(value)))
