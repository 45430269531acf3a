"""
Cycle-accurate simulation of a circuit in this process, without external tools.

hw → CIRCT arc → LLVM dialect → machine code (by the compiler in torch-mlir's wheel).
"""

from __future__ import annotations

import ctypes
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp

from mase_opt.lib.errors import UserError
from mase_opt.lib.target import arc_driver, circt, packing
from mase_opt.lib.target.interface import CLOCK, OUT_READY, RESET, Port, PortLayout
from mase_opt.lib.target.torch_mlir import CompiledModule

Codes = dict[str, NDArray[np.integer]]
"""Port names and their codes, of shape (samples, elements)."""

RESET_CYCLES = 2


@dataclass(frozen=True)
class StallPattern:
    """
    How often a test withholds valid and ready; reproducible by its seed.

    Probabilities are per cycle. Without stalls a design runs at full rate.
    """

    seed: int
    in_valid: float = 0.5
    """Probability that a sample is offered in a cycle."""
    out_ready: float = 0.5
    """Probability that a result would be taken in a cycle."""

    def flags(self, cycles: int) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        """A byte per cycle each: whether to offer, whether to take."""
        draws = np.random.default_rng(self.seed).random((2, cycles))
        offers = (draws[0] < self.in_valid).astype(np.uint8)
        return offers, (draws[1] < self.out_ready).astype(np.uint8)


def check_inputs(layout: PortLayout, inputs: Codes) -> int:
    """Check names, shapes and ranges of the inputs; return the number of samples."""
    names = {port.name for port in layout.inputs}
    if set(inputs) != names:
        raise UserError(
            f"{layout.top} has inputs {sorted(names)}, got {sorted(inputs)}"
        )
    samples = {len(codes) for codes in inputs.values()}
    if len(samples) != 1:
        raise UserError(f"the inputs have different numbers of samples: {samples}")
    for port in layout.inputs:
        codes = inputs[port.name]
        if codes.shape != (len(codes), port.elements):
            raise UserError(
                f"input {port.name} takes codes of shape (samples, {port.elements}), "
                f"got {codes.shape}"
            )
        try:
            packing.check_codes(codes, port.width, port.signed)
        except ValueError as error:
            raise UserError(f"input {port.name}: {error}") from error
    return samples.pop()


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
        samples = check_inputs(self.layout, inputs)
        if stall is not None and not self.layout.has_ready:
            raise UserError(f"{self.layout.top} has no ready signals: it cannot stall")
        if samples == 0:
            return {
                p.name: np.zeros(
                    (0, p.elements), packing.storage_dtype(p.width, p.signed)
                )
                for p in self.layout.outputs
            }
        state = self._reset()
        if self.layout.has_ready:
            return self._run_handshake(state, inputs, samples, stall)
        return self._run_stream(state, inputs, samples)

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
        buffers: list[NDArray[np.generic]],
        samples: int,
        cycles: int,
    ) -> int:
        pointers = (ctypes.c_void_p * len(buffers))(*[b.ctypes.data for b in buffers])
        driver = arc_driver.HANDSHAKE if self.layout.has_ready else arc_driver.STREAM
        return self._code.call(
            driver, state.ctypes.data, ctypes.addressof(pointers), samples, cycles
        )

    def _run_stream(
        self, state: NDArray[np.uint8], inputs: Codes, samples: int
    ) -> Codes:
        given = [_rows(inputs[p.name], p) for p in self.layout.inputs]
        taken = [_empty(samples, p) for p in self.layout.outputs]
        first = np.zeros(1, np.int64)
        edges = max(self.layout.latency - 1, 0)
        # One cycle more than needed shows results that should not be there.
        cycles = samples + edges + (1 if self.layout.has_valid else 0)
        count = self._call(state, [*given, *taken, first], samples, cycles)
        if count != samples or first[0] != edges:
            raise SimulationError(
                f"{self.layout.top}: {count} results of {samples} samples, the first "
                f"in cycle {first[0]}, expected in cycle {edges}"
            )
        return self._decode(taken)

    def _run_handshake(
        self,
        state: NDArray[np.uint8],
        inputs: Codes,
        samples: int,
        stall: StallPattern | None,
    ) -> Codes:
        stall = stall or StallPattern(seed=0, in_valid=1.0, out_ready=1.0)
        rate = max(stall.in_valid * stall.out_ready, 0.01)
        cycles = int((samples + self.layout.latency + 64) / rate) * 4
        offers, wants = stall.flags(cycles)
        noise = np.random.default_rng(stall.seed)
        given = [
            np.concatenate([_rows(inputs[p.name], p), _noise(noise, p)])
            for p in self.layout.inputs
        ]
        traces = [_empty(cycles, p) for p in self.layout.outputs]
        ready, valid = np.zeros(cycles, np.uint8), np.zeros(cycles, np.uint8)
        used = self._call(
            state, [*given, *traces, offers, wants, ready, valid], samples, cycles
        )
        traces = [trace[:used] for trace in traces]
        valid, wants = valid[:used].astype(bool), wants[:used].astype(bool)
        taken = valid & wants
        if np.count_nonzero(taken) != samples:
            raise SimulationError(
                f"{self.layout.top}: {np.count_nonzero(taken)} results of {samples} "
                f"samples after {cycles} cycles: it stands still or loses data"
            )
        moved = np.minimum(np.cumsum(offers[:used] & ready[:used]), samples)
        if (np.cumsum(taken) > moved).any():
            raise SimulationError(
                f"{self.layout.top}: a result comes before its sample has been taken"
            )
        held = np.flatnonzero(valid[:-1] & ~wants[:-1])
        for cycle in held:
            same = all((t[cycle] == t[cycle + 1]).all() for t in traces)
            if not valid[cycle + 1] or not same:
                raise SimulationError(
                    f"{self.layout.top}: the result that was not taken in cycle "
                    f"{cycle} has changed in the next cycle"
                )
        return self._decode([trace[taken] for trace in traces])

    def _decode(self, rows: list[NDArray[np.unsignedinteger]]) -> Codes:
        return {
            port.name: packing.from_storage(row, port.width, port.signed)
            for port, row in zip(self.layout.outputs, rows, strict=True)
        }


class SimulationError(Exception):
    """A circuit does not keep to its interface: a bug in what generated it."""


def _rows(codes: NDArray[np.integer], port: Port) -> NDArray[np.unsignedinteger]:
    return np.ascontiguousarray(packing.to_storage(codes, port.width))


def _noise(generator: np.random.Generator, port: Port) -> NDArray[np.unsignedinteger]:
    dtype = packing.storage_dtype(port.width, signed=False)
    drawn = generator.integers(0, 1 << 63, (1, port.elements), np.uint64)
    return packing.to_storage(drawn.astype(dtype), port.width)


def _empty(rows: int, port: Port) -> NDArray[np.unsignedinteger]:
    return np.zeros((rows, port.elements), packing.storage_dtype(port.width, False))
