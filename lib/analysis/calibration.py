"""The calibration attributes: how they are written, found and removed."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ArrayAttr, DictionaryAttr
from xdsl.dialects.func import FuncOp
from xdsl.ir import Attribute, BlockArgument, Operation, SSAValue

from mase_opt.dialects.mase.attrs import CalibrationAttr

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
    """The quantiles of `value`, ascending; None without a calibration."""
    if isinstance(value, BlockArgument):
        function = value.owner.parent_op()
        assert isinstance(function, FuncOp)
        attribute = _argument_attributes(function)[value.index].get(CALIBRATION)
    else:
        assert isinstance(value.owner, Operation)
        attribute = value.owner.attributes.get(CALIBRATION)
    return attribute.array() if isinstance(attribute, CalibrationAttr) else None


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
