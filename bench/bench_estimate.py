"""
The estimate of a circuit's cost against Yosys, and the numbers that it is made with.

`measure` synthesizes the designs of `estimate_designs.py`, and can be stopped and
started again (build/estimate/). `fit` fits `lib/cost/fitted.json` to two thirds of
them, and keeps what it has seen in `bench/estimate_data.jsonl`. Without arguments,
errors of the other third are printed from there, as JSON lines: by resource and kind of
format, and the CPU time of an estimate relative to `emit`, without verification.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
import zlib
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
from estimate_designs import Design, designs
from numpy.typing import NDArray
from scipy import optimize

import mase_opt as mo
from mase_opt.lib.conversion.convert_mase_to_hw import ConvertMaseToHwPass
from mase_opt.lib.cost.estimate import resource_features, weighted
from mase_opt.lib.cost.features import OTHER, features_of
from mase_opt.lib.target import yosys
from mase_opt.lib.transforms.mase_build_adder_graphs import MaseBuildAdderGraphsPass
from mase_opt.model.stages import MAKE_EXPLICIT, run_pass
from mase_opt.registry import load_universe, new_context

HERE = Path(__file__).resolve().parent
DATA = HERE / "estimate_data.jsonl"
FITTED = HERE.parent / "lib" / "cost" / "fitted.json"
CACHE = HERE.parent / "build" / "estimate"
MEASURED = CACHE / "measured.jsonl"
JOBS = 2
GENERATION = 2
"""
Of circuits: one more when they change. What was measured of earlier ones is kept with
the features that it goes with, until it is measured again.
"""
ODD = 0.1
"""A relative error from which on it counts for itself, not for its square."""
SMALLEST = 50
"""LUTs below which designs are left out."""

ADDERS = ("add_both", "add_one", "order_both", "order_one")
LOGIC = ("equal_both", "equal_one", "mux_both", "mux_one", "logic", "product")
GRAPH = ("graph_both", "graph_one")
TABLES = ("table", "table_part", "table_select")
LESS = ("effort_1", "effort_2", "effort_3")
"""What makes graphs smaller."""
OTHERS = tuple(OTHER + name for name in (*ADDERS, *LOGIC))
PARTS: dict[str, tuple[Sequence[str], Sequence[str]]] = {
    "lut": (
        (*GRAPH, "constant", *ADDERS, *LOGIC, *TABLES, *OTHERS),
        LESS,
    ),
    "carry": (("adders", *GRAPH, *ADDERS, *OTHERS), LESS),
    "ff": (("registers",), ("dsp",)),
}
"""What takes some of each resource, and what makes it less."""
LEAST = {"lut": SMALLEST, "carry": 10, "ff": 20}
"""Errors of fewer than these are relative to these."""
Row = dict[str, Any]


def read(path: Path) -> list[Row]:
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def model_of(design: Design) -> mo.Model:
    """The model of a design, which takes longer to make than to read again."""
    path = CACHE / f"{design.name}.mlir"
    if not path.exists():
        design.make().save(path)
    return mo.load(path)


# ---- measuring ----------------------------------------------------------------------


def observed(model: mo.Model, options: dict[str, Any]) -> Row:
    """What the estimate of a model is made from, and the CPU time that it takes."""
    start = time.process_time()
    model.estimate(**options)
    spent = time.process_time() - start
    module = model.ir.clone()
    for name in (*MAKE_EXPLICIT, "canonicalize"):
        run_pass(new_context(load_universe()), module, name)
    graphs, hardware = (
        {k: v for k, v in options.items() if k in of.__dataclass_fields__}
        for of in (MaseBuildAdderGraphsPass, ConvertMaseToHwPass)
    )
    features = features_of(
        module, MaseBuildAdderGraphsPass(**graphs), ConvertMaseToHwPass(**hardware)
    )
    numbers = resource_features(features)
    return {
        "kind": "fixed" if features.is_fixed else "other",
        "estimate_s": round(spent, 4),
        "estimated_latency": features.pipeline.latency,
        "features": {k: round(v, 3) for k, v in numbers.items() if v},
    }


def measured(name: str) -> Row:
    """What `emit` and Yosys say of a design."""
    warnings.simplefilter("ignore")
    design = next(d for d in designs() if d.name == name)
    model = model_of(design)
    start = time.process_time()
    result = model.emit(verify=0, **design.options)
    spent = time.process_time() - start
    found = yosys.synthesize(result.verilog, result.layout.top)
    return {
        "name": name,
        "generation": GENERATION,
        "tool": f"{found.version} synth_xilinx -family {found.family}",
        "emit_s": round(spent, 4),
        "latency": result.latency,
        **{kind: getattr(found, kind) for kind in ("lut", "carry", "ff", "dsp")},
        **observed(model, design.options),
    }


def measure() -> None:
    CACHE.mkdir(parents=True, exist_ok=True)
    known = [*read(DATA), *read(MEASURED)]
    done = {row["name"] for row in known if row["generation"] == GENERATION}
    missing = [d.name for d in designs() if d.name not in done]
    with ProcessPoolExecutor(JOBS) as pool, MEASURED.open("a") as stream:
        for row in pool.map(measured, missing):
            print(json.dumps(row), file=stream, flush=True)


# ---- fitting ------------------------------------------------------------------------


def dataset() -> Iterator[Row]:
    """What was measured before, and what was since."""
    found = {row["name"]: row for row in [*read(DATA), *read(MEASURED)]}
    for design in designs():
        row = found.get(design.name)
        if row is not None and row["lut"] >= SMALLEST:
            yield {**row, "held_out": zlib.crc32(design.name.encode()) % 3 == 0}


def fitted(rows: Sequence[Row], resource: str) -> dict[str, float]:
    """Coefficients with the least relative error, squared up to `ODD`."""
    more, less = PARTS[resource]
    table = np.array(
        [
            [row["features"].get(n, 0) for n in more]
            + [-row["features"].get(n, 0) for n in less]
            for row in rows
        ]
    )
    wanted = np.array([row[resource] for row in rows], float)
    scale = np.maximum(wanted, LEAST[resource])
    table, wanted = table / scale[:, None], wanted / scale
    weight = np.ones(len(rows))
    found = np.zeros(table.shape[1])
    for _ in range(20):
        found = cast(Any, optimize).nnls(table * weight[:, None], wanted * weight)[0]
        off = np.abs(table @ found - wanted)
        weight = np.sqrt(np.minimum(1, ODD / np.maximum(off, ODD)))
    signed = [*found[: len(more)], *-found[len(more) :]]
    return {n: round(float(c), 5) for n, c in zip([*more, *less], signed, strict=True)}


def errors(
    rows: Iterable[Row], resource: str, coefficients: dict[str, float]
) -> NDArray[np.float64]:
    """Relative errors of designs."""
    return np.array(
        [
            abs(weighted(coefficients, row["features"]) - row[resource])
            / max(row[resource], LEAST[resource])
            for row in rows
        ]
    )


def fit() -> None:
    rows = list(dataset())
    text = "".join(f"{json.dumps(row)}\n" for row in rows)
    DATA.write_text(text, encoding="utf-8")
    seen = [row for row in rows if not row["held_out"]]
    coefficients = {resource: fitted(seen, resource) for resource in PARTS}
    found: dict[str, Row] = {}
    for kind in ("fixed", "other"):
        own = [row for row in rows if row["held_out"] and row["kind"] == kind]
        off = errors(own, "lut", coefficients["lut"])
        found[kind] = {
            "kind": kind,
            "designs": len(own),
            "median": round(float(np.median(off)), 3),
            "most": round(float(np.quantile(off, 0.95)), 3),
            "tool": rows[0]["tool"],
        }
    content = {"coefficients": coefficients, "errors": found}
    FITTED.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


# ---- reporting ----------------------------------------------------------------------


def ranks(values: NDArray[np.float64]) -> NDArray[np.int64]:
    return values.argsort().argsort()


def report() -> Iterator[Row]:
    coefficients = json.loads(FITTED.read_text(encoding="utf-8"))["coefficients"]
    rows = read(DATA)
    held = [row for row in rows if row["held_out"]]
    for kind in ("fixed", "other", "all"):
        own = [row for row in held if kind in (row["kind"], "all")]
        for resource in PARTS:
            off = errors(own, resource, coefficients[resource])
            wanted = np.array([row[resource] for row in own], float)
            found = [weighted(coefficients[resource], row["features"]) for row in own]
            order = np.corrcoef(ranks(wanted), ranks(np.array(found)))[0, 1]
            yield {
                "bench": "estimate",
                "formats": kind,
                "resource": resource,
                "designs": len(own),
                "median": round(float(np.median(off)), 3),
                "p95": round(float(np.quantile(off, 0.95)), 3),
                "rank_correlation": round(float(order), 4),
            }
    shares = np.array([row["estimate_s"] / row["emit_s"] for row in rows])
    yield {
        "bench": "estimate",
        "designs": len(rows),
        "same_latency": round(
            sum(r["latency"] == r["estimated_latency"] for r in rows) / len(rows), 3
        ),
        "median_share_of_emit": round(float(np.median(shares)), 4),
        "share_of_all_emits": round(
            sum(r["estimate_s"] for r in rows) / sum(r["emit_s"] for r in rows), 4
        ),
    }


def main() -> None:
    match sys.argv[1:]:
        case ["measure"]:
            measure()
        case ["fit"]:
            fit()
        case _:
            for row in report():
                print(json.dumps(row))


if __name__ == "__main__":
    main()
