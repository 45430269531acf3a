"""
Sweeps: many foreign programs, each imported, run by the interpreter and compared.

Cases run in a child process, so that the death of the importer is recorded as such and
ends neither the test nor the cases behind it.
"""

from __future__ import annotations

import importlib
import json
import os
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol, cast

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp
from xdsl.utils.exceptions import (
    InterpretationError,
    ParseError,
    PassFailedException,
    VerifyException,
)

from mase_opt.lib.errors import UserError
from mase_opt.lib.interpreters.mase import evaluate

REFUSALS = (UserError, PassFailedException, ParseError, VerifyException)

TOLERANCE = 1e-5
"""Of floats, relative to the largest magnitude of a result; others are equal."""

PATIENCE = 300
"""Seconds for one program after which the child counts as hanging."""

WIDE = os.environ.get("MASE_SWEEP") == "all"
"""Whether to run all programs, which takes many minutes, not only some of each kind."""


class Outcome(StrEnum):
    EQUAL = "equal"
    REFUSED = "refused"
    WRONG = "wrong"
    CRASHED = "crashed"


class Result(NamedTuple):
    name: str
    outcome: Outcome
    detail: str


@dataclass
class Program:
    """A program to import, and what it computes."""

    load: Callable[[], ModuleOp]
    inputs: Sequence[NDArray[Any]]
    expected: Sequence[NDArray[Any]]
    tolerance: float = TOLERANCE


class Cases(Protocol):
    """What a module of cases has."""

    def programs(self, batch: str) -> Mapping[str, Callable[[], Program]]: ...


def sweep(cases: str, batch: str) -> list[Result]:
    """Judge the programs of a batch of the module `cases`, in child processes."""
    results: list[Result] = []
    while _child(cases, batch, results):
        pass
    return results


def _child(cases: str, batch: str, results: list[Result]) -> bool:
    """Add the results of a child; true if it died of a program, the last one then."""
    with subprocess.Popen(
        [sys.executable, "-c", f"import sweeps; sweeps.serve({cases!r}, {batch!r})"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parent)},
        text=True,
    ) as child:
        assert child.stdin is not None
        assert child.stdout is not None
        json.dump([result.name for result in results], child.stdin)
        child.stdin.close()
        while name := child.stdout.readline():
            timer = threading.Timer(PATIENCE, child.kill)
            timer.start()
            line = child.stdout.readline()
            timer.cancel()
            if not line:
                end = f"exit status {child.wait()}"
                results.append(Result(json.loads(name), Outcome.CRASHED, end))
                return True
            outcome, detail = json.loads(line)
            results.append(Result(json.loads(name), Outcome(outcome), detail))
        assert child.wait() == 0, f"the child of {cases} ended outside of a program"
    return False


def serve(cases: str, batch: str) -> None:
    """The child: two lines go out for each program, its name and what became of it."""
    # Native libraries print to standard output, too.
    report = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    done = set(json.load(sys.stdin))
    module = cast(Cases, importlib.import_module(cases))
    for name, make in module.programs(batch).items():
        if name not in done:
            print(json.dumps(name), file=report, flush=True)
            print(json.dumps(judge(make)), file=report, flush=True)


def judge(make: Callable[[], Program]) -> tuple[Outcome, str]:
    """What becomes of a program, and why."""
    try:
        program = make()
        try:
            module = program.load()
        except REFUSALS as error:
            return Outcome.REFUSED, str(error)
        module.verify()
        try:
            values = evaluate(module, [x[None] for x in program.inputs])
        except InterpretationError as error:
            return Outcome.WRONG, str(error)
        # An array of Python integers gives numbers.
        results = [np.asarray(value[0]) for value in values]
        problem = _difference(results, program.expected, program.tolerance)
        return (Outcome.WRONG, problem) if problem else (Outcome.EQUAL, "")
    except Exception:  # whatever a bug raises
        return Outcome.CRASHED, traceback.format_exc()


def _difference(
    results: Sequence[NDArray[Any]], expected: Sequence[NDArray[Any]], tolerance: float
) -> str:
    """How results differ from what is expected, empty if they don't."""
    if len(results) != len(expected):
        return f"{len(results)} results, expected {len(expected)}"
    for index, (result, want) in enumerate(zip(results, expected, strict=True)):
        if result.dtype.kind != want.dtype.kind and not {
            result.dtype.kind,
            want.dtype.kind,
        } <= {"i", "u", "O"}:
            return f"result {index} is {result.dtype}, expected {want.dtype}"
        if result.shape != want.shape:
            return f"result {index} has shape {result.shape}, expected {want.shape}"
        wrong = np.asarray(result != want)
        if want.dtype.kind == "f":
            scale = np.abs(want, where=np.isfinite(want), out=np.zeros_like(want))
            with np.errstate(invalid="ignore"):  # inf - inf
                distance = np.abs(result - want)
            near = distance <= tolerance * max(scale.max(initial=0), 1)
            wrong &= ~near & ~(np.isnan(result) & np.isnan(want))
        if wrong.any():
            return f"result {index}: {result[wrong][:4]}, expected {want[wrong][:4]}"
    return ""


def check(title: str, results: Sequence[Result], equal: int) -> None:
    """Print the summary; fails if one is wrong, or fewer than `equal` are equal."""
    found = {o: [r for r in results if r.outcome is o] for o in Outcome}
    counts = ", ".join(f"{len(found[o])} {o}" for o in Outcome)
    print(f"{title}: {len(results)} cases, {counts}")
    bad = [*found[Outcome.WRONG], *found[Outcome.CRASHED]]
    assert not bad, "\n".join(f"{r.outcome} {r.name}: {r.detail}" for r in bad)
    assert len(found[Outcome.EQUAL]) >= equal
