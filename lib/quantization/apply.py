"""Carrying out a plan of formats: types, codes and casts."""

from __future__ import annotations

from functools import lru_cache
from typing import Any, NamedTuple, cast

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.dialects.func import ReturnOp
from xdsl.ir import Attribute, Block, Operation, SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import DenseAttr, RoundingAttr, is_float
from mase_opt.dialects.mase.base import ArithmeticOp, MaseOp, SameElementOp
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.formats import element_type
from mase_opt.dialects.mase.shape import ConstantOp, PadOp
from mase_opt.dialects.mase.types import ElementType, element_of, shape_of
from mase_opt.lib.analysis.calibration import CALIBRATION
from mase_opt.lib.analysis.exact_range import narrowest, range_of_result
from mase_opt.lib.formats import Fixed, Format, Scaled, Stochastic, Ternary
from mase_opt.lib.model_function import describe
from mase_opt.lib.quantization.plan import Plan
from mase_opt.lib.quantization.subject import Subject


class Version(NamedTuple):
    """What a constant is to become."""

    element: ElementType
    format: Format[Any]
    rounding: RoundingAttr


class Quantizer:
    """Carries out a plan; with `masters`, constants stay, with casts behind them."""

    def __init__(self, subject: Subject, plan: Plan, *, masters: bool = False):
        self.subject = subject
        self.plan = plan
        self.masters = masters
        self.places = {op: place for place, op in enumerate(plan.configs)}
        self.values: dict[SSAValue, SSAValue] = {}
        """What has become of the values of the function."""
        self.made: dict[tuple[object, ...], SSAValue] = {}
        """Casts, and constants of codes, by what they are made of."""
        self.wanted: dict[SSAValue, dict[tuple[object, ...], Version]] = {}
        """The versions of constants that will be read."""

    def block(self) -> Block:
        """The body of the function as the plan says; the function stays."""
        function = self.subject.function
        block = Block(arg_types=[a.type for a in function.args])
        for old, new in zip(function.args, block.args, strict=True):
            if (format := self.plan.arguments.get(old.index)) is not None:
                _retype(new, format)
            self.values[old] = new
        for old, new in zip(function.args, block.args, strict=True):
            new.name_hint = old.name_hint
        self._look_ahead()
        for op in function.body.block.ops:
            if isinstance(op, ConstantOp):
                self._add_constant(block, op)
            elif op not in self.plan.configs:
                self._add(block, op, self._operands(op))
            else:
                assert isinstance(op, MaseOp)
                if self.plan.active(op):
                    self._convert(block, op)
                else:
                    self._leave_alone(block, op)
        return block

    def _look_ahead(self) -> None:
        """Find the versions of constants that ops and results read."""
        for op in self.subject.concerned:
            if self.plan.active(op):
                rounding = self._rounding(op)
                for index, value, _ in self.subject.operands[op]:
                    format = self.plan.operands.get((op, index))
                    if format is not None and isinstance(value.owner, ConstantOp):
                        self._want(value, format, rounding)
        rounding = self.plan.defaults.rounding_of(self.plan.default)
        returned = dict(self.subject.returned)
        for index, format in self.plan.returned.items():
            self._want(returned[index], format, rounding)

    def _want(
        self, value: SSAValue, format: Format[Any], rounding: RoundingAttr
    ) -> None:
        version = Version(element_type(format), format, rounding)
        self.wanted.setdefault(value, {})[version.element, rounding] = version

    def _operands(self, op: Operation) -> list[SSAValue]:
        """What the operands of `op` have become, constants that are wanted apart."""
        operands = [self.values.get(v, v) for v in op.operands]
        if isinstance(op, ReturnOp):
            rounding = self.plan.defaults.rounding_of(self.plan.default)
            for index, format in self.plan.returned.items():
                key = op.operands[index], element_type(format), rounding
                operands[index] = self.made[key]
        return operands

    def _add(self, block: Block, op: Operation, operands: list[SSAValue]) -> Operation:
        """A copy of `op` with these operands, at the end."""
        attributes = op.attributes
        if CALIBRATION in attributes:
            attributes = {k: v for k, v in attributes.items() if k != CALIBRATION}
        made = op.create(
            operands=operands,
            result_types=op.result_types,
            properties=op.properties,
            attributes=attributes,
            location=op.location,
        )
        for old, new in zip(op.results, made.results, strict=True):
            new.name_hint = old.name_hint
            self.values[old] = new
        block.add_op(made)
        return made

    def _leave_alone(self, block: Block, op: MaseOp) -> None:
        rounding = self._rounding(op)
        operands = self._operands(op)
        for index, value, _ in self.subject.operands[op]:
            if element_of(operands[index]) != (element := element_of(value)):
                operands[index] = self._cast(block, operands[index], element, rounding)
        self._add(block, op, operands)

    def _rounding(self, op: Operation) -> RoundingAttr:
        rounding = self.plan.defaults.rounding_of(self.plan.configs[op])
        if not isinstance(mode := rounding.mode, Stochastic):
            return rounding
        # Each op draws numbers of its own, or the errors of layers would add up.
        seed = (mode.seed + self.places[op]) % (1 << 32)
        return RoundingAttr((Stochastic(seed), rounding.overflow))

    def _convert(self, block: Block, op: MaseOp) -> None:
        rounding = self._rounding(op)
        operands = self._operands(op)
        for index, value, _ in self.subject.operands[op]:
            format = self.plan.operands.get((op, index))
            if format is None:
                continue
            element, threshold = _type_and_threshold(format)
            if isinstance(value.owner, ConstantOp):
                operands[index] = self.made[value, element_type(format), rounding]
            else:
                operands[index] = self._cast(
                    block, operands[index], element, rounding, threshold
                )
        new = self._add(block, op, operands)
        assert isinstance(new, MaseOp)
        # Integers keep their own: how the model's language makes them.
        if isinstance(op, ArithmeticOp) and is_float(element_of(op.results[0])):
            new.properties["rounding"] = rounding
        if op in self.plan.results:
            _retype(new.results[0], self._result_format(op, new))
        if op in self.plan.accumulators:
            new.properties["accumulator"] = element_type(self.plan.accumulators[op])
        if isinstance(op, PadOp):
            _check_pad(op, self.plan.results[op])
        if op in self.plan.casts:
            element, threshold = _type_and_threshold(self.plan.casts[op])
            self.values[op.results[0]] = self._cast(
                block, new.results[0], element, rounding, threshold
            )

    def _result_format(self, op: MaseOp, new: MaseOp) -> Format[Any]:
        """What the plan says, or more where what reads the result should see it all."""
        if op in self.plan.exact:
            if isinstance(op, SameElementOp):
                element = element_of(new.operands[0])
                assert isinstance(element, ElementType), "operands are converted"
                return element.format
            numbers = range_of_result(new)
            exact = numbers and narrowest(numbers)
            if op not in self.plan.accumulators and exact:
                return exact
        return self.plan.results[op]

    def _cast(
        self,
        block: Block,
        value: SSAValue,
        element: Attribute,
        rounding: RoundingAttr,
        threshold: float | None = None,
    ) -> SSAValue:
        if element_of(value) == element:
            return value
        key = (value, element, rounding, threshold)
        if key not in self.made:
            cast = CastOp(
                value, element=element, rounding=rounding, threshold=threshold
            )
            block.add_op(cast)
            self.made[key] = cast.results[0]
        return self.made[key]

    # ---- constants ----------------------------------------------------------------

    def _add_constant(self, block: Block, op: ConstantOp) -> None:
        """The constant where it is still read as it is, and its wanted versions."""
        value = op.results[0]
        versions = self.wanted.get(value, {})
        if (self.masters and versions) or self._is_read(value):
            self._add(block, op, [])
        for key, version in reversed(versions.items()):
            if self.masters:
                made = self._cast(
                    block, self.values[value], version.element, version.rounding
                )
            else:
                constant = _constant(op, version)
                block.add_op(constant)
                made = constant.results[0]
            made.name_hint = value.name_hint
            self.made[value, *key] = made

    def _is_read(self, value: SSAValue) -> bool:
        """Whether a use of the constant `value` stays as it is."""
        for use in value.uses:
            if isinstance(use.operation, ReturnOp):
                if use.index not in self.plan.returned:
                    return True
            elif (use.operation, use.index) not in self.plan.operands:
                return True
        return False


def _constant(constant: ConstantOp, version: Version) -> ConstantOp:
    """`constant` in another format."""
    value, type, scales = constant.value.derived(
        ("constant", constant.result.type, version.element, version.rounding),
        lambda: _encoded(constant, version.format, version.rounding),
    )
    properties = (
        {"value": value} if scales is None else {"value": value, "scales": scales}
    )
    return ConstantOp.create(properties=properties, result_types=[type])


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
    """Give a value that nothing uses yet another format."""
    element, _ = _type_and_threshold(format)
    value._type = _tensor(element, shape_of(value))  # pyright: ignore[reportPrivateUsage]


@lru_cache(1024)
def _tensor(element: ElementType, shape: tuple[int, ...]) -> TensorType[Attribute]:
    return TensorType(element, shape)


def _check_pad(op: PadOp, format: Format[Any]) -> None:
    value = op.value.value.data
    if format.positional:
        return  # rounded where it comes to lie
    if not np.isfinite(value) or format.cast(np.array([value])) != [value]:
        raise PassFailedException(
            f"{describe(op.result)} pads with {value}, which {format} cannot "
            "represent; leave the layer in floating point or pad with 0"
        )
