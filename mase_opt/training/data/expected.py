"""Files that a data set consists of: where they are expected, and reading them."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

from mase_opt.lib.errors import UserError


def folder_of(folder: Path, name: str, *expected: str, origin: str) -> Path:
    """
    The folder of a data set in that of all, where the first `expected` exists.

    Raises `UserError` that names what is expected and where it is from.
    """
    place = folder / name
    if not any(place.glob(expected[0])):
        raise UserError(
            f"data set '{name}' is not in '{place}': put {', '.join(expected)} there, "
            f"from {origin}; --data-dir is the folder of all data sets"
        )
    return place


def found(folder: Path, *names: str) -> Path:
    """The first of several names that a file may have; raises `UserError`."""
    for name in names:
        if (path := folder / name).is_file():
            return path
    raise UserError(f"'{folder}' has no file {' or '.join(names)}")


def read_bytes(path: Path) -> bytes:
    """What a file holds, unpacked if it is `.gz`; raises `UserError`."""
    try:
        if path.suffix == ".gz":
            with gzip.open(path) as stream:
                return stream.read()
        return path.read_bytes()
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise cut(path, str(error)) from error
    except OSError as error:
        raise UserError(f"cannot read '{path}': {error.strerror}") from error


def read_lines(path: Path) -> list[str]:
    """The lines of a text in UTF-8; raises `UserError`."""
    try:
        text = read_bytes(path).decode("utf-8")
    except UnicodeDecodeError as error:
        raise cut(path, f"no UTF-8 at byte {error.start}") from error
    # Only line feeds: other separators of str.splitlines occur within sentences.
    lines = [line.removesuffix("\r") for line in text.split("\n")]
    if not lines[-1]:
        del lines[-1]
    if not lines:
        raise UserError(f"'{path}' is empty")
    return lines


def cut(path: Path, reason: str) -> UserError:
    """The mistake of a file that is not whole."""
    return UserError(f"'{path}' is damaged; is it cut off? {reason}")
