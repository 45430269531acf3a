"""AXI4-Streams as simulators drive channels: with valid and ready."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from mase_opt.lib.hardware.interface import (
    AXIS_CLOCK,
    AXIS_RESET,
    CLOCK,
    Port,
    PortLayout,
    axis_bits,
    axis_of,
    ready_of,
    valid_of,
)
from mase_opt.lib.hardware.wire import bits_for


def plain_layout(layout: PortLayout) -> PortLayout:
    """The same channels with valid and ready, as `adapter` has them."""
    return replace(layout, top=f"{layout.top}_plain", is_axis=False)


def adapter(layout: PortLayout, *, declare: bool) -> str:
    """
    A module with the ports of `plain_layout`, around the one with AXI4-Streams.

    It counts beats on its own, and hides those whose TLAST is wrong. With `declare`,
    the module within is one of another text.

    ```mlir
    hw.module @f_plain(in %clk: !seq.clock, in %rst: i1, in %x_valid: i1, …) {
      %0, … = hw.instance "axis" @f(aclk: %clk: !seq.clock, …) -> (…)
      …
    }
    ```
    """
    plain = plain_layout(layout)
    given = {AXIS_CLOCK: "%clk", AXIS_RESET: "%$run"}
    before = ["%$true = hw.constant true", "%$run = comb.xor %rst, %$true : i1"]
    after: list[str] = []
    for port in plain.inputs:
        before += _padded(port)
        given[axis_of(port, "tvalid")] = f"%{valid_of(port)}"
        given[axis_of(port, "tlast")] = "%$true"
        given[axis_of(port, "tdata")] = f"%${port.name}_padded"
    for port in plain.outputs:
        after += _checked(port)
        given[axis_of(port, "tready")] = f"%{ready_of(port)}"
    widths = {axis_of(port, "tdata"): axis_bits(port) for port in layout.ports}
    data_in = [axis_of(port, "tdata") for port in layout.inputs]
    data_out = [axis_of(port, "tdata") for port in layout.outputs]
    taken = [(n, _type(n, widths)) for n in (*layout.control_inputs, *data_in)]
    made = [(n, _type(n, widths)) for n in (*layout.control_outputs, *data_out)]
    operands = ", ".join(f"{name}: {given[name]}: {type}" for name, type in taken)
    results = ", ".join(f"{name}: {type}" for name, type in made)
    names = ", ".join(f"%${name}" for name, _ in made)
    own = {port.name: port.bits for port in plain.ports}
    outer = [(n, _type(n, own)) for n in plain.control_inputs]
    outer += [(p.name, f"i{p.bits}") for p in plain.inputs]
    back = [(n, _type(n, own)) for n in plain.control_outputs]
    back += [(p.name, f"i{p.bits}") for p in plain.outputs]
    values = [f"%{valid_of(p)}" for p in plain.outputs]
    values += [f"%${axis_of(p, 'tready')}" for p in plain.inputs]
    values += [f"%{p.name}" for p in plain.outputs]
    lines = [
        *before,
        f'{names} = hw.instance "axis" @{layout.top}({operands}) -> ({results})',
        *after,
        f"hw.output {', '.join(values)} : {', '.join(type for _, type in back)}",
    ]
    body = "\n  ".join(lines)
    declared = ""
    if declare:
        declared = f"hw.module.extern @{layout.top}({_ports(taken, made)})\n"
    head = f"hw.module @{plain.top}({_ports(outer, back)})"
    return f"{declared}{head} {{\n  {body}\n}}\n"


def _type(name: str, widths: Mapping[str, int]) -> str:
    if name in (CLOCK, AXIS_CLOCK):
        return "!seq.clock"
    return f"i{widths.get(name, 1)}"


def _ports(inputs: list[tuple[str, str]], outputs: list[tuple[str, str]]) -> str:
    parts = [f"in %{name}: {type}" for name, type in inputs]
    return ", ".join([*parts, *(f"out {name}: {type}" for name, type in outputs)])


def _padded(port: Port) -> list[str]:
    own, more = f"%${port.name}", axis_bits(port) - port.bits
    data, kind = f"%{port.name}", f"i{port.bits}"
    if not more:
        return [f"{own}_padded = comb.extract {data} from 0 : ({kind}) -> {kind}"]
    return [
        f"{own}_zeros = hw.constant 0 : i{more}",
        f"{own}_padded = comb.concat {own}_zeros, {data} : i{more}, {kind}",
    ]


def _checked(port: Port) -> list[str]:
    """The data of a beat, which is valid if TLAST is as it must be."""
    assert port.channel is not None
    beats, own = port.channel.beats, f"%${port.name}"
    kind = f"i{bits_for(0, beats)}"
    valid, last, data = (f"%${axis_of(port, s)}" for s in ("tvalid", "tlast", "tdata"))
    return [
        f"{own}_zero = hw.constant 0 : {kind}",
        f"{own}_one = hw.constant 1 : {kind}",
        f"{own}_end = hw.constant {beats - 1} : {kind}",
        f"{own}_at = seq.compreg {own}_next, %clk reset %rst, {own}_zero : {kind}",
        f"{own}_last = comb.icmp eq {own}_at, {own}_end : {kind}",
        f"{own}_more = comb.add {own}_at, {own}_one : {kind}",
        f"{own}_turned = comb.mux {own}_last, {own}_zero, {own}_more : {kind}",
        f"{own}_moves = comb.and {valid}, %{ready_of(port)} : i1",
        f"{own}_next = comb.mux {own}_moves, {own}_turned, {own}_at : {kind}",
        f"{own}_wrong = comb.xor {last}, {own}_last : i1",
        f"{own}_right = comb.xor {own}_wrong, %$true : i1",
        f"%{valid_of(port)} = comb.and {valid}, {own}_right : i1",
        f"%{port.name} = comb.extract {data} from 0 : "
        f"(i{axis_bits(port)}) -> i{port.bits}",
    ]
