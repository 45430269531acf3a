"""Carrying out a plan of formats: types, codes and casts."""

from __future__ import annotations

from typing import Any, cast

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import DenseAttr, RoundingAttr, is_float
from mase_opt.dialects.mase.base import ArithmeticOp, MaseOp, SameElementOp
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.formats import element_type
from mase_opt.dialects.mase.shape import ConstantOp, PadOp
from mase_opt.dialects.mase.types import ElementType, element_of, shape_of
from mase_opt.lib.analysis.exact_range import narrowest, range_of_result
from mase_opt.lib.formats import Fixed, Format, Scaled, Stochastic, Ternary
from mase_opt.lib.model_function import describe
from mase_opt.lib.quantization.ops import float_operands
from mase_opt.lib.quantization.plan import Plan


class Quantizer:
    """Carries out a plan; with `masters`, constants stay, with casts behind them."""

    def __init__(self, function: FuncOp, plan: Plan, *, masters: bool = False):
        self.function = function
        self.plan = plan
        self.masters = masters
        self.floats = {
            op: {index: element_of(v) for index, v in float_operands(op)}
            for op in plan.configs
        }
        """The floating-point operands of each op, as they were."""
        self.places = {op: place for place, op in enumerate(plan.configs)}
        self.made: dict[tuple[object, ...], SSAValue] = {}
        """Casts, and constants of codes, by what they are made of."""

    def run(self) -> None:
        constants = [
            o for o in self.function.body.block.ops if isinstance(o, ConstantOp)
        ]
        for index, format in self.plan.arguments.items():
            _retype(self.function.args[index], format)
        for op in self.plan.configs:
            assert isinstance(op, MaseOp)
            if self.plan.active(op):
                self._convert(op)
            else:
                self._leave_alone(op)
        returned = self.function.get_return_op()
        for index, format in self.plan.returned.items():
            assert returned is not None
            value = returned.operands[index]
            rounding = self.plan.defaults.rounding_of(self.plan.default)
            returned.operands[index] = self._constant(value, format, rounding)
        self.function.update_function_type()
        for op in constants:
            if not op.result.uses:
                Rewriter.erase_op(op)

    def _leave_alone(self, op: MaseOp) -> None:
        rounding = self._rounding(op)
        for index, element in self.floats[op].items():
            value = op.operands[index]
            if element_of(value) != element:
                op.operands[index] = self._cast(
                    value, element, rounding, InsertPoint.before(op)
                )

    def _rounding(self, op: Operation) -> RoundingAttr:
        rounding = self.plan.defaults.rounding_of(self.plan.configs[op])
        if not isinstance(mode := rounding.mode, Stochastic):
            return rounding
        # Each op draws numbers of its own, or the errors of layers would add up.
        seed = (mode.seed + self.places[op]) % (1 << 32)
        return RoundingAttr((Stochastic(seed), rounding.overflow))

    def _convert(self, op: MaseOp) -> None:
        rounding = self._rounding(op)
        for index in self.floats[op]:
            format = self.plan.operands.get((op, index))
            if format is None:
                continue
            value = op.operands[index]
            if isinstance(value.owner, ConstantOp):
                op.operands[index] = self._constant(value, format, rounding)
            else:
                element, threshold = _type_and_threshold(format)
                op.operands[index] = self._cast(
                    value, element, rounding, InsertPoint.before(op), threshold
                )
        # Integers keep their own: how the model's language makes them.
        if isinstance(op, ArithmeticOp) and is_float(element_of(op.result)):
            op.rounding = rounding
        if op in self.plan.results:
            _retype(op.result, self._result_format(op))
        if op in self.plan.accumulators:
            op.properties["accumulator"] = element_type(self.plan.accumulators[op])
        if isinstance(op, PadOp):
            _check_pad(op, self.plan.results[op])
        if op in self.plan.casts:
            element, threshold = _type_and_threshold(self.plan.casts[op])
            value = op.result
            uses = list(value.uses)
            cast = self._cast(
                value, element, rounding, InsertPoint.after(op), threshold
            )
            for use in uses:
                use.operation.operands[use.index] = cast

    def _result_format(self, op: MaseOp) -> Format[Any]:
        """What the plan says, or more where what reads the result should see it all."""
        if op in self.plan.exact:
            if isinstance(op, SameElementOp):
                element = element_of(op.operands[0])
                assert isinstance(element, ElementType), "operands are converted"
                return element.format
            numbers = range_of_result(op)
            exact = numbers and narrowest(numbers)
            if op not in self.plan.accumulators and exact:
                return exact
        return self.plan.results[op]

    def _cast(
        self,
        value: SSAValue,
        element: Attribute,
        rounding: RoundingAttr,
        place: InsertPoint,
        threshold: float | None = None,
    ) -> SSAValue:
        if element_of(value) == element:
            return value
        key = (value, element, rounding, threshold)
        if key not in self.made:
            cast = CastOp(
                value, element=element, rounding=rounding, threshold=threshold
            )
            Rewriter.insert_op(cast, place)
            self.made[key] = cast.result
        return self.made[key]

    def _constant(
        self, value: SSAValue, format: Format[Any], rounding: RoundingAttr
    ) -> SSAValue:
        """The constant `value` in `format`."""
        constant = value.owner
        assert isinstance(constant, ConstantOp)
        element = element_type(format)
        if self.masters:
            cast = self._cast(value, element, rounding, InsertPoint.after(constant))
            cast.name_hint = value.name_hint
            return cast
        key = (value, element, rounding)
        if key not in self.made:
            new = ConstantOp(
                *constant.value.derived(
                    ("constant", constant.result.type, element, rounding),
                    lambda: _encoded(constant, format, rounding),
                )
            )
            new.result.name_hint = value.name_hint
            Rewriter.insert_op(new, InsertPoint.after(constant))
            self.made[key] = new.result
        return self.made[key]


def _encoded(
    constant: ConstantOp, format: Format[Any], rounding: RoundingAttr
) -> tuple[DenseAttr, TensorType[Attribute], DenseAttr | None]:
    """What a constant of the same numbers in `format` is made of."""
    values = constant.array().astype(np.float64)
    if isinstance(format, Fixed):
        held = format.encode(values, *rounding.data)
    else:
        (held,) = format.cast_samples(values[np.newaxis], *rounding.data)
    made = ConstantOp.of(held, element_type(format), constant.value.label)
    return made.value, cast(Any, made.result.type), made.scales


def _type_and_threshold(format: Format[Any]) -> tuple[ElementType, float | None]:
    """The type of a format, which has no threshold, and the one for casts to it."""
    match format:
        case Ternary(threshold=threshold):
            return element_type(Ternary()), threshold
        case Scaled(element=Ternary(threshold=threshold)):
            return element_type(format.of(Ternary())), threshold
        case _:
            return element_type(format), None


def _retype(value: SSAValue, format: Format[Any]) -> None:
    element, _ = _type_and_threshold(format)
    Rewriter.replace_value_with_new_type(value, TensorType(element, shape_of(value)))


def _check_pad(op: PadOp, format: Format[Any]) -> None:
    value = op.value.value.data
    if format.positional:
        return  # rounded where it comes to lie
    if not np.isfinite(value) or format.cast(np.array([value])) != [value]:
        raise PassFailedException(
            f"{describe(op.result)} pads with {value}, which {format} cannot "
            "represent; leave the layer in floating point or pad with 0"
        )
