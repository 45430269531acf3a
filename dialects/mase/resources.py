"""
Storage of constant data: NumPy arrays in memory, `dialect_resources` in text.

A `Blob` is owned by the attributes that refer to it, so it lives as long as the IR
does and needs no context. Text refers to it by `<name>_<digest>`: the digest of the
content makes keys unique and the printed text a function of the module alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from xdsl.dialect_interfaces.op_asm import OpAsmDialectInterface

_DIGEST = re.compile(r"_[0-9a-f]{12}$")
_NOT_IDENTIFIER = re.compile(r"[^A-Za-z0-9_.$]")
_HEADER = "0x08000000"
"""MLIR's blob header: the alignment, 8 bytes, as a little-endian 32-bit number."""


class Blob:
    """A flat little-endian array with a name; empty only while a text is parsed."""

    def __init__(self, name: str, data: NDArray[np.generic] | None):
        name = _NOT_IDENTIFIER.sub("_", name) or "data"
        self.name = name if name[0].isalpha() or name[0] == "_" else f"_{name}"
        self._raw: bytes | None = None
        self._data = data
        self._digest: str | None = None

    def array(self, dtype: np.dtype[np.generic]) -> NDArray[np.generic]:
        """The content as a flat, read-only array of `dtype`."""
        if self._data is None:
            if self._raw is None:
                raise ValueError(f"resource '{self.name}' has no data in this file")
            if len(self._raw) % dtype.itemsize:
                raise ValueError(
                    f"resource '{self.name}' has {len(self._raw)} bytes, expected a "
                    f"multiple of {dtype.itemsize}"
                )
            self._data = np.frombuffer(self._raw, dtype)
            self._raw = None
        return self._data

    @property
    def key(self) -> str:
        return f"{self.name}_{self.digest}"

    @property
    def digest(self) -> str:
        if self._digest is None:
            content = self._raw if self._data is None else self._data
            assert content is not None, "digest of a resource that has no data"
            self._digest = blake2b(content, digest_size=6).hexdigest()
        return self._digest

    def to_text(self) -> str:
        content = self._raw if self._data is None else self._data.tobytes()
        assert content is not None
        return _HEADER + content.hex()

    def from_text(self, text: str) -> None:
        if not text.startswith("0x"):
            raise ValueError(f"expected a hexadecimal string for '{self.name}'")
        self._raw = bytes.fromhex(text[len(_HEADER) :])

    @property
    def loaded(self) -> bool:
        return self._data is not None or self._raw is not None

    def __eq__(self, other: object) -> bool:
        return self is other or (
            isinstance(other, Blob)
            and self.loaded
            and other.loaded
            and self.digest == other.digest
        )

    def __hash__(self) -> int:
        # Equal content may carry different names, and a blob that is being parsed
        # has no content yet.
        return hash(Blob)


class MaseResources(OpAsmDialectInterface):
    """Connects blobs to xDSL's parser and printer."""

    def __init__(self):
        super().__init__()
        self.blobs: dict[str, Blob] = {}

    def declare_resource(self, key: str) -> str:
        """Called at the first mention of `key` in a text."""
        self.blobs[key] = Blob(_DIGEST.sub("", key), None)
        return key

    def parse_resource(self, key: str, val: str) -> None:
        self.blobs.pop(key).from_text(val)

    def build_resources(self, keys: Iterable[str]) -> dict[str, str]:
        """Called once at the end of printing."""
        return {key: self.blobs.pop(key).to_text() for key in keys}


RESOURCES = MaseResources()
