"""The calibration attributes: how they are written, found and removed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr, IntAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue

from mase_opt.dialects.mase.attrs import CalibrationAttr, quantile_grid
from mase_opt.dialects.mase.base import MaseOp
from mase_opt.dialects.mase.types import shape_of

CALIBRATION = "mase.calibration"
"""The attribute of an op (for its only result) or of a function's argument."""


def record(function: FuncOp, found: Mapping[SSAValue, CalibrationAttr]) -> None:
    """Put each calibration at its value, replacing older ones."""
    arguments = _argument_attributes(function)
    for value, calibration in found.items():
        if isinstance(value, BlockArgument):
            arguments[value.index][CALIBRATION] = calibration
        else:
            assert isinstance(value.owner, Operation)
            value.owner.attributes[CALIBRATION] = calibration
    _set_argument_attributes(function, arguments)


def calibration_of(value: SSAValue) -> NDArray[np.float64] | None:
    """
    The quantiles of `value`, ascending; None without a calibration.

    The first and last are the exact minimum and maximum. The others are not equally
    spaced: `quantile_weights` has what each stands for, when formats are chosen.
    """
    attribute = calibration_attribute(value)
    return None if attribute is None else attribute.array()


def quantile_weights(points: int) -> NDArray[np.float64]:
    """The part of all values that each of so many quantiles stands for; 1 in all."""
    grid = quantile_grid(points)
    bounds = np.concatenate([[0.0], (grid[:-1] + grid[1:]) / 2, [1.0]])
    return np.diff(bounds)


@dataclass(frozen=True)
class Channels:
    """What calibration saw of a value, channel by channel."""

    axis: int
    """That channels are along, in the type of the value."""
    quantiles: NDArray[np.float64]
    """[channels, points]; ascending, spaced as those of `calibration_of`."""

    @property
    def low(self) -> NDArray[np.float64]:
        """The exact minimum of each channel."""
        return self.quantiles[:, 0]

    @property
    def high(self) -> NDArray[np.float64]:
        """The exact maximum of each channel."""
        return self.quantiles[:, -1]

    @property
    def largest(self) -> NDArray[np.float64]:
        """The largest magnitude in each channel."""
        return np.maximum(-self.low, self.high)

    def sample(self, rank: int) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """
        Values and weights for `choose_format`, in the layout of a tensor of `rank`.

        They have the length of the tensor along `axis`, and the quantiles along another
        one, so `rank` is at least 2.
        """
        assert rank > 1, "channels need a dimension beside them"
        shape = [1] * rank
        other = 0 if self.axis else 1
        shape[self.axis], shape[other] = self.quantiles.shape
        points = self.quantiles if self.axis < other else self.quantiles.T
        values = points.reshape(shape)
        weights = quantile_weights(self.quantiles.shape[1])
        spread = [1] * rank
        spread[other] = weights.size
        return values, np.broadcast_to(weights.reshape(spread), values.shape)


def channels_of(value: SSAValue) -> Channels | None:
    """The quantiles of the channels of `value`; None if none are recorded."""
    attribute = calibration_attribute(value)
    if attribute is None or not isinstance(attribute.axis, IntAttr):
        return None
    axis = attribute.axis.data
    quantiles = attribute.channel_array(shape_of(value)[axis])
    assert quantiles is not None, "verified"
    return Channels(axis, quantiles)


def channel_axis(value: SSAValue) -> int | None:
    """
    The axis of `value` that has the channels of the layers around it.

    1 if elementwise ops connect it with a convolution, a pool or a normalization of
    such data, else the last one; None without an axis but that of the batch.
    """
    rank = len(shape_of(value))
    if rank < 2:
        return None
    return 1 if rank > 2 and _is_spatial(value) else rank - 1


def _is_spatial(value: SSAValue) -> bool:
    """Whether a chain of ops that keep the shape leads to a spatial one."""
    seen: set[SSAValue] = {value}
    waiting = [value]
    while waiting:
        current = waiting.pop()
        ops = [use.operation for use in current.uses]
        if isinstance(current.owner, Operation):
            ops.append(current.owner)
        for op in ops:
            if not isinstance(op, MaseOp):
                continue
            if op.CHANNELS_FIRST:
                return True
            near = [v for v in (*op.operands, *op.results) if v not in seen]
            if op.SAME_CHANNELS:
                same = [v for v in near if shape_of(v) == shape_of(value)]
                seen.update(same)
                waiting += same
    return False


def calibration_attribute(value: SSAValue) -> CalibrationAttr | None:
    """What `record` has put on `value`."""
    if isinstance(value, BlockArgument):
        function = value.owner.parent_op()
        assert isinstance(function, FuncOp)
        attributes = function.arg_attrs
        attribute = attributes and attributes.data[value.index].data.get(CALIBRATION)
    else:
        assert isinstance(value.owner, Operation)
        attribute = value.owner.attributes.get(CALIBRATION)
    return attribute if isinstance(attribute, CalibrationAttr) else None


def strip(function: FuncOp) -> None:
    """Remove all calibrations."""
    for op in function.body.block.ops:
        op.attributes.pop(CALIBRATION, None)
    arguments = _argument_attributes(function)
    for attributes in arguments:
        attributes.pop(CALIBRATION, None)
    _set_argument_attributes(function, arguments)


def _argument_attributes(function: FuncOp) -> list[dict[str, Attribute]]:
    if function.arg_attrs is None:
        return [{} for _ in function.args]
    return [dict(attributes.data) for attributes in function.arg_attrs]


def _set_argument_attributes(
    function: FuncOp, attributes: list[dict[str, Attribute]]
) -> None:
    function.arg_attrs = (
        ArrayAttr(DictionaryAttr(a) for a in attributes) if any(attributes) else None
    )
