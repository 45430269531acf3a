"""Arrays in `.npy` and `.npz` files, read only as far as they are looked at."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.lib.npyio import NpzFile
from numpy.typing import NDArray

LARGE = 1 << 24
"""Bytes from which an array is mapped into memory, not loaded."""
LOCAL_HEADER = struct.Struct("<26xHH")
"""Of a member of a zip file, as far as the lengths of its name and its extra field."""


def open_arrays(stream: BinaryIO) -> NDArray[Any] | Mapping[str, NDArray[Any]]:
    """
    The array of a `.npy` file, or those of a `.npz` file.

    Large ones that are not compressed stay in the file: they are maps, valid after
    `stream` is closed. Raises what `numpy.load` does.
    """
    magic = stream.read(len(npy.MAGIC_PREFIX))
    if magic == npy.MAGIC_PREFIX and stream.seek(0, 2) >= LARGE:
        return _map(stream, 0)
    stream.seek(0)
    file: NDArray[Any] | NpzFile[Any] = np.load(stream, allow_pickle=False)
    return _Members(file, stream) if isinstance(file, NpzFile) else file


class _Members(Mapping[str, NDArray[Any]]):
    """The arrays of a `.npz` file."""

    def __init__(self, file: NpzFile[Any], stream: BinaryIO):
        self._file, self._stream = file, stream

    def __iter__(self) -> Iterator[str]:
        return iter(self._file)

    def __len__(self) -> int:
        return len(self._file)

    def __getitem__(self, key: str) -> NDArray[Any]:
        assert self._file.zip is not None, "closed"
        members = {info.filename: info for info in self._file.zip.infolist()}
        info = members.get(f"{key}.npy")
        stored = info is not None and info.compress_type == zipfile.ZIP_STORED
        if info is None or not stored or info.file_size < LARGE:
            return self._file[key]
        self._stream.seek(info.header_offset)
        name, extra = LOCAL_HEADER.unpack(self._stream.read(LOCAL_HEADER.size))
        return _map(self._stream, info.header_offset + LOCAL_HEADER.size + name + extra)


def _map(stream: BinaryIO, offset: int) -> NDArray[Any]:
    """The array in the format of `.npy` that begins at `offset`."""
    stream.seek(offset)
    read_header = (
        npy.read_array_header_1_0
        if npy.read_magic(stream) == (1, 0)
        else npy.read_array_header_2_0
    )
    shape, fortran_order, dtype = read_header(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    return np.memmap(
        stream,
        dtype,
        "r",
        offset=stream.tell(),
        shape=shape,
        order="F" if fortran_order else "C",
    )
