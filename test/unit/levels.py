"""Builds functions of mase ops, to be compared at every level."""

from __future__ import annotations

from collections.abc import Sequence
from types import TracebackType

from xdsl.builder import ImplicitBuilder
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp, TensorType
from xdsl.ir import Attribute, Operation, SSAValue


class Model:
    """A function under construction; ops made in `with model:` go into it."""

    def __init__(self, *inputs: tuple[Attribute, Sequence[int]], name: str = "top"):
        types = [TensorType(element, shape) for element, shape in inputs]
        self.function = func.FuncOp(name, (types, ()))
        self.inputs: Sequence[SSAValue] = self.function.body.block.args
        self._builder = ImplicitBuilder(self.function.body.block)

    def __enter__(self) -> Sequence[SSAValue]:
        self._builder.__enter__()
        return self.inputs

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._builder.__exit__(kind, error, traceback)

    def returns(self, *values: Operation | SSAValue) -> ModuleOp:
        """End the function and wrap it; verified."""
        self.function.body.block.add_op(func.ReturnOp(*values))
        self.function.update_function_type()
        module = ModuleOp([self.function])
        module.verify()
        return module
