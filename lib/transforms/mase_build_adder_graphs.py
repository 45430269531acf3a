"""Constant layers as explicit graphs of adders that share partial sums."""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
    op_type_rewrite_pattern,
)
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.dialects.mase.layers import LinearOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, exact_format, shape_of
from mase_opt.lib import native
from mase_opt.lib.analysis.adder_graph import SparseRows, expand
from mase_opt.lib.analysis.model import describe, layer_of
from mase_opt.lib.errors import UserError
from mase_opt.lib.formats import Fixed

EFFORTS = range(4)


@dataclass(frozen=True)
class MaseBuildAdderGraphsPass(ModulePass):
    """
    Make linear layers of constant weights explicit graphs of adders.

    Partial sums that several outputs have in common, up to shifts and signs, are
    computed once. Weights, and the data that they are multiplied with, are fixed point;
    other layers stay. The bias becomes an offset of the outputs. Every graph is
    expanded and compared with the weights before it takes their place.

    ```mlir
    %1 = mase.linear %0, %w, %b {layer = "fc"} : (…) -> tensor<1x2x!mase.fixed<8, 4>>
    ```
    becomes
    ```mlir
    %1 = mase.adder_graph %0 {layer = "fc", nodes = …, outputs = …, offsets = …,
      frac = 10 : i64} : (…) -> tensor<1x2x!mase.fixed<8, 4>>
    ```
    """

    name = "mase-build-adder-graphs"

    effort: int = 1
    """How long to search for small graphs: 0 to 3."""
    max_depth: int | None = None
    """The most adders between input and output of a layer."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if self.effort not in EFFORTS:
            raise UserError(f"options: effort is {self.effort}, expected 0 to 3")
        if not native.AVAILABLE:
            warnings.warn(
                "the solver of adder graphs is not installed (it takes a C++ "
                "compiler): constant layers stay constant multiplications",
                stacklevel=2,
            )
            return
        PatternRewriteWalker(
            BuildFromLinear(self.effort, self.max_depth), apply_recursively=False
        ).rewrite_module(op)


@dataclass
class BuildFromLinear(RewritePattern):
    """`linear(x, constant) -> adder_graph(x)`"""

    effort: int
    max_depth: int | None

    @op_type_rewrite_pattern
    def match_and_rewrite(self, op: LinearOp, rewriter: PatternRewriter):
        data, weight = exact_format(element_of(op.input)), _codes(op.weight)
        if (
            data is None
            or weight is None
            or exact_format(element_of(op.result)) is None
        ):
            return
        frac = data.frac + _format(op.weight).frac
        offsets = np.zeros(len(weight), np.int64)
        lift = 0
        if op.bias is not None:
            bias = _codes(op.bias)
            if bias is None:
                return
            lift = max(_format(op.bias).frac - frac, 0)
            offsets = bias << (frac + lift - _format(op.bias).frac)
        graph = self._solve(op, weight.T, data)
        graph.outputs[:, 1] += lift
        new = AdderGraphOp(
            op.input,
            graph.nodes,
            graph.outputs,
            offsets,
            frac=frac + lift,
            element=element_of(op.result),
            layer=layer_of(op),
            rounding=op.rounding,
        )
        new.result.name_hint = op.result.name_hint
        constants = {v.owner for v in op.operands if isinstance(v.owner, ConstantOp)}
        rewriter.replace(op, new)
        for constant in constants:
            if not constant.result.uses:
                rewriter.erase(constant)

    def _solve(
        self, op: LinearOp, matrix: NDArray[np.int64], data: Fixed
    ) -> native.AdderGraph:
        ranges = np.tile(np.array([[data.min_code, data.max_code]]), (len(matrix), 1))
        try:
            graph = native.solve(
                matrix, ranges, max_depth=self.max_depth, effort=self.effort
            )
        except UserError as error:
            raise PassFailedException(f"{describe(op.result)}: {error}") from error
        built = expand(graph.nodes, graph.outputs, len(matrix))
        if built != SparseRows.of(matrix.T):
            raise PassFailedException(
                f"{describe(op.result)}: the adder graph is not that of the weights; "
                "this is a bug"
            )
        return graph


def _format(value: SSAValue) -> Fixed:
    format = exact_format(element_of(value))
    assert format is not None
    return format


def _codes(value: SSAValue) -> NDArray[np.int64] | None:
    """The codes of a fixed-point constant."""
    if (
        not isinstance(value.owner, ConstantOp)
        or exact_format(element_of(value)) is None
    ):
        return None
    return value.owner.codes().astype(np.int64).reshape(shape_of(value))
