"""SmoothQuant: outliers of activations into the weights that read them."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp, f32
from xdsl.dialects.func import FuncOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint, Rewriter
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.elementwise import MulOp
from mase_opt.dialects.mase.normalization import GroupNormOp, LayerNormOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.analysis.layers import (
    Floats,
    Layer,
    channel_axis,
    in_float,
    largest,
    layers,
    numbers,
    scaled,
    set_parameters,
    weight_channels,
)
from mase_opt.lib.analysis.observation import calibration_inputs, observe_batches
from mase_opt.lib.analysis.scaling import Scalable, forget_calibration, scalable
from mase_opt.lib.errors import UserError
from mase_opt.lib.model_function import describe, layer_of, model_function
from mase_opt.lib.quantization.batch_norm import fold_batch_norms
from mase_opt.lib.quantization.subject import Subject

Ranges = Mapping[Layer, Floats]
"""The largest magnitude that each input channel of a layer has seen."""


@dataclass(frozen=True)
class MaseSmoothPass(ModulePass):
    """
    Move outliers of activations into weights, channel by channel.

    SmoothQuant: Xiao et al., Accurate and Efficient Post-Training Quantization for
    Large Language Models, 2022. Channel i of what `linear`, `conv` and
    `conv_transpose2d` layers read is divided by s = a^alpha / w^(1 - alpha), where a is
    its largest magnitude on data and w the largest of the weights that read it, which
    are multiplied by s. The division goes into the parameters of the `layer_norm`,
    `group_norm` or layer before, if nothing else reads its result, with nothing
    between but ops that commute with positive factors. What the function computes stays
    the same but for float rounding. Batch norms are folded first; calibrations are
    removed, since values inside change.

    ```mlir
    %0 = mase.layer_norm %x weight %g ...  // results up to 16 and 1
    %w = mase.constant <f32, [1.0, 1.0]> : tensor<1x2xf32>
    ```
    becomes, with g divided by 4 and 1,
    ```mlir
    %0 = mase.layer_norm %x weight %g ...  // results up to 4 and 1
    %w = mase.constant <f32, [4.0, 1.0]> : tensor<1x2xf32>
    ```
    """

    name = "mase-smooth"

    alpha: float = 0.5
    """How much moves: 0 makes the weights' ranges alike, 1 those of activations."""
    multiply: bool = False
    """Where nothing before can take the division, put a `mase.mul` there."""
    data: str | None = None
    """A .npz or .npy file: samples along axis 0, arrays named like the arguments."""
    samples: int | None = None
    """At most this many samples (all of the data; 256 random ones)."""
    seed: int = 0
    """For random inputs."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if not 0 <= self.alpha <= 1:
            raise UserError(f"alpha is {self.alpha}, expected 0 to 1")
        function = model_function(op)
        Subject(function).check_constants()
        fold_batch_norms(op)
        moves = list(_moves(function))
        readers = [r.layer for move in moves for r in move.readers]
        # Several layers may read the same value, and share one product.
        others: dict[SSAValue, list[Layer]] = {}
        if self.multiply:
            for layer in layers(function):
                if in_float(layer) and layer not in readers:
                    others.setdefault(layer.input, []).append(layer)
        if not moves and not others:
            warnings.warn(
                "mase-smooth has no effect: no norm or layer is followed by linear or "
                "conv layers alone, to which scales could move; multiply=true inserts "
                "products instead",
                stacklevel=2,
            )
            return
        inputs = calibration_inputs(
            function, data=self.data, samples=self.samples, seed=self.seed
        )
        forget_calibration(function)
        ranges = _input_ranges(function, inputs)
        for move in moves:
            move.move(self._scale(_read_range(move, ranges), move.weight_ranges()))
        for value, group in others.items():
            self._insert_product(value, group, ranges)

    def _scale(self, activations: Floats, weights: Floats) -> Floats:
        """What to divide activations by; 1 for channels that are always zero."""
        used = (activations > 0) & (weights > 0)
        activations, weights = np.where(used, (activations, weights), 1.0)
        return activations**self.alpha / weights ** (1 - self.alpha)

    def _insert_product(
        self, value: SSAValue, group: Sequence[Layer], ranges: Ranges
    ) -> None:
        """`layer(x, w) -> layer(mul(x, 1 / s), w · s)`, for all that read x."""
        first = group[0]
        count = len(ranges[first])
        weights = np.maximum.reduce(
            [largest(numbers(op.weight), weight_channels(op)[0], count) for op in group]
        )
        scale = self._scale(ranges[first], weights)
        trailing = len(shape_of(value)) - 1 - channel_axis(first)
        name = layer_of(first)
        layer = None if name is None else f"{name}.smooth"
        constant = ConstantOp.of(
            (1 / scale).astype(np.float32).reshape(-1, *(1,) * trailing),
            f32,
            layer or "smooth",
        )
        product = MulOp(value, constant, layer=layer)
        Rewriter.insert_op([constant, product], InsertPoint.before(first))
        for op in group:
            weight = scaled(numbers(op.weight), weight_channels(op)[0], scale)
            set_parameters(op, weight=weight)
            op.operands[0] = product.result


def _moves(function: FuncOp) -> Iterator[Scalable]:
    for op in function.body.block.ops:
        if isinstance(op, LayerNormOp | GroupNormOp | Layer):
            move = scalable(op)
            if move is not None:
                yield move


def _read_range(move: Scalable, ranges: Ranges) -> Floats:
    """The largest magnitude of each channel, where the readers see it."""
    found = np.zeros(move.count)
    for reader in move.readers:
        np.maximum.at(found, reader.channels, ranges[reader.layer])
    return found


def _input_ranges(
    function: FuncOp, inputs: Sequence[NDArray[Any]]
) -> dict[Layer, Floats]:
    """Raises `PassFailedException` for inputs of layers that are not finite."""
    ranges = {
        op: np.zeros(shape_of(op.input)[channel_axis(op)])
        for op in layers(function)
        if in_float(op)
    }

    def observe(value: SSAValue, array: NDArray[Any]) -> None:
        for op, found in ranges.items():
            if op.input is not value:
                continue
            axis = channel_axis(op) + 1
            others = tuple(i for i in range(array.ndim) if i != axis)
            np.maximum(found, np.abs(array).max(axis=others), out=found)
            if not np.isfinite(found).all():
                raise PassFailedException(
                    f"{describe(op.result)}: its input is NaN or infinite for some of "
                    "the calibration data"
                )

    observe_batches(function, inputs, observe, "smoothing")
    return ranges
