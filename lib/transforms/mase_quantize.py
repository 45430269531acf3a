"""Formats into types, codes into constants."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import MaseOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of
from mase_opt.lib.analysis.calibration import calibration_of, strip
from mase_opt.lib.analysis.model import describe, model_function
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import (
    FormatError,
    FormatSpec,
    Method,
    Overflow,
    RoundingMode,
)
from mase_opt.lib.transforms.mase_calibrate import calibrate
from mase_opt.lib.transforms.mase_fold_batch_norm import fold_batch_norms
from mase_opt.lib.transforms.quantize_apply import Quantizer
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
            changes = any(not layer.bypass for layer in configs.values())
        else:
            configs = {}
            changes = _returns_float_argument(function)
        if changes:
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


def _returns_float_argument(function: FuncOp) -> bool:
    """Whether an argument is a result as it is: then it needs a format too."""
    returned = function.get_return_op()
    return returned is not None and any(
        value in function.args and is_float(element_of(value))
        for value in returned.operands
    )


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
    _warn_of_missing_operands(config, after)
    selected = config.select(after)
    return {op: selected[op] for op in after if concerned(op)}


def _warn_of_missing_operands(config: QuantizeConfig, ops: list[MaseOp]) -> None:
    """Warn of settings for weights and biases that no layer they are for has."""
    for key, layer in config.layers.items():
        fitting = config.fitting(key, ops)
        roles = {role_of(op, value) for op in fitting for value in op.operands}
        for role in ("weight", "bias"):
            if fitting and getattr(layer, role) is not None and role not in roles:
                warnings.warn(
                    f"{config.source}: '{key}' has no {role}: the setting has no "
                    "effect",
                    stacklevel=2,
                )


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
