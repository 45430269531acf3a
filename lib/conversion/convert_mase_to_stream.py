"""Streamed hardware: a function of mase ops becomes processes joined by channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from importlib import import_module
from typing import TypeVar

from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase.base import MaseOp
from mase_opt.dialects.mase.normalization import AffineNormOp, AttentionOp, SoftmaxOp
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.dialects.stream.ops import FifoOp, ProcessOp
from mase_opt.lib.conversion.streamed.builder import StreamBuilder
from mase_opt.lib.conversion.streamed.constant_sums import build_adder_graphs
from mase_opt.lib.conversion.streamed.lanes import set_stages
from mase_opt.lib.conversion.streamed.movement import MOVES
from mase_opt.lib.conversion.streamed.registry import KINDS
from mase_opt.lib.conversion.unrolled.legality import DECOMPOSE, only_function
from mase_opt.lib.conversion.unrolled.top import describe_op, live_ops
from mase_opt.lib.hardware.number import HardwareError
from mase_opt.lib.model_function import argument_names

import_module("mase_opt.lib.conversion.streamed")

MAX_LOGIC_DEPTH = 6
Made = TypeVar("Made")


@dataclass(frozen=True)
class ConvertMaseToStreamPass(ModulePass):
    """
    Turn a quantized function into processes that share multipliers over time.

    Tensors travel through channels, some elements a beat: all channels of a position at
    a time, or as many as `mase.parallelism = array<i64: outputs, inputs>` of the layer
    says. A layer becomes a loop nest with one iteration a cycle. What is reshaped
    before a linear layer travels as it was; its weights are put into that order.

    Needs one function whose values are of number formats, and weights that are
    constants of one format per tensor. Names every layer that has no process.

    ```mlir
    func.func @f(%x: tensor<1x8x!mase.fixed<8, 4>>) -> tensor<1x8x!mase.fixed<8, 4>> {
      %0 = mase.relu %x {layer = "act"}
        : (tensor<1x8x!mase.fixed<8, 4>>) -> tensor<1x8x!mase.fixed<8, 4>>
      func.return %0 : tensor<1x8x!mase.fixed<8, 4>>
    }
    ```

    becomes, with `!c` for `!stream.channel<tensor<1x8x!mase.fixed<8, 4>>, tile [1, 8],
    order [0, 1]>`,

    ```mlir
    func.func @f(%x: !c) -> !c {
      %0 = stream.process %x {layer = "act", loops = array<i64: 1, 1>, …} : (!c) -> !c {
        …
      }
      %1 = stream.fifo %0 : !c
      func.return %1 : !c
    }
    ```
    """

    name = "convert-mase-to-stream"

    max_logic_depth: int = MAX_LOGIC_DEPTH
    """Adders between two registers at most; 0 for none within a datapath."""

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        if self.max_logic_depth < 0:
            raise PassFailedException(
                f"max-logic-depth is {self.max_logic_depth}, expected at least 0"
            )
        function = only_function(op)
        check_streamed(function)
        network = self._network(function)
        function.detach()
        function.erase()
        op.body.block.add_op(network)

    def _network(self, function: func.FuncOp) -> func.FuncOp:
        builder = StreamBuilder()
        results: list[SSAValue] = []
        for inner in live_ops(function):
            match inner:
                case func.ReturnOp():
                    for value in inner.operands:
                        channel = self._add(
                            builder, inner, partial(builder.channel, value)
                        )
                        fifo = FifoOp(channel)
                        builder.block.add_op(fifo)
                        results.append(fifo.result)
                case ConstantOp():
                    pass
                case MaseOp() if isinstance(inner, MOVES):
                    self._add(builder, inner, partial(builder.move, inner))
                case _:
                    kind = partial(KINDS[type(inner)], inner, builder)
                    channel = self._add(builder, inner, kind)
                    builder.channels[inner.results[0]] = channel
        builder.block.add_op(func.ReturnOp(*results))
        types = [a.type for a in builder.block.args], [r.type for r in results]
        return func.FuncOp(
            function.sym_name.data,
            types,
            Region(builder.block),
            arg_attrs=function.arg_attrs,
            res_attrs=function.res_attrs,
        )

    def _add(
        self, builder: StreamBuilder, op: Operation, make: Callable[[], Made]
    ) -> Made:
        """The processes that `op` needs. Raises `PassFailedException`."""
        last = builder.block.last_op
        try:
            result = make()
            added = builder.block.first_op if last is None else last.next_op
            while added is not None:
                if isinstance(added, ProcessOp):
                    build_adder_graphs(added)
                    set_stages(added, self.max_logic_depth)
                added = added.next_op
        except HardwareError as error:
            raise PassFailedException(
                f"no process for {describe_op(op)}: {error}"
            ) from error
        return result


def check_streamed(op: func.FuncOp) -> None:
    """Raises one `PassFailedException` that lists everything without a process."""
    argument_names(op)
    problems: list[str] = []
    read = {value for inner in live_ops(op) for value in inner.operands}
    for index, argument in enumerate(op.body.block.args):
        if argument not in read:
            problems.append(f"argument {index} is not used: leave it out")
    if not op.body.block.args:
        problems.append("it takes no input: there is nothing to compute")
    known = sorted(kind.name for kind in KINDS)
    for inner in live_ops(op):
        if isinstance(inner, (func.ReturnOp, ConstantOp, *MOVES)):
            continue
        if type(inner) in KINDS:
            continue
        if isinstance(inner, SoftmaxOp | AttentionOp | AffineNormOp):
            problems.append(f"{describe_op(inner)}: {DECOMPOSE}")
            continue
        problems.append(
            f"{describe_op(inner)}: no process "
            f"(processes: {', '.join(name.removeprefix('mase.') for name in known)}); "
            "unroll the model instead (convert-mase-to-hw), or leave the layer out"
        )
    if problems:
        raise PassFailedException(
            f"function {op.sym_name.data} cannot be streamed:\n  "
            + "\n  ".join(problems)
        )
