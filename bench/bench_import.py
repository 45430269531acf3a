"""
ResNet-18 from torch to mase IR, over `torch.export` alone; and its text.

Import: wall time and peak memory of a process of its own each, the module already
built, runs interleaved, medians. Text: parse and print of the mase module with all
weights over xDSL's bare parse of the same model's torch-dialect text (generic form).
Prints one JSON line per figure. Needs the extra `models`.
"""

from __future__ import annotations

import json
import statistics
import subprocess
import sys
import time
from io import StringIO
from pathlib import Path
from typing import Any, cast

RUNS = 5
ZOO = Path(__file__).parents[1] / "test" / "models"

CHILD = """
import json, resource, sys, time
sys.path.insert(0, {zoo!r})
import torch, zoo
module, inputs = zoo.MODELS["resnet18"]()
start = time.perf_counter()
{work}
wall = time.perf_counter() - start
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
print(json.dumps([wall, peak / 1024]))
"""

EXPORT = """
with torch.no_grad():
    torch.export.export(module, inputs)
"""
IMPORT = """
import mase_opt
mase_opt.import_torch(module, inputs)
"""


def measure(work: str) -> tuple[float, float]:
    """Wall seconds and peak MiB of one run."""
    code = CHILD.format(zoo=str(ZOO), work=work)
    command = [sys.executable, "-W", "ignore", "-c", code]
    run = subprocess.run(command, check=True, capture_output=True, text=True)
    wall, peak = json.loads(run.stdout.splitlines()[-1])
    return wall, peak


def bench_import() -> None:
    measure(IMPORT)  # fills the file caches
    ours: list[tuple[float, float]] = []
    theirs: list[tuple[float, float]] = []
    for _ in range(RUNS):
        theirs.append(measure(EXPORT))
        ours.append(measure(IMPORT))
    for index, (name, unit) in enumerate((("wall", "s"), ("peak_memory", "MiB"))):
        mine = statistics.median(run[index] for run in ours)
        base = statistics.median(run[index] for run in theirs)
        _print(f"import_resnet18_{name}", mine, base, unit, 2.0, "torch.export")


def generic_form(text: str) -> str:
    """MLIR text in the form that xDSL parses, by torch-mlir's own tool."""
    tool = Path(sys.executable).with_name("torch-mlir-opt")
    command = [str(tool), "--mlir-print-op-generic"]
    run = subprocess.run(
        command, check=True, capture_output=True, text=True, input=text
    )
    return run.stdout


def bench_text() -> None:
    sys.path.insert(0, str(ZOO))
    from importlib import import_module

    from xdsl.context import Context
    from xdsl.dialects.builtin import ModuleOp
    from xdsl.parser import Parser
    from xdsl.printer import Printer

    import mase_opt
    from mase_opt.frontend.import_torch import torch_text
    from mase_opt.registry import load_universe

    def context() -> Context:
        ctx = Context(allow_unregistered=True)
        for name, factory in load_universe().all_dialects.items():
            ctx.register_dialect(name, factory)
        return ctx

    def parse(text: str, ctx: Context) -> ModuleOp:
        return Parser(ctx, text).parse_module()

    def show(module: ModuleOp, ctx: Context) -> str:
        stream = StringIO()
        printer = Printer(stream=stream)
        printer.print_op(module)
        printer.print_metadata(ctx.loaded_dialects)
        return stream.getvalue()

    zoo = import_module("zoo")
    module, inputs = cast("tuple[Any, tuple[Any, ...]]", zoo.MODELS["resnet18"]())
    torch_dialect = generic_form(torch_text(module, inputs))
    ctx = context()
    ctx.load_registered_dialect("mase")
    text = show(mase_opt.import_torch(module, inputs).ir, ctx)
    bare: list[float] = []
    ours: list[float] = []
    for _ in range(RUNS):
        ctx = context()
        start = time.perf_counter()
        parse(torch_dialect, ctx)
        middle = time.perf_counter()
        ctx = context()
        again = show(parse(text, ctx), ctx)
        ours.append(time.perf_counter() - middle)
        bare.append(middle - start)
        assert again == text
    _print(
        "parse_and_print_resnet18",
        statistics.median(ours),
        statistics.median(bare),
        "s",
        3.0,
        "xDSL parse of the torch text",
    )


def _print(
    figure: str, mine: float, base: float, unit: str, target: float, peer: str
) -> None:
    result = {
        "benchmark": figure,
        f"mase_opt_{unit}": round(mine, 3),
        f"peer_{unit}": round(base, 3),
        "peer": peer,
        "ratio": round(mine / base, 3),
        "target": target,
        "runs": RUNS,
    }
    print(json.dumps(result), flush=True)


if __name__ == "__main__":
    bench_import()
    bench_text()
