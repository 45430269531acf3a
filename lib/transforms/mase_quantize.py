"""Formats into types, codes into constants."""

from __future__ import annotations

import warnings
from dataclasses import dataclass, replace

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mase_opt.lib.model_function import model_function
from mase_opt.lib.quantization.decision import chosen, forget_prepared, prepared_with
from mase_opt.lib.quantization.options import RecipeOptions
from mase_opt.lib.quantization.quantize import quantize
from mase_opt.lib.quantization.subject import Subject


@dataclass(frozen=True)
class MaseQuantizePass(RecipeOptions, ModulePass):
    """
    Give every floating-point value a number format: fixed point, unless told otherwise.

    Formats go into the types, codes into the constants, and casts where a layer wants
    its input in another format. Open fractions and scales are chosen for the values
    that `mase-calibrate` has seen; a module without calibration is calibrated first,
    and batch norms are folded before that. Values that are never negative are unsigned,
    also those of which only a relu uses the rest: saturation at zero is the relu. A
    bias gets as many fraction bits as the product it is added to, if they fit. Layers
    that the config leaves alone stay, with casts around them. What is quantized
    already stays as it is; a module that has nothing else gets a warning.
    docs/quantization.md has the rules for other formats.

    ```mlir
    %2 = mase.linear %x, %w, %b {layer = "fc"}
      : (tensor<1x64xf32>, tensor<32x64xf32>, tensor<32xf32>) -> tensor<1x32xf32>
    ```
    becomes
    ```mlir
    %2 = mase.linear %x, %w, %b {layer = "fc"}
      : (tensor<1x64x!mase.ufixed<8, 8>>, tensor<32x64x!mase.fixed<8, 7>>,
         tensor<32x!mase.fixed<16, 14>>) -> tensor<1x32x!mase.fixed<8, 4>>
    ```
    """

    name = "mase-quantize"

    masters: bool = False
    """Keep constants in floating point, with casts behind them, for training."""
    data: str | None = None
    """Calibration data for a module without calibration, as for mase-calibrate."""
    samples: int | None = None
    """At most this many calibration samples."""
    seed: int = 0
    """For calibration."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        function = model_function(op)
        recipe = chosen(function, self.recipe())
        if self.complete is not None:
            recipe = replace(recipe, complete=self.complete)
        data = self.data
        if Subject(function).is_calibrated and data == prepared_with(function):
            data = None  # a pass before has looked at it
        if not quantize(
            op,
            recipe,
            data=data,
            samples=self.samples,
            seed=self.seed,
            masters=self.masters,
        ):
            warnings.warn(
                f"{self.name} has no effect: no value in floating point is left to "
                "quantize; a module that has formats keeps them",
                stacklevel=2,
            )
        forget_prepared(function)
