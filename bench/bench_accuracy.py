"""
Accuracy of the digits models by number format: float, quantized, and trained.

Post-training quantization with `mase-quantize` on the calibration samples;
quantization-aware training on through the IR, as `examples/digits/qat.py` does. The
share of the held-out fifth (360 samples) that is classified right; the trained figure
is that of the module that is written back, in torch. Prints one JSON line per model and
format. Names of formats on the command line measure only those.
"""

from __future__ import annotations

import json
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Any

DIGITS = Path(__file__).parents[1] / "examples" / "digits"
MODELS = ("mlp", "cnn", "transformer")
EPOCHS = 30
RATE = 3e-3

FORMATS = {
    "fixed 8": "width=8",
    "fixed 4": "width=4",
    "fixed 3": "width=3",
    "int8": "format=int8",
    "int4": "format=int4",
    "int3": "format=int3",
    "fp8_e4m3": "format=fp8_e4m3",
    "fp4_e2m1": "format=fp4_e2m1",
    "mxint8": "format=mxint8",
    "mxfp8_e4m3": "format=mxfp8_e4m3",
    "mxfp6_e2m3": "format=mxfp6_e2m3",
    "mxfp4_e2m1": "format=mxfp4_e2m1",
    "msfp12": "format=msfp12",
    "log 4": "format=log<4,7>",
    "log 6": "format=log<6,23>",
    "ternary weights, int8": "data-format=int8 "
    'weight-format="scaled<ternary, auto, axis = 0>"',
    "binary weights, int8": "data-format=int8 "
    'weight-format="scaled<binary, auto, axis = 0>"',
}
"""Options of `mase-quantize` by name."""


def main() -> None:
    """Measure every model in every format."""
    chosen = sys.argv[1:] or list(FORMATS)
    sys.path.insert(0, str(DIGITS))
    example: Any = import_module("qat")
    for name in chosen:
        for model in MODELS:
            start = time.perf_counter()
            result = example.quantization_aware(
                model, FORMATS[name], epochs=EPOCHS, rate=RATE
            )
            line = {
                "benchmark": "accuracy_digits",
                "model": model,
                "format": name,
                "float": round(result.float, 4),
                "ptq": round(result.ptq, 4),
                "qat": round(result.qat, 4),
                "epochs": EPOCHS,
                "wall_s": round(time.perf_counter() - start, 1),
            }
            print(json.dumps(line), flush=True)


if __name__ == "__main__":
    main()
