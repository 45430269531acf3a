"""The network of a function of the stream dialect, as timing sees it."""

from __future__ import annotations

from dataclasses import dataclass

from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue
from xdsl.utils.exceptions import InterpretationError, PassFailedException

from mase_opt.dialects.mase.base import ints
from mase_opt.dialects.stream.ops import FifoOp, ProcessOp, ViewOp
from mase_opt.dialects.stream.types import channel_of
from mase_opt.lib.interpreters.mase import main_function
from mase_opt.lib.streams.timing import Buffer, Network, Station


@dataclass(frozen=True)
class FunctionNetwork:
    """A network, and what its stations are in the IR."""

    network: Network
    stations: tuple[SSAValue | ProcessOp | FifoOp, ...]
    """Arguments of the function, processes and outputs."""
    least: tuple[tuple[int, ...], ...]
    """The sizes below which buffers cannot be, by station."""

    def name(self, station: int) -> str:
        """What a user calls a station."""
        match self.stations[station]:
            case ProcessOp() as op:
                return op.layer.data if op.layer else op.result.name_hint or "process"
            case FifoOp():
                return "an output"
            case argument:
                return f"input {argument.name_hint or ''}".rstrip()


def network_function(module: ModuleOp) -> func.FuncOp:
    """
    The function of a module that is a network.

    Raises `PassFailedException` unless there is one, of processes alone, whose results
    come from `stream.fifo`.
    """
    try:
        function = main_function(module)
    except InterpretationError as error:
        raise PassFailedException(str(error)) from error
    for op in function.body.block.ops:
        if not isinstance(op, ProcessOp | ViewOp | FifoOp | func.ReturnOp):
            raise PassFailedException(
                f"{op.name} is no process: run convert-mase-to-stream first"
            )
    returned = function.get_return_op()
    for value in returned.operands if returned is not None else ():
        if not isinstance(value.owner, FifoOp):
            raise PassFailedException(
                "a result comes from no stream.fifo: run convert-mase-to-stream"
            )
    return function


def network_of(function: func.FuncOp) -> FunctionNetwork:
    """The network of a function, with the sizes of buffers that it has."""
    stations: list[Station] = []
    buffers: list[tuple[Buffer, ...]] = []
    found: list[SSAValue | ProcessOp | FifoOp] = []
    least: list[tuple[int, ...]] = []
    writer: dict[SSAValue, int] = {}

    def add(
        what: SSAValue | ProcessOp | FifoOp,
        station: Station,
        reads: tuple[Buffer, ...],
        sizes: tuple[int, ...],
    ) -> int:
        stations.append(station)
        buffers.append(reads)
        found.append(what)
        least.append(sizes)
        return len(stations) - 1

    for argument in function.args:
        station = Station.input(channel_of(argument).layout.beats)
        writer[argument] = add(argument, station, (), ())
    for op in function.body.block.ops:
        match op:
            case ProcessOp():
                schedule = op.schedule
                capacities = (
                    [None] * len(op.inputs)
                    if op.capacity is None
                    else ints(op.capacity)
                )
                reads = tuple(
                    Buffer(writer[value], capacity)
                    for value, capacity in zip(op.inputs, capacities, strict=True)
                )
                sizes = tuple(schedule.least_capacity(r) for r in schedule.reads)
                writer[op.result] = add(op, Station.of(schedule), reads, sizes)
            case ViewOp():
                writer[op.result] = writer[op.input]
            case FifoOp():
                beats = channel_of(op.input).layout.beats
                capacity = None if op.capacity is None else op.capacity.value.data
                read = Buffer(writer[op.input], capacity)
                add(op, Station.output(beats), (read,), (1,))
            case _:
                pass
    return FunctionNetwork(
        Network(tuple(stations), tuple(buffers)),
        tuple(found),
        tuple(least),
    )
