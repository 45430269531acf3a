"""What is known of a function before any format is decided on."""

from __future__ import annotations

from functools import cached_property, partial
from typing import NamedTuple

import numpy as np
from xdsl.dialects.func import FuncOp
from xdsl.ir import BlockArgument, SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import MaseOp
from mase_opt.dialects.mase.normalization import AttentionOp, BatchNormOp, SoftmaxOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of
from mase_opt.lib.analysis.calibration import calibration_of
from mase_opt.lib.analysis.sign import non_negative
from mase_opt.lib.model_function import describe
from mase_opt.lib.quantization.ops import (
    concerned,
    float_operands,
    returned_as_is,
    role_of,
)


class Operand(NamedTuple):
    """A floating-point operand of an op that computes in floating point."""

    position: int
    value: SSAValue
    role: str
    """Which setting is for it: `data_in`, `weight` or `bias`."""


class Subject:
    """
    A function that is to be quantized, which must not change meanwhile.

    What holds whatever the recipe is found once, however many recipes are tried.
    """

    def __init__(self, function: FuncOp):
        self.function = function
        self._checked = False

    @cached_property
    def ops(self) -> list[MaseOp]:
        """All ops but the last one, which returns."""
        return [op for op in self.function.body.block.ops if isinstance(op, MaseOp)]

    @cached_property
    def concerned(self) -> list[MaseOp]:
        """The ops that compute in floating point."""
        return [op for op in self.ops if concerned(op)]

    @cached_property
    def operands(self) -> dict[MaseOp, tuple[Operand, ...]]:
        """The floating-point operands of those ops, in their order."""
        return {
            op: tuple(Operand(i, v, role_of(op, v)) for i, v in float_operands(op))
            for op in self.concerned
        }

    @cached_property
    def roles(self) -> dict[tuple[MaseOp, int], str]:
        """The roles of those operands."""
        return {
            (op, operand.position): operand.role
            for op, operands in self.operands.items()
            for operand in operands
        }

    @cached_property
    def arguments(self) -> list[BlockArgument]:
        """Those in floating point."""
        return [a for a in self.function.args if is_float(element_of(a))]

    @cached_property
    def returned(self) -> list[tuple[int, SSAValue]]:
        """Floating-point arguments and constants that are results, with positions."""
        return list(returned_as_is(self.function))

    @cached_property
    def needs_formats(self) -> bool:
        """Whether anything is left to quantize."""
        # An input that nothing uses is a port like others.
        unused = any(not a.uses for a in self.arguments)
        return bool(self.concerned or self.returned or unused)

    @cached_property
    def has_batch_norms(self) -> bool:
        return any(isinstance(op, BatchNormOp) for op in self.ops)

    @cached_property
    def has_masks(self) -> bool:
        """Whether there may be scores that are masked out."""
        return any(isinstance(op, SoftmaxOp | AttentionOp) for op in self.ops)

    @cached_property
    def is_calibrated(self) -> bool:
        """Whether all floating-point values but constants carry a calibration."""
        computed = (
            op.results[0]
            for op in self.function.body.block.ops
            if len(op.results) == 1 and not isinstance(op, ConstantOp)
        )
        return all(
            calibration_of(value) is not None
            for value in (*self.function.args, *computed)
            if is_float(element_of(value))
        )

    @cached_property
    def non_negative(self) -> set[SSAValue]:
        """The values that cannot be negative, given what calibration saw."""
        quantiles = [(a, calibration_of(a)) for a in self.function.args]
        return non_negative(
            self.function, [a for a, q in quantiles if q is not None and q[0] >= 0]
        )

    def check_constants(self) -> None:
        """
        Raises `PassFailedException` for weights that are NaN or infinite.

        Not for -inf in what may be a mask: `Plan` does, where it is none.
        """
        if self._checked:
            return
        for op, operands in self.operands.items():
            for index, value, role in operands:
                if isinstance(value.owner, ConstantOp):
                    _check_constant(op, index, value.owner, role)
        self._checked = True


def _check_constant(op: MaseOp, index: int, constant: ConstantOp, role: str) -> None:
    if constant.value.derived("finite", partial(_is_finite, constant)):
        return
    array = constant.array().astype(np.float64)
    fits = np.isfinite(array)
    if op.may_read_mask(index):
        fits |= np.isneginf(array)
    if not fits.all():
        nans, infinities = np.isnan(array).sum(), np.isinf(array).sum()
        raise PassFailedException(
            f"{describe(op.results[0])}: {role} '{constant.value.label}' holds {nans} "
            f"NaN and {infinities} infinite values of {array.size}; train or export "
            "the model again"
        )


def _is_finite(constant: ConstantOp) -> bool:
    return bool(np.isfinite(constant.array().astype(np.float64)).all())
