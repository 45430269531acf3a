"""What values occur where: the distribution of every floating-point value."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mase_opt.lib.quantization.batch_norm import fold_batch_norms
from mase_opt.lib.quantization.calibrate import calibrate


@dataclass(frozen=True)
class MaseCalibratePass(ModulePass):
    """
    Record the distribution of every floating-point value on data.

    Batch norms are folded first, as `mase-quantize` would. The function is run on the
    samples, batch by batch; every op result and argument then carries quantiles as
    `mase.calibration`, which `mase-quantize` uses and removes. They are the same for
    every batch size, and take the same memory for any number of samples. Scores that
    only softmax reads, and that are masked out there, count as one at -3.4e38. Without
    data, inputs are drawn from a standard normal distribution, with a warning.

    ```mlir
    %1 = mase.relu %0 : (tensor<1x4xf32>) -> tensor<1x4xf32>
    ```
    becomes
    ```mlir
    %1 = mase.relu %0 {mase.calibration = #mase.calibration<#mase.dense<f32, ...>>}
      : (tensor<1x4xf32>) -> tensor<1x4xf32>
    ```
    """

    name = "mase-calibrate"

    data: str | None = None
    """A .npz or .npy file: samples along axis 0, arrays named like the arguments."""
    samples: int | None = None
    """At most this many samples (all of the data; 256 random ones)."""
    seed: int = 0
    """For random inputs, and for the places that quantiles of channels are of."""
    channels: bool = False
    """Also record each channel: along axis 1 around convolutions, else the last one."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        fold_batch_norms(op)
        calibrate(
            op,
            data=self.data,
            samples=self.samples,
            seed=self.seed,
            channels=self.channels,
        )
