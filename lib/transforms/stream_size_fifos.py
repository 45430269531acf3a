"""Sizes for the buffers of a network: none of them larger than the rate needs."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.context import Context
from xdsl.dialects.builtin import IntegerAttr, ModuleOp, i64
from xdsl.passes import ModulePass

from mase_opt.dialects.mase.base import int_array
from mase_opt.dialects.stream.ops import FifoOp, ProcessOp
from mase_opt.lib.analysis.network import network_function, network_of
from mase_opt.lib.streams.timing import minimal_capacities


@dataclass(frozen=True)
class StreamSizeFifosPass(ModulePass):
    """
    Give every buffer few places, but so many that nothing becomes slower.

    Samples then come at the interval of the slowest process, as with buffers of any
    size, while inputs offer a beat in each cycle and outputs take one. Sizes are what
    lies in the buffers if everything is written as late as its readers allow. Smaller
    ones are then tried, one by one: unless the network is so large that this would take
    more than some seconds, one place less in any buffer would make samples come more
    slowly or the network stand still. All follows from the schedules, without
    simulating the circuit.

    ```mlir
    %1 = stream.fifo %0 : !c
    ```

    becomes

    ```mlir
    %1 = stream.fifo %0 {capacity = 2 : i64} : !c
    ```
    """

    name = "stream-size-fifos"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        found = network_of(network_function(op))
        sized = minimal_capacities(found.network, found.least)
        for station, buffers in zip(found.stations, sized.buffers, strict=True):
            sizes = [buffer.capacity for buffer in buffers if buffer.capacity]
            match station:
                case ProcessOp():
                    station.properties["capacity"] = int_array(sizes)
                case FifoOp():
                    station.properties["capacity"] = IntegerAttr(sizes[0], i64)
                case _:
                    pass
