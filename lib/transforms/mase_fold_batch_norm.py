"""Batch normalization into the layer before it, or into a product and a sum."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mase_opt.lib.quantization.batch_norm import fold_batch_norms


@dataclass(frozen=True)
class MaseFoldBatchNormPass(ModulePass):
    """
    Fold batch norms with constant statistics into the layer before them.

    A batch norm behind a `linear`, `conv` or `conv_transpose2d` whose result nothing
    else uses goes into that layer's weight and bias; any other one becomes a `mul`
    and an `add` with constants. The arithmetic is in float64, the new constants are
    f32. Batch norms that are not f32, or whose statistics are computed, stay.

    ```mlir
    %0 = mase.conv2d %x, %w {...} : (...) -> tensor<1x6x8x8xf32>
    %1 = mase.batch_norm %0, %mean, %variance, %gamma, %beta {...}
    ```
    becomes
    ```mlir
    %1 = mase.conv2d %x, %w_new, %b_new {...} : (...) -> tensor<1x6x8x8xf32>
    ```
    """

    name = "mase-fold-batch-norm"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        fold_batch_norms(op)
