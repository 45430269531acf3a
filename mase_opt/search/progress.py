"""The line that says how far a search is."""

from __future__ import annotations

import time
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING

from mase_opt.lib.console import progress_bar
from mase_opt.lib.search.strategy import Direction
from mase_opt.search.report import Best

if TYPE_CHECKING:
    from mase_opt.search.study import Tried


@contextmanager
def search_progress(
    known: Sequence[Tried],
    total: int,
    timeout: float | None,
    directions: Mapping[str, Direction],
) -> Generator[Callable[[Tried], None]]:
    """
    What to call with each trial that is over; a line on a terminal.

    `total` trials are wanted within `timeout` seconds, and `known` are there already;
    `directions` are those of the metrics to show.
    """
    start, best = time.monotonic(), Best(directions)
    for trial in known:
        best.add(trial)
    with progress_bar("trials", total) as show:

        def update(trial: Tried) -> None:
            best.add(trial)
            done, seconds = best.trials - len(known), time.monotonic() - start
            left = seconds_left(done, total - len(known), seconds, timeout)
            show(best.trials, line(best, total, left))

        yield update


def seconds_left(
    done: int, total: int, seconds: float, timeout: float | None
) -> float | None:
    """The seconds until `total` trials are done, or all time is up; None: unknown."""
    left = None if done == 0 else seconds / done * max(total - done, 0)
    rest = None if timeout is None else max(timeout - seconds, 0)
    return min((s for s in (left, rest) if s is not None), default=None)


def line(best: Best, total: int, left: float | None) -> str:
    """How many trials there are, the best values so far, and how long it will take."""
    parts = [f"{best.trials}/{total}"]
    parts += [f"{metric} {value:.5g}" for metric, value in best.values.items()]
    if left is not None:
        minutes, rest = divmod(round(left), 60)
        hours, minutes = divmod(minutes, 60)
        clock = f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"
        parts.append(f"{clock} left")
    return "  ".join(parts)
