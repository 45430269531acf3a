"""The best model of a search."""

from __future__ import annotations

import gc
from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mase_opt.lib.console import tell
from mase_opt.lib.errors import UserError
from mase_opt.lib.model_function import model_function
from mase_opt.lib.search.space import record
from mase_opt.model.model import Model
from mase_opt.registry import loaded_plugins
from mase_opt.search.search import search


@dataclass(frozen=True)
class MaseSearchPass(ModulePass):
    """
    Search for formats, pruning and hardware options; the model becomes the best found.

    Each trial starts from the calibrated model as it is. `config` says what is chosen
    (`[search.search_space]`), in which order (`[search.strategy]`) and what is measured
    on which data (`[search.data]`). Of a Pareto front the model is the point that is
    best in the metric named first; its function carries the decision as a run file, the
    attribute `mase.decision`, and `--emit-sv` builds the hardware that this names.
    Ctrl-C ends the search with the best so far; a search with a storage, or an output
    folder, goes on where it was.

    ```mlir
    %2 = mase.linear %x, %w, %b {layer = "fc"}
      : (tensor<1x64xf32>, tensor<32x64xf32>, tensor<32xf32>) -> tensor<1x32xf32>
    ```
    becomes, if `weight = ["fixed<8, auto>", "fixed<4, auto>"]` is chosen among,
    ```mlir
    %2 = mase.linear %x, %w, %b {layer = "fc"}
      : (tensor<1x64x!mase.ufixed<8, 8>>, tensor<32x64x!mase.fixed<4, 3>>,
         tensor<32x!mase.fixed<16, 11>>) -> tensor<1x32x!mase.fixed<8, 4>>
    ```
    """

    name = "mase-search"

    config: str
    """A TOML file with the table [search]."""
    output: str | None = None
    """A folder for the study, which a later search in it takes up."""
    n_trials: int | None = None
    """How many points are tried, instead of `config`'s."""
    n_jobs: int | None = None
    """Processes that measure, instead of `config`'s; the result is the same."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        model = Model(op.clone(), plugins=loaded_plugins())
        # The driver leaves garbage alone, of which every trial leaves a model.
        gc.enable()
        study = search(
            model,
            self.config,
            output=self.output,
            n_trials=self.n_trials,
            n_jobs=self.n_jobs,
        )
        gc.disable()
        try:
            best = study.best
        except UserError as error:
            raise UserError(f"config '{self.config}': {error}") from error
        values = ", ".join(f"{name} {value:g}" for name, value in best.values.items())
        so_far = ", interrupted" if study.interrupted else ""
        tell(f"trial {best.number} of {len(study.trials)}{so_far}: {values}\n")
        assert best.decision is not None, "it has a model"
        if hardware := best.decision.hardware:
            chosen = " ".join(f"{k.replace('_', '-')}={v}" for k, v in hardware.items())
            tell(f"hardware: {chosen}\n")
        replace_contents(op, study.build(best).ir)
        record(model_function(op), best.decision)


def replace_contents(module: ModuleOp, other: ModuleOp) -> None:
    """Let `module` hold what `other` does, which is left."""
    block = module.body.block
    for op in reversed(list(block.ops)):
        op.detach()
        op.erase()
    block.add_ops([op.clone() for op in other.ops])
    module.attributes |= other.attributes
