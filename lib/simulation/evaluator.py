"""
Cycle-accurate evaluation of a circuit without compiled code.

Every wire is an array over time, every operation one or two calls of NumPy: a register
shifts its input by a cycle. Where values depend on themselves through registers, as
those of a handshake do, cycles are evaluated one by one; nothing else is.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from graphlib import CycleError, TopologicalSorter
from itertools import count
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects import hw, seq
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import SSAValue

from mase_opt.dialects.circt import CompRegClockEnabledOp
from mase_opt.lib.errors import UserError
from mase_opt.lib.hardware import packing
from mase_opt.lib.hardware.interface import (
    CLOCK,
    IN_READY,
    IN_VALID,
    OUT_READY,
    OUT_VALID,
    RESET,
    Port,
    PortLayout,
)
from mase_opt.lib.simulation import transactions
from mase_opt.lib.simulation.kernels import (
    LIMB,
    Array,
    Kernel,
    UnknownOperationError,
    Value,
    constant,
    each_part,
    extract,
    from_integers,
    join,
    kernel,
    lifted,
    register,
    to_integers,
    width_of,
)
from mase_opt.lib.simulation.transactions import RESET_CYCLES, Codes, StallPattern

ROWS = 4096
"""Samples that are evaluated at a time: that bounds the memory."""


class Node(NamedTuple):
    """An operation of the circuit, all instances taken apart."""

    kernel: Kernel | None
    """None for a register: its operands are its input and, if any, when to load it."""
    operands: Sequence[int]
    result: int
    width: int


_SPECIAL = (seq.CompRegOp, CompRegClockEnabledOp, hw.InstanceOp, hw.OutputOp)
"""What no kernel computes."""


class Evaluator:
    """
    A circuit, ready to run: same `run` as `Simulator`, and the same results.

    `module` is a hw module whose top is `layout.top`. Raises `UnknownOperationError`
    for operations that generated circuits don't have.
    """

    def __init__(self, module: ModuleOp, layout: PortLayout):
        transactions.check_widths(layout)
        self.layout = layout
        self._modules = {
            op.sym_name.data: op for op in module.ops if isinstance(op, hw.HWModuleOp)
        }
        self._ids = count()
        self._nodes: list[Node] = []
        ports = self._modules[layout.top].module_type.ports.data
        self._ports = {port.port_name.data: next(self._ids) for port in ports}
        """The values at the ports of the top module."""
        ends: dict[bool, list[int]] = {True: [], False: []}
        for port in ports:
            ends[port.dir.data.is_input_like()].append(self._ports[port.port_name.data])
        self._instantiate(layout.top, ends[True], ends[False])
        self._tables: dict[str, int] = {}
        """The values that hold the samples of an input, instead of a code over time."""
        if layout.has_ready:
            self._add_surroundings()
        self._schedule()

    def _instantiate(
        self, name: str, arguments: Iterable[int], results: Sequence[int]
    ) -> None:
        """Add the nodes of a module between these values."""
        if name not in self._modules:
            raise UnknownOperationError(f"module {name} is not in the circuit")
        block = self._modules[name].body.block
        ids: dict[SSAValue, int] = dict(zip(block.args, arguments, strict=True))

        def of(value: SSAValue) -> int:
            if value not in ids:
                ids[value] = next(self._ids)
            return ids[value]

        for op in block.ops:
            # Not by `isinstance`, which is slow for such classes.
            special = type(op) in _SPECIAL
            if special and isinstance(op, seq.CompRegOp | CompRegClockEnabledOp):
                self._add_register(op, of)
                continue
            operands = [of(v) for v in op.operands]
            if special and isinstance(op, hw.InstanceOp):
                child = op.module_name.string_value()
                self._instantiate(child, operands, [of(v) for v in op.results])
            elif special:
                for i, value, result in zip(
                    operands, op.operands, results, strict=True
                ):
                    self._add(_unchanged, (i,), width_of(value.type), result)
            else:
                if len(op.results) != 1:
                    raise UnknownOperationError(f"no kernel for {op.name}")
                width = width_of(op.results[0].type)
                self._add(kernel(op, width), operands, width, of(op.results[0]))

    def _add(
        self,
        kernel: Kernel | None,
        operands: Sequence[int],
        width: int,
        result: int | None = None,
    ) -> int:
        result = next(self._ids) if result is None else result
        self._nodes.append(Node(kernel, operands, result, width))
        return result

    def _add_register(
        self, op: seq.CompRegOp | CompRegClockEnabledOp, of: Callable[[SSAValue], int]
    ) -> None:
        """
        A reset is part of the input.

        reg(x, enable, reset to r) -> reg(reset ? r : x, enable | reset)
        """
        if isinstance(op, seq.CompRegOp) and op.power_on_value is not None:
            raise UnknownOperationError("no kernel for seq.compreg with powerOn")
        width = width_of(op.input.type)
        data = of(op.input)
        load = [of(op.clock_enable)] if isinstance(op, CompRegClockEnabledOp) else []
        if op.reset is not None and op.reset_value is not None:
            reset = of(op.reset)
            choice = (reset, of(op.reset_value), data)
            data = self._add(lifted(np.where, [1, width, width], width), choice, width)
            if load:
                load = [self._add(np.bitwise_or, (*load, reset), 1)]
        self._add(None, (data, *load), width, of(op.data))

    def _add_surroundings(self) -> None:
        """
        What is around a circuit with valid and ready, as a circuit too.

        The sample that is offered depends on those that were taken before.
        """
        offers, samples = next(self._ids), next(self._ids)
        given, taken = next(self._ids), next(self._ids)
        valid = self._ports[IN_VALID]
        left = self._add(_less, (given, samples), 1)
        self._add(np.bitwise_and, (offers, left), 1, valid)
        sums = (
            (given, valid, self._ports[IN_READY]),
            (taken, self._ports[OUT_VALID], self._ports[OUT_READY]),
        )
        for total, *both in sums:
            moved = self._add(np.bitwise_and, both, 1)
            self._add(None, (self._add(np.add, (total, moved), 64),), 64, total)
        row = self._add(np.where, (valid, given, samples), 64)
        for port in self.layout.inputs:
            self._tables[port.name] = next(self._ids)
            operands = (row, self._tables[port.name])
            self._add(_row, operands, port.bits, self._ports[port.name])
        self._offers, self._samples, self._taken = offers, samples, taken

    def _schedule(self) -> None:
        """
        Sort the nodes: those before all loops, those on loops, and those behind.

        On the way from a loop to another counts as on a loop.
        """
        nodes = {node.result: node for node in self._nodes}
        # Most are in order already.
        first: list[int] = []
        waiting = set(nodes)
        for i, node in nodes.items():
            if waiting.isdisjoint(node.operands):
                first.append(i)
                waiting.remove(i)
        before = {i: [o for o in nodes[i].operands if o in waiting] for i in waiting}
        more = _sorted(before)
        first += more
        before = {i: before[i] for i in waiting.difference(more)}
        users: dict[int, list[int]] = {i: [] for i in before}
        for i, operands in before.items():
            for operand in operands:
                if operand in users:
                    users[operand].append(i)
        last = _sorted(users)[::-1]
        loops = before.keys() - set(last)
        inside = {
            i: [o for o in before[i] if o in loops] if nodes[i].kernel else []
            for i in loops
        }
        order = _sorted(inside)
        if len(order) != len(loops):
            raise UserError(
                f"{self.layout.top} has a loop without a register: it cannot be "
                "evaluated"
            )
        self._first, self._loops, self._last = (
            [nodes[i] for i in part] for part in (first, order, last)
        )
        wanted = [*self.layout.control_outputs, *(p.name for p in self.layout.outputs)]
        live = {self._ports[name] for name in wanted}
        self._dead: dict[int, set[int]] = {}
        """By the result of a node: the values that nothing behind it reads."""
        for node in reversed([*self._first, *self._loops, *self._last]):
            dead = self._dead[node.result] = set(node.operands) - live
            live |= dead

    @property
    def operations(self) -> int:
        """How many there are, instances taken apart."""
        return len(self._nodes)

    @property
    def work(self) -> int:
        """What a sample takes, compared with an operation on an array of limbs."""
        wide = sum(node.width > LIMB for node in self._nodes)
        return self.operations + 20 * wide + 600 * len(self._loops)

    def run(self, inputs: Codes, stall: StallPattern | None = None) -> Codes:
        """
        Send samples through the circuit, from reset on; return the results in order.

        Arguments, results and errors are those of `Simulator.run`.
        """
        samples = transactions.check_inputs(self.layout, inputs, stall)
        if samples == 0:
            return transactions.empty_results(self.layout)
        if self.layout.has_ready:
            pattern = stall or transactions.FULL_RATE
            rows = self._run_handshake(inputs, samples, pattern)
        else:
            parts = [
                self._run_stream({n: c[i : i + ROWS] for n, c in inputs.items()})
                for i in range(0, samples, ROWS)
            ]
            rows = [np.concatenate(found) for found in zip(*parts, strict=True)]
        return {
            port.name: packing.from_storage(row, port.width, port.signed)
            for port, row in zip(self.layout.outputs, rows, strict=True)
        }

    def _run_stream(self, inputs: Codes) -> list[Array]:
        """The rows of the results of samples in consecutive cycles."""
        layout = self.layout
        samples = len(next(iter(inputs.values())))
        edges = transactions.first_cycle(layout)
        # What is seen after an edge is there before the next one.
        start = layout.has_clock * RESET_CYCLES
        after = start + (layout.latency > 0)
        cycles = transactions.stream_cycles(layout, samples)
        cycle = np.arange(-start, after - start + cycles)
        sample, wait = np.divmod(cycle, layout.initiation_interval)
        values = self._control(cycle)
        offered = (sample >= 0) & (sample < samples) & (wait == 0)
        valid = offered.astype(np.uint64)
        if layout.has_valid:
            values[self._ports[IN_VALID]] = valid
        row = np.where(sample < 0, samples, np.minimum(sample, samples - 1))
        for port in layout.inputs:
            codes = inputs[port.name]
            # All inputs are zero during reset.
            table = _table(port, codes, np.zeros_like(codes[:1]))
            values[self._ports[port.name]] = _row(row, table)
        self._evaluate(values, len(cycle))
        if layout.has_valid:
            seen = _column(values[self._ports[OUT_VALID]], len(cycle))[after:]
            given = valid[start : start + cycles]
            transactions.check_valid(layout, given[:, None], seen[:, None])
        there = slice(after + edges, None, layout.initiation_interval)
        return [
            self._unpacked(values, port, len(cycle))[there][:samples]
            for port in layout.outputs
        ]

    def _run_handshake(
        self, inputs: Codes, samples: int, stall: StallPattern
    ) -> list[Array]:
        cycles = transactions.handshake_cycles(self.layout, samples, stall)
        offers, wants = stall.flags(cycles)
        cycle = np.arange(-RESET_CYCLES, cycles)
        values = self._control(cycle)
        quiet = np.zeros(RESET_CYCLES, np.uint64)
        values[self._offers] = np.concatenate([quiet, offers])
        values[self._ports[OUT_READY]] = np.concatenate([quiet + 1, wants])
        values[self._samples] = np.array([samples], np.uint64)
        for port in self.layout.inputs:
            noise = transactions.noise_row(stall, port.elements, port.width)
            values[self._tables[port.name]] = _table(port, inputs[port.name], noise)
        used = self._evaluate(values, len(cycle), samples)
        ready, valid = (
            _column(values[self._ports[name]], used)[RESET_CYCLES:].astype(np.uint8)
            for name in (IN_READY, OUT_VALID)
        )
        seen = transactions.Handshake(
            offers[: len(ready)],
            wants[: len(ready)],
            ready,
            valid,
            [
                self._unpacked(values, port, used)[RESET_CYCLES:]
                for port in self.layout.outputs
            ],
        )
        return seen.results(self.layout, samples)

    def _control(self, cycle: NDArray[np.int64]) -> dict[int, Value]:
        """Clock and reset; cycles before 0 are those of the reset."""
        ones = {CLOCK: np.ones(1, np.uint64), RESET: (cycle < 0).astype(np.uint64)}
        return {self._ports[n]: v for n, v in ones.items() if n in self._ports}

    def _unpacked(
        self, values: Mapping[int, Value], port: Port, cycles: int
    ) -> NDArray[np.integer]:
        """The elements of a port, `[cycles, elements]`."""
        value = values[self._ports[port.name]]
        columns = [
            _column(extract(value, low, port.width), cycles)
            for low in range(0, port.bits, port.width)
        ]
        dtype = packing.storage_dtype(port.width, signed=False)
        return np.stack(columns, axis=1).astype(dtype)

    def _evaluate(
        self, values: dict[int, Value], cycles: int, until: int | None = None
    ) -> int:
        """
        Compute the outputs from the values given; return the number of cycles.

        It ends when `until` results have been taken.
        """
        self._apply(self._first, values, cycles)
        if self._loops:
            cycles = self._step(values, cycles, until)
        self._apply(self._last, values, cycles)
        return cycles

    def _apply(self, nodes: list[Node], values: dict[int, Value], cycles: int) -> None:
        for node in nodes:
            operands = [values[i] for i in node.operands]
            values[node.result] = (
                node.kernel(*operands) if node.kernel else register(cycles, *operands)
            )
            for i in self._dead[node.result]:
                del values[i]

    def _step(self, values: dict[int, Value], cycles: int, until: int | None) -> int:
        """The nodes on loops, cycle by cycle."""
        registers = [node for node in self._loops if node.kernel is None]
        logic = [(n.kernel, n.operands, n.result) for n in self._loops if n.kernel]
        now = {node.result: constant(0, node.width) for node in registers}
        history: dict[int, list[Value]] = {node.result: [] for node in self._loops}
        inputs = {i for node in self._loops for i in node.operands} - history.keys()
        for t in range(cycles):
            if until is not None and now[self._taken] == until:
                cycles = t
                break
            for i in inputs:
                now[i] = self._at(values, i, slice(t, t + 1))
            for function, operands, result in logic:
                now[result] = function(*[now[i] for i in operands])
            for i, found in history.items():
                found.append(now[i])
            loaded = [n for n in registers if all(now[i] for i in n.operands[1:])]
            now |= {node.result: now[node.operands[0]] for node in loaded}
        for node in self._loops:
            values[node.result] = _sequence(history[node.result], node.width)
        for node in self._loops:
            for i in self._dead[node.result]:
                del values[i]
        for i in values:
            values[i] = self._at(values, i, slice(cycles))
        return cycles

    def _at(self, values: Mapping[int, Value], i: int, when: slice) -> Value:
        """A value in some cycles."""
        if i in self._tables.values():
            return values[i]
        return each_part(lambda v: v if v.shape[-1] == 1 else v[..., when], values[i])


def _sorted(before: Mapping[int, Iterable[int]]) -> list[int]:
    """The nodes, each behind those it needs; without those on loops and behind."""
    sorter = TopologicalSorter(before)
    with suppress(CycleError):
        sorter.prepare()
    order: list[int] = []
    while ready := sorter.get_ready():
        order += ready
        sorter.done(*ready)
    return [i for i in order if i in before]


def _unchanged(value: Value) -> Value:
    return value


def _less(x: Array, y: Array) -> Array:
    return (x < y).astype(np.uint64)


def _row(row: Array, table: Value) -> Value:
    """Rows of a table, by their numbers over time."""
    return each_part(lambda part: part[row], table)


def _table(port: Port, *codes: NDArray[np.integer]) -> Value:
    """Samples, one behind the other, as rows of a table."""
    rows = np.concatenate([packing.to_storage(c, port.width) for c in codes])
    return join([(column, port.width) for column in rows.astype(np.uint64).T])


def _column(value: Value, cycles: int) -> Array:
    """A narrow value in every cycle."""
    assert isinstance(value, np.ndarray)
    return np.broadcast_to(value, (cycles,))


def _sequence(values: Sequence[Value], width: int) -> Value:
    """A value over time, from those of the cycles."""
    if width <= LIMB:
        return np.concatenate([v for v in values if isinstance(v, np.ndarray)])
    return from_integers(np.concatenate([to_integers(v) for v in values]), width)
