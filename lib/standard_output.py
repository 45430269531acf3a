"""
Standard output is for the result, whatever a library has to say.

Compiled code writes to file descriptor 1 behind Python's back, so that is what is
turned away. There is one for all threads: blocks may overlap, the one that began last
decides, and the last one to end puts standard output back.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Generator

_lock = threading.Lock()
_targets: list[int] = []
"""Where the blocks that are open want standard output to go."""
_original: int | None = None


@contextlib.contextmanager
def stdout_to_stderr() -> Generator[None]:
    """Send what is printed to standard output within the block to standard error."""
    with _diverted(keep=True):
        yield


@contextlib.contextmanager
def stdout_dropped() -> Generator[None]:
    """Drop what is printed to standard output within the block."""
    with _diverted(keep=False):
        yield


@contextlib.contextmanager
def _diverted(*, keep: bool) -> Generator[None, None, None]:
    target = _begin(keep)
    try:
        yield
    finally:
        if target is not None:
            _end(target)


def _begin(keep: bool) -> int | None:
    """The descriptor that a block sends standard output to; None if that is closed."""
    global _original
    with _lock:
        _flush()
        if _original is None:
            try:
                _original = os.dup(1)
            except OSError:
                return None
        target = _open(keep)
        _targets.append(target)
        os.dup2(target, 1)
        return target


def _end(target: int) -> None:
    global _original
    with _lock:
        _flush()
        _targets.remove(target)
        os.close(target)
        assert _original is not None, "it is open as long as a block is"
        os.dup2(_targets[-1] if _targets else _original, 1)
        if not _targets:
            os.close(_original)
            _original = None


def _open(keep: bool) -> int:
    """A descriptor of standard error, or of nothing."""
    if keep:
        with contextlib.suppress(OSError):  # closed
            return os.dup(2)
    return os.open(os.devnull, os.O_WRONLY)


def _flush() -> None:
    """Write out what Python and the C library have buffered."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stdout.flush()
    ctypes.CDLL(None).fflush(None)
