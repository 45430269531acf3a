"""A table of what each layer computes and holds."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mase_opt.lib.analysis.operations import operations_table
from mase_opt.lib.model_function import model_function
from mase_opt.lib.table import check_format


@dataclass(frozen=True)
class MaseSummarizeOperationsPass(ModulePass):
    """
    Write a table of the parameters and operations of all layers.

    The module stays as it is. Products are those of sums, one for each multiplication:
    `torch.utils.flop_counter` counts two for each, so its number is twice the total
    here. Operations are multiplications and additions, elements in windows of pools,
    and one for each element that other layers read or give, for the batch of the
    shapes. Statistics of batch norms are no parameters. The last row is for all layers;
    a parameter that layers share is counted once.

    ```console
    mase-opt --summarize-operations=ignore=conv2d examples/digits/cnn.mlir
    ```
    """

    name = "mase-summarize-operations"

    ignore: tuple[str, ...] = ()
    """Kinds (`conv2d`) and paths of layers that do not count; a path stands for all
    layers below it."""
    format: str = "table"
    """table, csv or json."""
    output: str | None = None
    """A file for the table (standard error)."""

    def __post_init__(self) -> None:
        check_format(self.format)

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        table = operations_table(model_function(op), self.ignore)
        table.write(self.format, self.output)
