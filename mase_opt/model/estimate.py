"""What a circuit costs, counted in its operations: no text, no other tool."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from math import ceil

from xdsl.dialects import comb, hw, seq
from xdsl.dialects.builtin import IntegerType, ModuleOp
from xdsl.ir import Attribute, Operation

from mase_opt.dialects.circt import CompRegClockEnabledOp
from mase_opt.lib.target.layout import port_layout


@dataclass(frozen=True)
class Estimate:
    """
    Resources of a circuit on an FPGA with 6-input LUTs.

    Counted, not fitted: a LUT for each bit of an adder or comparison, for each two bits
    of a multiplexer or of bitwise logic, and for each 64 bits of a table; partial
    products of multiplications count as adders.
    """

    lut: int
    ff: int
    """Register bits."""
    adders: int
    """Two-input additions and subtractions."""
    multiplies: int
    latency: int
    """Cycles from a sample to its results."""
    initiation_interval: int
    """Cycles from one sample to the next."""
    logic_depth: int
    """Adders (or what takes as long) between two registers at most."""


def estimate(circuit: ModuleOp) -> Estimate:
    """The resources of a circuit in hw, comb and seq."""
    modules = {
        op.sym_name.data: op for op in circuit.ops if isinstance(op, hw.HWModuleOp)
    }
    known: dict[str, Counter[str]] = {}

    def count(name: str) -> Counter[str]:
        if name not in known:
            total: Counter[str] = Counter()
            for op in modules[name].body.block.ops:
                if isinstance(op, hw.InstanceOp):
                    total += count(op.module_name.string_value())
                else:
                    total += _costs(op)
            known[name] = total
        return known[name]

    layout = port_layout(circuit)
    total = count(layout.top)
    return Estimate(
        lut=ceil(total["lut64"] / 64),
        ff=total["ff"],
        adders=total["adders"],
        multiplies=total["multiplies"],
        latency=layout.latency,
        initiation_interval=layout.initiation_interval,
        logic_depth=layout.logic_depth,
    )


def _costs(op: Operation) -> Counter[str]:
    """What an operation takes; LUTs in 64ths, which a table has of one."""
    match op:
        case comb.AddOp() | comb.SubOp():
            more = len(op.operands) - 1
            return Counter(adders=more, lut64=64 * more * _bits(op.results[0].type))
        case comb.MulOp():
            bits = _bits(op.results[0].type)
            products = sum(_bits(v.type) for v in op.operands[1:])
            return Counter(multiplies=len(op.operands) - 1, lut64=64 * bits * products)
        case comb.ICmpOp():
            return Counter(lut64=64 * _bits(op.operands[0].type))
        case comb.MuxOp() | comb.AndOp() | comb.OrOp() | comb.XorOp():
            return Counter(lut64=32 * _bits(op.results[0].type))
        case comb.ShlOp() | comb.ShrUOp() | comb.ShrSOp():
            bits = _bits(op.results[0].type)
            return Counter(lut64=32 * bits * bits.bit_length())
        case hw.ArrayCreateOp():
            return Counter(lut64=sum(_bits(v.type) for v in op.operands))
        case seq.CompRegOp() | CompRegClockEnabledOp():
            return Counter(ff=_bits(op.results[0].type))
        case _:
            return Counter()


def _bits(type: Attribute) -> int:
    return type.bitwidth if isinstance(type, IntegerType) else 0
