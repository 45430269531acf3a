"""A search: trials, each measured from the untouched model, in a storage."""

from __future__ import annotations

import gc
import math
import signal
import threading
import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from mase_opt.lib.errors import UserError
from mase_opt.lib.search.strategy import SAMPLES, VIOLATION
from mase_opt.search.config import Config
from mase_opt.search.measure import Answer, Job
from mase_opt.search.outputs import write_outputs
from mase_opt.search.prepared import Prepared, text_hash
from mase_opt.search.progress import search_progress
from mase_opt.search.storage import (
    Owner,
    closing_storage,
    is_interrupt,
    open_study,
    silent_optuna,
    storage_errors,
)
from mase_opt.search.study import Study, Tried
from mase_opt.search.workers import Here, Processes, Workers

if TYPE_CHECKING:
    import optuna
    from optuna.trial import FrozenTrial

    from mase_opt.model.model import Model

DEFAULT_TRIALS = 100
"""How many there are unless a number is given, or the strategy ends by itself."""
JOURNAL = "study.journal"
"""The storage in an output folder."""
POLL = 0.5
"""Seconds between two looks at what other processes do."""

# Attributes of trials.
OWNER, ANSWER, SURPLUS = "owner", "answer", "surplus"


def search(
    model: Model,
    config: str | Path | Mapping[str, Any],
    *,
    data: Any = None,
    output: str | Path | None = None,
    told: Callable[[Tried], object] | None = None,
    **setup: Any,
) -> Study:
    """
    Search for models as a TOML file, or what is in its table `[search]`, says.

    `data` are those of `[search.data]`, and replace its own: by names, or one, called
    `val`. What `outputs` describes is written to the folder `output`, if there is one;
    without a storage, the study is kept there, too. `setup` replaces settings of the
    table of that name. `told` is called with every trial when it is over. Raises
    `UserError`.
    """
    with silent_optuna(), passing_over_old(), _interruptible() as interrupted:
        read = Config.of(config, setup, model.passes)
        if data is not None:
            named = {"val": data}
            if isinstance(data, Mapping):
                named = cast("Mapping[str, Any]", data)
            read = replace(read, data={**read.data, **named})
        if output is not None and read.setup.storage is None:
            journal = str(Path(output) / JOURNAL)
            read = replace(read, setup=replace(read.setup, storage=journal))
        study = _Search(Prepared(model, read), interrupted, told).run()
        if output is not None:
            write_outputs(study, output)
        return study


@contextmanager
def _interruptible() -> Generator[threading.Event]:
    """
    Ctrl-C raises `KeyboardInterrupt` once, also in `mase-opt`, and never again there.

    What there is has to be written, and a terminal tells `mase-opt` twice: by itself
    and by the process that supervises it.
    """
    interrupted = threading.Event()
    if threading.current_thread() is not threading.main_thread():
        yield interrupted
        return

    def on_signal(*_: object) -> None:
        if not interrupted.is_set():
            interrupted.set()
            raise KeyboardInterrupt

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield interrupted
    finally:
        if before is not signal.SIG_DFL or not interrupted.is_set():
            signal.signal(signal.SIGINT, before)


@contextmanager
def passing_over_old() -> Generator[None]:
    """
    Let the garbage collector pass over all that is there before.

    A trial leaves a model as garbage; to find it among all that is loaded takes longer
    than some trials.
    """
    if gc.get_freeze_count():  # whoever did that needs it for longer
        yield
        return
    gc.freeze()
    try:
        yield
    finally:
        gc.unfreeze()


