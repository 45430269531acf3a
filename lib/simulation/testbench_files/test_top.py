"""
Sends the vectors through the circuit and compares every result.

Everything about the circuit is read from `vectors.json` beside this file: its
interface, and samples and expected results as packed hexadecimal numbers.
"""

import json
import random
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


def drive(dut: Any, sample: int) -> None:
    """Put a sample on the inputs."""
    for port in INPUTS:
        getattr(dut, port["name"]).value = int(
            VECTORS["data"][port["name"]][sample], 16
        )


def check(dut: Any, sample: int) -> None:
    """Compare the outputs with what is expected, and name the element if not."""
    for port in OUTPUTS:
        name, width = port["name"], port["width"]
        got = getattr(dut, name).value.to_unsigned()
        expected = int(VECTORS["data"][name][sample], 16)
        for element in range(port["elements"]):
            codes = [
                (word >> (element * width)) & ((1 << width) - 1)
                for word in (got, expected)
            ]
            if port["signed"]:
                codes = [c - ((c >> (width - 1)) << width) for c in codes]
            assert codes[0] == codes[1], (
                f"sample {sample}, output {name}, element {element}: "
                f"got {codes[0]}, expected {codes[1]}"
            )


async def reset(dut: Any) -> None:
    """Start the clock, hold reset over two rising edges; ends at a falling edge."""
    cocotb.start_soon(Clock(dut.clk, 10, "ns").start())
    dut.rst.value = 1
    if LAYOUT["has_valid"]:
        dut.in_valid.value = 0
    if LAYOUT["has_ready"]:
        dut.out_ready.value = 1
    drive(dut, 0)
    for _ in range(3):
        await FallingEdge(dut.clk)
    dut.rst.value = 0


@cocotb.test(skip=LAYOUT["has_clock"])
async def combinational(dut: Any) -> None:
    """No clock: results follow the inputs."""
    for sample in range(SAMPLES):
        drive(dut, sample)
        if LAYOUT["has_valid"]:
            dut.in_valid.value = 1
        await Timer(10, "ns")
        check(dut, sample)


@cocotb.test(skip=not LAYOUT["has_clock"])
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
