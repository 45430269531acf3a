"""Proof that a circuit has no loop without a register; CIRCT does not survive some."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from xdsl.dialects import hw, seq
from xdsl.ir import BlockArgument, Operation, SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.circt import CompRegClockEnabledOp, FirMemOp

_REGISTERS = (seq.CompRegOp, CompRegClockEnabledOp, FirMemOp)


def check_loops(modules: Iterable[hw.HWModuleOp]) -> None:
    """
    Raise `PassFailedException` if a value depends on itself in the same cycle.

    Modules come before those that instantiate them.
    """
    paths: dict[str, list[set[int]]] = {}
    for module in modules:
        paths[module.sym_name.data] = _Module(module, paths).inputs_of_outputs()


class _Module:
    """What depends on what within one module."""

    def __init__(self, module: hw.HWModuleOp, paths: Mapping[str, list[set[int]]]):
        self.module = module
        self.paths = paths
        """Per module and output: the inputs that it depends on."""
        self.found: dict[SSAValue, set[int]] = {}

    def inputs_of_outputs(self) -> list[set[int]]:
        output = self.module.body.block.last_op
        assert isinstance(output, hw.OutputOp)
        return [self._inputs(value) for value in output.operands]

    def _before(self, value: SSAValue) -> list[SSAValue]:
        """What a value depends on in the same cycle."""
        op = value.owner
        if not isinstance(op, Operation) or isinstance(op, _REGISTERS):
            return []
        if not isinstance(op, hw.InstanceOp):
            return list(op.operands)
        inputs = self.paths[op.module_name.string_value()][op.results.index(value)]
        return [op.operands[i] for i in sorted(inputs)]

    def _inputs(self, value: SSAValue) -> set[int]:
        """The inputs of the module that a value depends on, without recursion."""
        active: dict[SSAValue, None] = {}
        waiting = [value]
        while waiting:
            current = waiting[-1]
            before = self._before(current)
            if current in self.found:
                waiting.pop()
                continue
            missing = [v for v in before if v not in self.found]
            if not missing:
                self.found[current] = set[int]().union(*(self.found[v] for v in before))
                if isinstance(current, BlockArgument):
                    self.found[current] = {current.index}
                active.pop(current, None)
                waiting.pop()
                continue
            if current not in active:
                active[current] = None
            if loop := next((v for v in missing if v in active), None):
                names = [v.name_hint or "?" for v in active]
                path = " -> ".join(names[list(active).index(loop) :])
                raise PassFailedException(
                    f"{self.module.sym_name.data}: a loop without a register: {path}"
                )
            waiting += missing
        return self.found[value]
