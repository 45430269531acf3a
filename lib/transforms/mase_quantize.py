"""Formats into types, codes into constants."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import DictionaryAttr, ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import MaseOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of
from mase_opt.lib.analysis.calibration import calibration_of, strip
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import (
    FormatError,
    FormatSpec,
    Method,
    Overflow,
    Spec,
)
from mase_opt.lib.model_function import describe, model_function
from mase_opt.lib.quantization.apply import Quantizer
from mase_opt.lib.quantization.config import (
    LayerConfig,
    QuantizeConfig,
    check_by,
    load_config,
    parse_accumulator,
    parse_choice,
    parse_text,
    rounding_of,
)
from mase_opt.lib.quantization.defaults import Defaults
from mase_opt.lib.quantization.formats import WIDE, bits_of
from mase_opt.lib.quantization.ops import (
    concerned,
    float_operands,
    returned_as_is,
    role_of,
)
from mase_opt.lib.quantization.plan import Plan
from mase_opt.lib.transforms.mase_calibrate import calibrate
from mase_opt.lib.transforms.mase_fold_batch_norm import fold_batch_norms

PREPARED = "mase.prepared"
"""The attribute of a function whose parameters are prepared for some formats."""


@dataclass(frozen=True)
class MaseQuantizePass(ModulePass):
    """
    Give every floating-point value a number format: fixed point, unless told otherwise.

    Formats go into the types, codes into the constants, and casts where a layer wants
    its input in another format. Open fractions and scales are chosen for the values
    that `mase-calibrate` has seen; a module without calibration is calibrated first,
    and batch norms are folded before that. Values that are never negative are unsigned,
    also those of which only a relu uses the rest: saturation at zero is the relu. A
    bias gets as many fraction bits as the product it is added to, if they fit. Layers
    that the config leaves alone stay, with casts around them. What is quantized
    already stays as it is; a module that has nothing else gets a warning.
    docs/quantization.md has the rules for other formats.

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
    format: str | None = None
    """Format of data and weights, instead of fixed point of `width`: mxint8, …"""
    data_format: str | None = None
    """Format of inputs of layers, instead of `format`."""
    weight_format: str | None = None
    """Format of weights and other constants, instead of `format`."""
    bias_format: str | None = None
    """Format of biases (fixed point, twice as wide as weights, 16 bits at least)."""
    accumulator: str | None = None
    """Format in which products of blocks are summed up: fixed<W, F>."""
    masters: bool = False
    """Keep constants in floating point, with casts behind them, for training."""
    method: str = "mse"
    """How ranges are chosen: smallest squared error (mse), minmax, percentile, kl."""
    percentile: float = 99.9
    """What `method=percentile` keeps in range, in percent."""
    rounding: str = "nearest_even"
    """Rounding mode of all layers: nearest_even, floor, …, stochastic<seed>."""
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
        function = model_function(op)
        self.check_prepared(function)
        if not self.quantize(op):
            warnings.warn(
                f"{self.name} has no effect: no value in floating point is left to "
                "quantize; a module that has formats keeps them",
                stacklevel=2,
            )

    def quantize(self, op: ModuleOp) -> bool:
        """Do what the pass does; whether there was anything to quantize."""
        config = self._config()
        defaults = self._defaults(config.default)
        config = replace(config, default=config.default.fixed_point())
        function = model_function(op)
        if any(map(concerned, _ops(function))):
            configs = _select(config, op)
            changes = any(not layer.bypass for layer in configs.values())
        else:
            configs = {}
            changes = next(_unused_or_returned(function), None) is not None
        if changes:
            check_constants(function)
            if not is_calibrated(function):
                calibrate(op, data=self.data, samples=self.samples, seed=self.seed)
            elif self.data not in (None, prepared_with(function)):
                warnings.warn(
                    f"data {self.data} is not looked at: the module is calibrated",
                    stacklevel=2,
                )
            plan = Plan(function, configs, config.default, defaults)
            if defaults.accumulator is not None and not plan.accumulators:
                warnings.warn(
                    f"accumulator {defaults.accumulator} has no effect: no layer has "
                    "operands in blocks, and other sums are exact",
                    stacklevel=2,
                )
            Quantizer(function, plan, masters=self.masters).run()
        strip(function)
        function.attributes.pop(PREPARED, None)
        return changes

    def mark_prepared(self, function: FuncOp) -> None:
        """Keep with `function` for which options its parameters are prepared."""
        self.check_prepared(function)
        marks = self._settings() | {"pass": self.name}
        if self.data is not None:
            marks["data"] = self.data
        function.attributes[PREPARED] = DictionaryAttr(
            {name: StringAttr(text) for name, text in marks.items()}
        )

    def check_prepared(self, function: FuncOp) -> None:
        """Raises `UserError` if the parameters are prepared for other options."""
        marks = _marks(function)
        if marks is None:
            return
        for name, text in self._settings().items():
            if (prepared := marks.get(name, "")) != text:
                raise UserError(
                    f"options: {self.name} has {name} '{text}', but {marks['pass']} "
                    f"has prepared the weights for '{prepared}'; give both the same "
                    "options"
                )

    def _settings(self) -> dict[str, str]:
        """What decides on formats, however the options say it."""
        config = self._config()
        defaults = self._defaults(config.default)
        settings = {
            "data format": defaults.data,
            "weight format": defaults.weight,
            "bias format": defaults.bias or FormatSpec(width=defaults.bias_width),
            "method": defaults.method.value,
            "percentile": defaults.percentile,
            "rounding": defaults.rounding,
            "overflow": defaults.overflow.value,
            "config": self.config or "",
            "by": config.by,
        }
        return {name: str(value) for name, value in settings.items()}

    def _config(self) -> QuantizeConfig:
        if self.config is not None:
            return load_config(self.config, self.by and check_by(self.by, "options"))
        return QuantizeConfig(check_by(self.by or "type", "options"))

    def _defaults(self, default: LayerConfig) -> Defaults:
        if not 50 < self.percentile <= 100:
            raise UserError(
                f"options: percentile is {self.percentile}, expected above 50, to 100"
            )
        data, weight = self._spec("data"), self._spec("weight")
        texts = (self.format, self.data_format, self.weight_format)
        by_width = all(text is None for text in texts)
        # Formats other than fixed point suit operands of some layers only.
        if not isinstance(default.data_in, FormatSpec | None):
            data, by_width = default.data_in, False
        if not isinstance(default.weight, FormatSpec | None):
            weight, by_width = default.weight, False
        wide = max(WIDE, 2 * bits_of(data), 2 * bits_of(weight))
        bias = None
        if self.bias_format is not None or self.bias_width is not None:
            bias = self._spec("bias")
        return Defaults(
            data,
            weight,
            bias,
            2 * self.width if by_width else wide,
            parse_accumulator(self.accumulator, "options") or default.accumulator,
            parse_choice(Method, self.method, "method", "options"),
            self.percentile,
            rounding_of(self.rounding, "options"),
            parse_choice(Overflow, self.overflow, "overflow", "options"),
        )

    def _spec(self, role: str) -> Spec:
        """The format that the options have for `data`, `weight` or `bias`."""
        text: str | None = getattr(self, f"{role}_format")
        width: int | None = getattr(self, f"{role}_width")
        if text is not None and width is not None:
            raise UserError(
                f"options: both {role}-format and {role}-width are given, keep one"
            )
        if text is not None:
            return parse_text(text, f"{role}-format", "options")
        if width is None and self.format is not None:
            return parse_text(self.format, "format", "options")
        try:
            return FormatSpec(width=self.width if width is None else width)
        except FormatError as error:
            raise UserError(f"options: {role}-width: {error}") from error


