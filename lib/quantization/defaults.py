"""What holds where settings are silent, and how open parts of formats are chosen."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.ir import SSAValue

from mase_opt.dialects.mase.attrs import RoundingAttr
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.analysis.calibration import (
    calibration_attribute,
    calibration_of,
    channels_of,
    quantile_weights,
)
from mase_opt.lib.formats import (
    Fixed,
    Format,
    FormatError,
    FormatSpec,
    Method,
    Overflow,
    Rounding,
    RoundingMode,
    Scaled,
    ScaledSpec,
    Spec,
    Stochastic,
    Ternary,
    choose_format,
)
from mase_opt.lib.formats.catalog import element_format
from mase_opt.lib.formats.fixed import MAX_WIDTH
from mase_opt.lib.formats.ternary import DEFAULT_THRESHOLD
from mase_opt.lib.model_function import describe
from mase_opt.lib.quantization.config import LayerConfig
from mase_opt.lib.quantization.formats import bits_of, for_results

Values = NDArray[np.float64]
MASK = -1e30
MASK_DEPTH = 16


@lru_cache(64)
def _rounding(rounding: Rounding, overflow: Overflow) -> RoundingAttr:
    return RoundingAttr((rounding, overflow))


@dataclass(frozen=True)
class Defaults:
    """What holds where a layer's settings are silent."""

    data: Spec
    weight: Spec
    bias: Spec | None
    """None: fixed point of `bias_width`, or of twice the layer's own formats."""
    bias_width: int
    accumulator: Fixed | None
    """For layers with operands in blocks."""
    method: Method
    percentile: float
    rounding: Rounding
    overflow: Overflow

    def rounding_of(self, config: LayerConfig) -> RoundingAttr:
        return _rounding(
            config.rounding or self.rounding, config.overflow or self.overflow
        )

    def result_of(self, config: LayerConfig) -> Spec:
        """The format of results without a setting: it follows from the inputs'."""
        match config.data_in:
            case FormatSpec(width=int() as width):
                return FormatSpec(None, width)
            case None | FormatSpec():
                return for_results(self.data)
            case Scaled() as scaled:
                return for_results(ScaledSpec(scaled.element))
            case spec:
                return for_results(spec)

    def bias_of(self, config: LayerConfig) -> Spec:
        """The format of biases: that of the layer, else wide fixed point."""
        if spec := config.bias or self.bias:
            return spec
        own = 2 * max(bits_of(config.data_in), bits_of(config.weight))
        return FormatSpec(width=min(MAX_WIDTH, max(self.bias_width, own)))

    def for_value(
        self,
        value: SSAValue,
        spec: Spec,
        rounding: RoundingAttr,
        *,
        low: float,
        high: float,
        floor: float,
        unsigned: bool,
    ) -> Format[Any]:
        """
        The format that `spec` becomes for what calibration saw of `value`.

        As if it had been in the range from `low` to `high`, and masks at `floor`;
        `unsigned` decides where the sign is open. Raises `FormatError` where no format
        will do.
        """
        seen = calibration_attribute(value)
        assert seen is not None, f"{describe(value)} is not calibrated"
        chosen = (self.method, self.percentile, spec, rounding)
        what = (value.type, seen.axis, seen.channels, *chosen)
        return seen.quantiles.derived(
            (*what, low, high, floor, unsigned),
            lambda: self._of_value(value, spec, rounding, low, high, floor, unsigned),
        )

    def _of_value(
        self,
        value: SSAValue,
        spec: Spec,
        rounding: RoundingAttr,
        low: float,
        high: float,
        floor: float,
        unsigned: bool,
    ) -> Format[Any]:
        values, weights = calibrated(value, spec)
        values, method = without_masks(values, floor)
        values = np.clip(values, low, high)
        format = self._choose(
            spec, values, rounding, unsigned=unsigned, weights=weights, method=method
        )
        check_format(format, shape_of(value), rounding.overflow)
        return with_threshold(format, values, weights)

    def for_constant(
        self,
        constant: ConstantOp,
        spec: Spec,
        rounding: RoundingAttr,
        *,
        method: Method | None = None,
        limit: int | None = None,
        floor: float = -inf,
        divisor: bool = False,
    ) -> Format[Any]:
        """
        The format that `spec` becomes for the numbers of `constant`, masks at `floor`.

        `method` replaces the usual one; `limit` is the most fraction bits to choose.
        Raises `FormatError` where no format will do, as where a `divisor` becomes zero.
        """
        chosen = (self.method, self.percentile, spec, rounding)
        what = (constant.result.type, *chosen)
        return constant.value.derived(
            (*what, method, limit, floor, divisor),
            lambda: self._of_constant(
                constant, spec, rounding, method, limit, floor, divisor
            ),
        )

    def _of_constant(
        self,
        constant: ConstantOp,
        spec: Spec,
        rounding: RoundingAttr,
        method: Method | None,
        limit: int | None,
        floor: float,
        divisor: bool,
    ) -> Format[Any]:
        values = constant.array().astype(np.float64)
        unsigned = bool((values >= 0).all())
        if floor > -inf:
            values, own = without_masks(values, floor)
            method = method or own
        format = self._choose(
            spec,
            values,
            rounding,
            unsigned=unsigned,
            method=method,
            limit=limit,
        )
        check_format(format, values.shape, rounding.overflow)
        if divisor:
            cast = format.cast(values, rounding.mode, rounding.overflow)
            if (lost := values[(cast == 0) & (values != 0)]).size:
                raise FormatError(
                    f"{lost[0]:g} becomes zero in {format}, and is divided by; give "
                    "the layer a finer format for weights"
                )
        return format

    def _choose(
        self,
        spec: Spec,
        values: Values,
        rounding: RoundingAttr,
        *,
        unsigned: bool,
        weights: Values | None = None,
        method: Method | None = None,
        limit: int | None = None,
    ) -> Format[Any]:
        mode = rounding.mode
        if isinstance(mode, Stochastic):
            # Of what is rounded by chance, to nearest is the expectation.
            mode = RoundingMode.NEAREST_EVEN
        return choose_format(
            spec,
            values,
            method=method or self.method,
            percentile=self.percentile,
            weights=weights,
            rounding=mode,
            overflow=rounding.overflow,
            unsigned=unsigned,
            limit=limit,
        )


