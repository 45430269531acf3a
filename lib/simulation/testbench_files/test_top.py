"""
Sends the vectors through the circuit and compares every result.

Everything about the circuit is read from `vectors.json` beside this file: its
interface, and samples and expected results as packed hexadecimal numbers.
"""

import json
import random
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import FallingEdge, ReadOnly, RisingEdge, Timer

VECTORS = json.loads((Path(__file__).parent / "vectors.json").read_text())
LAYOUT = VECTORS["interface"]
INPUTS = [port for port in LAYOUT["ports"] if port["direction"] == "in"]
OUTPUTS = [port for port in LAYOUT["ports"] if port["direction"] == "out"]
SAMPLES = VECTORS["samples"]
PORTS: list[Any] = LAYOUT["ports"] if LAYOUT["has_channels"] else []
"""Those at which samples come in beats."""


CLOCK, RESET = ("aclk", "aresetn") if LAYOUT["is_axis"] else ("clk", "rst")
AXIS = {"in": "s_axis", "out": "m_axis"}


def signal(dut: Any, port: dict[str, Any], what: str = "data") -> Any:
    """`data`, `valid` or `ready` of a port at which samples come in beats."""
    name = port["name"]
    if LAYOUT["is_axis"]:
        return getattr(dut, f"{AXIS[port['direction']]}_{name}_t{what}")
    return getattr(dut, name if what == "data" else f"{name}_{what}")


def drive(dut: Any, sample: int) -> None:
    """Put a sample on the inputs."""
    for port in INPUTS:
        signal(dut, port).value = int(VECTORS["data"][port["name"]][sample], 16)


def check(dut: Any, sample: int) -> None:
    """Compare the outputs with what is expected, and name the element if not."""
    for port in OUTPUTS:
        compare(dut, port, sample, f"sample {sample}", range(port["elements"]))


def compare(
    dut: Any, port: dict[str, Any], row: int, where: str, elements: Iterable[int]
) -> None:
    """Compare elements of an output with those of a row of its vectors."""
    name, width = port["name"], port["width"]
    # What is not compared may be unknown.
    got = str(signal(dut, port).value)[::-1]
    expected = int(VECTORS["data"][name][row], 16)
    for element in elements:
        bits = got[element * width : (element + 1) * width][::-1]
        assert set(bits) <= {"0", "1"}, f"{where}, output {name}: got {bits}"
        codes = [int(bits, 2), (expected >> (element * width)) & ((1 << width) - 1)]
        if port["signed"]:
            codes = [c - ((c >> (width - 1)) << width) for c in codes]
        assert codes[0] == codes[1], (
            f"{where}, output {name}, element {element}: "
            f"got {codes[0]}, expected {codes[1]}"
        )


async def reset(dut: Any) -> None:
    """Start the clock, hold reset over two rising edges; ends at a falling edge."""
    cocotb.start_soon(Clock(getattr(dut, CLOCK), 10, "ns").start())
    reset = getattr(dut, RESET)
    reset.value = int(not LAYOUT["is_axis"])
    if LAYOUT["has_valid"]:
        dut.in_valid.value = 0
    if LAYOUT["has_ready"]:
        dut.out_ready.value = 1
    for port in PORTS:
        what = "valid" if port["direction"] == "in" else "ready"
        signal(dut, port, what).value = 0
    drive(dut, 0)
    for _ in range(3):
        await FallingEdge(getattr(dut, CLOCK))
    reset.value = int(LAYOUT["is_axis"])


@cocotb.test(skip=LAYOUT["has_clock"])
async def combinational(dut: Any) -> None:
    """No clock: results follow the inputs."""
    for sample in range(SAMPLES):
        drive(dut, sample)
        if LAYOUT["has_valid"]:
            dut.in_valid.value = 1
        await Timer(10, "ns")
        check(dut, sample)


@cocotb.test(skip=not LAYOUT["has_clock"] or LAYOUT["has_channels"])
async def full_rate(dut: Any) -> None:
    """A sample in every interval, results after the latency, none too many."""
    await reset(dut)
    interval = LAYOUT["initiation_interval"]
    edges = max(LAYOUT["latency"] - 1, 0)
    for cycle in range((SAMPLES - 1) * interval + edges + 2):
        sample, wait = divmod(cycle, interval)
        drive(dut, min(sample, SAMPLES - 1))
        if LAYOUT["has_valid"]:
            dut.in_valid.value = int(wait == 0 and sample < SAMPLES)
        await FallingEdge(dut.clk)
        result, wait = divmod(cycle - edges, interval)
        there = wait == 0 and 0 <= result < SAMPLES
        if LAYOUT["has_valid"]:
            assert int(dut.out_valid.value) == there, f"out_valid in cycle {cycle}"
        if there:
            check(dut, result)


