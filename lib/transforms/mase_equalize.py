"""Cross-layer equalization: ranges of weights alike in all channels."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from mase_opt.lib.analysis.layers import (
    Floats,
    Layer,
    largest,
    layers,
    numbers,
    weight_channels,
)
from mase_opt.lib.analysis.scaling import Scalable, forget_calibration, scalable
from mase_opt.lib.model_function import model_function
from mase_opt.lib.quantization.batch_norm import fold_batch_norms
from mase_opt.lib.quantization.subject import Subject

MAX_ROUNDS = 50
TOLERANCE = 0.01
"""Scales this near to 1 are not worth another round."""
UNUSED = 1e-4
"""
Channels with weights this small next to those of others keep them: their biases, which
are scaled as well, would explode.
"""


@dataclass(frozen=True)
class MaseEqualizePass(ModulePass):
    """
    Equalize the ranges of weights across layers, channel by channel.

    Nagel et al., Data-Free Quantization Through Weight Equalization and Bias
    Correction, 2019, section 4.1. Where a `linear`, `conv` or `conv_transpose2d` is
    followed by such layers only, with nothing between but ops that commute with
    positive factors (relu, leaky relu, pools, means, shape ops, the values of an
    attention), channel i is divided by s in the first and multiplied in the others,
    s = √(r1 / r2) with r1 and r2 the largest weights of channel i before and behind.
    Repeated until nothing changes, since layers are in several pairs. What the
    function computes stays the same but for float rounding. Batch norms are folded
    first; calibrations are removed, since values inside change.

    ```mlir
    %w1 = mase.constant <f32, [4.0, 1.0]> : tensor<2x1xf32>
    %w2 = mase.constant <f32, [1.0, 1.0]> : tensor<1x2xf32>
    ```
    becomes
    ```mlir
    %w1 = mase.constant <f32, [2.0, 1.0]> : tensor<2x1xf32>
    %w2 = mase.constant <f32, [2.0, 1.0]> : tensor<1x2xf32>
    ```
    """

    name = "mase-equalize"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = model_function(op)
        Subject(function).check_constants()
        fold_batch_norms(op)
        pairs = list(_pairs(function))
        if not pairs:
            warnings.warn(
                "mase-equalize has no effect: no linear or conv layer is followed by "
                "others alone, with nothing but relus, pools and shape ops between",
                stacklevel=2,
            )
            return
        forget_calibration(function)
        for _ in range(MAX_ROUNDS):
            scales = [_equalize(pair) for pair in pairs]
            if all(np.allclose(s, 1, rtol=TOLERANCE, atol=0) for s in scales):
                break


def _pairs(function: FuncOp) -> Iterator[Scalable]:
    """Layers followed by layers."""
    for op in layers(function):
        if (pair := scalable(op)) is not None:
            yield pair


def _equalize(pair: Scalable) -> Floats:
    """Bring ranges before and behind together; gives what it multiplied with."""
    source = pair.source
    assert isinstance(source, Layer), "pairs are of layers"
    before = largest(numbers(source.weight), weight_channels(source)[1], pair.count)
    behind = pair.weight_ranges()
    used = np.logical_and(*(r > UNUSED * r.max() for r in (before, behind)))
    scale = np.ones(pair.count)
    np.sqrt(np.divide(before, behind, where=used, out=scale), out=scale)
    if not np.allclose(scale, 1, rtol=TOLERANCE, atol=0):
        pair.move(scale)
    return scale