def _marks(function: FuncOp) -> dict[str, str] | None:
    """What `mark_prepared` has kept; None if it was not called."""
    marks = function.attributes.get(PREPARED)
    if not isinstance(marks, DictionaryAttr):
        return None
    return {k: v.data for k, v in marks.data.items() if isinstance(v, StringAttr)}


def prepared_with(function: FuncOp) -> str | None:
    """The data that a pass before `mase-quantize` has calibrated `function` with."""
    return (_marks(function) or {}).get("data")


def needs_formats(function: FuncOp) -> bool:
    """Whether anything is left to quantize."""
    return any(map(concerned, _ops(function))) or any(
        True for _ in _unused_or_returned(function)
    )


def _ops(function: FuncOp) -> list[MaseOp]:
    return [op for op in function.body.block.ops if isinstance(op, MaseOp)]


def _unused_or_returned(function: FuncOp) -> Iterator[SSAValue]:
    """Floating-point values that need a format though no op computes with them."""
    yield from (value for _, value in returned_as_is(function))
    # An input that nothing uses is a port like others.
    yield from (a for a in function.args if is_float(element_of(a)) and not a.uses)


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
    """
    Raises `PassFailedException` for weights that are NaN or infinite.

    Not for -inf in what may be a mask: `Plan` does, where it is none.
    """
    for op in filter(concerned, function.body.block.ops):
        for index, value in float_operands(op):
            if not isinstance(value.owner, ConstantOp):
                continue
            array = value.owner.array().astype(np.float64)
            fits = np.isfinite(array)
            if op.may_read_mask(index):
                fits |= np.isneginf(array)
            if fits.all():
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
