"""
The loop around a simulated circuit, as LLVM-dialect text.

A loop in Python would cost more than evaluating a small circuit. So the loop over the
samples is compiled together with the circuit and runs in one call.
"""

from __future__ import annotations

from mase_opt.lib.hardware.interface import (
    CLOCK,
    IN_READY,
    IN_VALID,
    OUT_READY,
    OUT_VALID,
    RESET,
    Port,
    PortLayout,
    ready_of,
    valid_of,
)
from mase_opt.lib.hardware.packing import storage_dtype
from mase_opt.lib.target.circt import StateLayout

STREAM = "mase_stream"
"""`i64 (state, pointers, samples, cycles)`: a row per cycle."""
HANDSHAKE = "mase_handshake"
"""`i64 (state, pointers, samples, cycles)`: valid/ready; returns the cycles it took."""
CHANNELS = "mase_channels"
"""`i64 (state, pointers, samples, cycles)`: beats; returns the cycles it took."""

BLOCK_LIMIT = 500
"""Operations per basic block: parts of LLVM take more than linear time in that."""


def state_bytes(state: StateLayout) -> int:
    """Bytes to allocate for the state: the circuit's own and the guard byte."""
    return state.size + 1


def row_size(port: Port, state: StateLayout) -> int:
    """Bytes of a port's row in the buffers of the loop."""
    size = storage_dtype(port.width, signed=False).itemsize
    return port.elements * size * state.lanes


def limit_blocks(text: str, state: StateLayout) -> str:
    """
    Cut the long blocks of the evaluation function.

    Between the parts stands a test of a byte that is always 0, which LLVM cannot know,
    so it cannot join the parts again. For 17,000 multiplications that takes the
    compile time from 11 s to 2 s.
    """
    head = f"  llvm.func @{state.model}_eval("
    before, found, rest = text.partition(head)
    assert found, f"no function {state.model}_eval"
    body, end, after = rest.partition("\n  }\n")
    assert end, f"function {state.model}_eval does not end"
    lines: list[str] = []
    count = cuts = 0
    for line in body.split("\n"):
        lines.append(line)
        # Constants fold into their uses; blocks start with a label.
        if line.startswith("    ") and "llvm.mlir.constant" not in line:
            count += 1
        else:
            count = 0 if line.startswith("  ^") else count
        if count == BLOCK_LIMIT and " = " in line:
            lines.append(
                f"    %mg{cuts} = llvm.load volatile %mguard : !llvm.ptr -> i8\n"
                f'    %mc{cuts} = llvm.icmp "eq" %mg{cuts}, %mzero : i8\n'
                f"    llvm.cond_br %mc{cuts}, ^mb{cuts}, ^mexit\n"
                f"  ^mb{cuts}:"
            )
            cuts += 1
            count = 0
        elif count == BLOCK_LIMIT:
            count -= 1
    if not cuts:
        return text
    lines.insert(
        1,
        f"    %mguard = llvm.getelementptr %arg0[{state.size}] : "
        "(!llvm.ptr) -> !llvm.ptr, i8\n"
        "    %mzero = llvm.mlir.constant(0 : i8) : i8",
    )
    lines.append("  ^mexit:\n    llvm.return")
    return f"{before}{found}{chr(10).join(lines)}{end}{after}"


def add_driver(text: str, layout: PortLayout, state: StateLayout) -> str:
    """Append the loop that fits the interface to a lowered circuit."""
    if layout.has_channels:
        driver = _channels(layout, state)
    elif layout.has_ready:
        driver = _handshake(layout, state)
    else:
        driver = _stream(layout, state)
    body = text.rstrip()
    assert body.endswith("}")
    return f"{body[:-1]}{driver}\n}}\n"


