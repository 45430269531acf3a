"""The helper process: its death is an error, not ours, and it never outlives us."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from mase_opt.frontend.importer.torch_lowering import FX_PIPELINE, lower_program
from mase_opt.frontend.importer.worker import Worker, WorkerDied

FUNCTIONS = """
import ctypes, os, signal

def echo(request):
    print("noise")
    return request

def pid(request):
    return {"pid": os.getpid()}

def crash(request):
    os.kill(os.getpid(), signal.SIGSEGV)

def leave(request):
    os._exit(3)

def fail(request):
    raise KeyError("weights")

def endless(request):
    ctypes.PyDLL(None).sleep(1000)  # in native code, with Python's lock held
"""


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Worker]:
    (tmp_path / "functions_of_a_worker.py").write_text(FUNCTIONS)
    monkeypatch.syspath_prepend(str(tmp_path))
    result = Worker()
    yield result
    result.stop()


def call(worker: Worker, name: str, **request: object) -> dict[str, object]:
    return worker.call(f"functions_of_a_worker:{name}", request)


def test_answers_and_stays(worker: Worker) -> None:
    assert call(worker, "echo", text="größe", numbers=[1, 2]) == {
        "text": "größe",
        "numbers": [1, 2],
    }
    assert call(worker, "pid") == call(worker, "pid") != {"pid": os.getpid()}


@pytest.mark.parametrize(
    ("name", "message"),
    [("crash", "was ended by SIGSEGV"), ("leave", "ended with exit code 3")],
)
def test_death_is_an_error(worker: Worker, name: str, message: str) -> None:
    with pytest.raises(WorkerDied, match=message):
        call(worker, name)
    assert call(worker, "echo", a=1) == {"a": 1}


def test_exceptions_come_with_their_traceback(worker: Worker) -> None:
    with pytest.raises(RuntimeError, match=r"in fail\n.*\nKeyError: 'weights'"):
        call(worker, "fail")


def alive(pid: int) -> bool:
    try:
        status = Path(f"/proc/{pid}/stat").read_text()
    except FileNotFoundError:
        return False
    return status.rpartition(")")[2].split()[0] != "Z"


def ends(pid: int) -> bool:
    """Whether a process ends within a generous time."""
    for _ in range(300):
        if not alive(pid):
            return True
        time.sleep(0.1)
    return False


PARENT = """
import sys
from mase_opt.frontend.importer.worker import Worker
worker = Worker()
print(worker.call("functions_of_a_worker:pid", {})["pid"], flush=True)
worker.call("functions_of_a_worker:endless", {})
"""


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGINT, signal.SIGTERM])
def test_ends_with_its_parent(tmp_path: Path, number: signal.Signals) -> None:
    (tmp_path / "functions_of_a_worker.py").write_text(FUNCTIONS)
    with subprocess.Popen(
        [sys.executable, "-c", PARENT],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": str(tmp_path)},
        text=True,
    ) as parent:
        assert parent.stdout is not None
        pid = int(parent.stdout.readline())
        time.sleep(0.5)  # let the endless call begin
        assert alive(pid)
        parent.send_signal(number)
        assert ends(pid)
        assert parent.wait() != 0


def test_what_cannot_be_lowered_stays_alone() -> None:
    text = """
module {
  func.func @main(%x: !torch.vtensor<[2],f32>) -> !torch.vtensor<[2],f32> {
    %half = torch.constant.float 0.5
    %0 = torch.aten.hardshrink %x, %half : !torch.vtensor<[2],f32>, !torch.float
      -> !torch.vtensor<[2],f32>
    %1 = torch.operator "torch.mylib.op"(%0) : (!torch.vtensor<[2],f32>)
      -> !torch.vtensor<[2],f32>
    return %1 : !torch.vtensor<[2],f32>
  }
}
"""
    lowered = lower_program({"text": text, "pipeline": FX_PIPELINE}).text
    assert '"torch.operator"(' in lowered
    assert 'name = "torch.mylib.op"' in lowered
    # The rest is taken apart as ever.
    assert "hardshrink" not in lowered
    assert "torch.aten.where.self" in lowered
