"""Signals end a run wherever it is, with all it has started and written."""

import contextlib
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable, Generator
from dataclasses import dataclass
from pathlib import Path

import pytest

from mase_opt.lib.simulation import verilator

ROOT = Path(__file__).parents[2]
ENDLESS = ROOT / "test" / "driver" / "Inputs" / "endless.py"
DIGITS = ROOT / "examples" / "digits"

pytestmark = pytest.mark.skipif(
    sys.platform != "linux", reason="runs are supervised under Linux only"
)
needs_verilator = pytest.mark.skipif(
    verilator.available() is not None, reason=str(verilator.available())
)


@dataclass
class Run:
    """A program, and the processes that come from it."""

    process: subprocess.Popen[str]
    mark: str
    folder: Path

    def family(self) -> dict[int, str]:
        """Names of all processes that have inherited the mark in the environment."""
        found: dict[int, str] = {}
        for entry in Path("/proc").iterdir():
            if entry.name.isdecimal():
                try:
                    environment = (entry / "environ").read_bytes()
                    name = (entry / "comm").read_text().strip()
                except OSError:
                    continue
                if self.mark.encode() in environment:
                    found[int(entry.name)] = name
        return found

    def wait_for(self, condition: Callable[[], object]) -> None:
        """Until the condition holds; the program must be running then."""
        while not condition():
            assert self.process.poll() is None, self.process.communicate()
            time.sleep(0.02)

    def end(self, number: signal.Signals) -> tuple[int, str, str]:
        """Send a signal; the return code, standard output and error."""
        start = time.perf_counter()
        self.process.send_signal(number)
        out, err = self.process.communicate(timeout=60)
        print(f"ended in {time.perf_counter() - start:.3f} s")
        return self.process.returncode, out, err

    def left_files(self) -> list[str]:
        return sorted(p.name for p in self.folder.rglob("*"))


Start = Callable[..., Run]


