"""
What people see of a run: phases with their times, progress, and other words.

All of it goes to standard error. What moves is for terminals and notebooks alone;
`quietly` silences everything here, so warnings and errors do not come from here.
"""

from __future__ import annotations

import os
import sys
import time
from collections.abc import Generator, Iterable, Sequence
from contextlib import contextmanager, nullcontext
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol, TextIO, TypeVar

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

Step = TypeVar("Step")

_quiet = False
_phases: _Phases | None = None


@contextmanager
def quietly(quiet: bool) -> Generator[None]:
    """Whether nothing from here is shown within the block."""
    global _quiet
    before, _quiet = _quiet, _quiet or quiet
    try:
        yield
    finally:
        _quiet = before


def is_watched() -> bool:
    """Whether someone looks at a terminal or a notebook, and wants to."""
    return not _quiet and (sys.stderr.isatty() or _in_notebook())


def _in_notebook() -> bool:
    """Whether this is the kernel of a notebook that can show what moves."""
    if "ipykernel" not in sys.modules or find_spec("ipywidgets") is None:
        return False
    from rich.console import Console

    return Console().is_jupyter


def line_width(stream: TextIO | None) -> int | None:
    """
    How many characters a line of `stream` has; None: as many as there are.

    That is the variable COLUMNS, or the width of the terminal. Files and pipes have no
    width of their own, nor has a standard stream that is closed (None).
    """
    if (columns := os.environ.get("COLUMNS", "")).isdecimal() and int(columns) > 0:
        return int(columns)
    if stream is None or not stream.isatty():
        return None
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


def is_ascii(stream: TextIO | None) -> bool:
    """Whether `stream` takes no more than ASCII, by its encoding or its terminal."""
    encoding = (stream and stream.encoding) or "ascii"
    return not encoding.lower().startswith("utf") or os.environ.get("TERM") == "dumb"


def tell(text: str) -> None:
    """Write whole lines to standard error, unless the run is quiet."""
    if not _quiet:
        write_line(text)


def write_line(text: str) -> None:
    """Write whole lines to standard error, above what moves there."""
    if _phases is not None:
        _phases.console.out(text.removesuffix("\n"), highlight=False)
    else:
        sys.stderr.write(text)


class _Phases:
    """The phase of a run that goes on, and how far it is."""

    def __init__(self, console: Console, bars: Progress):
        self.console = console
        self.bars = bars
        self.title: str | None = None
        self.start = 0.0

    def begin(self, title: str | None) -> None:
        """The phase before is done; None: it was the last one."""
        if self.title is not None:
            seconds = time.perf_counter() - self.start
            for task in self.bars.task_ids:
                self.bars.remove_task(task)
            self.console.out(f"{seconds:7.2f} s  {self.title}", highlight=False)
        self.title, self.start = title, time.perf_counter()
        if title is not None:
            self.bars.add_task(title, total=None)


@contextmanager
def phases(wanted: bool = True) -> Generator[None]:
    """
    Show what `phase` says within the block, if someone watches and it is `wanted`.

    The running phase moves; those that are done stay, with their times. That of an
    exception does not.
    """
    global _phases
    if not wanted or _phases is not None or not is_watched():
        yield
        return
    with _bars() as bars:
        _phases = _Phases(bars.console, bars)
        try:
            yield
            _phases.begin(None)
        finally:
            _phases = None


def phase(title: str | None) -> None:
    """Say that the next phase of a run begins; None: that the last one is done."""
    if _phases is not None:
        _phases.begin(title)


def progress(steps: Sequence[Step], title: str) -> Iterable[Step]:
    """`steps`, with a progress bar on a terminal if there are several."""
    with progress_bar(title, len(steps) if len(steps) > 1 else 0) as show:
        for done, step in enumerate(steps, 1):
            yield step
            show(done)


class Show(Protocol):
    """What moves a progress bar."""

    def __call__(self, done: float, title: str | None = None) -> None:
        """So many of the steps are done; what the bar says from now on, if given."""
        ...


@contextmanager
def progress_bar(title: str, steps: int) -> Generator[Show]:
    """What to call with how many of the steps are done; a bar on a terminal."""
    if not steps or not is_watched():
        yield lambda done, title=None: None
        return
    with nullcontext(_phases.bars) if _phases is not None else _bars() as bars:
        task = bars.add_task(title, total=steps)
        yield lambda done, title=None: bars.update(
            task, completed=done, description=title
        )
        bars.remove_task(task)


def _bars() -> Progress:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, Task, TextColumn, TimeElapsedColumn
    from rich.progress_bar import ProgressBar

    class KnownBarColumn(BarColumn):
        """A bar where it is known how much there is to do."""

        def render(self, task: Task) -> ProgressBar:
            bar = super().render(task)
            bar.width = 0 if task.total is None else bar.width
            return bar

    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}", markup=False),
        KnownBarColumn(),
        TimeElapsedColumn(),
        console=console,
        disable=console.is_dumb_terminal,
        transient=True,
        refresh_per_second=4,
        # Within a run, standard output is where it has been sent, and errors are whole
        # lines.
        redirect_stdout=False,
        redirect_stderr=False,
    )
