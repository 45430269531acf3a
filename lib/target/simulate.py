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

from mase_opt.lib.errors import UserError
from mase_opt.lib.target import arc_driver, circt, packing, streams
from mase_opt.lib.target.interface import CLOCK, OUT_READY, RESET, Port, PortLayout
from mase_opt.lib.target.streams import Codes, StallPattern
from mase_opt.lib.target.torch_mlir import CompiledModule

RESET_CYCLES = 2


class Simulator:
    """
    A circuit, compiled and ready to run.

    `module` is a hw module (xDSL or text) whose top is `layout.top`. Elements are up
    to 64 bits wide.
    """

    def __init__(
        self, module: ModuleOp | str, layout: PortLayout, *, opt_level: int = 2
    ):
        for port in layout.ports:
            if port.width > packing.MAX_WIDTH:
                raise UserError(
                    f"port {port.name}: elements of {port.width} bits cannot be "
                    f"simulated, at most {packing.MAX_WIDTH}"
                )
        self.layout = layout
        text, self._state = circt.lower_to_llvm(module, layout)
        text = arc_driver.limit_blocks(text, self._state)
        text = arc_driver.add_driver(text, layout, self._state)
        self._code = CompiledModule(text, opt_level)

    def run(self, inputs: Codes, stall: StallPattern | None = None) -> Codes:
        """
        Send samples through the circuit, from reset on; return the results in order.

        `stall` needs a layout with ready. Raises `UserError` for wrong inputs,
        `SimulationError` if the circuit breaks its own interface.
        """
        samples = streams.check_inputs(self.layout, inputs, stall)
        if samples == 0:
            return streams.empty_results(self.layout)
        state = self._reset()
        if self.layout.has_ready:
            rows = self._run_handshake(
                state, inputs, samples, stall or streams.FULL_RATE
            )
        else:
            rows = self._run_stream(state, inputs, samples)
        return {
            port.name: packing.from_storage(row, port.width, port.signed)
            for port, row in zip(self.layout.outputs, rows, strict=True)
        }

    def _reset(self) -> NDArray[np.uint8]:
        """The state after reset."""
        state = np.zeros(arc_driver.state_bytes(self._state), np.uint8)
        model, control = self._state.model, self._state.control
        if self._state.has_initial:
            self._code.call(f"{model}_initial", state.ctypes.data)
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
        driver = arc_driver.HANDSHAKE if self.layout.has_ready else arc_driver.STREAM
        pointers = (ctypes.c_void_p * len(buffers))(*[b.ctypes.data for b in buffers])
        return self._code.call(
            driver, state.ctypes.data, ctypes.addressof(pointers), samples, cycles
        )

    def _run_stream(
        self, state: NDArray[np.uint8], inputs: Codes, samples: int
    ) -> list[NDArray[Any]]:
        given = [_rows(inputs[p.name], p) for p in self.layout.inputs]
        taken = [_empty(samples, p) for p in self.layout.outputs]
        first = np.zeros(1, np.int64)
        cycles = streams.stream_cycles(self.layout, samples)
        count = self._call(state, [*given, *taken, first], samples, cycles)
        streams.check_stream(self.layout, samples, count, int(first[0]))
        return taken

    def _run_handshake(
        self,
        state: NDArray[np.uint8],
        inputs: Codes,
        samples: int,
        stall: StallPattern,
    ) -> list[NDArray[Any]]:
        cycles = streams.handshake_cycles(self.layout, samples, stall)
        offers, wants = stall.flags(cycles)
        given = [
            np.concatenate(
                [
                    _rows(inputs[p.name], p),
                    _rows(streams.noise_row(stall, p.elements, p.width), p),
                ]
            )
            for p in self.layout.inputs
        ]
        traces = [_empty(cycles, p) for p in self.layout.outputs]
        ready, valid = np.zeros(cycles, np.uint8), np.zeros(cycles, np.uint8)
        buffers = [*given, *traces, offers, wants, ready, valid]
        used = self._call(state, buffers, samples, cycles)
        seen = streams.Handshake(
            offers[:used],
            wants[:used],
            ready[:used],
            valid[:used],
            [trace[:used] for trace in traces],
        )
        return seen.results(self.layout, samples)


def _rows(codes: NDArray[np.integer], port: Port) -> NDArray[np.unsignedinteger]:
    return np.ascontiguousarray(packing.to_storage(codes, port.width))


def _empty(rows: int, port: Port) -> NDArray[np.unsignedinteger]:
    return np.zeros((rows, port.elements), packing.storage_dtype(port.width, False))
