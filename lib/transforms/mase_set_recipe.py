"""A recipe into the IR."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mase_opt.lib.model_function import model_function
from mase_opt.lib.quantization.decision import decide
from mase_opt.lib.quantization.options import RecipeOptions
from mase_opt.lib.quantization.recipe import Recipe


@dataclass(frozen=True)
class MaseSetRecipePass(RecipeOptions, ModulePass):
    """
    Decide on formats: the recipe that passes behind quantize for.

    The function carries the options, and the settings of layers in `config`, as an
    attribute. `mase-gptq`, `mase-clip` and `mase-correct-bias` prepare weights for it,
    and `mase-quantize` carries it out without options of its own.

    ```mlir
    func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
    ```
    becomes, with `width=6`,
    ```mlir
    func.func @f(%x: tensor<1x4xf32>) -> tensor<1x4xf32>
      attributes {mase.recipe = {width = 6 : i64}} {
    ```
    """

    name = "mase-set-recipe"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        decide(model_function(op), self.recipe() or Recipe(complete=self.complete))