class _Text:
    """Lines of a function, with fresh names."""

    def __init__(self, head: str):
        self.lines = [head]
        self._count = 0

    def emit(self, operation: str) -> None:
        self.lines.append(f"    {operation}")

    def value(self, operation: str) -> str:
        name = f"%v{self._count}"
        self._count += 1
        self.emit(f"{name} = {operation}")
        return name

    def label(self, label: str) -> None:
        self.lines.append(f"  {label}:")

    def constant(self, value: int, kind: str) -> str:
        return self.value(f"llvm.mlir.constant({value} : {kind}) : {kind}")

    def at(self, base: str, offset: int) -> str:
        return self.value(
            f"llvm.getelementptr {base}[{offset}] : (!llvm.ptr) -> !llvm.ptr, i8"
        )

    def row(self, base: str, index: str, size: str) -> str:
        offset = self.value(f"llvm.mul {index}, {size} : i64")
        return self.value(
            f"llvm.getelementptr {base}[{offset}] : (!llvm.ptr, i64) -> !llvm.ptr, i8"
        )

    def load(self, pointer: str, kind: str) -> str:
        return self.value(
            f"llvm.load {pointer} {{alignment = 1 : i64}} : !llvm.ptr -> {kind}"
        )

    def store(self, value: str, pointer: str, kind: str) -> None:
        self.emit(
            f"llvm.store {value}, {pointer} {{alignment = 1 : i64}} : {kind}, !llvm.ptr"
        )

    def move(self, target: str, source: str, size: int) -> None:
        """Copy `size` bytes."""
        count = self.constant(size, "i64")
        self.emit(
            f'"llvm.intr.memcpy"({target}, {source}, {count}) '
            "<{isVolatile = false}> : (!llvm.ptr, !llvm.ptr, i64) -> ()"
        )

    def copy(self, state: StateLayout, port: Port, row: str, read: bool) -> None:
        """Copy a row of storage-sized elements to (or, if `read`, from) the state."""
        slots = state.data[port.name]
        size = storage_dtype(port.width, signed=False).itemsize
        step = range(slots[0].offset, slots[0].offset + size * len(slots), size)
        bytes_alike = [s.offset for s in slots] == list(step)
        if state.lanes > 1 or (bytes_alike and (port.width + 7) // 8 == size):
            place = self.at("%state", slots[0].offset)
            source, target = (place, row) if read else (row, place)
            self.move(target, source, size * len(slots) * state.lanes)
            return
        inner, outer = f"i{port.width}", f"i{8 * size}"
        for index, slot in enumerate(slots):
            place = self.at("%state", slot.offset)
            element = self.at(row, index * size)
            if read:
                value = self.load(place, inner)
                if inner != outer:
                    value = self.value(f"llvm.zext {value} : {inner} to {outer}")
                self.store(value, element, outer)
            else:
                value = self.load(element, outer)
                if inner != outer:
                    value = self.value(f"llvm.trunc {value} : {outer} to {inner}")
                self.store(value, place, inner)


def _set(text: _Text, state: StateLayout, name: str, value: str) -> None:
    if name in state.control:
        text.store(value, text.at("%state", state.control[name].offset), "i8")


def _pointers(text: _Text, count: int) -> list[str]:
    found: list[str] = []
    for index in range(count):
        place = text.value(
            f"llvm.getelementptr %io[{index}] : (!llvm.ptr) -> !llvm.ptr, !llvm.ptr"
        )
        found.append(text.value(f"llvm.load {place} : !llvm.ptr -> !llvm.ptr"))
    return found


def _row_sizes(text: _Text, ports: tuple[Port, ...], state: StateLayout) -> list[str]:
    return [text.constant(row_size(port, state), "i64") for port in ports]


def _head(name: str) -> str:
    return (
        f"  llvm.func @{name}(%state: !llvm.ptr, %io: !llvm.ptr, %samples: i64, "
        "%cycles: i64) -> i64 {"
    )


def _eval(text: _Text, state: StateLayout) -> None:
    text.emit(f"llvm.call @{state.model}_eval(%state) : (!llvm.ptr) -> ()")


def _stream(layout: PortLayout, state: StateLayout) -> str:
    """
    A row per interval goes in, a row per cycle comes out, read after the rising edge.

    A row holds all elements of a port, for each of them a value per lane. Pointers:
    inputs (`samples` rows, the last of them stays on), outputs (`cycles` rows); with
    valid also in_valid and out_valid (`cycles` rows of a byte per lane).
    """
    text = _Text(_head(STREAM))
    buffers = _pointers(text, len(layout.ports) + 2 * layout.has_valid)
    count = len(layout.inputs)
    in_rows, out_rows = buffers[:count], buffers[count : len(layout.ports)]
    in_sizes, out_sizes = (
        _row_sizes(text, ports, state) for ports in (layout.inputs, layout.outputs)
    )
    zero, one = text.constant(0, "i64"), text.constant(1, "i64")
    high, low = text.constant(1, "i8"), text.constant(0, "i8")
    interval = text.constant(layout.initiation_interval, "i64")
    last = text.value(f"llvm.sub %samples, {one} : i64")
    lanes = text.constant(state.lanes, "i64")
    _set(text, state, RESET, low)
    text.emit(f"llvm.br ^loop({zero} : i64)")
    text.label("^loop(%t: i64)")
    going = text.value('llvm.icmp "slt" %t, %cycles : i64')
    text.emit(f"llvm.cond_br {going}, ^cycle, ^done")
    text.label("^cycle")
    sample = text.value(f"llvm.udiv %t, {interval} : i64")
    more = text.value(f'llvm.icmp "slt" {sample}, %samples : i64')
    index = text.value(f"llvm.select {more}, {sample}, {last} : i1, i64")
    for port, base, size in zip(layout.inputs, in_rows, in_sizes, strict=True):
        row = text.row(base, index, size)
        text.copy(state, port, row, read=False)
    if layout.has_valid:
        place = text.at("%state", state.control[IN_VALID].offset)
        text.move(place, text.row(buffers[-2], "%t", lanes), state.lanes)
    if layout.has_clock and state.last_clock is None:
        _set(text, state, CLOCK, low)
        _eval(text, state)
    elif layout.has_clock:
        # The clock was low before: saves the evaluation at the falling edge.
        assert state.last_clock is not None
        text.store(low, text.at("%state", state.last_clock), "i8")
    _set(text, state, CLOCK, high)
    _eval(text, state)
    for port, base, size in zip(layout.outputs, out_rows, out_sizes, strict=True):
        row = text.row(base, "%t", size)
        text.copy(state, port, row, read=True)
    if layout.has_valid:
        place = text.at("%state", state.control[OUT_VALID].offset)
        text.move(text.row(buffers[-1], "%t", lanes), place, state.lanes)
    after = text.value(f"llvm.add %t, {one} : i64")
    text.emit(f"llvm.br ^loop({after} : i64)")
    text.label("^done")
    text.emit("llvm.return %t : i64")
    return "\n".join([*text.lines, "  }"])


def _handshake(layout: PortLayout, state: StateLayout) -> str:
    """
    Valid and ready on both sides, by given patterns; everything is recorded.

    Pointers: inputs (one row more than samples, which is offered without valid),
    outputs (a row per cycle), then a byte per cycle: offers, out_ready, and as results
    in_ready and out_valid as seen just before the rising edge. Ends when as many
    results as samples are taken.
    """
    text = _Text(_head(HANDSHAKE))
    buffers = _pointers(text, len(layout.ports) + 4)
    count = len(layout.inputs)
    in_rows, out_rows = buffers[:count], buffers[count:-4]
    offers, wants, readies, valids = buffers[-4:]
    in_sizes, out_sizes = (
        _row_sizes(text, ports, state) for ports in (layout.inputs, layout.outputs)
    )
    zero, one = text.constant(0, "i64"), text.constant(1, "i64")
    high, low = text.constant(1, "i8"), text.constant(0, "i8")
    _set(text, state, RESET, low)
    text.emit(f"llvm.br ^loop({zero}, {zero}, {zero} : i64, i64, i64)")
    text.label("^loop(%t: i64, %i: i64, %k: i64)")
    in_time = text.value('llvm.icmp "slt" %t, %cycles : i64')
    missing = text.value('llvm.icmp "slt" %k, %samples : i64')
    going = text.value(f"llvm.and {in_time}, {missing} : i1")
    text.emit(f"llvm.cond_br {going}, ^cycle, ^done")
    text.label("^cycle")

    def flag(base: str) -> str:
        return text.value(
            f"llvm.getelementptr {base}[%t] : (!llvm.ptr, i64) -> !llvm.ptr, i8"
        )

    left = text.value('llvm.icmp "slt" %i, %samples : i64')
    wished = text.value(f"llvm.trunc {text.load(flag(offers), 'i8')} : i8 to i1")
    offer = text.value(f"llvm.and {left}, {wished} : i1")
    index = text.value(f"llvm.select {offer}, %i, %samples : i1, i64")
    for port, base, size in zip(layout.inputs, in_rows, in_sizes, strict=True):
        row = text.row(base, index, size)
        text.copy(state, port, row, read=False)
    _set(text, state, IN_VALID, text.value(f"llvm.zext {offer} : i1 to i8"))
    want = text.load(flag(wants), "i8")
    _set(text, state, OUT_READY, want)
    _set(text, state, CLOCK, low)
    _eval(text, state)
    ready, valid = (
        text.load(text.at("%state", state.control[name].offset), "i1")
        for name in (IN_READY, OUT_VALID)
    )
    for value, base in ((ready, readies), (valid, valids)):
        byte = text.value(f"llvm.zext {value} : i1 to i8")
        text.store(byte, flag(base), "i8")
    for port, base, size in zip(layout.outputs, out_rows, out_sizes, strict=True):
        row = text.row(base, "%t", size)
        text.copy(state, port, row, read=True)
    _set(text, state, CLOCK, high)
    _eval(text, state)
    moved = text.value(f"llvm.and {offer}, {ready} : i1")
    wanted = text.value(f"llvm.trunc {want} : i8 to i1")
    taken = text.value(f"llvm.and {wanted}, {valid} : i1")
    steps = [text.value(f"llvm.zext {bit} : i1 to i64") for bit in (moved, taken)]
    after = text.value(f"llvm.add %t, {one} : i64")
    next_in = text.value(f"llvm.add %i, {steps[0]} : i64")
    next_out = text.value(f"llvm.add %k, {steps[1]} : i64")
    text.emit(f"llvm.br ^loop({after}, {next_in}, {next_out} : i64, i64, i64)")
    text.label("^done")
    text.emit("llvm.return %t : i64")
    return "\n".join([*text.lines, "  }"])


def _channels(layout: PortLayout, state: StateLayout) -> str:
    """
    Beats through every port by patterns of its own.

    Pointers: counts (a 64-bit integer per port, 0 at first), then for each port its
    rows (of an input one more than beats, which is offered without valid; of an output
    one more than beats), its pattern (a byte per cycle), and the cycles of its beats
    (64-bit integers, one more than beats). Ends when all outputs are complete.
    """
    text = _Text(_head(CHANNELS))
    counts, *rest = _pointers(text, 1 + 3 * len(layout.ports))
    zero, one = text.constant(0, "i64"), text.constant(1, "i64")
    high, low = text.constant(1, "i8"), text.constant(0, "i8")
    ends = _Ends(text, state, layout.ports, counts, rest)
    _set(text, state, RESET, low)
    text.emit(f"llvm.br ^loop({zero} : i64)")
    text.label("^loop(%t: i64)")
    missing = text.value('llvm.icmp "slt" %t, %cycles : i64')
    open = text.constant(0, "i1")
    for port in range(len(layout.ports)):
        if layout.ports[port].direction == "out":
            left = ends.left(port)
            open = text.value(f"llvm.or {open}, {left} : i1")
    going = text.value(f"llvm.and {missing}, {open} : i1")
    text.emit(f"llvm.cond_br {going}, ^cycle, ^done")
    text.label("^cycle")
    wishes = [ends.wish(port) for port in range(len(layout.ports))]
    for index, (port, wish) in enumerate(zip(layout.ports, wishes, strict=True)):
        if port.direction == "in":
            row = text.value(
                f"llvm.select {wish}, {ends.count(index)}, {ends.totals[index]} "
                ": i1, i64"
            )
            text.copy(state, port, ends.row(index, row), read=False)
        signal = valid_of(port) if port.direction == "in" else ready_of(port)
        _set(text, state, signal, text.value(f"llvm.zext {wish} : i1 to i8"))
    _set(text, state, CLOCK, low)
    _eval(text, state)
    steps: list[str] = []
    for index, (port, wish) in enumerate(zip(layout.ports, wishes, strict=True)):
        signal = ready_of(port) if port.direction == "in" else valid_of(port)
        place = text.at("%state", state.control[signal].offset)
        moves = text.value(f"llvm.and {wish}, {text.load(place, 'i1')} : i1")
        steps.append(text.value(f"llvm.zext {moves} : i1 to i64"))
        # Written again until the beat moves.
        if port.direction == "out":
            text.copy(state, port, ends.row(index, ends.count(index)), read=True)
        text.store("%t", ends.time(index), "i64")
    _set(text, state, CLOCK, high)
    _eval(text, state)
    for index, step in enumerate(steps):
        more = text.value(f"llvm.add {ends.count(index)}, {step} : i64")
        text.store(more, ends.counter(index), "i64")
    after = text.value(f"llvm.add %t, {one} : i64")
    text.emit(f"llvm.br ^loop({after} : i64)")
    text.label("^done")
    text.emit("llvm.return %t : i64")
    return "\n".join([*text.lines, "  }"])


class _Ends:
    """The beats of all ports in the loop over the cycles."""

    def __init__(
        self,
        text: _Text,
        state: StateLayout,
        ports: tuple[Port, ...],
        counts: str,
        buffers: list[str],
    ):
        self.text = text
        self.counts = counts
        self.rows, self.patterns = buffers[::3], buffers[1::3]
        self.times = buffers[2::3]
        self.sizes = _row_sizes(text, ports, state)
        self.totals: list[str] = []
        for port in ports:
            assert port.channel is not None
            beats = text.constant(port.channel.beats, "i64")
            self.totals.append(text.value(f"llvm.mul %samples, {beats} : i64"))

    def counter(self, port: int) -> str:
        return self.text.at(self.counts, 8 * port)

    def count(self, port: int) -> str:
        """How many beats have moved."""
        return self.text.load(self.counter(port), "i64")

    def left(self, port: int) -> str:
        """Whether there are more."""
        return self.text.value(
            f'llvm.icmp "slt" {self.count(port)}, {self.totals[port]} : i64'
        )

    def wish(self, port: int) -> str:
        """Whether the pattern and the beats that are left let one move."""
        text = self.text
        place = text.value(
            f"llvm.getelementptr {self.patterns[port]}[%t] : "
            "(!llvm.ptr, i64) -> !llvm.ptr, i8"
        )
        wished = text.value(f"llvm.trunc {text.load(place, 'i8')} : i8 to i1")
        return text.value(f"llvm.and {self.left(port)}, {wished} : i1")

    def row(self, port: int, index: str) -> str:
        return self.text.row(self.rows[port], index, self.sizes[port])

    def time(self, port: int) -> str:
        """Where the cycle of the next beat goes."""
        size = self.text.constant(8, "i64")
        return self.text.row(self.times[port], self.count(port), size)