class _Search:
    """The trials of a study, started, measured and told in an order of their own."""

    def __init__(
        self,
        prepared: Prepared,
        interrupted: threading.Event,
        told: Callable[[Tried], object] | None,
    ):
        self._prepared = prepared
        self._setup = prepared.config.setup
        self._strategy = prepared.strategy
        self._objectives = prepared.objectives
        self._interrupted = interrupted
        self._told = told
        self._show: Callable[[Tried], None] = lambda trial: None
        setup = self._setup
        self._end = None if setup.timeout is None else time.monotonic() + setup.timeout
        self._limit = setup.n_trials
        if self._limit is None and not self._strategy.exhaustive:
            self._limit = DEFAULT_TRIALS
        self._batch = setup.batch or self._strategy.batch
        self._storage, self._study = open_study(
            setup.storage,
            setup.study,
            self._objectives.directions,
            # Printing a large model takes seconds.
            {} if setup.storage is None else prepared.fingerprint,
        )
        self._ids: dict[int, int] = {}
        self._answers: dict[int, Answer] = {}
        self._owner = Owner(
            self._storage, self._study, shared=setup.storage is not None
        )

    def run(self) -> Study:
        """Until there is nothing left to try, the time is over, or Ctrl-C."""
        prepared = self._prepared
        with (
            storage_errors(self._setup.storage),
            closing_storage(self._storage),
            self._owner,
        ):
            if self._setup.n_jobs > 1:
                workers: Workers = Processes(prepared.bench, self._setup.n_jobs)
            else:
                workers = Here(prepared.bench, prepared.runners)
            try:
                with self._progress() as self._show:
                    self._work(workers)
            except BaseException as error:
                if not is_interrupt(error):
                    raise
                # It comes from elsewhere where no handler of ours is.
                self._interrupted.set()
            finally:
                workers.close()
            trials = [t for t in self._trials() if t.state.is_finished()]
        return Study(
            tuple(self._tried(t) for t in trials if SURPLUS not in t.user_attrs),
            prepared.model,
            prepared.config,
            self._objectives,
            prepared.bench,
            prepared.runners,
            self._interrupted.is_set(),
        )

    def _progress(self) -> AbstractContextManager[Callable[[Tried], None]]:
        known = [self._tried(t) for t in self._trials() if t.state.is_finished()]
        size = self._strategy.encoding.size
        total = size if self._limit is None else min(self._limit, size)
        return search_progress(
            known, total, self._setup.timeout, self._objectives.by_metric
        )

    def _work(self, workers: Workers) -> None:
        while self._may_start():
            trials = self._trials()
            mine = [t for t in trials if self._is_mine(t)]
            if (room := self._room(trials, mine)) > 0:
                numbers = self._ask(room)
                mine += [t for t in self._trials() if t.number in numbers]
            if mine:
                self._measure(mine, workers)
            elif any(not t.state.is_finished() for t in trials):
                time.sleep(POLL)  # others work on the rest, and may die
            else:
                return

    def _trials(self) -> list[FrozenTrial]:
        return self._study.get_trials(deepcopy=False)

    def _may_start(self) -> bool:
        return self._end is None or time.monotonic() < self._end

    def _is_mine(self, trial: FrozenTrial) -> bool:
        """Whether this search has to measure a trial; it takes over lost ones."""
        if trial.state.is_finished():
            return False
        owner: str | None = trial.user_attrs.get(OWNER)
        if owner == self._owner.name:
            return True
        if not self._owner.lost(owner, trial.number):
            return False
        self._set(trial, OWNER, self._owner.name)
        return True

    def _room(self, trials: Sequence[FrozenTrial], mine: Sequence[FrozenTrial]) -> int:
        """How many trials to start before any of `mine` is told."""
        count = len(trials)
        started = count % self._batch
        if mine and (
            started == 0 or any(t.state.is_finished() for t in trials[-started:])
        ):
            return 0
        room = self._batch - started
        if self._limit is not None:
            room = min(room, self._limit - count)
        size = self._strategy.encoding.size
        if self._strategy.once:
            room = min(room, size - count)
        if count < size:
            return room
        # Whatever else were tried would be known.
        points = {repr(sorted(t.params.items())) for t in trials if is_whole(t)}
        return 0 if len(points) >= size else room

    def _ask(self, count: int) -> set[int]:
        """Start trials; their numbers."""
        asked = self._strategy.ask(self._study, count)
        for trial in asked:
            trial.set_user_attr(OWNER, self._owner.name)
            if self._limit is not None and trial.number >= self._limit:
                # Others have asked at the same time.
                trial.set_user_attr(SURPLUS, True)
                self._study.tell(trial, state=_state("FAIL"))
        return {trial.number for trial in asked}

    def _measure(self, mine: Sequence[FrozenTrial], workers: Workers) -> None:
        """Measure trials and tell the study, in the order of their numbers."""
        known = self._known()
        answers: dict[int, Answer] = {}
        jobs: dict[str, tuple[Job, list[FrozenTrial]]] = {}
        for trial in mine:
            if (answer := _answer_of(trial)) is not None:
                answers[trial.number] = answer
            elif isinstance(job := self._job(trial), Answer):
                answers[trial.number] = self._keep(trial, job)
            elif (answer := known.get(job.key)) is not None:
                answers[trial.number] = self._keep(trial, replace(answer, seconds=0.0))
            else:
                jobs.setdefault(job.key, (job, []))[1].append(trial)
        same = {job.number: trials for job, trials in jobs.values()}
        try:
            todo = [job for job, _ in jobs.values()]
            for job, measured in workers.measure(todo, self._may_start):
                answer = replace(measured, key=job.key)
                for trial in same[job.number]:
                    # Not told yet, but not lost either.
                    answers[trial.number] = self._keep(trial, answer)
                    answer = replace(answer, seconds=0.0)
        finally:
            for trial in mine:
                if trial.number in answers:
                    self._tell(trial, answers[trial.number])
        for trial in self._trials():
            if trial.number in answers and not trial.state.is_finished():
                # As a journal that someone has emptied.
                raise OSError(f"what was written of trial {trial.number} is not there")

    def _known(self) -> Mapping[str, Answer]:
        """All answers there are, by the keys of their jobs."""
        for trial in self._trials():
            if trial.number not in self._answers:
                if (answer := _answer_of(trial)) is not None:
                    self._answers[trial.number] = answer
        return {answer.key: answer for answer in self._answers.values()}

    def _keep(self, trial: FrozenTrial, answer: Answer) -> Answer:
        """Write an answer into the storage; what it is worth."""
        if not answer.reason and any(
            math.isnan(v) for v in self._objectives.of_values(answer.values)
        ):
            answer = Answer({}, "the objective is NaN", answer.seconds, answer.key)
        self._set(trial, ANSWER, asdict(answer))
        return answer

    def _job(self, trial: FrozenTrial) -> Job | Answer:
        """What is to measure, or why there is nothing."""
        point = self._strategy.encoding.decode(trial.params)
        if point is None:
            return Answer({}, "the process that chose the point died")
        try:
            decision = self._prepared.decision(point)
        except UserError as error:
            return Answer({}, str(error))
        samples: int | None = trial.user_attrs.get(SAMPLES)
        key = text_hash([decision.key, samples])
        return Job(trial.number, point, decision, samples, key)

    def _tell(self, trial: FrozenTrial, answer: Answer) -> None:
        number = trial.number
        if answer.reason:
            self._study.tell(number, state=_state("FAIL"), skip_if_finished=True)
        else:
            if constraints := self._objectives.constraints(answer.values):
                import optuna

                asked = optuna.Trial(self._study, self._id(number))
                for name, miss in constraints.items():
                    asked.set_constraint(name, miss)
                violation = sum(max(miss, 0.0) for miss in constraints.values())
                self._set(trial, VIOLATION, violation)
            values = self._objectives.of_values(answer.values)
            self._study.tell(number, values, skip_if_finished=True)
        (over,) = (t for t in self._trials() if t.number == number)
        tried = self._tried(over)
        self._show(tried)
        if self._told is not None:
            self._told(tried)

    def _id(self, number: int) -> int:
        """What the storage calls a trial."""
        if number not in self._ids:
            study = self._storage.get_study_id_from_name(self._study.study_name)
            find = self._storage.get_trial_id_from_study_id_trial_number
            self._ids[number] = find(study, number)
        return self._ids[number]

    def _set(self, trial: FrozenTrial, name: str, value: Any) -> None:
        """Note something of a trial, unless someone else has finished it."""
        from optuna.exceptions import UpdateFinishedTrialError

        with suppress(UpdateFinishedTrialError):
            self._storage.set_trial_user_attr(self._id(trial.number), name, value)

    def _tried(self, trial: FrozenTrial) -> Tried:
        point = self._strategy.encoding.decode(trial.params) or {}
        answer = _answer_of(trial) or Answer({}, "lost")
        decision = None
        with suppress(UserError):
            decision = self._prepared.decision(point)
        return Tried(
            trial.number,
            point,
            decision,
            trial.user_attrs.get(SAMPLES),
            answer.values,
            tuple(trial.values or ()),
            trial.user_attrs.get(VIOLATION, 0.0),
            "failed" if answer.reason else "complete",
            answer.reason,
            answer.seconds,
        )


def is_whole(trial: FrozenTrial) -> bool:
    """Whether a trial takes all samples."""
    return trial.user_attrs.get(SAMPLES) is None


def _answer_of(trial: FrozenTrial) -> Answer | None:
    found = trial.user_attrs.get(ANSWER)
    return None if found is None else Answer(**found)


def _state(name: str) -> optuna.trial.TrialState:
    from optuna.trial import TrialState

    return TrialState[name]
