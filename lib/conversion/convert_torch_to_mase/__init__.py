"""The pass `convert-torch-to-mase`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from xdsl.builder import Builder
from xdsl.context import Context
from xdsl.dialects import func
from xdsl.dialects.builtin import (
    FunctionType,
    ModuleOp,
    StringAttr,
    UnregisteredOp,
)
from xdsl.ir import Block, Operation, Region, SSAValue
from xdsl.passes import ModulePass
from xdsl.rewriter import InsertPoint
from xdsl.transforms.dead_code_elimination import region_dce
from xdsl.utils.exceptions import PassFailedException, VerifyException

from mase_opt.dialects import torch
from mase_opt.dialects.mase.attrs import DenseAttr
from mase_opt.dialects.mase.shape import ConstantOp
from mase_opt.lib.conversion.convert_torch_to_mase import elementwise, layers, shapes
from mase_opt.lib.conversion.convert_torch_to_mase.call import (
    Argument,
    Call,
    Rule,
    Unsupported,
    check_width,
    fits,
    tensor_type,
)
from mase_opt.lib.plugins import load_pending

RULES: dict[str, Rule] = elementwise.RULES | layers.RULES | shapes.RULES
"""How to convert each op of the torch dialect, by its name without `torch.`."""


def add_rule(name: str, rule: Rule) -> None:
    """
    Convert an op of the torch dialect, such as `aten.atan`, by `rule`.

    Raises `ValueError` if there is a rule for it.
    """
    if name in RULES:
        raise ValueError(f"there is a rule for '{name}' already")
    RULES[name] = rule


LAYER_ATTR = "mase.layer"
SOURCE_ATTR = "mase.source"


@dataclass(frozen=True)
class ConvertTorchToMasePass(ModulePass):
    """
    Convert the torch dialect to the mase dialect.

    Needs the form in which torch-mlir's backend pipeline leaves a program, all shapes
    known, which is what the front end hands over. Layers stay whole and keep the path
    of their torch module as `layer`; what depends on no input is computed here. Fails,
    with a list of all ops it cannot convert, or leaves no op of the torch dialect.
    Functions without such ops stay as they are.

    ```mlir
    %1 = "torch.aten.relu"(%0) {mase.layer = "act"}
      : (!torch.vtensor<[1,32],f32>) -> !torch.vtensor<[1,32],f32>
    // becomes
    %1 = mase.relu %0 {layer = "act"} : (tensor<1x32xf32>) -> tensor<1x32xf32>
    ```
    """

    name = "convert-torch-to-mase"

    def apply(self, ctx: Context, op: ModuleOp) -> None:
        for function in _torch_functions(op):
            _Conversion(function).run()


def is_torch(module: ModuleOp) -> bool:
    """Whether `module` has a function in the torch dialect."""
    return bool(_torch_functions(module))


def _torch_functions(module: ModuleOp) -> list[func.FuncOp]:
    return [
        op
        for op in module.walk()
        if isinstance(op, func.FuncOp) and not op.is_declaration and _is_torch(op)
    ]


def _is_torch(function: func.FuncOp) -> bool:
    return any(
        type.name.startswith("torch.")
        for type in (*function.function_type.inputs, *function.function_type.outputs)
    ) or any(_name(op).startswith("torch.") for op in function.walk())


def _name(op: Operation) -> str:
    """The op's name, also where xDSL does not know it."""
    if isinstance(op, UnregisteredOp):
        return op.op_name.data
    return op.op_name.data if isinstance(op, torch.OperatorOp) else op.name


@dataclass(frozen=True)
class _Problem:
    """Why an op could not be converted, and where it comes from."""

    op: str
    reason: str
    layer: str
    source: str


