"""Arrays in `.npy` and `.npz` files, read only as far as they are looked at."""

from __future__ import annotations

import struct
import zipfile
from collections.abc import Iterator, Mapping
from math import prod
from typing import IO, Any, BinaryIO

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

LARGE = 1 << 24
"""Bytes from which an array is mapped into memory, not loaded."""
LOCAL_HEADER = struct.Struct("<26xHH")
"""Of a member of a zip file, as far as the lengths of its name and its extra field."""


def open_arrays(stream: BinaryIO) -> NDArray[Any] | Mapping[str, NDArray[Any]]:
    """
    The array of a `.npy` file, or those of a `.npz` file.

    Large ones that are not compressed stay in the file: they are maps, valid after
    `stream` is closed. Nothing is ever unpickled. Raises `ValueError` for an array
    that is not as long as its header says, `MemoryError`, and whatever else a damaged
    file makes the readers raise; members of a `.npz` file are read when asked for.
    """
    size = stream.seek(0, 2)
    stream.seek(0)
    magic = stream.read(len(npy.MAGIC_PREFIX))
    stream.seek(0)
    if magic == npy.MAGIC_PREFIX:
        return _map(stream, 0, size) if size >= LARGE else _load(stream, size)
    return _Members(zipfile.ZipFile(stream), stream)


class _Members(Mapping[str, NDArray[Any]]):
    """The arrays of a `.npz` file."""

    def __init__(self, file: zipfile.ZipFile, stream: BinaryIO):
        self._file, self._stream = file, stream
        self._members = {
            info.filename.removesuffix(".npy"): info for info in file.infolist()
        }

    def __iter__(self) -> Iterator[str]:
        return iter(self._members)

    def __len__(self) -> int:
        return len(self._members)

    def __getitem__(self, key: str) -> NDArray[Any]:
        info = self._members[key]
        if info.compress_type != zipfile.ZIP_STORED or info.file_size < LARGE:
            with self._file.open(info) as member:
                return _load(member, info.file_size)
        self._stream.seek(info.header_offset)
        name, extra = LOCAL_HEADER.unpack(self._stream.read(LOCAL_HEADER.size))
        start = info.header_offset + LOCAL_HEADER.size + name + extra
        return _map(self._stream, start, info.file_size)


def _load(stream: IO[bytes], size: int) -> NDArray[Any]:
    """The array in the format of `.npy`, which takes `size` bytes with its header."""
    shape, order, dtype = _read_header(stream, size)
    # A copy: what is not aligned, or cannot be written to, is slow or refused later.
    array = np.frombuffer(stream.read(prod(shape) * dtype.itemsize), dtype).copy()
    # The checksum of a zip file's member is looked at where the member ends.
    stream.read(1)
    return array.reshape(shape, order=order)


def _map(stream: BinaryIO, start: int, size: int) -> NDArray[Any]:
    """The array in the format of `.npy` in `size` bytes from `start` on: a map."""
    stream.seek(start)
    shape, order, dtype = _read_header(stream, size)
    return np.memmap(stream, dtype, "r", offset=stream.tell(), shape=shape, order=order)


def _read_header(
    stream: IO[bytes], size: int
) -> tuple[tuple[int, ...], Any, np.dtype[Any]]:
    """
    Shape, order and type of an array whose header and elements take `size` bytes.

    Raises `ValueError` unless they do.
    """
    start = stream.tell()
    read_header = (
        npy.read_array_header_1_0
        if npy.read_magic(stream) == (1, 0)
        else npy.read_array_header_2_0
    )
    shape, fortran_order, dtype = read_header(stream)
    if dtype.hasobject:
        raise ValueError("it holds Python objects")
    if min(shape, default=0) < 0:
        raise ValueError(f"an array's header says shape {shape}")
    length = prod(shape) * dtype.itemsize
    rest = size - (stream.tell() - start)
    if length != rest:
        raise ValueError(
            f"an array's header says {_bytes(length)}, shape {shape} of {dtype}, but "
            f"there are {_bytes(rest)}"
        )
    return shape, "F" if fortran_order else "C", dtype


def _bytes(count: int) -> str:
    """A number of bytes, such as `238.4 GiB`."""
    power = min((max(count, 1).bit_length() - 1) // 10, 4)
    if power == 0:
        return f"{count} bytes"
    return f"{count / 1024**power:.1f} {'KMGT'[power - 1]}iB"
