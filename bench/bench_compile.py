"""
The digits models from `.mlir` to a folder with verified SystemVerilog.

Wall time of the whole command, warm: median of runs after one that fills the file
caches. Prints one JSON line per model, with and without the built-in verification.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

RUNS = 5
DIGITS = Path(__file__).parents[1] / "examples" / "digits"
TARGET_S = {"mlp": 3.0}


def seconds(model: str, folder: str, *options: str) -> float:
    """Wall time of one run."""
    command = [
        str(Path(sys.executable).with_name("mase-opt")),
        f"--calibrate=data={DIGITS / f'{model}_calibration.npz'}",
        "--quantize",
        "--emit-sv",
        str(DIGITS / f"{model}.mlir"),
        "-o",
        folder,
        *options,
    ]
    start = time.perf_counter()
    subprocess.run(command, check=True, stderr=subprocess.DEVNULL)
    return time.perf_counter() - start


def main() -> None:
    """Measure both models."""
    for model in ("mlp", "cnn"):
        for verified in (True, False):
            options = [] if verified else ["--verify-rtl=0"]
            with tempfile.TemporaryDirectory() as scratch:
                folder = str(Path(scratch) / model)
                seconds(model, folder, *options)
                times = [seconds(model, folder, *options) for _ in range(RUNS)]
            result = {
                "benchmark": f"compile_digits_{model}",
                "verified": verified,
                "wall_s": round(statistics.median(times), 3),
                "min_s": round(min(times), 3),
                "max_s": round(max(times), 3),
                "target_s": TARGET_S.get(model),
                "runs": RUNS,
            }
            print(json.dumps(result), flush=True)


if __name__ == "__main__":
    main()
