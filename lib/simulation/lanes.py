"""
Simulate many copies of a circuit at once: one per lane of a vector.

The evaluation function of a circuit is straight-line integer arithmetic around a
branch on the clock. Replacing `iN` by `vector<LxiN>` makes it evaluate L circuits,
each with registers of its own, with the vector unit of the processor. Clock and reset
are common to all lanes and stay scalar.

A circuit with an operation that has no such form is simulated one at a time.
"""

from __future__ import annotations

import dataclasses
import re

from mase_opt.lib.hardware.interface import CLOCK, RESET
from mase_opt.lib.target.circt import Slot, StateLayout

LANES = 16
"""Copies: 32-bit values then fill a vector register of 512 bits, or two of 256."""

_MAX_WIDTH = 64
"""Wider values would be taken apart lane by lane."""

_CONTEXT_BYTES = 24
"""What arc keeps in front of every state: not part of the circuit."""

_VALUE = r"%[\w.]+"
_CONSTANT = re.compile(
    rf"({_VALUE}) = llvm\.mlir\.constant\((\S+?)(?: : i\d+)?\) : i(\d+)"
)
_ADDRESS = re.compile(rf"({_VALUE}) = llvm\.mlir\.addressof @\S+ : !llvm\.ptr")
_STATE = re.compile(
    rf"({_VALUE}) = llvm\.getelementptr %arg0\[(\d+)\] : \(!llvm\.ptr\) -> "
    r"!llvm\.ptr, i8"
)
_ELEMENT = re.compile(
    rf"({_VALUE}) = llvm\.getelementptr ({_VALUE})\[0, ({_VALUE})\] : "
    r"\(!llvm\.ptr, (i\d+)\) -> (!llvm\.ptr, !llvm\.array<.*>)"
)
_LOAD = re.compile(rf"({_VALUE}) = llvm\.load ({_VALUE}) : !llvm\.ptr -> i(\d+)")
_STORE = re.compile(rf"llvm\.store ({_VALUE}), ({_VALUE}) : i(\d+), !llvm\.ptr")
_BINARY = re.compile(
    rf"({_VALUE}) = (llvm\.(?:add|sub|mul|and|or|xor|shl|lshr|ashr)(?: [a-z<>, ]+)?|"
    rf"llvm\.icmp \"[a-z]+\") ({_VALUE}), ({_VALUE}) : i(\d+)"
)
_SELECT = re.compile(
    rf"({_VALUE}) = llvm\.select ({_VALUE}), ({_VALUE}), ({_VALUE}) : i1, i(\d+)"
)
_CAST = re.compile(
    rf"({_VALUE}) = (llvm\.(?:zext|sext|trunc)(?: [a-z<>, ]+)?) ({_VALUE}) : "
    r"i(\d+) to i(\d+)"
)
_BRANCH = re.compile(rf"llvm\.(?:br \^\w+|return|cond_br ({_VALUE}), \^\w+, \^\w+)")
_LABEL = re.compile(r"\^\w+:.*")


class _NoLanes(Exception):
    """The function has an operation without a vector form."""


def storage_bits(width: int) -> int:
    """Bits that a lane of `width` bits takes up in memory."""
    return next(size for size in (8, 16, 32, 64) if width <= size)


def vectorize(text: str, state: StateLayout) -> tuple[str, StateLayout]:
    """
    The text and the state layout for `LANES` circuits; unchanged if there is no way.

    In the new layout a slot holds `LANES` values of `storage_bits` each, the slots of
    a port follow one another, and clock and reset are single bytes.
    """
    head = f"  llvm.func @{state.model}_eval(%arg0: !llvm.ptr) {{\n"
    before, found, rest = text.partition(head)
    body, end, after = rest.partition("\n  }\n")
    if not found or not end or state.has_initial:
        return text, state
    try:
        widths = _slot_widths(body, state)
        vector = _Vectorizer(state, widths)
        lines = vector.rewrite(body)
    except _NoLanes:
        return text, state
    return "".join([before, found, "\n".join(lines), end, after]), vector.layout


