"""Formats into types, codes into constants, as a recipe decides."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import replace

from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.ir import Block, Operation, Region

from mase_opt.dialects.mase.base import MaseOp
from mase_opt.lib.analysis.calibration import strip
from mase_opt.lib.model_function import describe, model_function
from mase_opt.lib.quantization.apply import Quantizer
from mase_opt.lib.quantization.batch_norm import fold_batch_norms
from mase_opt.lib.quantization.calibrate import calibrate
from mase_opt.lib.quantization.config import LayerConfig, QuantizeConfig
from mase_opt.lib.quantization.ops import role_of
from mase_opt.lib.quantization.plan import Plan
from mase_opt.lib.quantization.recipe import Recipe
from mase_opt.lib.quantization.subject import Subject

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
    function = model_function(module)
    subject = Subject(function)
    if folds := subject.has_batch_norms and bool(subject.concerned):
        _fold_batch_norms(module, subject, recipe.config)
        subject = Subject(function)
    if (configs := _select(subject, recipe, checked=folds)) is not None:
        subject.check_constants()
        if not subject.is_calibrated:
            calibrate(module, data=data, samples=samples, seed=seed)
            subject = Subject(function)
        elif data is not None:
            warnings.warn(
                f"data {data} is not looked at: the module is calibrated",
                stacklevel=2,
            )
        block = _quantized(subject, recipe, configs, masters=masters)
        function.body.detach_block(function.body.block).erase()
        function.body.add_block(block)
        function.update_function_type()
    strip(function)
    return configs is not None


def quantized_function(
    subject: Subject, recipe: Recipe, *, masters: bool = False
) -> FuncOp | None:
    """
    What `quantize` makes of a calibrated function without batch norms, which stays.

    None if there is nothing to quantize.
    """
    assert subject.is_calibrated
    assert not subject.has_batch_norms
    if (configs := _select(subject, recipe)) is None:
        return None
    subject.check_constants()
    block = _quantized(subject, recipe, configs, masters=masters)
    old = subject.function
    made = FuncOp.create(
        properties=old.properties,
        attributes=old.attributes,
        location=old.location,
        regions=[Region(block)],
    )
    made.update_function_type()
    strip(made)
    return made


Configs = dict[Operation, LayerConfig]


def _select(
    subject: Subject, recipe: Recipe, *, checked: bool = False
) -> Configs | None:
    """The settings of the ops that compute in floating point; None without effect."""
    if not subject.concerned:
        return {} if subject.needs_formats else None
    config = recipe.config
    config = replace(config, default=config.default.fixed_point())
    if not checked:
        config.check(subject.ops)
    _warn_of_missing_operands(config, subject.ops)
    selected = config.select(subject.ops)
    configs: Configs = {op: selected[op] for op in subject.concerned}
    if recipe.complete:
        _tell_of_completed(recipe, subject.concerned)
    return None if all(layer.bypass for layer in configs.values()) else configs


def _quantized(
    subject: Subject, recipe: Recipe, configs: Configs, *, masters: bool
) -> Block:
    """The body of the function, quantized."""
    defaults = recipe.defaults
    plan = Plan(subject, configs, recipe.config.default.fixed_point(), defaults)
    if defaults.accumulator is not None and not plan.accumulators:
        warnings.warn(
            f"accumulator {defaults.accumulator} has no effect: no layer has operands "
            "in blocks, and other sums are exact",
            stacklevel=3,
        )
    return Quantizer(subject, plan, masters=masters).block()


def _tell_of_completed(recipe: Recipe, ops: Sequence[Operation]) -> None:
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


def _fold_batch_norms(
    module: ModuleOp, subject: Subject, config: QuantizeConfig
) -> None:
    config.check(subject.ops)
    matched = config.matched(subject.ops)
    fold_batch_norms(module)
    left = Subject(subject.function).ops
    for key in sorted(matched - config.matched(left)):
        warnings.warn(
            f"{config.source}: '{key}' has no effect: batch norms go into other layers",
            stacklevel=2,
        )


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
