"""
Storage of constant data: NumPy arrays in memory, `dialect_resources` in text.

A `Blob` is owned by the attributes that refer to it, so it lives as long as the IR
does and needs no context. Text refers to it by `<name>_<digest>`: the digest of the
content makes keys unique and the printed text a function of the module alone.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Hashable, Iterable
from hashlib import blake2b
from typing import Any, TypeVar
from weakref import WeakValueDictionary

import numpy as np
from numpy.typing import NDArray
from xdsl.dialect_interfaces.op_asm import OpAsmDialectInterface

_DIGEST = re.compile(r"_[0-9a-f]{12}$")
_NOT_IDENTIFIER = re.compile(r"[^A-Za-z0-9_.$]")
_HEADER = "08000000"
"""MLIR's blob header: the alignment, 8 bytes, as a little-endian 32-bit number."""


REMEMBERED = 32
"""How many results that are derived from an array are kept, of large ones ..."""
MORE = 1024
"""... of small ones,"""
SMALL = 1 << 22
"""and how many bytes so many may take, if each is as large as the array."""

Derived = TypeVar("Derived")


class Blob:
    """A flat little-endian array with a name; empty only while a text is parsed."""

    def __init__(self, name: str, data: NDArray[np.generic] | None):
        name = _NOT_IDENTIFIER.sub("_", name) or "data"
        self.name = name if name[0].isalpha() or name[0] == "_" else f"_{name}"
        self._raw: bytes | None = None
        self._data = data
        self._digest: str | None = None
        self._derived: dict[Hashable, Any] = {}

    def derived(self, key: Hashable, compute: Callable[[], Derived]) -> Derived:
        """
        `compute()`, which `key` and the content decide; the last ones are remembered.

        So models that share their constants share what is made of them.
        """
        if key not in self._derived:
            if len(self._derived) >= self._remembered:
                del self._derived[next(iter(self._derived))]
            self._derived[key] = compute()
        return self._derived[key]

    @property
    def _remembered(self) -> int:
        return max(REMEMBERED, min(MORE, SMALL // max(self.nbytes, 1)))

    def array(self, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
        """
        The content as a flat, read-only array of `dtype`.

        Raises `ValueError` if the text that was parsed has no fitting data for it.
        """
        if self._data is not None and self._data.dtype == dtype:
            return self._data
        raw = self._content()
        if len(raw) % dtype.itemsize:
            raise ValueError(
                f"resource '{self.name}' has {len(raw)} bytes, expected a multiple of "
                f"{dtype.itemsize}"
            )
        # One entry of a text may stand for constants of several storage types.
        self._data = np.frombuffer(raw, dtype)
        self._raw = None
        return self._data

    def _content(self) -> bytes | memoryview:
        if self._data is not None:
            # A view as bytes: not every dtype of NumPy has a buffer format.
            return self._data.view(np.uint8).data
        if self._raw is None:
            raise ValueError(f"resource '{self.name}' has no data in this file")
        return self._raw

    @property
    def key(self) -> str:
        """What text refers to it by. Raises `ValueError` without content."""
        return f"{self.name}_{self.digest}"

    @property
    def digest(self) -> str:
        if self._digest is None:
            self._digest = blake2b(self._content(), digest_size=6).hexdigest()
        return self._digest

    def to_text(self) -> str:
        """The content as the hexadecimal string of `dialect_resources`."""
        return f"0x{_HEADER}{self._content().hex()}"

    def from_text(self, text: str) -> None:
        """
        Take the content from the string of `dialect_resources`.

        Raises `ValueError` if it is malformed.
        """
        try:
            header, content = text[:10], text[10:]
            if not text.startswith("0x") or len(bytes.fromhex(header[2:])) != 4:
                raise ValueError("no header")
            self._raw = bytes.fromhex(content)
        except ValueError:
            raise ValueError(
                f"resource '{self.name}': expected 0x, an alignment of 8 hexadecimal "
                "digits and two digits for each byte"
            ) from None

    @property
    def loaded(self) -> bool:
        """Whether there is content."""
        return self._data is not None or self._raw is not None

    @property
    def nbytes(self) -> int:
        """The length of the content, 0 without one."""
        return len(self._content()) if self.loaded else 0

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Blob)
            and self.loaded
            and other.loaded
            and self.digest == other.digest
            and self._content() == other._content()
        )

    def __hash__(self) -> int:
        # Equal content may carry different names, and a blob that is being parsed
        # has no content yet.
        return hash(Blob)


class MaseResources(OpAsmDialectInterface):
    """Connects blobs to xDSL's parser and printer."""

    def __init__(self):
        super().__init__()
        self._awaited: dict[str, Blob] = {}
        """Mentioned in a text, still without content."""
        self._printed: WeakValueDictionary[str, Blob] = WeakValueDictionary()
        """Printed handles. Many a printer never comes to its `build_resources`."""

    def declare_resource(self, key: str) -> str:
        """Called at the first mention of `key` in a text."""
        self._awaited[key] = Blob(_DIGEST.sub("", key), None)
        return key

    def awaited(self, key: str) -> Blob:
        """
        The blob that `key` stands for in the text being parsed.

        Its content comes with `parse_resource`. Raises `ValueError` if it has come.
        """
        if key not in self._awaited:
            raise ValueError(f"the data of '{key}' must come behind its uses")
        return self._awaited[key]

    def parse_resource(self, key: str, val: str) -> None:
        """Raises `ValueError` for malformed data and for a key's second entry."""
        blob = self._awaited.pop(key, None)
        if blob is None:
            raise ValueError(f"'{key}' has more than one entry")
        blob.from_text(val)

    def printed(self, blob: Blob) -> str:
        """The key for `blob`; its content will follow behind the IR."""
        if not blob.loaded:
            return blob.name  # in an error message about the blob itself
        self._printed[blob.key] = blob
        return blob.key

    def build_resources(self, keys: Iterable[str]) -> dict[str, str]:
        """Called once at the end of printing."""
        return {k: self._printed[k].to_text() for k in keys if k in self._printed}


RESOURCES = MaseResources()
