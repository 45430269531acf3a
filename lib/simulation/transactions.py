"""
What simulators have in common: checks of what goes in and of what comes out.

Data goes through a circuit as a stream: a sample per initiation interval if the
interface has no ready signals, else under valid and ready, by patterns that a test can
choose.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib.errors import UserError
from mase_opt.lib.hardware import packing
from mase_opt.lib.hardware.interface import Port, PortLayout

RESET_CYCLES = 2
"""How long a circuit is reset before the samples come."""

Codes = dict[str, NDArray[np.integer]]
"""Port names and their codes, of shape (samples, elements)."""


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


def check_widths(layout: PortLayout) -> None:
    """Raise `UserError` for elements wider than NumPy's integers."""
    for port in layout.ports:
        if port.width > packing.MAX_WIDTH:
            raise UserError(
                f"port {port.name}: elements of {port.width} bits cannot be simulated, "
                f"at most {packing.MAX_WIDTH}"
            )


def check_inputs(layout: PortLayout, inputs: Codes, stall: StallPattern | None) -> int:
    """Check names, shapes and ranges of the inputs; return the number of samples."""
    if stall is not None and not (layout.has_ready or layout.has_channels):
        raise UserError(f"{layout.top} has no ready signals: it cannot stall")
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
        if codes.shape != (len(codes), port.size):
            raise UserError(
                f"input {port.name} takes codes of shape (samples, {port.size}), "
                f"got {codes.shape}"
            )
        try:
            packing.check_codes(codes, port.width, port.signed)
        except ValueError as error:
            raise UserError(f"input {port.name}: {error}") from error
    return samples.pop()


class SimulationError(Exception):
    """A circuit does not keep to its interface: a bug in what generated it."""


def empty_results(layout: PortLayout) -> Codes:
    """The results of no samples."""
    return {
        port.name: np.zeros(
            (0, port.size), packing.storage_dtype(port.width, port.signed)
        )
        for port in layout.outputs
    }


def stream_cycles(layout: PortLayout, samples: int) -> int:
    """How many cycles to run; one more than needed shows results too many."""
    last = (samples - 1) * layout.initiation_interval
    return last + 1 + first_cycle(layout) + (1 if layout.has_valid else 0)


def first_cycle(layout: PortLayout) -> int:
    """The cycle after whose rising edge the first result is there, from 0."""
    return max(layout.latency - 1, 0)


def check_valid(
    layout: PortLayout, in_valid: NDArray[Any], out_valid: NDArray[Any]
) -> None:
    """
    Raise `SimulationError` unless `out_valid` is `in_valid` after the latency.

    Both are `[cycles, lanes]`, of circuits side by side.
    """
    seen = out_valid.any(axis=1)
    first = int(seen.argmax()) if seen.any() else -1
    check_stream(layout, int(in_valid.sum()), int(out_valid.sum()), first)
    edges = first_cycle(layout)
    if (out_valid[edges:] != in_valid[: len(in_valid) - edges]).any():
        raise SimulationError(f"{layout.top}: out_valid does not follow in_valid")


def check_stream(layout: PortLayout, samples: int, count: int, first: int) -> None:
    """Raise `SimulationError` unless the results came when they should."""
    if count != samples or first != first_cycle(layout):
        raise SimulationError(
            f"{layout.top}: {count} results of {samples} samples, the first in cycle "
            f"{first}, expected in cycle {first_cycle(layout)}"
        )


def handshake_cycles(layout: PortLayout, samples: int, stall: StallPattern) -> int:
    """Enough cycles for all samples, with a margin for bad luck."""
    rate = max(stall.in_valid * stall.out_ready, 0.01)
    cycles = samples * layout.initiation_interval + layout.latency + 64
    return int(cycles / rate) * 4


