"""
Put sign extension back together in the text of a lowered circuit.

Hardware has no operation for it: it is the concatenation of copies of the sign bit with
the value, which lowers to seven operations. A quantized layer consists of little else.
"""

from __future__ import annotations

import re

_VALUE = r"%[\w.]+"
_RESULT = re.compile(rf"\s+({_VALUE}) = (llvm\.[\w.]+)")
_OPERAND = re.compile(_VALUE)
_CAST = re.compile(rf"({_VALUE}) : i(\d+) to i(\d+)")
_BINARY = re.compile(rf"({_VALUE}), ({_VALUE}) : i(\d+)")
_CONSTANT = re.compile(r"\((-?\d+) : i\d+\)")

_NEEDED = ("llvm.or", "llvm.shl", "llvm.lshr", "llvm.zext", "llvm.sext", "llvm.trunc")
_DISPENSABLE = {*_NEEDED, "llvm.mlir.constant"}


def fold_sign_extensions(text: str) -> str:
    """
    The text of a module, with `llvm.sext` where that is what functions compute.

    zext(x) | zext(sext(trunc(x >> W-1) to i1)) << W  ->  sext(x), for x of W bits
    """
    found = _Definitions()
    result: list[str] = []
    for line in text.split("\n"):
        match = _RESULT.match(line)
        if "llvm.func" in line:
            found = _Definitions()
        elif match:
            name, operation = match.groups()
            rest = line[match.end() :].strip()
            source = found.extended(rest) if operation == "llvm.or" else None
            if source:
                line = f"    {name} = llvm.sext {source}"
            elif operation in _DISPENSABLE:
                found.operations[name] = (operation, rest)
        result.append(line)
    return "\n".join(_without_unused(result))


class _Definitions:
    """Operations by the name of their result."""

    def __init__(self) -> None:
        self.operations: dict[str, tuple[str, str]] = {}

    def _cast(self, value: str, operation: str) -> tuple[str, int, int] | None:
        """Operand and widths, if `value` is the result of this cast."""
        name, rest = self.operations.get(value, ("", ""))
        match = _CAST.fullmatch(rest) if name == operation else None
        return (match[1], int(match[2]), int(match[3])) if match else None

    def _shift(self, value: str, operation: str, amount: int) -> str | None:
        """The operand, if `value` is it shifted by `amount`."""
        name, rest = self.operations.get(value, ("", ""))
        match = _BINARY.fullmatch(rest) if name == operation else None
        if not match:
            return None
        name, rest = self.operations.get(match[2], ("", ""))
        constant = _CONSTANT.match(rest) if name == "llvm.mlir.constant" else None
        return match[1] if constant and int(constant[1]) == amount else None

    def extended(self, rest: str) -> str | None:
        """Operand and types of the sign extension that this `or` computes, if so."""
        match = _BINARY.fullmatch(rest)
        if not match:
            return None
        for low, high in ((match[1], match[2]), (match[2], match[1])):
            value = self._cast(low, "llvm.zext")
            if not value:
                continue
            source, width, total = value
            shifted = self._shift(high, "llvm.shl", width)
            copies = self._cast(shifted, "llvm.zext") if shifted else None
            if not copies or copies[1] != total - width:
                continue
            # A single copy of the sign is the sign itself.
            sign = self._cast(copies[0], "llvm.sext") or (copies[0], copies[1], 1)
            bit = self._cast(sign[0], "llvm.trunc") if sign[1] == 1 else None
            if bit and self._shift(bit[0], "llvm.lshr", width - 1) == source:
                return f"{source} : i{width} to i{total}"
        return None


def _without_unused(lines: list[str]) -> list[str]:
    """Without wiring whose result nobody uses."""
    used: set[str] = set()
    kept: list[str] = []
    for line in reversed(lines):
        match = _RESULT.match(line)
        if match:
            if match[2] in _DISPENSABLE and match[1] not in used:
                continue
            used.update(_OPERAND.findall(line, match.end()))
        else:
            used.update(_OPERAND.findall(line))
        kept.append(line)
    return kept[::-1]
