"""What operations are to synthesis: bits of adders, of tables, and so on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence

from xdsl.dialects import comb
from xdsl.ir import Operation, SSAValue

from mase_opt.lib.hardware.timing import TABLE_INPUTS, Piece

Pieces = dict[SSAValue, list[Piece]]
"""What values are made of, as `Timing` finds it."""
Bit = tuple[SSAValue | None, int]
"""A bit of a value, or a constant 0 or 1."""

DSP_WIDTHS = (26, 17)
"""Bits of unsigned operands that a multiplier block takes."""
DSP_LEAST = (2, 9)
"""Bits of the narrower operand, and of the product, from which on there is one."""


def counts(op: Operation, pieces: Pieces) -> Counter[str]:
    """
    How much there is in an operation of what its cost depends on.

    `…_both` are bits of two signals, `…_one` those of a signal and a constant.
    """
    match op:
        case comb.AddOp() | comb.SubOp():
            return _added(op, pieces)
        case comb.MulOp():
            return product(*(_signals(pieces[v]) for v in op.operands))
        case comb.ICmpOp():
            both, one = _pairs(op.operands, pieces)
            kind = "equal" if op.predicate.value.data < 2 else "order"
            return Counter({f"{kind}_both": both, f"{kind}_one": one})
        case comb.MuxOp():
            both, one = _pairs((op.true_value, op.false_value), pieces)
            return Counter(mux_both=both, mux_one=one)
        case comb.AndOp() | comb.OrOp() | comb.XorOp():
            return Counter(logic=sum(_pairs(op.operands, pieces)))
        case _:
            return Counter()


def product(left: int, right: int) -> Counter[str]:
    """A multiplication of as many bits: blocks, or more tables than a square has."""
    wide, narrow = max(left, right), min(left, right)
    least, least_product = DSP_LEAST
    if narrow < least or wide + narrow < least_product:
        return Counter(multiplies=1, product=left * right * narrow)
    blocks = min(
        -(-wide // x) * -(-narrow // y) for x, y in (DSP_WIDTHS, DSP_WIDTHS[::-1])
    )
    return Counter(multiplies=1, dsp=blocks)


def tables(codes: Sequence[int]) -> Counter[str]:
    """
    The different functions of six inputs among which a table selects.

    As many as there are, `table` where it is one of them and `table_part` where it is
    not, and how many are selected from, `table_select`.
    """
    size = 1 << TABLE_INPUTS
    found = Counter[str]()
    for place in range(max(max(codes), ~min(codes)).bit_length() + (min(codes) < 0)):
        column = [code >> place & 1 for code in codes]
        parts = {tuple(column[i : i + size]) for i in range(0, len(column), size)}
        kind = "table" if len(column) <= size else "table_part"
        found[kind] += sum(len(set(part)) > 1 for part in parts)
        if len(parts) > 1:
            found["table_select"] += len(column) // size - 1
    return found


def _added(op: comb.AddOp | comb.SubOp, pieces: Pieces) -> Counter[str]:
    """An adder, which begins where both operands do."""
    x, y = (list(_bits(pieces[v])) for v in op.operands)
    begin = next((i for i, bit in enumerate(y) if bit != (None, 0)), len(y))
    if isinstance(op, comb.AddOp):
        other = next((i for i, bit in enumerate(x) if bit != (None, 0)), len(x))
        begin = max(begin, other)
    both, one = _signals_of(zip(x[begin:], y[begin:], strict=True))
    return Counter(adders=1, add_both=both, add_one=one)


def _pairs(operands: Sequence[SSAValue], pieces: Pieces) -> tuple[int, int]:
    """At how many places two values have different signals, and one has one."""
    x, y = (_bits(pieces[v]) for v in operands)
    return _signals_of((a, b) for a, b in zip(x, y, strict=True) if a != b)


def _signals_of(pairs: Iterable[tuple[Bit, Bit]]) -> tuple[int, int]:
    """Of how many pairs both are signals, and one is; of equal ones, one counts."""
    signals = [(a[0] is not None) + (b[0] is not None) for a, b in set(pairs)]
    return signals.count(2), signals.count(1)


def _bits(pieces: Sequence[Piece]) -> Iterator[Bit]:
    """Each bit, the lowest first."""
    for piece in pieces:
        for place in range(piece.width):
            if piece.value is None:
                yield None, piece.low >> place & 1
            else:
                yield piece.value, piece.low + place


def _signals(pieces: Sequence[Piece]) -> int:
    """Bits that are no constants, each once; of a constant those that it takes."""
    found = {bit for bit in _bits(pieces) if bit[0] is not None}
    return len(found) or sum(piece.low.bit_length() for piece in pieces)
