"""AXI4-Streams around the channels of a design."""

from __future__ import annotations

from xdsl.dialects import comb, hw
from xdsl.dialects.builtin import IntegerType, SymbolRefAttr, i1
from xdsl.ir import SSAValue

from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder, Design
from mase_opt.lib.hardware.interface import (
    AXIS_CLOCK,
    AXIS_RESET,
    Port,
    PortLayout,
    axis_bits,
    axis_of,
    ready_of,
    valid_of,
)
from mase_opt.lib.hardware.sequential import Register, equals, modulo_increment
from mase_opt.lib.hardware.wire import bits_for


def axis_top(core: hw.HWModuleOp, layout: PortLayout) -> hw.HWModuleOp:
    """
    The module of AXI4-Streams that `layout` describes, with `core` within.

    Nothing is between the two but what TLAST counts.

    ```mlir
    hw.module @f(in %aclk: !seq.clock, in %aresetn: i1, in %s_axis_x_tvalid: i1,
                 in %s_axis_x_tlast: i1, in %m_axis_y_tready: i1,
                 in %s_axis_x_tdata: i8, out m_axis_y_tvalid: i1, …)
    ```
    """
    b = Builder(Design(stall=False), layout.top)
    clock = b.clock(AXIS_CLOCK)
    inputs, outputs = layout.inputs, layout.outputs

    def argument(name: str, bits: int) -> SSAValue:
        return b.argument(name, IntegerType(bits), len(b.block.args))

    reset = arith.invert(b, b.argument(AXIS_RESET, i1, 1))
    given: dict[str, SSAValue] = {"clk": clock, "rst": reset}
    for port in inputs:
        given[valid_of(port)] = argument(axis_of(port, "tvalid"), 1)
        argument(axis_of(port, "tlast"), 1)
    for port in outputs:
        given[ready_of(port)] = argument(axis_of(port, "tready"), 1)
    for port in inputs:
        data = argument(axis_of(port, "tdata"), axis_bits(port))
        given[port.name] = b.slice(data, 0, port.bits)
    wanted = [p.port_name.data for p in core.module_type.ports.data]
    signals = [
        *((valid_of(port), 1) for port in outputs),
        *((ready_of(port), 1) for port in inputs),
        *((port.name, port.bits) for port in outputs),
    ]
    op = hw.InstanceOp(
        "core",
        SymbolRefAttr(core.sym_name.data),
        [(signal, given[signal]) for signal in wanted if signal in given],
        [(signal, b.type(bits)) for signal, bits in signals],
    )
    b.emit(op)
    found = dict(zip([s for s, _ in signals], op.results, strict=True))
    results: list[tuple[str, SSAValue]] = []
    for port in outputs:
        valid = found[valid_of(port)]
        moves = arith.bitwise(b, comb.AndOp, valid, given[ready_of(port)])
        results.append((axis_of(port, "tvalid"), valid))
        results.append((axis_of(port, "tlast"), _last(b, port, moves, reset)))
    for port in inputs:
        results.append((axis_of(port, "tready"), found[ready_of(port)]))
    for port in outputs:
        data, more = found[port.name], axis_bits(port) - port.bits
        if more:
            data = b.concat(b.literal(0, more), data)
        results.append((axis_of(port, "tdata"), data))
    b.outputs = [signal for signal, _ in results]
    b.block.add_op(hw.OutputOp([value for _, value in results]))
    return b.close(None)


def _last(b: Builder, port: Port, moves: SSAValue, reset: SSAValue) -> SSAValue:
    """Whether the beat at a port is the last one of its sample."""
    assert port.channel is not None
    beats = port.channel.beats
    if beats == 1:
        return b.literal(1, 1)
    counter = Register(b, bits_for(0, beats - 1), reset, 0, f"{port.name}_beat")
    counter.follow_if(moves, modulo_increment(b, counter.value, beats))
    return equals(b, counter.value, beats - 1)
