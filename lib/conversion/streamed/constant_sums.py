"""Sums of products with constants that no iteration changes: adder graphs."""

from __future__ import annotations

from xdsl.rewriter import InsertPoint, Rewriter

from mase_opt.dialects.mase import layers
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.mase.types import element_of, shape_of
from mase_opt.dialects.stream.ops import ProcessOp
from mase_opt.lib.adder_graphs.products import choose_products
from mase_opt.lib.adder_graphs.solver import (
    Solver,
    can_solve,
    constant_problems,
    replace,
)
from mase_opt.lib.analysis.ranges import Ranges
from mase_opt.lib.conversion.streamed.datapath import rom_of


def build_adder_graphs(process: ProcessOp) -> None:
    """
    Let layers whose weights are the same in every iteration share partial sums.

    Raises `PassFailedException` as `mase-build-adder-graphs` does.
    """
    for op in list(process.body.block.ops):
        if not isinstance(op, layers.LinearOp) or (rom := rom_of(op.weight)) is None:
            continue
        words = rom.words()
        if len(words) > 1:
            continue
        codes = words.reshape(shape_of(op.weight))
        constant = ConstantOp.of(codes, element_of(op.weight), rom.value.label)
        Rewriter.insert_op(constant, InsertPoint.before(op))
        op.operands[1] = constant.result
        problems = constant_problems([op], Ranges())
        if problems and can_solve():
            products = choose_products(problems, 0)
            for problem, own in zip(problems, products, strict=True):
                replace(problem, Solver().graph(problem, own))
            Rewriter.erase_op(rom)
        else:
            op.operands[1] = rom.result
            Rewriter.erase_op(constant)
