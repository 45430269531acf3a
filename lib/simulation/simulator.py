"""
Cycle-accurate simulation of a circuit in this process, without external tools.

hw → CIRCT arc → LLVM dialect → machine code (by the compiler in torch-mlir's wheel).
"""

from __future__ import annotations

import ctypes
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp

from mase_opt.frontend.importer.torch_mlir import CompiledModule
from mase_opt.lib.hardware import packing
from mase_opt.lib.hardware.interface import CLOCK, OUT_READY, RESET, Port, PortLayout
from mase_opt.lib.hardware.memory import Memories, memories_of
from mase_opt.lib.simulation import arc_driver, lanes, transactions
from mase_opt.lib.simulation.axis import adapter, plain_layout
from mase_opt.lib.simulation.sign_extension import fold_sign_extensions
from mase_opt.lib.simulation.transactions import RESET_CYCLES, Codes, StallPattern
from mase_opt.lib.target import circt

ROWS = 512
"""Samples per lane that are prepared at a time."""


class Simulator:
    """
    A circuit, compiled and ready to run.

    `module` is a hw module (xDSL or text) whose top is `layout.top`. Elements are up
    to 64 bits wide. Memories of text start with what `memories` holds.
    """

    def __init__(
        self,
        module: ModuleOp | str,
        layout: PortLayout,
        *,
        opt_level: int = 0,
        memories: Memories | None = None,
    ):
        transactions.check_widths(layout)
        if layout.is_axis:
            inner = circt.to_text(module).rstrip().removesuffix("}")
            memories = memories if memories is not None else _contents(module)
            module = f"{inner}{adapter(layout, declare=False)}}}"
            layout = plain_layout(layout)
        self.layout = layout
        self.transfers: dict[str, NDArray[np.int64]] = {}
        """Of ports that are channels: the cycles of the beats of the last run."""
        self._memories = memories if memories is not None else _contents(module)
        text, self._state = circt.lower_to_llvm(module, layout)
        text = fold_sign_extensions(text)
        if not (layout.has_ready or layout.has_channels):
            text, self._state = lanes.vectorize(text, self._state)
        text = arc_driver.limit_blocks(text, self._state)
        text = arc_driver.add_driver(text, layout, self._state)
        self._code = CompiledModule(text, opt_level)

    @property
    def lanes(self) -> int:
        """How many copies of the circuit run side by side."""
        return self._state.lanes

    def run(self, inputs: Codes, stall: StallPattern | None = None) -> Codes:
        """
        Send samples through the circuit, from reset on; return the results in order.

        `stall` needs a layout with ready. Raises `UserError` for wrong inputs,
        `SimulationError` if the circuit breaks its own interface.
        """
        samples = transactions.check_inputs(self.layout, inputs, stall)
        if samples == 0:
            return transactions.empty_results(self.layout)
        state = self._reset()
        if self.layout.has_channels:
            rows = self._run_channels(
                state, inputs, samples, stall or transactions.FULL_RATE
            )
        elif self.layout.has_ready:
            rows = self._run_handshake(
                state, inputs, samples, stall or transactions.FULL_RATE
            )
        else:
            rows = self._run_stream(state, inputs, samples)
        return {
            port.name: packing.from_storage(row, port.width, port.signed)
            for port, row in zip(self.layout.outputs, rows, strict=True)
        }

    def _reset(self) -> NDArray[np.uint8]:
        """The state after reset."""
        state = _aligned(arc_driver.state_bytes(self._state))
        model, control = self._state.model, self._state.control
        if self._state.has_initial:
            self._code.call(f"{model}_initial", state.ctypes.data)
        for name, memory in self._memories.items():
            slot = self._state.memories[name]
            data = memory.bytes(slot.stride)
            state[slot.offset : slot.offset + len(data)] = data
        if not self.layout.has_clock:
            return state
        state[control[RESET].offset] = 1
        if OUT_READY in control:
            state[control[OUT_READY].offset] = 1
        for _ in range(RESET_CYCLES):
            for clock in (0, 1):
                state[control[CLOCK].offset] = clock
                self._code.call(f"{model}_eval", state.ctypes.data)
        state[control[RESET].offset] = 0
        return state

    def _call(
        self,
        state: NDArray[np.uint8],
        buffers: list[NDArray[Any]],
        samples: int,
        cycles: int,
    ) -> int:
        if self.layout.has_channels:
            driver = arc_driver.CHANNELS
        else:
            ready = self.layout.has_ready
            driver = arc_driver.HANDSHAKE if ready else arc_driver.STREAM
        pointers = (ctypes.c_void_p * len(buffers))(*[b.ctypes.data for b in buffers])
        return self._code.call(
            driver, state.ctypes.data, ctypes.addressof(pointers), samples, cycles
        )

    def _run_stream(
        self, state: NDArray[np.uint8], inputs: Codes, samples: int
    ) -> list[NDArray[Any]]:
        """Each lane takes consecutive samples, in parts that stay in the cache."""
        width = self._state.lanes
        results = [_empty(samples, p) for p in self.layout.outputs]
        for start in range(0, samples, width * ROWS):
            part = slice(start, min(start + width * ROWS, samples))
            rows = -(-(part.stop - start) // width)
            given = [
                _to_lanes(_rows(inputs[p.name][part], p), rows, width)
                for p in self.layout.inputs
            ]
            current = _aligned(state.size)
            current[:] = state
            traces = self._stream(current, given, part.stop - start, rows)
            for result, trace in zip(results, traces, strict=True):
                # (rows, elements, lanes) to (lanes * rows, elements)
                ordered = trace.transpose(2, 0, 1).reshape(rows * width, -1)
                result[part] = ordered[: part.stop - start]
        return results

    def _stream(
        self,
        state: NDArray[np.uint8],
        given: list[NDArray[Any]],
        samples: int,
        rows: int,
    ) -> list[NDArray[Any]]:
        """Run `samples` in `rows` rows; the rows of the results."""
        width = self._state.lanes
        edges = transactions.first_cycle(self.layout)
        cycles = transactions.stream_cycles(self.layout, rows)
        traces = [_empty(cycles, p, width) for p in self.layout.outputs]
        buffers = [*given, *traces]
        # Sample i is in row i % rows of lane i // rows.
        offered = np.zeros((width, rows), np.uint8)
        offered.reshape(-1)[:samples] = 1
        in_valid = np.zeros((cycles, width), np.uint8)
        interval = self.layout.initiation_interval
        in_valid[: rows * interval : interval] = offered.T
        out_valid = np.zeros((cycles, width), np.uint8)
        if self.layout.has_valid:
            buffers += [in_valid, out_valid]
        self._call(state, buffers, rows, cycles)
        if self.layout.has_valid:
            transactions.check_valid(self.layout, in_valid, out_valid)
        return [trace[edges::interval][:rows] for trace in traces]

    def _run_handshake(
        self,
        state: NDArray[np.uint8],
        inputs: Codes,
        samples: int,
        stall: StallPattern,
    ) -> list[NDArray[Any]]:
        cycles = transactions.handshake_cycles(self.layout, samples, stall)
        offers, wants = stall.flags(cycles)
        given = [
            np.concatenate(
                [
                    _rows(inputs[p.name], p),
                    _rows(transactions.noise_row(stall, p.elements, p.width), p),
                ]
            )
            for p in self.layout.inputs
        ]
        traces = [_empty(cycles, p) for p in self.layout.outputs]
        ready, valid = np.zeros(cycles, np.uint8), np.zeros(cycles, np.uint8)
        buffers = [*given, *traces, offers, wants, ready, valid]
        used = self._call(state, buffers, samples, cycles)
        seen = transactions.Handshake(
            offers[:used],
            wants[:used],
            ready[:used],
            valid[:used],
            [trace[:used] for trace in traces],
        )
        return seen.results(self.layout, samples)

    def _run_channels(
        self,
        state: NDArray[np.uint8],
        inputs: Codes,
        samples: int,
        stall: StallPattern,
    ) -> list[NDArray[Any]]:
        cycles = transactions.channel_cycles(self.layout, samples, stall)
        flags = transactions.channel_flags(self.layout, cycles, stall)
        ports = self.layout.ports
        counts = np.zeros(len(ports), np.int64)
        buffers: list[NDArray[Any]] = [counts]
        for port, pattern in zip(ports, flags, strict=True):
            assert port.channel is not None
            beats = samples * port.channel.beats
            if port.direction == "in":
                given = transactions.to_beats(port, inputs[port.name])
                noise = transactions.noise_row(stall, port.elements, port.width)
                rows = np.concatenate([_rows(given, port), _rows(noise, port)])
            else:
                rows = _empty(beats + 1, port)
            buffers += [rows, pattern, np.zeros(beats + 1, np.int64)]
        used = self._call(state, buffers, samples, cycles)
        transactions.check_complete(self.layout, samples, counts.tolist(), used)
        self.transfers = {
            port.name: buffers[3 + 3 * i][:-1] for i, port in enumerate(ports)
        }
        return [
            transactions.from_beats(port, buffers[1 + 3 * i][:-1])
            for i, port in enumerate(ports)
            if port.direction == "out"
        ]


def _contents(module: ModuleOp | str) -> Memories:
    return {} if isinstance(module, str) else memories_of(module)


def _aligned(size: int) -> NDArray[np.uint8]:
    """Zeros, aligned as vectors in memory have to be."""
    alignment = 64 * lanes.LANES
    memory = np.zeros(size + alignment, np.uint8)
    start = -memory.ctypes.data % alignment
    return memory[start : start + size]


def _rows(codes: NDArray[np.integer], port: Port) -> NDArray[np.integer]:
    return np.ascontiguousarray(packing.to_storage(codes, port.width))


def _empty(rows: int, port: Port, *lanes: int) -> NDArray[np.integer]:
    shape = (rows, port.elements, *lanes)
    return np.zeros(shape, packing.storage_dtype(port.width, False))


def _to_lanes(codes: NDArray[np.integer], rows: int, width: int) -> NDArray[np.integer]:
    """(samples, elements) to (rows, elements, lanes), zeros where samples run out."""
    elements = codes.shape[1]
    padded = codes
    if rows * width != len(codes):
        padded = np.zeros((rows * width, elements), codes.dtype)
        padded[: len(codes)] = codes
    by_lane = padded.reshape(width, rows, elements)
    return np.ascontiguousarray(by_lane.transpose(1, 2, 0))
