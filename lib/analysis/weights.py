"""The constants that layers multiply by, and how they are matrices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.func import FuncOp
from xdsl.ir import Operation
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.elementwise import CastOp
from mase_opt.dialects.mase.layers import (
    ConvOp,
    ConvTranspose2dOp,
    EmbeddingOp,
    LinearOp,
    MatmulOp,
)
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.lib.model_function import describe, layer_of, layer_pattern

Array = NDArray[Any]
Use = tuple[Operation, int, ConstantOp]
"""A layer, the position of its weight, and the weight."""


@dataclass(frozen=True)
class WeightLayout:
    """How the dimensions of a weight are those of a matrix, a row for each output."""

    split: tuple[int, ...]
    """The shape, its groups as a dimension of their own."""
    order: tuple[int, ...]
    """The dimensions of `split`: those that outputs differ in, then those summed."""
    outputs: int
    """How many of `order` are of outputs."""

    def view(self, array: Array) -> Array:
        """The dimensions of `array` in this order, not copied."""
        return array.reshape(self.split).transpose(self.order)


def layout_of(op: Operation, index: int) -> WeightLayout | None:
    """The layout of operand `index` of `op`; None for what is not summed."""
    shape = shape_of(op.operands[index])
    order = tuple(range(len(shape)))
    match op:
        case LinearOp() | ConvOp():
            return WeightLayout(shape, order, 1)
        case ConvTranspose2dOp():
            groups = op.groups.value.data
            split = (groups, shape[0] // groups, *shape[1:])
            return WeightLayout(split, (0, 2, 1, 3, 4), 2)
        case MatmulOp() if index == 0:
            return WeightLayout(shape, order, len(shape) - 1)
        case MatmulOp():
            return WeightLayout(
                shape, (*order[:-2], order[-1], order[-2]), len(shape) - 1
            )
        case _:
            return None


@dataclass
class Weight:
    """A constant and the layers that use it as their weight."""

    constant: ConstantOp
    layout: WeightLayout | None
    uses: list[tuple[Operation, int]]

    @property
    def array(self) -> Array:
        return self.constant.array()

    def rows(self) -> Array:
        """The weights as a matrix, a row for each output."""
        assert self.layout is not None
        view = self.layout.view(self.array)
        outputs = view.shape[: self.layout.outputs]
        summed = view.shape[self.layout.outputs :]
        return view.reshape(prod(outputs), prod(summed))

    def in_place(self, rows: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """A mask for `rows`, or one column for all of it, as a mask for `array`."""
        assert self.layout is not None
        mask = np.empty(self.array.shape, np.bool_)
        view = self.layout.view(mask)
        summed = view.shape[self.layout.outputs :]
        view[...] = np.broadcast_to(rows, (len(rows), prod(summed))).reshape(view.shape)
        return mask

    def channel_norms(self, norm: str) -> Array:
        """The magnitude of each output's weights, whatever their number."""
        rows = self.rows()
        count = max(rows.shape[1], 1)
        if norm == "l1":
            return np.abs(rows).sum(axis=1, dtype=np.float64) / count
        squares = np.einsum("ij,ij->i", rows, rows, dtype=np.float64)
        return np.sqrt(squares / count)


def find_weights(
    function: FuncOp, layers: str | None, *, by_output: bool
) -> list[Weight]:
    """
    The constant weights of all layers, or of those whose path fits `layers`.

    With `by_output`, only weights with a layout. Raises `UserError` if `layers` fits
    none, `PassFailedException` for weights that cannot be pruned.
    """
    uses = [
        (op, index, constant)
        for op in function.body.block.ops
        for index, constant in constant_weights(op)
        if not by_output or layout_of(op, index) is not None
    ]
    if not uses:
        raise PassFailedException(
            "no layer has constant weights to prune"
            + (" by what an output sums" if by_output else "")
        )
    if layers is not None:
        uses = _matching(uses, layers)
    weights: dict[ConstantOp, Weight] = {}
    for op, index, constant in uses:
        _check(op, index, constant)
        layout = layout_of(op, index) if by_output else None
        weight = weights.setdefault(constant, Weight(constant, layout, []))
        if weight.layout != layout:
            raise PassFailedException(
                f"{describe(op.results[0])} and "
                f"{describe(weight.uses[0][0].results[0])} share "
                f"'{constant.value.label}', whose outputs are different parts of it "
                "for them: name one with layers=, or prune by element"
            )
        weight.uses.append((op, index))
    return list(weights.values())


def constant_weights(op: Operation) -> Iterator[tuple[int, ConstantOp]]:
    """The operands of `op` that are weights, with their positions."""
    match op:
        case LinearOp() | ConvOp() | ConvTranspose2dOp():
            indices = (1,)
        case EmbeddingOp():
            indices = (0,)
        case MatmulOp():
            indices = (0, 1)
        case _:
            indices = ()
    for index in indices:
        owner = op.operands[index].owner
        if isinstance(owner, CastOp) and not is_float(element_of(owner.result)):
            # A master in floating point, of a layer that is quantized already.
            owner = owner.input.owner
        if isinstance(owner, ConstantOp):
            yield index, owner


def _matching(uses: list[Use], layers: str) -> list[Use]:
    """The uses by layers whose path fits the regular expression `layers`."""
    pattern = layer_pattern(layers, (op for op, *_ in uses), what="layer with weights")
    return [use for use in uses if pattern.fullmatch(layer_of(use[0]) or "")]


def _check(op: Operation, index: int, constant: ConstantOp) -> None:
    """Raises `PassFailedException` for weights that are codes, or NaN."""
    where = f"{describe(op.results[0])}: weight '{constant.value.label}'"
    element = element_of(op.operands[index])
    if not is_float(element):
        raise PassFailedException(
            f"{where} is {element}, expected floating point: prune before "
            "mase-quantize, or leave the layer out with layers="
        )
    if nans := int(np.isnan(constant.array()).sum()):
        raise PassFailedException(
            f"{where} holds {nans} NaN of {constant.array().size} values; train or "
            "export the model again"
        )
