"""
Output that appears complete or not at all.

Everything is written beside the target and put in its place at the end, so a full
disk, an error or a kill leaves the earlier output (or none), never half of one.
"""

import ctypes
import errno
import os
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mase_opt.lib.errors import UserError
from mase_opt.lib.temporaries import temporary_file, temporary_folder

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2


def _default_mode(mode: int) -> int:
    """`mode` less the umask: temporary files and folders are made private."""
    umask = os.umask(0)
    os.umask(umask)
    return mode & ~umask


def _cannot_write(path: str | Path, error: OSError) -> UserError:
    reason = error.strerror or str(error)
    if isinstance(error, FileExistsError | NotADirectoryError):
        reason = "a part of its path is a file, not a folder"
    return UserError(f"cannot write '{path}': {reason}")


def _is_about(error: OSError, temporary: Path) -> bool:
    """Whether an error is about the output, not about a file the block reads."""
    # A full disk is reported by `write`, which knows no name.
    return error.filename is None or str(error.filename).startswith(str(temporary))


@contextmanager
def atomic_file(path: str | Path) -> Generator[TextIO]:
    """
    A text file (UTF-8, `\\n`) that replaces `path` when the block ends well.

    Devices and pipes (`/dev/stdout`) are written to directly. Raises `UserError` if
    the file cannot be written.
    """
    named = Path(path)
    if named.is_dir():
        raise UserError(f"cannot write '{path}': it is a folder")
    # Through a symbolic link, the file it points to is replaced.
    target = named.resolve()
    try:
        if named.exists() and not named.is_file():
            with named.open("w", encoding="utf-8", newline="\n") as stream:
                yield stream
            return
        target.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise _cannot_write(path, error) from error
    temporary: Path | None = None
    try:
        with temporary_file(f".{target.name}", target.parent) as (temporary, handle):
            # The descriptor stays open: it holds the lock.
            with open(
                handle, "w", encoding="utf-8", newline="\n", closefd=False
            ) as stream:
                yield stream
                stream.flush()
                os.fsync(handle)
            mode = target.stat().st_mode if target.exists() else _default_mode(0o666)
            temporary.chmod(mode & 0o777)
            temporary.replace(target)
    except OSError as error:
        if temporary is not None and not _is_about(error, temporary):
            raise
        raise _cannot_write(path, error) from error


def check_directory(path: str | Path, replaceable: Callable[[Path], bool]) -> None:
    """
    Raise the `UserError` that `atomic_directory` would begin with, if any.

    For use before long work whose result goes there.
    """
    target = Path(path).resolve()
    if not target.exists():
        _check_parent(path, target.parent)
        return
    if not target.is_dir():
        raise UserError(f"cannot write '{path}': it is a file; name a folder")
    if any(target.iterdir()) and not replaceable(target):
        raise UserError(
            f"cannot write '{path}': the folder holds files that are not from an "
            "earlier run; name another folder, or empty it"
        )
    _check_parent(path, target.parent)


def _check_parent(path: str | Path, parent: Path) -> None:
    """Whether the nearest folder that exists can take a new entry."""
    existing = next(p for p in (parent, *parent.parents) if p.exists())
    if not existing.is_dir():
        raise _cannot_write(path, NotADirectoryError())
    if not os.access(existing, os.W_OK | os.X_OK):
        raise UserError(f"cannot write '{path}': no permission to write in {existing}")


@contextmanager
def atomic_directory(
    path: str | Path, replaceable: Callable[[Path], bool]
) -> Generator[Path]:
    """
    A folder to fill, which becomes `path` when the block ends well.

    An existing non-empty folder is replaced, all of it, only if `replaceable` says
    that it is an earlier output; anything else might be the user's work. Raises
    `UserError` if it is not, or if the folder cannot be written.
    """
    check_directory(path, replaceable)
    target = Path(path).resolve()
    temporary: Path | None = None
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with temporary_folder(f".{target.name}", target.parent) as temporary:
            yield temporary
            temporary.chmod(_default_mode(0o777))
            _put(temporary, target)
    except OSError as error:
        if temporary is not None and not _is_about(error, temporary):
            raise
        raise _cannot_write(path, error) from error


def _put(folder: Path, target: Path) -> None:
    """Make `folder` become `target`; what was there becomes `folder`, or goes away."""
    while True:
        try:
            return _exchange(folder, target)
        except FileNotFoundError:
            pass  # there is none yet
        except OSError as error:
            if error.errno not in (errno.EINVAL, errno.ENOSYS):
                raise
            return _replace(folder, target)
        try:
            folder.rename(target)
            return None
        except OSError as error:
            # Another run was faster: its output is replaced.
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):
                raise


def _exchange(one: Path, other: Path) -> None:
    """
    Exchange what two paths name, in one step.

    Raises `OSError`: `EINVAL` or `ENOSYS` where the system cannot.
    """
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except AttributeError:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS)) from None
    paths = os.fsencode(one), os.fsencode(other)
    if rename(_AT_FDCWD, paths[0], _AT_FDCWD, paths[1], _RENAME_EXCHANGE) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), str(one), None, str(other))


def _replace(folder: Path, target: Path) -> None:
    """As `_exchange` in two steps; a kill between them leaves what was there aside."""
    old = folder.with_suffix(".old")
    if target.exists():
        target.rename(old)
    try:
        folder.rename(target)
    except OSError:
        if old.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)
