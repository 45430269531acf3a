"""Functions of one small number become tables."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.passes import ModulePass
from xdsl.pattern_rewriter import (
    PatternRewriter,
    PatternRewriteWalker,
    RewritePattern,
)
from xdsl.utils.exceptions import InterpretationError, PassFailedException

from mase_opt.dialects.mase.base import ArithmeticOp
from mase_opt.dialects.mase.layers import LookupOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import FixedPoint, element_of, shape_of
from mase_opt.lib.formats import Fixed, Stochastic
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.mase import evaluate_op
from mase_opt.lib.model_function import describe

MAX_BITS = 12
"""The widest input of a table: 4096 entries."""


def table_of(op: Operation, variable: SSAValue, format: Fixed) -> Array:
    """
    The result codes of `op` for all codes of `variable`, code 0 first, -1 last.

    Raises `PassFailedException` where the function has no value.
    """
    codes = np.concatenate(
        [np.arange(0, format.max_code + 1), np.arange(format.min_code, 0)]
    )
    # One sample for each code; the interpreter broadcasts the constant operand.
    operands = [
        codes.reshape(-1, *(1,) * len(shape_of(variable)))
        if value is variable
        else _constant(value)
        for value in op.operands
    ]
    try:
        return evaluate_op(op, operands).reshape(-1)
    except InterpretationError as error:
        raise PassFailedException(
            f"{describe(op.results[0])} has no value for some numbers in {format}: "
            f"{error}; quantize its input to a format without them, such as ufixed"
        ) from error


def _constant(value: SSAValue) -> Array:
    assert isinstance(value.owner, ConstantOp)
    return evaluate_op(value.owner, [])


class LowerToLookup(RewritePattern):
    """`f(x) -> lookup(x, [f(0), f(1), …, f(-1)])`"""

    def match_and_rewrite(self, op: Operation, rewriter: PatternRewriter):
        if not isinstance(op, ArithmeticOp) or (variable := op.variable) is None:
            return
        input, output = element_of(variable), element_of(op.result)
        if (
            not isinstance(input, FixedPoint)
            or not isinstance(output, FixedPoint)
            or input.format.width > MAX_BITS
            or isinstance(op.rounding.mode, Stochastic)
        ):
            return
        layer = op.layer.data if op.layer is not None else None
        codes = table_of(op, variable, input.format)
        function = op.name.rpartition(".")[2]
        table = ConstantOp.of(codes, output, f"{layer or function}.table")
        lookup = LookupOp(variable, table, layer=layer)
        lookup.attributes = dict(op.attributes)
        lookup.result.name_hint = op.result.name_hint
        rewriter.replace(op, [table, lookup])


@dataclass(frozen=True)
class MaseLowerToLookupPass(ModulePass):
    """
    Make functions of one fixed-point number explicit as lookup tables.

    Every function that has no circuit of its own (sigmoid, tanh, gelu, exp, sqrt and
    so on, powers with a constant, a constant divided by a number, a plug-in's
    `FunctionOp`) of an input of at most 12 bits becomes a `mase.lookup`. The table is
    what the interpreter computes for each code, so the results are the same. Wider
    inputs and stochastic rounding stay.

    ```mlir
    %1 = mase.sigmoid %0 {layer = "act"}
      : (tensor<4x!mase.fixed<8, 4>>) -> tensor<4x!mase.ufixed<8, 8>>
    ```
    becomes
    ```mlir
    %t = mase.constant <ui8, act.table> : tensor<256x!mase.ufixed<8, 8>>
    %1 = mase.lookup %0, %t {layer = "act"}
      : (tensor<4x!mase.fixed<8, 4>>, tensor<256x!mase.ufixed<8, 8>>)
      -> tensor<4x!mase.ufixed<8, 8>>
    ```
    """

    name = "mase-lower-to-lookup"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        PatternRewriteWalker(LowerToLookup(), apply_recursively=False).rewrite_module(
            op
        )
