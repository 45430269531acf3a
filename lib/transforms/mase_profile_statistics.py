"""A table of the numbers that tensors hold."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mase_opt.lib.analysis.observation import calibration_inputs
from mase_opt.lib.analysis.statistics import TENSORS, statistics
from mase_opt.lib.model_function import model_function
from mase_opt.lib.table import check_format


@dataclass(frozen=True)
class MaseProfileStatisticsPass(ModulePass):
    """
    Write a table of ranges, moments and quantiles of parameters and results.

    The module stays as it is; it may be quantized or not. The numbers are exact, over
    all samples, which are therefore held at once: `mase-calibrate` is for large data.
    With `channels`, there is a row for each channel: along axis 0 of parameters, along
    axis 1 of results around convolutions, else along the last one.

    ```console
    mase-opt --profile-statistics="data=examples/digits/mlp_calibration.npz \\
      samples=64 tensors=results quantiles=0.01,0.99" examples/digits/mlp.mlir
    ```
    """

    name = "mase-profile-statistics"

    data: str | None = None
    """Samples, as for mase-calibrate."""
    samples: int | None = None
    """At most this many of them (all of the data; 256 random ones)."""
    seed: int = 0
    """For random inputs."""
    tensors: tuple[str, ...] = TENSORS
    """Any of inputs, parameters and results."""
    layers: str | None = None
    """A regular expression that paths of layers fit (all layers)."""
    quantiles: tuple[float, ...] = ()
    """Further columns, each a number from 0 to 1."""
    absolute: bool = False
    """Of magnitudes."""
    channels: bool = False
    """A row for each channel."""
    format: str = "table"
    """table, csv or json."""
    output: str | None = None
    """A file for the table (standard error)."""

    def __post_init__(self) -> None:
        check_format(self.format)

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = model_function(op)
        inputs = calibration_inputs(
            function, data=self.data, samples=self.samples, seed=self.seed
        )
        table = statistics(
            function,
            inputs,
            tensors=self.tensors,
            quantiles=self.quantiles,
            absolute=self.absolute,
            channels=self.channels,
            pattern=self.layers,
        )
        table.write(self.format, self.output)