class _Conversion:
    """Builds the mase form of one function beside it, then replaces the body."""

    def __init__(self, function: func.FuncOp):
        self.function = function
        self.values: dict[SSAValue, Argument] = {}
        self.failed: set[SSAValue] = set()
        self.problems: list[_Problem] = []
        self.block = Block()
        self.builder = Builder(InsertPoint.at_end(self.block))

    def run(self) -> None:
        if len(self.function.body.blocks) != 1:
            raise PassFailedException(
                f"function @{self.function.sym_name.data} has "
                f"{len(self.function.body.blocks)} blocks: control flow that depends "
                "on data cannot be converted"
            )
        self.convert_arguments()
        for op in self.function.body.block.ops:
            self.convert(op)
        if self.problems:
            raise PassFailedException(self.report())
        self.replace_body()

    def convert_arguments(self) -> None:
        for index, argument in enumerate(self.function.body.block.args):
            try:
                type = tensor_type(argument.type)
                check_width(type)
            except Unsupported as error:
                raise PassFailedException(
                    f"function @{self.function.sym_name.data}, "
                    f"input '{self.input_name(index) or index}': {error}"
                ) from error
            value = self.block.insert_arg(type, index)
            value.name_hint = self.input_name(index) or argument.name_hint
            self.values[argument] = value

    def input_name(self, index: int) -> str | None:
        """What the model calls an input."""
        if (attributes := self.function.arg_attrs) is None:
            return None
        name = attributes.data[index].data.get("mase.name")
        return name.data if isinstance(name, StringAttr) else None

    def convert(self, op: Operation) -> None:
        """Convert `op`, or note why that is impossible."""
        if any(operand in self.failed for operand in op.operands):
            if not (
                op.name in _STRUCTURAL or _name(op).removeprefix("torch.") in RULES
            ):
                self.note(op, "not supported")
            self.failed.update(op.results)
            return
        arguments = [self.values[operand] for operand in op.operands]
        try:
            results = self.results(op, arguments)
        except (Unsupported, VerifyException, ValueError) as error:
            self.note(op, str(error))
            self.failed.update(op.results)
            return
        for old, new in zip(op.results, results, strict=True):
            if isinstance(new, SSAValue):
                new.name_hint = old.name_hint
            self.values[old] = new

    def results(self, op: Operation, arguments: list[Argument]) -> Sequence[Argument]:
        """The values that stand for the results of `op`. Raises `Unsupported`."""
        match op:
            case torch.LiteralOp():
                return [self.literal(op)]
            case torch.ConstantIntOp():
                return [op.value.value.data]
            case torch.ConstantBoolOp():
                return [bool(op.value.value.data)]
            case torch.ConstantFloatOp():
                return [op.value.value.data]
            case torch.ConstantStrOp() | torch.ConstantDeviceOp():
                return [op.value.data]
            case torch.ConstantNoneOp():
                return [None]
            case func.ReturnOp():
                self.builder.insert(func.ReturnOp(*self.returned(arguments)))
                return []
            case _:
                return self.tensor_op(op, arguments)

    def literal(self, op: torch.LiteralOp) -> SSAValue:
        type = tensor_type(op.result.type)
        if not isinstance(op.value, DenseAttr):
            raise Unsupported(f"literal with data {op.value}, expected #mase.dense")
        return self.builder.insert(ConstantOp(op.value, type)).result

    def returned(self, values: Sequence[Argument]) -> list[SSAValue]:
        tensors = [value for value in values if isinstance(value, SSAValue)]
        if len(tensors) != len(values):
            raise Unsupported("a result of the function is not a tensor")
        for tensor in tensors:
            check_width(tensor.type)
        return tensors

    def tensor_op(self, op: Operation, arguments: list[Argument]) -> Sequence[Argument]:
        name = _name(op).removeprefix("torch.")
        if name == "prim.ListConstruct":
            return [arguments]
        if name not in RULES:
            load_pending()
        rule = RULES.get(name)
        if rule is None:
            raise Unsupported("not supported")
        layer = op.attributes.get(LAYER_ATTR)
        call = Call(
            op,
            arguments,
            layer.data if isinstance(layer, StringAttr) else None,
            self.builder,
        )
        results = rule(call)
        if isinstance(results, SSAValue):
            results = [results]
        for index, result in enumerate(results):
            if result is None:
                if any(op.results[index].uses):
                    raise Unsupported(f"result {index} is used")
            elif not fits(result, op.results[index].type):
                raise Unsupported(
                    f"result {index} has type {op.results[index].type}, converted to "
                    f"{result.type}"
                )
        return results

    def note(self, op: Operation, reason: str) -> None:
        def text(attribute: str) -> str:
            value = op.attributes.get(attribute)
            return value.data if isinstance(value, StringAttr) else ""

        self.problems.append(
            _Problem(_name(op), reason, text(LAYER_ATTR), text(SOURCE_ATTR))
        )

    def report(self) -> str:
        """All problems, equal ones counted."""
        groups: dict[tuple[str, str], list[_Problem]] = {}
        for problem in self.problems:
            groups.setdefault((problem.op, problem.reason), []).append(problem)
        lines = [
            f"function @{self.function.sym_name.data}: cannot convert "
            f"{len(self.problems)} op{'s' if len(self.problems) > 1 else ''} to the "
            "mase dialect:"
        ]
        for (name, reason), problems in groups.items():
            where = Counter(
                " at ".join(filter(None, (p.layer and f"'{p.layer}'", p.source)))
                or "no module"
                for p in problems
            )
            lines.append(f"  {len(problems)} x {name}: {reason}")
            lines += [
                f"    in {place}" + (f" ({count} times)" if count > 1 else "")
                for place, count in where.items()
            ]
        lines.append(
            "change the model to use other ops, or add a rule (docs/extending.md)"
        )
        return "\n".join(lines)

    def replace_body(self) -> None:
        terminator = self.block.last_op
        assert isinstance(terminator, func.ReturnOp), "function without return"
        self.function.detach_region(0).erase()
        self.function.add_region(Region(self.block))
        self.function.function_type = FunctionType.from_lists(
            list(self.block.arg_types), list(terminator.operand_types)
        )
        region_dce(self.function.body)
        # What the ONNX importer notes about the file.
        for name in [n for n in self.function.attributes if n.startswith("torch.")]:
            del self.function.attributes[name]


_STRUCTURAL = {
    "func.return",
    "torch.prim.ListConstruct",
}
