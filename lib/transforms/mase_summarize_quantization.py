"""A table of what quantization has made of each layer."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.dialects.func import FuncOp
from xdsl.passes import ModulePass

from mase_opt.dialects.mase.types import shape_of
from mase_opt.frontend.inputs import load_mase
from mase_opt.lib.analysis.quantization import summary
from mase_opt.lib.data.samples import inputs_of, load_samples
from mase_opt.lib.errors import UserError
from mase_opt.lib.model_function import model_function
from mase_opt.lib.quantization.batch_norm import fold_batch_norms
from mase_opt.lib.table import check_format


@dataclass(frozen=True)
class MaseSummarizeQuantizationPass(ModulePass):
    """
    Write a table of the formats, memory and errors of all layers.

    The module stays as it is. For each layer: the formats of its inputs, weights,
    bias, result and accumulator (where it is explicit; sums are exact), how many
    weights it has and their bits, what they share included, the memory of all its
    parameters, and the signal to quantization noise of weights and result in dB: ten
    times the logarithm of the sum of the squares of the numbers over that of the
    errors. Weights are compared with those of `reference`, the model before
    quantization, or where they are cast from floating point with those; results with
    the ones of `reference` on `data`. What cannot be compared is left empty. The last
    row is for all layers; a parameter that layers share is counted once there.

    ```console
    mase-opt --quantize=data=examples/digits/mlp_calibration.npz \\
      --summarize-quantization=reference=examples/digits/mlp.mlir \\
      examples/digits/mlp.mlir
    ```
    """

    name = "mase-summarize-quantization"

    reference: str | None = None
    """The model in floating point: any input of mase-opt."""
    data: str | None = None
    """Samples to compare results on, as for mase-calibrate."""
    samples: int | None = None
    """At most this many of them."""
    format: str = "table"
    """table, csv or json."""
    output: str | None = None
    """A file for the table (standard error)."""

    def __post_init__(self) -> None:
        check_format(self.format)
        if self.data is not None and self.reference is None:
            raise ValueError("data has no meaning without reference=MODEL")
        if self.samples is not None and self.data is None:
            raise ValueError("samples has no meaning without data=FILE.npz")
        if self.samples is not None and self.samples < 1:
            raise ValueError(f"samples is {self.samples}, expected at least 1")

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = model_function(op)
        reference, inputs = None, None
        if self.reference is not None:
            reference = load_reference(self.reference, ctx, like=function)
            if self.data is not None:
                inputs = load_samples(self.data, inputs_of(reference), self.samples)
        summary(function, reference, inputs).write(self.format, self.output)


def load_reference(source: str, ctx: Context, *, like: FuncOp) -> FuncOp:
    """
    The function of a model as `mase-quantize` would begin with it.

    Raises `UserError` unless it takes the inputs of `like`.
    """
    module = load_mase(source, ctx)
    fold_batch_norms(module)
    function = model_function(module)
    if [shape_of(a) for a in function.args] != [shape_of(a) for a in like.args]:
        raise UserError(f"the reference '{source}' takes other inputs than the model")
    return function
