"""Modules that are there many times side by side: lanes, and rows of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from xdsl.dialects import hw
from xdsl.dialects.builtin import SymbolRefAttr
from xdsl.ir import SSAValue

from mase_opt.lib.hardware.builder import Builder, Design

ROW = 8
"""Lanes of a row: the text says as often what is there eight times as eight of it."""


@dataclass(frozen=True)
class CellPort:
    """An input of a cell."""

    name: str
    bits: int
    apart: bool
    """Whether each cell has bits of its own; else all of them have the same."""


@dataclass(frozen=True)
class Cell:
    """A module with an output `out`."""

    name: str
    clocked: bool
    ports: tuple[CellPort, ...]
    bits: int
    """Of its output."""

    def beside(
        self, b: Builder, words: Sequence[SSAValue], start: int, count: int, label: str
    ) -> SSAValue:
        """What `count` cells from `start` on give, the first in the lowest bits."""
        found: list[SSAValue] = []
        for place in range(start, start + count):
            inputs = [("clk", b.clock())] if self.clocked else []
            for port, word in zip(self.ports, words, strict=True):
                if port.apart:
                    word = b.slice(word, place * port.bits, port.bits)
                inputs.append((port.name, word))
            op = hw.InstanceOp(
                f"{label}{place - start}",
                SymbolRefAttr(self.name),
                inputs,
                [("out", b.type(self.bits))],
            )
            found.append(b.emit(op))
            found[-1].name_hint = f"{label}{place - start}_out"
        return b.concat(*reversed(found))

    def row(self) -> tuple[Cell, hw.HWModuleOp]:
        """A module of `ROW` of these."""
        b = Builder(Design(stall=False), self.name.removesuffix("_lane") + "_row")
        if self.clocked:
            b.clock()
        wide = tuple(
            replace(p, bits=p.bits * ROW) if p.apart else p for p in self.ports
        )
        words = [b.argument(p.name, b.type(p.bits), len(b.block.args)) for p in wide]
        b.outputs = ["out"]
        value = self.beside(b, words, 0, ROW, "lane")
        b.block.add_op(hw.OutputOp([value]))
        return Cell(b.name, self.clocked, wide, self.bits * ROW), b.close()

    def lanes(
        self, b: Builder, words: Sequence[SSAValue], count: int
    ) -> tuple[SSAValue, list[hw.HWModuleOp]]:
        """`count` of these, and the modules that this takes."""
        rows = count // ROW if count > ROW else 0
        if not rows:
            return self.beside(b, words, 0, count, "lane"), []
        row, module = self.row()
        parts = [row.beside(b, words, 0, rows, "row")]
        if rest := count - rows * ROW:
            parts.append(self.beside(b, words, rows * ROW, rest, "lane"))
        return b.concat(*reversed(parts)), [module]
