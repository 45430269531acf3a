"""
Temporary files and folders that nobody has to clean up.

They go away at the end of their block. After a kill that leaves them, whoever makes
the next one of the same stem removes them: each is locked as long as its process
lives, so what is not locked has no owner.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
from collections.abc import Generator
from pathlib import Path

_ENDING = re.compile(r"\.mase-[0-9a-f]{16}\.tmp")

journal: int | None = None
"""A file that is told the path of each one before it is made, ended by a zero byte."""


@contextlib.contextmanager
def temporary_folder(stem: str, parent: Path | None = None) -> Generator[Path]:
    """
    A private folder in `parent`, or where the system keeps temporary files.

    Its name begins with `stem`. Raises `OSError` if it cannot be made.
    """
    with _temporary(stem, parent or Path(tempfile.gettempdir()), True) as (path, _):
        yield path


@contextlib.contextmanager
def temporary_file(stem: str, parent: Path) -> Generator[tuple[Path, int]]:
    """
    A private empty file in `parent`, and its descriptor, open for writing.

    Its name begins with `stem`. Raises `OSError` if it cannot be made.
    """
    with _temporary(stem, parent, False) as (path, handle):
        yield path, handle


@contextlib.contextmanager
def _temporary(
    stem: str, parent: Path, is_folder: bool
) -> Generator[tuple[Path, int], None, None]:
    _remove_leftovers(stem, parent)
    path = _new_path(stem, parent)
    while (owned := _make(path, is_folder)) is None:
        path = _new_path(stem, parent)
    try:
        yield path, owned
    finally:
        # Before the lock goes: whoever finds it unlocked may remove it.
        remove(path)
        os.close(owned)


def _new_path(stem: str, parent: Path) -> Path:
    path = parent / f"{stem}.mase-{os.urandom(8).hex()}.tmp"
    if journal is not None:
        os.write(journal, os.fsencode(path) + b"\0")
    return path


def _make(path: Path, is_folder: bool) -> int | None:
    """
    A locked descriptor of a new file or folder.

    None if another process took it for a leftover before it was locked.
    """
    if not is_folder:
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600)
    else:
        path.mkdir(0o700)
        try:
            handle = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return None
    # Some file systems have no locks: there nothing is taken for a leftover either.
    with contextlib.suppress(OSError):
        fcntl.flock(handle, fcntl.LOCK_EX)
    if path.exists():
        return handle
    os.close(handle)
    return None


def _remove_leftovers(stem: str, parent: Path) -> None:
    try:
        names = os.listdir(parent)
    except OSError:
        return  # whoever needs the folder will say so
    for name in names:
        if name.startswith(stem) and _ENDING.fullmatch(name, len(stem)):
            _remove_leftover(parent / name)


def _remove_leftover(path: Path) -> None:
    """Remove what is ours and has no owner."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return
    try:
        if os.fstat(handle).st_uid == os.getuid():
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            remove(path)
    except OSError:
        pass  # in use
    finally:
        os.close(handle)


def remove(path: Path) -> None:
    """Remove a file or a folder with all that is in it, if it is there."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        path.unlink(missing_ok=True)
