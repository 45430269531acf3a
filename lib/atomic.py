"""
Output that appears complete or not at all.

Everything is written beside the target and renamed over it at the end, so a full
disk, an error or a kill leaves the earlier output (or none), never half of one.
"""

import os
import shutil
import tempfile
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from mase_opt.lib.errors import UserError


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
        handle, name = tempfile.mkstemp(
            prefix=f".{target.name}.", suffix=".tmp", dir=target.parent
        )
    except OSError as error:
        raise _cannot_write(path, error) from error
    temporary = Path(name)
    try:
        with os.fdopen(handle, "w", encoding="utf-8", newline="\n") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        mode = target.stat().st_mode if target.exists() else _default_mode(0o666)
        temporary.chmod(mode & 0o777)
        temporary.replace(target)
    except OSError as error:
        if not _is_about(error, temporary):
            raise
        raise _cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


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
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = Path(
            tempfile.mkdtemp(
                prefix=f".{target.name}.", suffix=".tmp", dir=target.parent
            )
        )
    except OSError as error:
        raise _cannot_write(path, error) from error
    old = temporary.with_suffix(".old")
    try:
        yield temporary
        temporary.chmod(_default_mode(0o777))
        if target.exists():
            target.rename(old)
        try:
            temporary.rename(target)
        except OSError:
            if old.exists():
                old.rename(target)
            raise
    except OSError as error:
        if not _is_about(error, temporary):
            raise
        raise _cannot_write(path, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
        if target.exists():
            shutil.rmtree(old, ignore_errors=True)
