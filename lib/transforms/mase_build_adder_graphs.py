"""Constant layers as explicit graphs of adders that share partial sums."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass

from mase_opt.lib.adder_graphs.products import choose_products
from mase_opt.lib.adder_graphs.solver import (
    EFFORT,
    Solver,
    after,
    can_solve,
    constant_problems,
    replace,
)
from mase_opt.lib.analysis.ranges import Ranges
from mase_opt.lib.console import progress_bar
from mase_opt.lib.errors import UserError

EFFORTS = range(4)


@dataclass(frozen=True)
class MaseBuildAdderGraphsPass(ModulePass):
    """
    Make layers of constants explicit graphs of adders.

    Of `linear`, `conv1d`, `conv2d`, `matmul` and `mul` with a constant operand. Partial
    sums that several outputs have in common, up to shifts and signs, are computed once;
    of convolutions, those that other windows have as well. Data is fixed point, binary
    or ternary, scaled or not; constants are of any number format. What is the same for
    all products of an output, such as the scale of a channel, stays apart and is
    multiplied once. The bias becomes an offset of the outputs. Inputs are known by
    their types and by ops before: not negative behind a `relu`, for example. Every
    graph is expanded and compared with the constants before it takes their place.

    Other layers stay: those with builtin floats, data of other formats, scales that
    differ among what an output adds, by more than powers of two, scales along
    dimensions that a graph does not keep, and weights or offsets of more than 62 bits
    or sums of more than 126.

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

    effort: int = EFFORT
    """How long to search for small graphs: 0 to 3."""
    max_depth: int | None = None
    """The most adders between input and output of a layer."""
    dsp: int = 0
    """How many constant products of all layers may stay multiplications."""

    def check(self) -> None:
        """Raises `UserError` for options that have no meaning."""
        if self.effort not in EFFORTS:
            raise UserError(f"options: effort is {self.effort}, expected 0 to 3")
        if self.dsp < 0:
            raise UserError(f"options: dsp is {self.dsp}, expected 0 or more")

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        self.check()
        problems = constant_problems(op.walk(), Ranges())
        if problems and not can_solve():
            return
        solver = Solver(self.effort, self.max_depth)
        products = choose_products(problems, self.dsp)
        pairs = list(zip(problems, products, strict=True))
        with progress_bar("building adder graphs", len(pairs)) as show:
            for index, (problem, own) in enumerate(pairs):
                solver.progress = after(index, show)
                replace(problem, solver.graph(problem, own))
                show(index + 1)
