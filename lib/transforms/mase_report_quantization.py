"""A page about what quantization has done to each layer."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mase_opt.lib.analysis.observation import calibration_inputs
from mase_opt.lib.atomic import atomic_file
from mase_opt.lib.model_function import model_function
from mase_opt.lib.reports.quantization import quantization_page
from mase_opt.lib.transforms.mase_summarize_quantization import load_reference


@dataclass(frozen=True)
class MaseReportQuantizationPass(ModulePass):
    """
    Write a page about formats, errors and distributions of all layers.

    The module stays as it is. The page needs neither a network nor another file: what
    `mase-summarize-quantization` says of each layer, those with the most noise first;
    how weights and results of the model in floating point lie on the numbers that their
    formats have; and the graph, with the bits of an element on the edges.

    ```console
    mase-opt --quantize=data=examples/digits/mlp_calibration.npz \\
      --report-quantization="reference=examples/digits/mlp.mlir \\
      data=examples/digits/mlp_test.npz samples=64 output=report.html" \\
      examples/digits/mlp.mlir
    ```
    """

    name = "mase-report-quantization"

    reference: str
    """The model in floating point: any input of mase-opt."""
    output: str
    """The file of the page."""
    data: str | None = None
    """Samples to compare results on, as for mase-calibrate."""
    samples: int | None = None
    """At most this many of them (all of the data; 256 random ones)."""
    seed: int = 0
    """For random inputs."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = model_function(op)
        reference = load_reference(self.reference, ctx, like=function)
        inputs = calibration_inputs(
            reference, data=self.data, samples=self.samples, seed=self.seed
        )
        text = quantization_page(function, reference, inputs)
        with atomic_file(self.output) as stream:
            stream.write(text)