@cocotb.test(skip=not LAYOUT["has_ready"])
async def with_stalls(dut: Any) -> None:
    """Random gaps at the input, random stalls at the output: the same results."""
    await reset(dut)
    choose = random.Random(0)
    given = taken = 0
    for _ in range(20 * (SAMPLES + LAYOUT["latency"]) + 1000):
        offer = given < SAMPLES and choose.random() < 0.5
        drive(dut, given if offer else choose.randrange(SAMPLES))
        dut.in_valid.value = int(offer)
        want = choose.random() < 0.5
        dut.out_ready.value = int(want)
        await ReadOnly()
        if want and int(dut.out_valid.value):
            check(dut, taken)
            taken += 1
        given += offer and int(dut.in_ready.value)
        if taken == SAMPLES:
            return
        await RisingEdge(dut.clk)
        await FallingEdge(dut.clk)
    raise AssertionError(f"only {taken} results of {SAMPLES} samples")


async def beats(dut: Any, rate: float) -> list[int]:
    """
    Offer and take beats of all samples, in some cycles; when the first ones end.

    A beat that waits at an output must stay as it is.
    """
    await reset(dut)
    choose = random.Random(0)
    moved = {port["name"]: 0 for port in PORTS}
    waiting: dict[str, str] = {}
    ends: dict[str, int] = {}
    cycles = SAMPLES * LAYOUT["initiation_interval"] + LAYOUT["latency"]
    cycles += sum(len(VECTORS["data"][name]) for name in moved) + 100
    for cycle in range(int(4 * cycles / rate**2)):
        tried: list[tuple[dict[str, Any], Any]] = []
        for port in PORTS:
            name, rows = port["name"], VECTORS["data"][port["name"]]
            signals = [signal(dut, port, what) for what in ("valid", "ready")]
            ours, theirs = signals if port["direction"] == "in" else signals[::-1]
            go = moved[name] < len(rows) and choose.random() < rate
            ours.value = int(go)
            if port["direction"] == "in":
                row = moved[name] if go else choose.randrange(len(rows))
                signal(dut, port).value = int(rows[row], 16)
                if LAYOUT["is_axis"]:
                    last = (row + 1) % len(VECTORS["defined"][name]) == 0
                    signal(dut, port, "last").value = int(last)
            tried.append((port, theirs if go else None))
        await ReadOnly()
        for port, other in tried:
            name, defined = port["name"], VECTORS["defined"][port["name"]]
            if port["direction"] == "out":
                valid = int(signal(dut, port, "valid").value)
                data = str(signal(dut, port).value)
                if name in waiting:
                    assert valid, f"{name}_valid falls before the beat is taken"
                    assert data == waiting[name], f"{name} changes before it is taken"
                    del waiting[name]
                if valid and other is None:
                    waiting[name] = data
            if other is None or not int(other.value):
                continue
            sample, beat = divmod(moved[name], len(defined))
            if port["direction"] == "out":
                where = f"sample {sample}, beat {beat}"
                compare(dut, port, moved[name], where, defined[beat])
                if LAYOUT["is_axis"]:
                    last = int(signal(dut, port, "last").value)
                    assert last == (beat + 1 == len(defined)), f"{where}: TLAST {last}"
            moved[name] += 1
            if moved[name] == len(defined):
                ends[name] = cycle
        if all(moved[p["name"]] == len(VECTORS["data"][p["name"]]) for p in PORTS):
            return [ends[port["name"]] for port in OUTPUTS]
        await RisingEdge(getattr(dut, CLOCK))
        await FallingEdge(getattr(dut, CLOCK))
    raise AssertionError(f"only {moved} beats of {SAMPLES} samples")


@cocotb.test(skip=not PORTS)
async def beats_at_full_rate(dut: Any) -> None:
    """A beat in every cycle: the first sample takes as long as the manifest says."""
    ends = await beats(dut, 1.0)
    assert max(ends) + 1 == LAYOUT["latency"], f"the first sample ends at {max(ends)}"


@cocotb.test(skip=not PORTS)
async def beats_with_stalls(dut: Any) -> None:
    """Gaps at the inputs, stalls at the outputs: the same results."""
    await beats(dut, 0.5)
