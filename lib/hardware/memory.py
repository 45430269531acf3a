"""The contents of memories: words in the IR, files of hexadecimal digits beside it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from xdsl.dialects.builtin import ModuleOp

from mase_opt.dialects.circt import FirMemOp


@dataclass(frozen=True)
class Memory:
    """What a memory holds from the start."""

    width: int
    """Bits of a word."""
    words: Sequence[int]
    """The bits of each word, the first at address 0."""

    @property
    def text(self) -> str:
        """A line of hexadecimal digits for each word, as `$readmemh` takes them."""
        digits = -(-self.width // 4)
        return "".join(f"{word:0{digits}x}\n" for word in self.words)

    @staticmethod
    def read(text: str) -> Memory:
        """The reverse of `text`, a digit 4 bits. Raises `ValueError`."""
        lines = text.split()
        return Memory(
            4 * max(map(len, lines), default=1), [int(line, 16) for line in lines]
        )

    def bytes(self, stride: int) -> NDArray[np.uint8]:
        """The words, little-endian, `stride` bytes each."""
        joined = b"".join(word.to_bytes(stride, "little") for word in self.words)
        return np.frombuffer(joined, np.uint8)


def joined(codes: NDArray[np.generic], bits: int) -> list[int]:
    """Codes `[words, elements]` side by side, the first of each in the lowest bits."""
    unsigned = codes.astype(np.int64).view(np.uint64)
    places = np.arange(bits, dtype=np.uint64)
    found: list[int] = []
    # In parts, since each bit takes a byte.
    for part in np.array_split(unsigned, max(1, unsigned.size >> 20)):
        digits = (part[..., None] >> places & np.uint64(1)).astype(np.uint8)
        rows = np.packbits(digits.reshape(len(part), -1), axis=1, bitorder="little")
        found += [int.from_bytes(row.tobytes(), "little") for row in rows]
    return found


Memories = Mapping[str, Memory]
"""The memories of a circuit that hold something from the start, by their names."""


def memories_of(module: ModuleOp) -> dict[str, Memory]:
    """What the memories of a circuit hold."""
    return {
        op.label.data: Memory(op.memory_type.width.data, op.words)
        for op in module.walk()
        if isinstance(op, FirMemOp) and op.contents is not None
    }


def file_name(memory: str) -> str:
    """The file that the circuit reads the contents of a memory from."""
    return f"{memory}.hex"
