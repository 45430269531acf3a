"""A table of the nodes of a model."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mase_opt.lib.analysis.nodes import nodes_table
from mase_opt.lib.model_function import model_function
from mase_opt.lib.table import check_format


@dataclass(frozen=True)
class MaseSummarizeGraphPass(ModulePass):
    """
    Write a table of the nodes of a model: what they read, shapes, formats and bits.

    The module stays as it is. Nodes are inputs, constants and ops, called after
    argument, data and layer. Bits are those of the tensor, for the batch of its type,
    what elements share included. With `by=type`, there is a row for each kind of node.

    ```console
    mase-opt --summarize-graph="by=type format=csv" examples/digits/mlp.mlir
    ```
    """

    name = "mase-summarize-graph"

    by: str = "node"
    """node or type."""
    format: str = "table"
    """table, csv or json."""
    output: str | None = None
    """A file for the table (standard error)."""

    def __post_init__(self) -> None:
        check_format(self.format)

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        nodes_table(model_function(op), self.by).write(self.format, self.output)
