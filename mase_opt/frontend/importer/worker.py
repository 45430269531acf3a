"""
A helper process for native code that may crash, or never end.

The process stays for later calls. It ends with this one, and at once when a call is
interrupted.
"""

from __future__ import annotations

import atexit
import contextlib
import importlib
import json
import os
import signal
import subprocess
import sys
import threading
import traceback
from collections.abc import Generator
from typing import IO, Any


class WorkerDied(Exception):
    """The helper process ended during a call; the message says how."""


class Worker:
    """Runs functions of this package in a process of their own."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._owner = 0
        self._lock = threading.Lock()

    def start(self) -> None:
        """Start the process, if there is none: its imports take half a second."""
        with self._lock:
            self._running()

    def call(self, function: str, request: dict[str, Any]) -> dict[str, Any]:
        """
        The result of `module:function` for `request`; both are data that JSON has.

        Raises `WorkerDied` if the process crashes, `RuntimeError` with its traceback
        if the function raises.
        """
        with self._lock:
            process = self._running()
            assert process.stdin is not None
            assert process.stdout is not None
            try:
                _send(process.stdin, {"function": function, "request": request})
                answer = _receive(process.stdout)
            except (BrokenPipeError, EOFError) as error:
                code = process.wait()
                _end(process)
                raise WorkerDied(_ending(code)) from error
            except BaseException:
                # Interrupted: what it is doing may take for ever.
                _end(process)
                raise
        if "traceback" in answer:
            raise RuntimeError(f"in the helper process:\n{answer['traceback']}")
        return answer["result"]

    def stop(self) -> None:
        """End the process, if there is one; the next call starts another."""
        with self._lock:
            if self._process is not None and self._owner == os.getpid():
                _end(self._process)
            self._process = None

    def _running(self) -> subprocess.Popen[bytes]:
        process = self._process
        # A fork of this process must not talk to its parent's helper.
        if process is None or self._owner != os.getpid() or process.poll() is not None:
            process = subprocess.Popen(
                [sys.executable, "-c", _PROGRAM],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env=os.environ
                | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
                # Ctrl-C is for this process, which then ends the helper.
                start_new_session=True,
            )
            atexit.register(_end, process)
            self._process, self._owner = process, os.getpid()
        return process


_PROGRAM = "from mase_opt.frontend.importer.worker import serve; serve()"


def _end(process: subprocess.Popen[bytes]) -> None:
    # What is left in its pipes cannot be written any more.
    with contextlib.suppress(BrokenPipeError), process:
        process.kill()


def _ending(code: int) -> str:
    """How the process ended, in words."""
    if code >= 0:
        return f"ended with exit code {code}"
    with contextlib.suppress(ValueError):
        return f"was ended by {signal.Signals(-code).name}"
    return f"was ended by signal {-code}"


def _send(stream: IO[bytes], message: dict[str, Any]) -> None:
    data = json.dumps(message).encode()
    stream.write(len(data).to_bytes(8, "little") + data)
    stream.flush()


def _receive(stream: IO[bytes]) -> dict[str, Any]:
    """The next message. Raises `EOFError` where there is none, or not all of it."""
    size = int.from_bytes(stream.read(8), "little")
    data = stream.read(size)
    if not size or len(data) < size:
        raise EOFError
    return json.loads(data)


def serve() -> None:
    """The helper process: answer requests until standard input ends."""
    # Native code may print; that must not get between the answers.
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    while True:
        try:
            message = _receive(sys.stdin.buffer)
        except EOFError:
            return
        try:
            module, _, name = message["function"].partition(":")
            function = getattr(importlib.import_module(module), name)
            with _ended_with_parent():
                answer = {"result": function(message["request"])}
        except Exception:
            answer = {"traceback": traceback.format_exc()}
        _send(answers, answer)


@contextlib.contextmanager
def _ended_with_parent() -> Generator[None]:
    """
    Let the kernel end this process when the other end of standard input is closed.

    Native code that never returns would not notice. Nothing arrives there during a
    call, so that SIGIO, whose default is to end the process, means just that.
    """
    import fcntl

    flags = fcntl.fcntl(0, fcntl.F_GETFL)
    fcntl.fcntl(0, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(0, fcntl.F_SETFL, flags | os.O_ASYNC)
    try:
        yield
    finally:
        fcntl.fcntl(0, fcntl.F_SETFL, flags)
