"""Formats into types, codes into constants, as a recipe decides."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import numpy as np
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import MaseOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of
from mase_opt.lib.analysis.calibration import calibration_of, strip
from mase_opt.lib.model_function import describe, model_function
from mase_opt.lib.quantization.apply import Quantizer
from mase_opt.lib.quantization.batch_norm import fold_batch_norms
from mase_opt.lib.quantization.calibrate import calibrate
from mase_opt.lib.quantization.config import LayerConfig, QuantizeConfig
from mase_opt.lib.quantization.ops import (
    concerned,
    float_operands,
    returned_as_is,
    role_of,
)
from mase_opt.lib.quantization.plan import Plan
from mase_opt.lib.quantization.recipe import Recipe

SHOWN = 4
"""Layers that a warning names."""


def quantize(
    module: ModuleOp,
    recipe: Recipe,
    *,
    data: str | None = None,
    samples: int | None = None,
    seed: int = 0,
    masters: bool = False,
) -> bool:
    """
    Give what is in floating point the formats of `recipe`.

    A function that is not calibrated is calibrated with `data`. With `masters`,
    constants stay, with casts behind them. Returns whether there was anything to
    quantize. Raises `UserError` and `PassFailedException` for what cannot be.
    """
    config, defaults = recipe.config, recipe.defaults
    config = replace(config, default=config.default.fixed_point())
    function = model_function(module)
    if any(map(concerned, _ops(function))):
        configs = _select(config, module)
        if recipe.complete:
            _tell_of_completed(recipe, list(configs))
        changes = any(not layer.bypass for layer in configs.values())
    else:
        configs = {}
        changes = next(_unused_or_returned(function), None) is not None
    if changes:
        check_constants(function)
        if not is_calibrated(function):
            calibrate(module, data=data, samples=samples, seed=seed)
        elif data is not None:
            warnings.warn(
                f"data {data} is not looked at: the module is calibrated",
                stacklevel=2,
            )
        plan = Plan(function, configs, config.default, defaults)
        if defaults.accumulator is not None and not plan.accumulators:
            warnings.warn(
                f"accumulator {defaults.accumulator} has no effect: no layer has "
                "operands in blocks, and other sums are exact",
                stacklevel=2,
            )
        Quantizer(function, plan, masters=masters).run()
    strip(function)
    return changes


def _tell_of_completed(recipe: Recipe, ops: list[Operation]) -> None:
    """Warn of layers that get formats although the settings leave them alone."""
    selected = replace(recipe, complete=None).config.select(ops)
    if left := [op for op in ops if selected[op].bypass]:
        names = ", ".join(describe(op.results[0]) for op in left[:SHOWN])
        more = f" and {len(left) - SHOWN} more" if len(left) > SHOWN else ""
        warnings.warn(
            f"{recipe.source}: what the settings leave in floating point gets formats, "
            f"which hardware needs: {names}{more}",
            stacklevel=2,
        )


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
            constant = value.owner
            if constant.value.derived("finite", partial(_is_finite, constant)):
                continue
            array = constant.array().astype(np.float64)
            fits = np.isfinite(array)
            if op.may_read_mask(index):
                fits |= np.isneginf(array)
            if fits.all():
                continue
            nans, infinities = np.isnan(array).sum(), np.isinf(array).sum()
            raise PassFailedException(
                f"{describe(op.results[0])}: {role_of(op, value)} "
                f"'{constant.value.label}' holds {nans} NaN and {infinities} "
                f"infinite values of {array.size}; train or export the model again"
            )


def _is_finite(constant: ConstantOp) -> bool:
    return bool(np.isfinite(constant.array().astype(np.float64)).all())


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