@pytest.fixture
def start(tmp_path: Path) -> Generator[Start]:
    runs: list[Run] = []

    def begin(name: str, *arguments: str | Path) -> Run:
        mark, folder = f"MASE_TEST_MARK={uuid.uuid4()}", tmp_path / "work"
        (folder / "temporary").mkdir(parents=True)
        key, _, value = mark.partition("=")
        stand_in = tmp_path / "bin" / "yosys"
        stand_in.parent.mkdir()
        # Yosys starts a program, too; these two are harder to end.
        stand_in.write_text("#!/bin/sh\ntrap '' INT TERM\nsleep 1000\n")
        stand_in.chmod(0o755)
        path = os.pathsep.join([str(stand_in.parent), os.environ["PATH"]])
        process = subprocess.Popen(
            [str(Path(sys.executable).with_name(name)), *map(str, arguments)],
            cwd=folder,
            env={
                **os.environ,
                key: value,
                "PATH": path,
                "TMPDIR": str(folder / "temporary"),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        runs.append(Run(process, mark, folder))
        return runs[-1]

    yield begin
    for run in runs:
        for pid in run.family():
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        run.process.communicate()


@pytest.fixture
def compute(start: Start, tmp_path: Path) -> Callable[[str], Run]:
    """Runs of `mase-opt` that are in one function of the plug-in."""
    model = tmp_path / "m.mlir"
    model.write_text("func.func @f() {\n  func.return\n}\n")

    def begin(where: str) -> Run:
        run = start(
            *("mase-opt", "--load-plugin", ENDLESS, f"--test-compute=where={where}"),
            *(model, "-o", "out.mlir"),
        )
        assert run.process.stderr is not None
        assert run.process.stderr.readline() == "started\n"
        assert any(name.startswith(".out.mlir.mase-") for name in run.left_files())
        return run

    return begin


@pytest.mark.parametrize(
    ("where", "number", "program"),
    [
        ("python", signal.SIGINT, None),
        ("lock", signal.SIGTERM, None),
        ("lock", signal.SIGINT, None),
        ("lock", signal.SIGHUP, None),
        ("circt", signal.SIGINT, None),
        ("jit", signal.SIGTERM, None),
        ("highs", signal.SIGINT, None),
        ("solver", signal.SIGTERM, None),
        ("yosys", signal.SIGINT, "sleep"),
        ("yosys", signal.SIGTERM, "sleep"),
        pytest.param("verilator", signal.SIGTERM, "cc1plus", marks=needs_verilator),
    ],
)
def test_signal(
    compute: Callable[[str], Run],
    where: str,
    number: signal.Signals,
    program: str | None,
):
    run = compute(where)
    if program is not None:
        run.wait_for(lambda: program in run.family().values())
    elif where not in ("python", "lock"):
        time.sleep(1)  # to be where the time goes
    code, out, err = run.end(number)
    message = {
        signal.SIGINT: "interrupted",
        signal.SIGTERM: "terminated",
        signal.SIGHUP: "terminated: the terminal was closed",
    }
    # What shells show as 130, 143 and 129.
    assert (code, out, err) == (-number, "", f"error: {message[number]}\n")
    assert run.family() == {}
    assert run.left_files() == ["temporary"]


def test_signal_to_the_child(compute: Callable[[str], Run]):
    # As `pkill` and a terminal do, which reach both processes.
    run = compute("lock")
    (child,) = run.family().keys() - {run.process.pid}
    os.kill(child, signal.SIGINT)
    out, err = run.process.communicate(timeout=60)
    assert (run.process.returncode, out, err) == (
        -signal.SIGINT,
        "",
        "error: interrupted\n",
    )


def test_kill_takes_the_child_along(compute: Callable[[str], Run]):
    run = compute("lock")
    code, _, err = run.end(signal.SIGKILL)
    assert (code, err) == (-signal.SIGKILL, "")
    # The kernel sends the signal before the parent counts as ended.
    deadline = time.monotonic() + 60
    while run.family() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert run.family() == {}


def test_crash_is_told(compute: Callable[[str], Run]):
    run = compute("crash")
    out, err = run.process.communicate(timeout=60)
    assert run.process.returncode == 128 + signal.SIGSEGV
    assert (out, err) == (
        "",
        "error: a compiled library has crashed (SIGSEGV); --debug shows what called "
        "it\n",
    )
    assert run.left_files() == ["temporary"]


def test_crash_is_shown_where(start: Start, tmp_path: Path):
    model = tmp_path / "m.mlir"
    model.write_text("func.func @f() {\n  func.return\n}\n")
    run = start(
        *("mase-opt", "--debug", "--load-plugin", ENDLESS),
        *("--test-compute=where=crash", model),
    )
    _, err = run.process.communicate(timeout=60)
    assert 'endless.py", line' in err
    assert "in crash" in err
    assert err.endswith("--debug shows what called it\n")


def test_ignored_signal_stays_ignored(start: Start, tmp_path: Path):
    # As for a command that a script starts in the background.
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        run = start("mase-opt", "--load-plugin", ENDLESS, "-")
    finally:
        signal.signal(signal.SIGINT, before)
    run.wait_for(lambda: len(run.family()) == 2)
    run.process.send_signal(signal.SIGINT)
    time.sleep(0.5)
    assert run.process.poll() is None
    code, *_ = run.end(signal.SIGTERM)
    assert code == -signal.SIGTERM


@needs_verilator
def test_mase_run(start: Start):
    run = start(
        *("mase-run", DIGITS / "mlp.mlir", "--input", DIGITS / "mlp_test.npz"),
        *("--samples", "2", "--level", "verilog", "--output", "y.npz"),
    )
    run.wait_for(lambda: "cc1plus" in run.family().values())
    code, out, err = run.end(signal.SIGINT)
    assert (code, out) == (-signal.SIGINT, "")
    assert err.endswith("error: interrupted\n")
    assert run.family() == {}
    assert run.left_files() == ["temporary"]


CATCHING = """\
import signal, time
from mase_opt.driver.supervisor import supervise

supervise()
signal.signal(signal.SIGINT, lambda *_: print("caught", flush=True))
print("ready", flush=True)
while True:
    time.sleep(0.05)
"""


def test_who_catches_a_signal_may_finish():
    """The first is for the child to end by itself, the second one ends it."""
    with subprocess.Popen(
        [sys.executable, "-c", CATCHING],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        assert process.stdout.readline() == "caught\n"
        assert process.poll() is None
        process.send_signal(signal.SIGINT)
        rest, said = process.communicate()
    assert (rest, said) == ("", "error: interrupted\n")
    assert process.returncode == -signal.SIGINT
