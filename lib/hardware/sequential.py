"""Registers that depend on themselves: counters, loop nests, and what follows them."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from xdsl.dialects import comb, seq
from xdsl.ir import SSAValue

from mase_opt.lib.hardware import arith
from mase_opt.lib.hardware.builder import Builder, width_of
from mase_opt.lib.hardware.wire import bits_for

_ULT, _SGT, _SLT, _EQ = 6, 4, 2, 0
"""Predicate numbers of `comb.icmp`."""


class Register:
    """A register whose next value is connected once it is known."""

    def __init__(
        self, b: Builder, width: int, reset: SSAValue | None, start: int, name: str
    ):
        """With `reset`, it starts from `start`."""
        self.b = b
        self.start = b.literal(start, width)
        # Arcs have no registers that are reset to anything but zero.
        self.reset = reset if start else None
        zero = None if reset is None or start else (reset, self.start)
        self._op = seq.CompRegOp(b.literal(0, width), b.clock(), zero)
        self.value = b.emit(self._op)
        self.value.name_hint = name

    def follow(self, value: SSAValue) -> None:
        """Take `value` at every rising edge."""
        if self.reset is not None:
            value = arith.select(self.b, self.reset, self.start, value)
        self._op.operands[0] = value

    def follow_if(self, condition: SSAValue, value: SSAValue) -> None:
        """Take `value` at the rising edges at which `condition` holds."""
        self.follow(arith.select(self.b, condition, value, self.value))


def add(b: Builder, x: SSAValue, y: SSAValue) -> SSAValue:
    """x + y, as wide as they are"""
    return b.emit(comb.AddOp.create(operands=[x, y], result_types=[x.type]))


def subtract(b: Builder, x: SSAValue, y: SSAValue) -> SSAValue:
    """x - y, as wide as they are"""
    return b.emit(comb.SubOp.create(operands=[x, y], result_types=[x.type]))


def every(b: Builder, bits: Sequence[SSAValue]) -> SSAValue:
    """One bit: all of them are set."""
    if not bits:
        return b.literal(1, 1)
    return reduce(lambda x, y: arith.bitwise(b, comb.AndOp, x, y), bits)


def widened(b: Builder, bit: SSAValue, width: int) -> SSAValue:
    """0 or 1 in `width` bits."""
    return bit if width == 1 else b.concat(b.literal(0, width - 1), bit)


def equals(b: Builder, x: SSAValue, value: int) -> SSAValue:
    """One bit: x = value"""
    return arith.icmp(b, _EQ, x, b.literal(value, width_of(x)))


def below(b: Builder, x: SSAValue, bound: int, *, signed: bool) -> SSAValue:
    """One bit: x < bound"""
    return arith.icmp(b, _SLT if signed else _ULT, x, b.literal(bound, width_of(x)))


def is_positive(b: Builder, x: SSAValue) -> SSAValue:
    """One bit: x > 0, for a signed x"""
    return arith.icmp(b, _SGT, x, b.literal(0, width_of(x)))


def delayed(
    b: Builder, value: SSAValue, cycles: int, reset: SSAValue | None = None
) -> SSAValue:
    """`value` some cycles later; 0 until then if there is a reset."""
    if cycles == 0:
        return value
    width = width_of(value)
    name = f"{value.name_hint or 'value'}_q"
    if cycles == 1:
        start = None if reset is None else (reset, b.literal(0, width))
        result = b.register(value, start)
        result.name_hint = name
        return result
    # One register for all, the oldest in the highest bits.
    shift = Register(b, cycles * width, reset, 0, name)
    shift.follow(b.concat(b.slice(shift.value, 0, (cycles - 1) * width), value))
    return b.slice(shift.value, (cycles - 1) * width, width)


def modulo_increment(b: Builder, x: SSAValue, size: int) -> SSAValue:
    """x + 1, from `size - 1` back to 0"""
    more = add(b, x, b.literal(1, width_of(x)))
    if size == 1 << width_of(x):
        return more
    last = equals(b, x, size - 1)
    return arith.select(b, last, b.literal(0, width_of(x)), more)


class Loops:
    """The counters of a loop nest, which goes on where `advance` is told so."""

    def __init__(self, b: Builder, reset: SSAValue, sizes: Sequence[int]):
        self.b = b
        self.sizes = tuple(sizes)
        self._counters: list[Register | None] = [
            Register(b, bits_for(0, n - 1), reset, 0, f"loop{level}") if n > 1 else None
            for level, n in enumerate(sizes)
        ]
        self._last = [
            None if counter is None else equals(b, counter.value, n - 1)
            for counter, n in zip(self._counters, sizes, strict=True)
        ]
        for level, last in enumerate(self._last):
            if last is not None:
                last.name_hint = f"loop{level}_last"

    def last(self, inner: int) -> SSAValue:
        """One bit: the `inner` innermost loops are in their last iteration."""
        first = len(self.sizes) - inner
        return every(self.b, [bit for bit in self._last[first:] if bit is not None])

    def first(self, inner: int) -> SSAValue:
        """One bit: the `inner` innermost loops are in their first iteration."""
        counters = self._counters[len(self.sizes) - inner :]
        return every(
            self.b, [equals(self.b, c.value, 0) for c in counters if c is not None]
        )

    def counter(self, level: int) -> SSAValue | None:
        """The counter of a loop, if it has more than one iteration."""
        counter = self._counters[level]
        return None if counter is None else counter.value

    def choose(self, values: Sequence[int], width: int) -> SSAValue:
        """The value of the loop that goes on; the last of `values` if none does."""
        b = self.b
        *of_loops, result = (b.literal(value, width) for value in values)
        for last, value in zip(self._last, of_loops, strict=True):
            if last is not None and value is not result:
                result = arith.select(b, last, result, value)
        return result

    def advance(self, go: SSAValue) -> None:
        """Go on to the next iteration at rising edges at which `go` is set."""
        b = self.b
        carry = go
        for counter, last, size in reversed(
            list(zip(self._counters, self._last, self.sizes, strict=True))
        ):
            if counter is None or last is None:
                continue
            counter.follow_if(carry, modulo_increment(b, counter.value, size))
            carry = every(b, [carry, last])


class Follower:
    """A number that depends on the counters of a nest in a linear way."""

    def __init__(
        self,
        loops: Loops,
        reset: SSAValue,
        steps: Sequence[int],
        start: int,
        span: tuple[int, int],
        name: str,
    ):
        """`steps` are what each loop adds, `span` the values that there are."""
        self.loops = loops
        self.steps = steps
        low, high = min(span[0], start), max(span[1], start)
        self.register = Register(loops.b, bits_for(low, high), reset, start, name)
        self.value = self.register.value

    def advance(self, go: SSAValue) -> None:
        """Go on with the loops."""
        b = self.loops.b
        step = self.loops.choose(self.steps, width_of(self.value))
        self.register.follow_if(go, add(b, self.value, step))


class Address:
    """A place in a memory of `size` words that is used in turns."""

    def __init__(
        self,
        loops: Loops,
        reset: SSAValue,
        steps: Sequence[int],
        start: int,
        size: int,
        name: str,
    ):
        self.loops = loops
        self.size = size
        self.steps = [step % size for step in steps]
        width = bits_for(0, size - 1)
        self.register = Register(loops.b, width, reset, start % size, name)
        self.value = self.register.value

    def advance(self, go: SSAValue) -> None:
        """Go on with the loops."""
        b, size = self.loops.b, self.size
        width = width_of(self.value)
        if size == 1 << width:
            step = self.loops.choose(self.steps, width)
            self.register.follow_if(go, add(b, self.value, step))
            return
        # One bit more, for the sum.
        step = self.loops.choose(self.steps, width + 1)
        total = add(b, b.concat(b.literal(0, 1), self.value), step)
        turned = subtract(b, total, b.literal(size, width + 1))
        fits = below(b, total, size, signed=False)
        following = arith.select(b, fits, total, turned)
        self.register.follow_if(go, b.slice(following, 0, width))
