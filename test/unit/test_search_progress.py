"""The line that says how far a search is."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time

import pytest

from mase_opt.search.progress import line, seconds_left
from mase_opt.search.report import Best
from mase_opt.search.study import Tried


def tried(number: int, violation: float = 0.0, **values: float) -> Tried:
    state = "complete" if values else "failed"
    return Tried(number, {}, None, None, values, (), violation, state, "", 1.0)


def test_the_best_of_each_metric_is_shown():
    trials = [
        tried(0, accuracy=0.5, lut=300.0),
        tried(1),
        tried(2, accuracy=0.75, lut=1234567.0),
        # Out of bounds: it is no candidate.
        tried(3, violation=0.1, accuracy=1.0, lut=1.0),
    ]
    best = Best({"accuracy": "maximize", "lut": "minimize"})
    assert line(best, 16, None) == "0/16"
    for trial in trials:
        best.add(trial)
    assert line(best, 16, 75.2) == "4/16  accuracy 0.75  lut 300  1:15 left"
    assert line(best, 16, 3725.0).endswith("1:02:05 left")


@pytest.mark.parametrize(
    ("done", "total", "seconds", "timeout", "left"),
    [
        (4, 16, 10.0, None, 30.0),
        (16, 16, 10.0, None, 0.0),
        (0, 16, 10.0, None, None),
        (0, 16, 10.0, 60.0, 50.0),
        (4, 16, 10.0, 20.0, 10.0),
        (4, 16, 10.0, 100.0, 30.0),
        (4, 16, 30.0, 20.0, 0.0),
    ],
)
def test_time_left(
    done: int, total: int, seconds: float, timeout: float | None, left: float | None
):
    assert seconds_left(done, total, seconds, timeout) == left


SCRIPT = """
from mase_opt.search.progress import search_progress
from test_search_progress import tried

before = [tried(0, accuracy=0.0)]
with search_progress(before, 3, None, {"accuracy": "maximize"}) as update:
    for number in range(1, 3):
        update(tried(number, accuracy=number / 4))
        input()
"""


def test_it_moves_on_a_terminal_alone():
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "80"}
    environment["PYTHONPATH"] = os.path.dirname(__file__)
    main, program = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", SCRIPT],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=program,
        env=environment,
    )
    os.close(program)
    assert process.stdin is not None
    shown = ""
    for text in ("2/3 accuracy 0.25", "3/3 accuracy 0.5"):
        limit = time.monotonic() + 60
        while text not in shown:
            assert time.monotonic() < limit, shown
            if select.select([main], [], [], 1)[0]:
                new = os.read(main, 1 << 16).decode()
                shown += " ".join(re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", new).split())
        process.stdin.write(b"\n")
        process.stdin.flush()
    out, _ = process.communicate(timeout=60)
    os.close(main)
    assert process.returncode == 0
    assert out == b""
    done = subprocess.run(
        [sys.executable, "-c", SCRIPT],
        input="\n" * 3,
        capture_output=True,
        env=environment,
        text=True,
        check=True,
    )
    assert (done.stdout, done.stderr) == ("", "")