@dataclass(frozen=True)
class Handshake:
    """What was seen just before each rising edge, an entry per cycle."""

    offers: NDArray[np.uint8]
    """The pattern; no offers are made once all samples are taken."""
    wants: NDArray[np.uint8]
    in_ready: NDArray[np.uint8]
    out_valid: NDArray[np.uint8]
    outputs: Sequence[NDArray[Any]]
    """A row per cycle for each output."""

    def results(self, layout: PortLayout, samples: int) -> list[NDArray[Any]]:
        """The rows taken; raises `SimulationError` if the protocol is broken."""
        valid, wants = self.out_valid.astype(bool), self.wants.astype(bool)
        taken = valid & wants
        if np.count_nonzero(taken) != samples:
            raise SimulationError(
                f"{layout.top}: {np.count_nonzero(taken)} results of {samples} samples "
                f"after {len(taken)} cycles: it stands still or loses data"
            )
        moved = np.minimum(np.cumsum(self.offers & self.in_ready), samples)
        if (np.cumsum(taken) > moved).any():
            raise SimulationError(
                f"{layout.top}: a result comes before its sample has been taken"
            )
        for cycle in np.flatnonzero(valid[:-1] & ~wants[:-1]):
            same = all((rows[cycle] == rows[cycle + 1]).all() for rows in self.outputs)
            if not valid[cycle + 1] or not same:
                raise SimulationError(
                    f"{layout.top}: the result that was not taken in cycle {cycle} "
                    "has changed in the next cycle"
                )
        return [rows[taken] for rows in self.outputs]


def channel_cycles(layout: PortLayout, samples: int, stall: StallPattern) -> int:
    """Enough cycles for all samples in beats, with a margin for bad luck."""
    rate = max(stall.in_valid * stall.out_ready, 0.01)
    beats = sum(port.channel.beats for port in layout.ports if port.channel is not None)
    cycles = (samples + 1) * (layout.initiation_interval + beats) + layout.latency + 64
    return int(cycles / rate) * 2


def channel_flags(
    layout: PortLayout, cycles: int, stall: StallPattern
) -> list[NDArray[np.uint8]]:
    """A byte per cycle for each port: whether its beat may move."""
    seeds = np.random.SeedSequence(stall.seed).spawn(len(layout.ports))
    rates = {"in": stall.in_valid, "out": stall.out_ready}
    return [
        (np.random.default_rng(seed).random(cycles) < rates[port.direction]).astype(
            np.uint8
        )
        for seed, port in zip(seeds, layout.ports, strict=True)
    ]


def to_beats(port: Port, codes: NDArray[np.integer]) -> NDArray[np.integer]:
    """Codes `(samples, elements)` as beats `(samples · beats, lanes)`."""
    channel = port.channel
    assert channel is not None
    beats = channel.to_beats(codes.reshape(len(codes), *channel.shape))
    return beats.reshape(-1, channel.lanes)


def from_beats(port: Port, rows: NDArray[np.integer]) -> NDArray[np.integer]:
    """The reverse of `to_beats`."""
    channel = port.channel
    assert channel is not None
    tensors = channel.from_beats(rows.reshape(-1, channel.beats, channel.lanes))
    return tensors.reshape(len(tensors), -1)


def check_complete(
    layout: PortLayout, samples: int, counts: Sequence[int], cycles: int
) -> None:
    """Raise `SimulationError` unless every output has had all of its beats."""
    for port, count in zip(layout.ports, counts, strict=True):
        assert port.channel is not None
        wanted = samples * port.channel.beats
        if port.direction == "out" and count != wanted:
            raise SimulationError(
                f"{layout.top}: {count} beats of {wanted} at {port.name} after "
                f"{cycles} cycles: it stands still or loses data"
            )


def noise_row(stall: StallPattern, elements: int, width: int) -> NDArray[np.integer]:
    """Codes (1, elements) to show while nothing is offered."""
    drawn = np.random.default_rng(stall.seed).integers(
        0, 1 << 63, (1, elements), np.uint64
    )
    return packing.from_storage(packing.to_storage(drawn, width), width, True)


FULL_RATE = StallPattern(seed=0, in_valid=1.0, out_ready=1.0)
"""Offers and takes in every cycle."""