def without_masks(values: Values, floor: float) -> tuple[Values, Method | None]:
    """
    `values` with masks brought near to the others, and how to choose a range for them.

    Below `floor` all numbers are the same to what reads them. Their range has to reach
    it, so that what is masked saturates to no more: no method may cut that off. Where
    something else reads them, too, those that can only be masks are `MASK_DEPTH` below
    the others.
    """
    if (values < floor).any():
        return np.maximum(values, floor), Method.MINMAX
    masks = values < MASK
    if masks.all() or not masks.any():
        return values, None
    return np.maximum(values, values[~masks].min() - MASK_DEPTH), None


def calibrated(value: SSAValue, spec: Spec) -> tuple[Values, Values]:
    """What calibration saw of `value`, in the layout that `spec` needs, and weights."""
    if not isinstance(spec, ScaledSpec) or spec.layout.axis is None:
        quantiles = calibration_of(value)
        assert quantiles is not None, f"{describe(value)} is not calibrated"
        return quantiles, quantile_weights(quantiles.size)
    channels, shape = channels_of(value), shape_of(value)
    spec.layout.parts(shape)  # there is such an axis
    rank = len(shape)
    axis = spec.layout.axis % rank
    if channels is None or channels.axis != axis or spec.layout.group is not None:
        along = "" if channels is None else f", which are along axis {channels.axis}"
        raise FormatError(
            f"data has no scales for {spec}, only one, or after mase-calibrate with "
            f"channels=true one per channel{along}"
        )
    return channels.sample(rank)


def with_threshold(format: Format[Any], values: Values, weights: Values) -> Format[Any]:
    """
    `format` with the threshold for calibrated `values` if it is ternary.

    Data is cast with one threshold for all samples, constants with their own.
    """
    element = element_format(format)
    if not isinstance(element, Ternary) or element.threshold is not None:
        return format
    mean = float(np.vdot(np.abs(values), weights) / weights.sum())
    element = Ternary(DEFAULT_THRESHOLD * mean)
    return format.of(element) if isinstance(format, Scaled) else element


def check_format(
    format: Format[Any], shape: tuple[int, ...], overflow: Overflow
) -> None:
    """Raises `FormatError` unless tensors of `shape` can have it, and can overflow."""
    format.check(shape)
    if overflow not in (Overflow.SATURATE, Overflow.ERROR):
        format.quantize(np.zeros(shape), RoundingMode.NEAREST_EVEN, overflow)