def _slot_widths(body: str, state: StateLayout) -> dict[int, int]:
    """Offset and width of all there is in the state."""
    widths: dict[int, int] = {}

    def add(offset: int, width: int) -> None:
        if widths.setdefault(offset, width) != width or width > _MAX_WIDTH:
            raise _NoLanes

    for slots in state.data.values():
        for slot in slots:
            add(slot.offset, slot.width)
    for slot in state.control.values():
        add(slot.offset, slot.width)
    places: dict[str, int] = {}
    for line in body.split("\n"):
        line = line.strip()
        if match := _STATE.fullmatch(line):
            places[match[1]] = int(match[2])
        elif (match := _LOAD.fullmatch(line)) or (match := _STORE.fullmatch(line)):
            if match[2] in places:
                add(places[match[2]], int(match[3]))
    return widths


class _Vectorizer:
    """Rewrites the body of an evaluation function, line by line."""

    def __init__(self, state: StateLayout, widths: dict[int, int]):
        self.common = {
            state.control[name].offset
            for name in (CLOCK, RESET)
            if name in state.control
        }
        if state.last_clock is not None:
            self.common.add(state.last_clock)
        self.common |= {offset for offset in widths if offset < _CONTEXT_BYTES}
        self.widths = widths
        self.offsets, size = self._place(state)
        self.layout = self._layout(state, size)
        self.lines: list[str] = []
        self.places: dict[str, int] = {}
        self.elements: dict[str, tuple[str, str, str, str]] = {}
        self.constants: set[str] = set()
        self.scalars: set[str] = set()
        self.vectors: set[str] = set()

    def _place(self, state: StateLayout) -> tuple[dict[int, int], int]:
        """New offsets, aligned to the vectors; and the size of it all."""
        offsets = {o: o for o in self.widths if o < _CONTEXT_BYTES}
        place = _CONTEXT_BYTES
        for offset in sorted(self.common - offsets.keys()):
            offsets[offset] = place
            place += 1
        groups = [[slot.offset for slot in slots] for slots in state.data.values()]
        placed = {*offsets, *(offset for group in groups for offset in group)}
        groups += [[offset] for offset in sorted(self.widths.keys() - placed)]
        for group in groups:
            place = -(-place // 64) * 64
            for offset in group:
                offsets[offset] = place
                place += LANES * storage_bits(self.widths[offset]) // 8
        return offsets, place

    def _layout(self, state: StateLayout, size: int) -> StateLayout:
        def move(slot: Slot) -> Slot:
            return Slot(self.offsets[slot.offset], slot.width)

        last_clock = state.last_clock
        return dataclasses.replace(
            state,
            size=size,
            lanes=LANES,
            control={name: move(slot) for name, slot in state.control.items()},
            data={n: tuple(map(move, slots)) for n, slots in state.data.items()},
            last_clock=None if last_clock is None else self.offsets[last_clock],
        )

    def rewrite(self, body: str) -> list[str]:
        """The new lines; raises `_NoLanes` if one of the old has no vector form."""
        for number, line in enumerate(body.split("\n")):
            self._line(number, line.strip())
        return self.lines

    def _emit(self, line: str) -> None:
        self.lines.append(f"    {line}")

    def _kind(self, width: str | int) -> str:
        return f"vector<{LANES}xi{width}>"

    def _vector(self, value: str) -> str:
        """The name of a value's vector form."""
        if value in self.vectors:
            return value
        if value in self.constants:
            return f"%k{value[1:]}"
        raise _NoLanes

    def _is_scalar(self, *values: str) -> bool:
        """Whether an operation on these concerns all lanes."""
        return any(v in self.scalars for v in values) and all(
            v in self.scalars or v in self.constants for v in values
        )

    def _line(self, number: int, line: str) -> None:
        if match := _BINARY.fullmatch(line):
            result, name, *operands, width = match.groups()
            if self._is_scalar(*operands):
                self._keep(result, line)
                return
            left, right = map(self._vector, operands)
            self._emit(f"{result} = {name} {left}, {right} : {self._kind(width)}")
            self.vectors.add(result)
        elif match := _STATE.fullmatch(line):
            self.places[match[1]] = int(match[2])
        elif match := _LOAD.fullmatch(line):
            self._load(number, *match.groups())
        elif match := _CAST.fullmatch(line):
            result, name, operand, old, new = match.groups()
            if self._is_scalar(operand):
                self._keep(result, line)
                return
            self._emit(
                f"{result} = {name} {self._vector(operand)} : {self._kind(old)} to "
                f"{self._kind(new)}"
            )
            self.vectors.add(result)
        elif match := _STORE.fullmatch(line):
            self._store(number, *match.groups())
        elif match := _SELECT.fullmatch(line):
            result, condition, *operands, width = match.groups()
            if self._is_scalar(condition, *operands):
                self._keep(result, line)
                return
            left, right = map(self._vector, operands)
            if condition in self.scalars:
                kind = "i1"
            else:
                condition, kind = self._vector(condition), self._kind(1)
            self._emit(
                f"{result} = llvm.select {condition}, {left}, {right} : "
                f"{kind}, {self._kind(width)}"
            )
            self.vectors.add(result)
        elif match := _CONSTANT.fullmatch(line):
            result, value, width = match.groups()
            self._emit(line)
            self._emit(
                f"%k{result[1:]} = llvm.mlir.constant(dense<{value}> : "
                f"{self._kind(width)}) : {self._kind(width)}"
            )
            self.constants.add(result)
        elif match := _ELEMENT.fullmatch(line):
            result, base, index, kind, array = match.groups()
            self.elements[result] = (base, self._vector(index), kind, array)
        elif match := _BRANCH.fullmatch(line):
            if match[1] and match[1] not in self.scalars:
                raise _NoLanes
            self._emit(line)
        elif _ADDRESS.fullmatch(line):
            self._emit(line)
        elif _LABEL.fullmatch(line):
            self.lines.append(f"  {line}")
        elif line:
            raise _NoLanes

    def _keep(self, result: str, line: str) -> None:
        self._emit(line)
        self.scalars.add(result)

    def _address(self, number: int, pointer: str) -> str:
        """Emit the address of a slot."""
        name = f"%p{number}"
        self._emit(
            f"{name} = llvm.getelementptr %arg0[{self.offsets[self.places[pointer]]}] "
            ": (!llvm.ptr) -> !llvm.ptr, i8"
        )
        return name

    def _load(self, number: int, result: str, pointer: str, width: str) -> None:
        if pointer in self.elements:
            self._gather(number, result, pointer, width)
            return
        if pointer not in self.places:
            raise _NoLanes
        address = self._address(number, pointer)
        if self.places[pointer] in self.common:
            self._keep(
                result, f"{result} = llvm.load {address} : !llvm.ptr -> i{width}"
            )
            return
        stored = storage_bits(int(width))
        raw = result if stored == int(width) else f"%r{result[1:]}"
        self._emit(f"{raw} = llvm.load {address} : !llvm.ptr -> {self._kind(stored)}")
        if raw != result:
            self._emit(
                f"{result} = llvm.trunc {raw} : {self._kind(stored)} to "
                f"{self._kind(width)}"
            )
        self.vectors.add(result)

    def _store(self, number: int, value: str, pointer: str, width: str) -> None:
        if pointer not in self.places:
            raise _NoLanes
        address = self._address(number, pointer)
        if self.places[pointer] in self.common:
            if value not in self.scalars and value not in self.constants:
                raise _NoLanes
            self._emit(f"llvm.store {value}, {address} : i{width}, !llvm.ptr")
            return
        value = self._vector(value)
        stored = storage_bits(int(width))
        if stored != int(width):
            self._emit(
                f"%s{number} = llvm.zext {value} : {self._kind(width)} to "
                f"{self._kind(stored)}"
            )
            value = f"%s{number}"
        self._emit(f"llvm.store {value}, {address} : {self._kind(stored)}, !llvm.ptr")

    def _gather(self, number: int, result: str, pointer: str, width: str) -> None:
        """Look an element of a constant array up for each lane."""
        base, index, kind, array = self.elements[pointer]
        kinds, parts = self._kind(width), f"%g{number}"
        self._emit(f"{parts}_0 = llvm.mlir.poison : {kinds}")
        for lane in range(LANES):
            at, part = f"%i{number}_{lane}", f"{parts}_{lane}"
            self._emit(f"{at} = llvm.mlir.constant({lane} : i32) : i32")
            self._emit(
                f"{at}x = llvm.extractelement {index}[{at} : i32] : "
                f"vector<{LANES}x{kind}>"
            )
            self._emit(
                f"{at}p = llvm.getelementptr {base}[0, {at}x] : (!llvm.ptr, {kind}) -> "
                f"{array}"
            )
            self._emit(f"{at}e = llvm.load {at}p : !llvm.ptr -> i{width}")
            name = result if lane == LANES - 1 else f"{parts}_{lane + 1}"
            self._emit(
                f"{name} = llvm.insertelement {at}e, {part}[{at} : i32] : {kinds}"
            )
        self.vectors.add(result)
