"""Formats into types, codes into constants."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.passes import ModulePass
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
from mase_opt.lib.analysis.calibration import calibration_of, strip
from mase_opt.lib.analysis.model import describe, model_function
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import (
    Fixed,
    FormatError,
    FormatSpec,
    Method,
    Overflow,
    RoundingMode,
)
from mase_opt.lib.transforms.mase_calibrate import calibrate
from mase_opt.lib.transforms.mase_fold_batch_norm import fold_batch_norms
from mase_opt.lib.transforms.quantize_config import (
    LayerConfig,
    QuantizeConfig,
    check_by,
    load_config,
    parse_choice,
)
from mase_opt.lib.transforms.quantize_plan import (
    Defaults,
    Plan,
    concerned,
    float_operands,
    role_of,
)


@dataclass(frozen=True)
class MaseQuantizePass(ModulePass):
    """
    Give every floating-point value a fixed-point format.

    Formats go into the types, codes into the constants, and casts where a layer wants
    its input in another format. Open fraction widths are chosen for the values that
    `mase-calibrate` has seen; a module without calibration is calibrated first, and
    batch norms are folded before that. Values that are never negative are unsigned,
    also those of which only a relu uses the rest: saturation at zero is the relu. A
    bias gets as many fraction bits as the product it is added to, if they fit. Layers
    that the config leaves alone stay, with casts around them. What is quantized
    already stays as it is.

    ```mlir
    %2 = mase.linear %x, %w, %b {layer = "fc"}
      : (tensor<1x64xf32>, tensor<32x64xf32>, tensor<32xf32>) -> tensor<1x32xf32>
    ```
    becomes
    ```mlir
    %2 = mase.linear %x, %w, %b {layer = "fc"}
      : (tensor<1x64x!mase.ufixed<8, 8>>, tensor<32x64x!mase.fixed<8, 7>>,
         tensor<32x!mase.fixed<16, 14>>) -> tensor<1x32x!mase.fixed<8, 4>>
    ```
    """

    name = "mase-quantize"

    width: int = 8
    """Bits of data and weights."""
    data_width: int | None = None
    """Bits of inputs and results of layers, instead of `width`."""
    weight_width: int | None = None
    """Bits of weights and other constants, instead of `width`."""
    bias_width: int | None = None
    """Bits of biases (twice `width`)."""
    method: str = "mse"
    """How fractions are chosen: smallest squared error (mse), minmax, percentile."""
    percentile: float = 99.9
    """What `method=percentile` keeps in range, in percent."""
    rounding: str = "nearest_even"
    """Rounding mode of all layers: nearest_even, nearest_away, half_up, floor, …"""
    overflow: str = "saturate"
    """Overflow mode of all layers: saturate, wrap or error."""
    config: str | None = None
    """A TOML file whose table [passes.quantize] has settings for single layers."""
    by: str | None = None
    """What names layers in `config`, instead of its `by`: type, name, regex_name."""
    data: str | None = None
    """Calibration data for a module without calibration, as for mase-calibrate."""
    samples: int | None = None
    """At most this many calibration samples."""
    seed: int = 0
    """For calibration."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        config = self._config()
        defaults = self._defaults()
        function = model_function(op)
        if any(map(concerned, _ops(function))):
            configs = _select(config, op)
            if any(not layer.bypass for layer in configs.values()):
                check_constants(function)
                if not is_calibrated(function):
                    calibrate(op, data=self.data, samples=self.samples, seed=self.seed)
                plan = Plan(function, configs, config.default, defaults)
                Quantizer(function, plan).run()
        strip(function)

    def _config(self) -> QuantizeConfig:
        if self.config is not None:
            return load_config(self.config, self.by and check_by(self.by, "options"))
        return QuantizeConfig(check_by(self.by or "type", "options"))

    def _defaults(self) -> Defaults:
        if not 50 < self.percentile <= 100:
            raise UserError(
                f"options: percentile is {self.percentile}, expected above 50, to 100"
            )
        return Defaults(
            self._spec("data-width", self.data_width, self.width),
            self._spec("weight-width", self.weight_width, self.width),
            self._spec("bias-width", self.bias_width, min(2 * self.width, 64)),
            parse_choice(Method, self.method, "method", "options"),
            self.percentile,
            parse_choice(RoundingMode, self.rounding, "rounding", "options"),
            parse_choice(Overflow, self.overflow, "overflow", "options"),
        )

    @staticmethod
    def _spec(key: str, width: int | None, default: int) -> FormatSpec:
        try:
            return FormatSpec(width=default if width is None else width)
        except FormatError as error:
            raise UserError(f"options: {key}: {error}") from error


def _ops(function: FuncOp) -> list[MaseOp]:
    return [op for op in function.body.block.ops if isinstance(op, MaseOp)]


def _select(config: QuantizeConfig, module: ModuleOp) -> dict[Operation, LayerConfig]:
    """Fold batch norms; the settings of the ops that compute in floating point."""
    function = model_function(module)
    before = _ops(function)
    config.check(before)
    matched = config.matched(before)
    fold_batch_norms(module)
    after = _ops(function)
    for key in sorted(matched - config.matched(after)):
        warnings.warn(
            f"{config.source}: '{key}' has no effect: batch norms go into other layers",
            stacklevel=2,
        )
    selected = config.select(after)
    return {op: selected[op] for op in after if concerned(op)}


def check_constants(function: FuncOp) -> None:
    """Raises `PassFailedException` for weights that are NaN or infinite."""
    for op in filter(concerned, function.body.block.ops):
        for _, value in float_operands(op):
            if not isinstance(value.owner, ConstantOp):
                continue
            array = value.owner.array().astype(np.float64)
            if np.isfinite(array).all():
                continue
            nans, infinities = np.isnan(array).sum(), np.isinf(array).sum()
            raise PassFailedException(
                f"{describe(op.results[0])}: {role_of(op, value)} "
                f"'{value.owner.value.label}' holds {nans} NaN and {infinities} "
                f"infinite values of {array.size}; train or export the model again"
            )


def is_calibrated(function: FuncOp) -> bool:
    """Whether all floating-point values but constants carry a calibration."""
    computed = (
        op.results[0]
        for op in function.body.block.ops
        if len(op.results) == 1 and not isinstance(op, ConstantOp)
    )
    return all(
        calibration_of(value) is not None
        for value in (*function.args, *computed)
        if is_float(element_of(value))
    )


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
        format = self.plan.operands.get((op, index)) or self._format(
            op, op.operands[index], values, rounding
        )
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
