"""Carrying out a plan of formats: types, codes and casts."""

from __future__ import annotations

import numpy as np
from xdsl.dialects.builtin import TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, SSAValue
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import RoundingAttr, is_float
from mase_opt.dialects.mase.base import ArithmeticOp, MaseOp
from mase_opt.dialects.mase.elementwise import CastOp, Relu6Op, ReluOp
from mase_opt.dialects.mase.layers import ConvOp, ConvTranspose2dOp, LinearOp
from mase_opt.dialects.mase.shape import ConstantOp, PadOp
from mase_opt.dialects.mase.types import (
    FixedPoint,
    UFixedType,
    element_of,
    fixed_type,
    shape_of,
)
from mase_opt.lib.analysis.model import describe
from mase_opt.lib.formats import Fixed, FormatError, Method
from mase_opt.lib.transforms.quantize_plan import Plan, float_operands, role_of


class Quantizer:
    """Carries out a plan."""

    def __init__(self, function: FuncOp, plan: Plan):
        self.function = function
        self.plan = plan
        self.floats = {
            op: {index: element_of(v) for index, v in float_operands(op)}
            for op in plan.configs
        }
        """The floating-point operands of each op, as they were."""
        self.casts: dict[tuple[SSAValue, Attribute, RoundingAttr], SSAValue] = {}
        self.constants: dict[tuple[ConstantOp, Attribute], SSAValue] = {}

    def run(self) -> None:
        constants = [
            o for o in self.function.body.block.ops if isinstance(o, ConstantOp)
        ]
        for index, format in self.plan.arguments.items():
            _retype(self.function.args[index], fixed_type(format))
        for op in self.plan.configs:
            assert isinstance(op, MaseOp)
            if self.plan.active(op):
                self._convert(op)
            else:
                self._leave_alone(op)
        self.function.update_function_type()
        for op in constants:
            if not op.result.uses:
                Rewriter.erase_op(op)

    def _leave_alone(self, op: MaseOp) -> None:
        for index, element in self.floats[op].items():
            if element_of(op.operands[index]) != element:
                op.operands[index] = self._cast(op, index, element)

    def _convert(self, op: MaseOp) -> None:
        # The format of a bias depends on the others.
        by_role = sorted(
            self.floats[op], key=lambda i: role_of(op, op.operands[i]) == "bias"
        )
        for index in by_role:
            value = op.operands[index]
            if isinstance(value.owner, ConstantOp):
                op.operands[index] = self._constant(op, index, value.owner)
            elif (op, index) in self.plan.operands:
                element = fixed_type(self.plan.operands[op, index])
                op.operands[index] = self._cast(op, index, element)
        if is_float(element_of(op.result)):
            _retype(op.result, self._result(op))
        if isinstance(op, ArithmeticOp):
            op.rounding = self.plan.defaults.rounding_of(self.plan.configs[op])
        if isinstance(op, PadOp):
            _check_pad(op)

    def _result(self, op: MaseOp) -> FixedPoint:
        if op in self.plan.results:
            return fixed_type(self.plan.results[op])
        element = element_of(op.operands[0])
        assert isinstance(element, FixedPoint), f"{op.name} follows {element}"
        format = element.format
        if isinstance(op, ReluOp | Relu6Op) and format.signed and format.width > 1:
            # The sign bit is always zero.
            return UFixedType(format.width - 1, format.frac)
        return element

    def _cast(self, op: MaseOp, index: int, element: Attribute) -> SSAValue:
        value = op.operands[index]
        rounding = self.plan.defaults.rounding_of(self.plan.configs[op])
        if element_of(value) == element:
            return value
        key = (value, element, rounding)
        if key not in self.casts:
            cast = CastOp(value, element=element, rounding=rounding)
            Rewriter.insert_op(cast, InsertPoint.before(op))
            self.casts[key] = cast.result
        return self.casts[key]

    def _constant(self, op: MaseOp, index: int, constant: ConstantOp) -> SSAValue:
        """The constant operand as codes."""
        values = constant.array().astype(np.float64)
        rounding = self.plan.defaults.rounding_of(self.plan.configs[op])
        try:
            format = self.plan.operands.get((op, index)) or self._format(
                op, op.operands[index], values, rounding
            )
        except FormatError as error:
            role = role_of(op, op.operands[index])
            raise PassFailedException(
                f"{describe(op.result)}: {role} '{constant.value.label}': {error}"
            ) from error
        element = fixed_type(format)
        key = (constant, element)
        if key not in self.constants:
            codes = format.encode(values, rounding.mode, rounding.overflow)
            new = ConstantOp.of(codes, element, constant.value.label)
            new.result.name_hint = constant.result.name_hint
            Rewriter.insert_op(new, InsertPoint.after(constant))
            self.constants[key] = new.result
        return self.constants[key]

    def _format(
        self, op: MaseOp, value: SSAValue, values: np.ndarray, rounding: RoundingAttr
    ) -> Fixed:
        config, defaults = self.plan.configs[op], self.plan.defaults
        unsigned = bool((values >= 0).all())
        flat = values.reshape(-1)
        if role_of(op, value) != "bias":
            spec = config.weight or defaults.weight
            return defaults.resolve(spec, flat, rounding, unsigned=unsigned)
        limit = None
        if isinstance(op, LinearOp | ConvOp | ConvTranspose2dOp):
            limit = _frac(op.input) + _frac(op.weight)
        return defaults.resolve(
            config.bias or defaults.bias,
            flat,
            rounding,
            unsigned=unsigned,
            method=Method.MINMAX,
            limit=limit,
        )


def _frac(value: SSAValue) -> int:
    element = element_of(value)
    return element.frac.data if isinstance(element, FixedPoint) else 0


def _retype(value: SSAValue, element: Attribute) -> None:
    Rewriter.replace_value_with_new_type(value, TensorType(element, shape_of(value)))


def _check_pad(op: PadOp) -> None:
    element, value = element_of(op.result), op.value.value.data
    assert isinstance(element, FixedPoint)
    if not np.isfinite(value) or element.format.decode(
        element.format.encode(np.array([value]))
    ) != [value]:
        raise PassFailedException(
            f"{describe(op.result)} pads with {value}, which {element.format} cannot "
            "represent; leave the layer in floating point or pad with 0"
        )
