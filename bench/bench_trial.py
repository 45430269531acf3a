"""
A trial of a search over the bare evaluation that it contains: JSON lines.

A trial quantizes a calibrated model in formats that no trial before had together, makes
a torch module of it, and runs that on the 360 test samples. The bare evaluation is the
last part alone. Medians of CPU time; compare ratios.
"""

from __future__ import annotations

import json
import statistics
import time
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

import numpy as np
import torch

import mase_opt as mo

DIGITS = Path(__file__).resolve().parent.parent / "examples" / "digits"
WIDTHS = range(3, 9)


def median(action: Callable[[], object], repeats: int) -> float:
    """CPU seconds of one run."""
    times: list[float] = []
    for _ in range(repeats):
        start = time.process_time()
        action()
        times.append(time.process_time() - start)
    return statistics.median(times)


def bench(name: str) -> dict[str, float | str]:
    model = mo.load(DIGITS / f"{name}.mlir")
    model = model.calibrate(DIGITS / f"{name}_calibration.npz")
    with np.load(DIGITS / f"{name}_test.npz") as data:
        x = torch.tensor(data["x"])
    settings: Iterator[tuple[int, int]] = iter(product(WIDTHS, WIDTHS))

    def trial() -> None:
        data_width, weight_width = next(settings)
        small = model.quantize(data_width=data_width, weight_width=weight_width)
        small.to_torch()(x)

    with torch.no_grad():
        net = model.quantize(width=6).to_torch()
        bare = median(lambda: net(x), 50)
        whole = median(trial, len(WIDTHS) ** 2)
    return {
        "bench": "trial",
        "model": name,
        "bare_ms": round(bare * 1e3, 3),
        "trial_ms": round(whole * 1e3, 3),
        "ratio": round(whole / bare, 2),
    }


def main() -> None:
    torch.set_num_threads(1)
    for name in ("mlp", "cnn"):
        print(json.dumps(bench(name)))


if __name__ == "__main__":
    main()
