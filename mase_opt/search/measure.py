"""One trial: build its model, measure it."""

from __future__ import annotations

import contextlib
import io
import math
import time
import warnings
from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import import_module
from typing import TYPE_CHECKING, Any

from mase_opt.lib.errors import UserError
from mase_opt.lib.search.space import CALIBRATE, QUANTIZE, Decision, Point
from mase_opt.lib.search.tables import check_keys
from mase_opt.search.runner import HARDWARE, SOFTWARE, Runner, RunnerContext, Trial

if TYPE_CHECKING:
    from mase_opt.model.model import Model


@dataclass(frozen=True)
class Job:
    """A trial to measure."""

    number: int
    point: Point
    decision: Decision
    samples: int | None
    key: str
    """The same for what must give the same answer."""


@dataclass(frozen=True)
class Answer:
    """What was measured, or the reason why nothing was."""

    values: Mapping[str, float]
    reason: str = ""
    seconds: float = 0.0
    key: str = ""
    """Of the job that it is the answer to; empty if it is to none."""


@dataclass(frozen=True)
class Bench:
    """All that a process needs to measure trials; sent to each once."""

    context: RunnerContext
    calibration: Any
    """Data, or a file, for what is calibrated again; None: there is none."""
    software: Mapping[str, Mapping[str, Any]]
    hardware: Mapping[str, Mapping[str, Any]]
    threads: int
    modules: Sequence[str] = ()
    """Where runners of packages are defined."""

    def runners(self) -> list[Runner]:
        """The runners, made; raises `UserError`."""
        for module in self.modules:
            import_module(module)
        made: list[Runner] = []
        kinds = (("sw", SOFTWARE, self.software), ("hw", HARDWARE, self.hardware))
        for kind, registry, tables in kinds:
            for name, table in tables.items():
                where = f"strategy.{kind}_runner.{name}"
                found = registry.find(name, f"strategy.{kind}_runner")
                check_keys(table, found.keys, where)
                made.append(found(table, self.context))
        return made


def build(
    base: Model, decision: Decision, calibration: Any = None, *, masters: bool = False
) -> Model:
    """
    The model that a decision makes of `base`, which stays; raises `UserError`.

    `calibration` is for a `mase-calibrate` without data; `masters` are for training.
    """
    model = base
    for name, options in decision.passes:
        if name == QUANTIZE:
            model = model.quantize(**options, masters=masters)
        elif name == CALIBRATE:
            data = options.get("data", calibration)
            if data is None:
                raise UserError(
                    "the weights change, so the model is calibrated again: name a file "
                    "as calibration in [search.data]"
                )
            model = model.calibrate(**{**options, "data": data})
        else:
            model = model.apply(name, **options)
    return model


def prepared(bench: Bench, runners: Sequence[Runner], job: Job) -> Trial:
    """The trial with the model to measure; raises `UserError`."""
    parts = (bench.context.model, job.decision, bench.calibration)
    trial = Trial(
        job.number,
        job.point,
        job.decision,
        build(*parts),
        job.samples,
        lambda: build(*parts, masters=True),
    )
    for runner in runners:
        trial = replace(trial, model=runner.prepare(trial))
    return trial


def measure(bench: Bench, runners: Sequence[Runner], job: Job) -> Answer:
    """
    What the runners say of a trial.

    Whatever goes wrong is the reason why the trial fails, not the end of a search.
    """
    start = time.perf_counter()
    values: dict[str, float] = {}
    try:
        with quietly(bench):
            trial = prepared(bench, runners, job)
            for runner in runners:
                measured = runner.measure(trial)
                _check(runner, measured)
                values |= measured
    except UserError as error:
        return Answer({}, str(error), time.perf_counter() - start)
    # Models, torch and plug-ins raise what they like, and may call sys.exit.
    except (Exception, SystemExit) as error:
        reason = f"{type(error).__name__}: {error}".rstrip(": ")
        return Answer({}, reason, time.perf_counter() - start)
    return Answer(values, "", time.perf_counter() - start)


def _check(runner: Runner, measured: Mapping[str, float]) -> None:
    for metric in runner.metrics:
        if metric not in measured:
            raise UserError(f"runner {runner.name} gives no {metric}")
        if math.isnan(measured[metric]):
            raise UserError(f"runner {runner.name}: {metric} is NaN")


@contextlib.contextmanager
def quietly(bench: Bench) -> Generator[None]:
    """Without what passes report and warn of, which would come with every trial."""
    with (
        _torch_threads(bench.threads) if bench.software else contextlib.nullcontext(),
        contextlib.redirect_stderr(io.StringIO()),
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("ignore")
        yield


@contextlib.contextmanager
def _torch_threads(count: int) -> Generator[None]:
    """
    Torch has `count` threads in the block.

    How sums are split must not depend on how many processes there are.
    """
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
