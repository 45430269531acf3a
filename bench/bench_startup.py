"""
Start-up time of `mase-opt` over that of `xdsl-opt`, which it is built on.

Two figures: `--version`, and a module of one function read and printed. The runs are
paired, each pair's order alternates, and the medians are compared. Prints one JSON
line per figure.
"""

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

PAIRS = 15

MODULE = "func.func @f() {\n  func.return\n}\n"


def seconds(program: str, argument: str) -> float:
    """Wall time of one run."""
    command = [str(Path(sys.executable).with_name(program)), argument]
    start = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - start


def measure(figure: str, argument: str) -> None:
    """Time both programs and print the figure."""
    programs = ("mase-opt", "xdsl-opt")
    times: dict[str, list[float]] = {program: [] for program in programs}
    for program in programs:
        seconds(program, argument)  # fills the file caches
    for pair in range(PAIRS):
        for program in programs[:: 1 if pair % 2 else -1]:
            times[program].append(seconds(program, argument))
    ours, theirs = (statistics.median(times[program]) for program in programs)
    result = {
        "benchmark": figure,
        "mase_opt_s": round(ours, 4),
        "xdsl_opt_s": round(theirs, 4),
        "ratio": round(ours / theirs, 3),
        "target": 1.3,
        "pairs": PAIRS,
    }
    print(json.dumps(result))


def main() -> None:
    """Measure both figures."""
    measure("startup_version", "--version")
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "module.mlir"
        path.write_text(MODULE)
        measure("startup_module", str(path))


if __name__ == "__main__":
    main()
