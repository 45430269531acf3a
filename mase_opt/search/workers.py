"""Processes that measure trials, and may die."""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import cached_property
from multiprocessing.connection import Connection, Pipe, wait
from typing import Any, Protocol

from mase_opt.lib.errors import UserError
from mase_opt.search.measure import Answer, Bench, Job, measure
from mase_opt.search.runner import Runner

ATTEMPTS = 3
"""How often a trial is tried whose process dies."""


class Workers(Protocol):
    """What measures trials, some at a time."""

    def measure(
        self, jobs: Iterable[Job], may_start: Callable[[], bool]
    ) -> Iterator[tuple[Job, Answer]]:
        """
        The answers, as they come.

        Once `may_start` says no, only what was started is answered.
        """
        ...

    def close(self) -> None:
        """End at once."""
        ...


class Here:
    """This process, one trial at a time."""

    def __init__(self, bench: Bench, runners: Sequence[Runner]):
        self._bench = bench
        self._runners = runners

    def measure(
        self, jobs: Iterable[Job], may_start: Callable[[], bool]
    ) -> Iterator[tuple[Job, Answer]]:
        for job in jobs:
            if not may_start():
                return
            yield job, measure(self._bench, self._runners, job)

    def close(self) -> None:
        pass


class Processes:
    """Processes of their own; one that dies is replaced, and its trial tried again."""

    def __init__(self, bench: Bench, count: int):
        self._bench = bench
        self._count = count
        self._workers: list[_Worker] = []

    def measure(
        self, jobs: Iterable[Job], may_start: Callable[[], bool]
    ) -> Iterator[tuple[Job, Answer]]:
        waiting = deque(jobs)
        if waiting and not self._workers:
            self._workers = [_Worker(self._setup) for _ in range(self._count)]
        deaths: dict[int, int] = {}
        while True:
            for worker in self._workers:
                if worker.job is None and waiting and may_start():
                    worker.start(waiting.popleft())
            busy = {w.connection: w for w in self._workers if w.job is not None}
            if not busy:
                return
            for ready in wait(list(busy)):
                assert isinstance(ready, Connection)
                worker = busy[ready]
                job = worker.job
                assert job is not None
                answer = worker.answer()
                if answer is not None:
                    yield job, answer
                    continue
                code = worker.close()
                self._workers[self._workers.index(worker)] = _Worker(self._setup)
                deaths[job.number] = deaths.get(job.number, 0) + 1
                if deaths[job.number] < ATTEMPTS:
                    waiting.appendleft(job)
                else:
                    yield job, Answer({}, f"its process died: {_ending(code)}")

    @cached_property
    def _setup(self) -> bytes:
        return pickle.dumps(self._bench)

    def close(self) -> None:
        for worker in self._workers:
            worker.close()


def _ending(code: int) -> str:
    if code >= 0:
        return f"exit code {code}"
    name = signal.Signals(-code).name
    return f"{name}, perhaps because memory ran out" if code == -9 else name


class _Worker:
    """One process, and what it is measuring."""

    def __init__(self, setup: bytes):
        self.job: Job | None = None
        self.connection, theirs = Pipe()
        with theirs:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "mase_opt.search.worker", str(theirs.fileno())],
                # It ends when its standard input does: when this process dies.
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                # An interrupt from the terminal is for this process alone.
                process_group=0,
            )
        self.pid = self._process.pid
        self._setup: bytes | None = setup

    def start(self, job: Job) -> None:
        self.job = job
        with contextlib.suppress(OSError):  # it is dead: `answer` will tell
            if self._setup is not None:
                self.connection.send_bytes(self._setup)
                self._setup = None
            self.connection.send(job)

    def answer(self) -> Answer | None:
        """The answer that is there; None if the process has died."""
        try:
            answer: Any = self.connection.recv()
        except (EOFError, OSError):
            return None
        self.job = None
        if isinstance(answer, UserError):
            raise answer
        return answer

    def close(self) -> int:
        """End the process; its exit code."""
        with contextlib.suppress(ProcessLookupError):
            # With the programs that it has started.
            os.killpg(self.pid, signal.SIGKILL)
        code = self._process.wait()
        self.connection.close()
        assert self._process.stdin is not None
        self._process.stdin.close()
        return code
