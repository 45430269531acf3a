"""
Signals that end a tool wherever it is, and leave nothing behind.

Compiled libraries compute for minutes without letting Python run, so no handler of
ours could act. The work is done in a child process; the process that the user has
started waits for its end or for a signal, and then cleans up.
"""

import ctypes
import os
import signal
import sys
from contextlib import suppress
from typing import NoReturn

_ENDINGS = {
    signal.SIGINT: "interrupted",
    signal.SIGTERM: "terminated",
    signal.SIGHUP: "terminated: the terminal was closed",
}
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def supervise() -> None:
    """
    Go on in a child process. The caller does not return: it ends as the child does.

    When the caller gets one of the signals above, it kills the child and all that the
    child has started, removes their temporary files, says so in a line, and dies of
    the signal. A child that catches the signal gets it first, to end by itself; the
    second one kills it. A crash of the child is told in a line, too; the exit code is
    then 128 plus the number of the signal.

    To be called before anything large is imported. Does nothing where there is no
    Linux.
    """
    if sys.platform != "linux":
        return
    awaited = {n for n in _ENDINGS if signal.getsignal(n) is not signal.SIG_IGN}
    awaited.add(signal.SIGCHLD)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_BLOCK, awaited)
    journal = os.memfd_create("temporaries")
    libc = ctypes.CDLL(None)
    # What the child starts, and what that starts, becomes ours when it is orphaned.
    libc.prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    parent = os.getpid()
    child = os.fork()
    if child != 0:
        _wait(child, awaited, journal)
    libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    if os.getppid() != parent:
        os._exit(1)
    from mase_opt.lib import temporaries

    temporaries.journal = journal
    for number in awaited - {signal.SIGCHLD}:
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_UNBLOCK, awaited)


def _wait(child: int, awaited: set[signal.Signals], journal: int) -> NoReturn:
    """Wait for the child or a signal, and end."""
    received: int | None = None
    pid = status = 0
    while pid == 0:
        number = signal.sigwait(awaited)
        may_finish = number == signal.SIGCHLD
        if number != signal.SIGCHLD:
            may_finish = received is None and _catches(child, number)
            received = number
            os.kill(child, number if may_finish else signal.SIGKILL)
        # A child that was stopped, or is not the one, leaves 0.
        pid, status = os.waitpid(child, os.WNOHANG if may_finish else 0)
    if received is None and os.WIFEXITED(status):
        os._exit(os.WEXITSTATUS(status))
    number = signal.Signals(received or os.WTERMSIG(status))
    _kill_descendants()
    _remove_temporaries(journal)
    _tell(_ENDINGS.get(number) or _crash(number))
    if number in _ENDINGS:
        # A shell stops a loop around a program that has died of the signal.
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, awaited)
        os.kill(os.getpid(), number)
    os._exit(128 + number)


def _catches(pid: int, number: int) -> bool:
    """Whether a process has a handler for a signal."""
    with suppress(OSError), open(f"/proc/{pid}/status") as stream:
        caught = next(line for line in stream if line.startswith("SigCgt:"))
        return bool(int(caught.split()[1], 16) >> (number - 1) & 1)
    return False


def _crash(number: signal.Signals) -> str:
    if number == signal.SIGKILL:
        return "killed, perhaps because memory ran out"
    return (
        f"a compiled library has crashed ({number.name}); --debug shows what called it"
    )


def _tell(message: str) -> None:
    with suppress(OSError):
        # The child may have left a line that moves, and no cursor.
        has_cursor = os.isatty(2) and os.environ.get("TERM", "dumb") != "dumb"
        clean = "\r\x1b[2K\x1b[?25h" if has_cursor else ""
        os.write(2, f"{clean}error: {message}\n".encode())


def _kill_descendants() -> None:
    """Kill all children until there are none; orphans become children."""
    listed = f"/proc/self/task/{os.getpid()}/children"
    with suppress(OSError):
        while True:
            with open(listed) as stream:
                for pid in stream.read().split():
                    os.kill(int(pid), signal.SIGKILL)
            # Ends with an error when there is none.
            os.waitpid(-1, 0)


def _remove_temporaries(journal: int) -> None:
    from pathlib import Path

    from mase_opt.lib.temporaries import remove

    noted = os.pread(journal, os.fstat(journal).st_size, 0)
    for path in noted.split(b"\0")[:-1]:
        with suppress(OSError):
            remove(Path(os.fsdecode(path)))
