"""Spatial hardware: a function of mase ops becomes unrolled hw, comb and seq ops."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import ModuleOp
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from mase_opt.lib.conversion.unrolled.legality import check_function, only_function
from mase_opt.lib.conversion.unrolled.top import Pipelining, TopBuilder

MAX_LOGIC_DEPTH = 6


@dataclass(frozen=True)
class ConvertMaseToHwPass(ModulePass):
    """
    Turn a quantized function into a circuit that is fully unrolled.

    Every layer becomes an `hw.module` of its own, named after its `layer`, and the
    function becomes the top module that connects them. One sample enters per clock
    cycle; the latency is the number of register stages, and the attribute
    `mase.interface` of the top module describes its ports. Registers are placed where
    they take the fewest bits, across layers too (minimum-area retiming).

    Needs one function whose values are all of number formats, `i1` or integers. Ports
    carry codes; inside, exact numbers are computed, in widths as small as the range of
    each allows, and every result is rounded once. Operands of minifloat types that have
    infinities and NaN are taken for numbers.

    ```mlir
    func.func @f(%x: tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 4>> {
      %0 = mase.relu %x {layer = "act"}
        : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 4>>
      func.return %0 : tensor<2x!mase.fixed<8, 4>>
    }
    ```

    becomes

    ```mlir
    hw.module private @act(in %in: i16, out out: i16) {…}
    hw.module @f(in %in_valid: i1, in %x: i16, out out_valid: i1, out out0: i16) {
      %act_out = hw.instance "act" @act(in: %x: i16) -> (out: i16)
      hw.output %in_valid, %act_out : i1, i16
    }
    ```
    """

    name = "convert-mase-to-hw"

    max_logic_depth: int | None = None
    """Adders between two registers at most, 6 unless given; 0 for no registers."""

    stall: bool = False
    """Add `out_ready` and `in_ready`: the receiver can hold everything back."""

    stages: int | None = None
    """Registers from inputs to outputs, instead of a logic depth."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        pipelining = self.pipelining()
        function = only_function(op)
        check_function(function)
        circuits = TopBuilder(function, pipelining).build()
        function.detach()
        function.erase()
        op.body.block.add_ops(circuits)

    def pipelining(self) -> Pipelining:
        """What the options ask for. Raises `PassFailedException`."""
        depth, stages = self.max_logic_depth, self.stages
        if depth is not None and stages is not None:
            raise PassFailedException("give max-logic-depth or stages, not both")
        for name, value in (("max-logic-depth", depth), ("stages", stages)):
            if value is not None and value < 0:
                raise PassFailedException(f"{name} is {value}, expected at least 0")
        if self.stall and 0 in (depth, stages):
            raise PassFailedException(
                "stall needs registers that hold a result: set max-logic-depth or "
                "stages to 1 or more"
            )
        if depth is None:
            depth = MAX_LOGIC_DEPTH
        return Pipelining(depth, stages, self.stall)
