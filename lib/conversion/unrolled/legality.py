"""What must hold before a function can become a circuit."""

from __future__ import annotations

from xdsl.dialects import func
from xdsl.dialects.builtin import DYNAMIC_INDEX, ModuleOp, TensorType
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import PassFailedException

from mase_opt.dialects.mase import elementwise, layers, normalization, shape
from mase_opt.dialects.mase.attrs import is_float
from mase_opt.dialects.mase.base import ArithmeticOp, FunctionOp
from mase_opt.dialects.mase.cast_elements import CastElementsOp
from mase_opt.dialects.mase.types import FixedPoint, element_of, shape_of
from mase_opt.lib.analysis.blocks import is_block, keeps_blocks
from mase_opt.lib.conversion.unrolled.registry import TEMPLATES, WIRINGS
from mase_opt.lib.conversion.unrolled.top import describe, live_ops
from mase_opt.lib.formats import Overflow, Stochastic
from mase_opt.lib.hardware.codec import format_of, has_codec
from mase_opt.lib.hardware.number import LOWER_BLOCKS, not_constant
from mase_opt.lib.model_function import argument_names

LOOKUP_BITS = 12
"""Unary functions of inputs up to this width become tables."""

_NO_TEMPLATE = (
    "no spatial template: leave it out of the hardware part of the model "
    "(mase-run --level quantized runs all of it), or add a template (docs/extending.md)"
)

DECOMPOSE = (
    "no circuit of its own: make it explicit in parts that have one "
    "(mase-decompose-normalizations), which comes before mase-quantize"
)
"""What to do about softmax, attention and norms."""


def only_function(module: ModuleOp) -> func.FuncOp:
    """
    The function to convert.

    Raises `PassFailedException` unless there is exactly one, with one block.
    """
    others = [op for op in module.ops if not isinstance(op, func.FuncOp)]
    functions = [op for op in module.ops if isinstance(op, func.FuncOp)]
    if others:
        names = ", ".join(sorted({op.name for op in others}))
        raise PassFailedException(f"the module holds {names}, expected one func.func")
    if len(functions) != 1:
        names = ", ".join(f.sym_name.data for f in functions) or "none"
        raise PassFailedException(
            f"expected one function, found {names}: one function is one circuit"
        )
    if len(functions[0].body.blocks) != 1:
        raise PassFailedException(
            f"function {functions[0].sym_name.data} has "
            f"{len(functions[0].body.blocks)} blocks, expected 1"
        )
    return functions[0]


def check_function(op: func.FuncOp) -> None:
    """
    Raises one `PassFailedException` that lists everything without a circuit.

    Raises `UserError` for arguments of one name.
    """
    argument_names(op)
    problems: list[str] = []
    if not op.body.block.args:
        problems.append("it takes no input: there is nothing to compute")
    for index, argument in enumerate(op.body.block.args):
        reason = _value_problem(argument)
        if reason:
            problems.append(f"argument {index}: {reason}")
    for inner in live_ops(op):
        if isinstance(inner, func.ReturnOp):
            continue
        reason = _op_problem(inner)
        if reason:
            problems.append(f"{describe(inner)}: {reason}")
    if problems:
        raise PassFailedException(
            f"function {op.sym_name.data} cannot become hardware:\n  "
            + "\n  ".join(problems)
        )


def _op_problem(op: Operation) -> str | None:
    if isinstance(op, ArithmeticOp) and isinstance(op.rounding.mode, Stochastic):
        return (
            f"no circuit draws random numbers for rounding {op.rounding.mode}: use "
            "nearest_even or another mode (mase-run --level quantized has this one)"
        )
    if (
        isinstance(op, ArithmeticOp)
        and op.rounding.overflow is Overflow.INFINITY
        and any(not isinstance(u.operation, func.ReturnOp) for u in op.result.uses)
    ):
        return (
            "what uses its result computes with numbers, not with infinities or NaN: "
            "use overflow saturate"
        )
    if type(op) not in TEMPLATES and type(op) not in WIRINGS:
        return _missing_template(op)
    if any(is_block(v) for v in op.operands) and not (
        isinstance(op, elementwise.CastOp | CastElementsOp | layers.ContractionOp)
        or keeps_blocks(op)
    ):
        return f"computes on blocks: {LOWER_BLOCKS}"
    for name, operand in _constant_operands(op):
        if not _is_constant(operand):
            return not_constant(name)
    for result in op.results:
        reason = _value_problem(result)
        if reason:
            return reason
    return None


def _constant_operands(op: Operation) -> list[tuple[str, SSAValue]]:
    """The operands of `op` that its circuit is built from."""
    match op:
        case elementwise.DivOp():
            return [("divisor", op.rhs)]
        case layers.ConvOp():
            bias = [] if op.bias is None else [("bias", op.bias)]
            return [("weight", op.weight), *bias]
        case layers.LookupOp():
            return [("table", op.table)]
        case shape.GatherOp():
            return [("index", op.indices)]
        case _:
            return []


def _is_constant(value: SSAValue) -> bool:
    """Whether `value` is computed from nothing but constants."""
    seen, waiting = {value}, [value]
    while waiting:
        owner = waiting.pop().owner
        if not isinstance(owner, Operation):
            return False
        waiting += [v for v in owner.operands if v not in seen]
        seen.update(owner.operands)
    return True


def _value_problem(value: SSAValue) -> str | None:
    if not isinstance(value.type, TensorType):
        return f"type is {value.type}, expected a tensor"
    sizes, element = shape_of(value), element_of(value)
    if DYNAMIC_INDEX in sizes:
        return (
            f"dimension {sizes.index(DYNAMIC_INDEX)} of its shape is dynamic (?): "
            "import the model with fixed sizes"
        )
    if min(sizes, default=1) < 1:
        return f"shape is {'x'.join(map(str, sizes))}, expected elements"
    format = format_of(element)
    if format is not None and has_codec(format):
        return None
    if is_float(element):
        return f"is still {element}: quantize it first (mase-quantize)"
    return (
        f"element type {element} has no circuit: quantize the model in floating point "
        "to fixed or ufixed instead"
    )


def _missing_template(op: Operation) -> str:
    match op:
        case normalization.BatchNormOp():
            return (
                "no spatial template: fold it into the layer before it "
                "(mase-fold-batch-norm), which comes before mase-quantize"
            )
        case (
            normalization.SoftmaxOp()
            | normalization.AttentionOp()
            | normalization.AffineNormOp()
        ):
            return DECOMPOSE
        case elementwise.PowOp():
            return (
                "no spatial template: use multiplications, or a table of at most "
                f"{LOOKUP_BITS} bits where one operand is a constant "
                "(mase-lower-to-lookup)"
            )
        case FunctionOp():
            return _lookup_advice(op)
        case _ if not op.name.startswith("mase."):
            return (
                "no spatial template: add one where the operation is defined "
                "(docs/extending.md)"
            )
        case _:
            return _NO_TEMPLATE


def _lookup_advice(op: FunctionOp) -> str:
    """What makes `mase-lower-to-lookup` replace a function."""
    input, output = element_of(op.input), element_of(op.result)
    if is_float(input) or is_float(output):
        return "is still in floating point: quantize it first (mase-quantize)"
    if not (isinstance(input, FixedPoint) and isinstance(output, FixedPoint)):
        return (
            f"has no circuit from {input} to {output}: quantize both to fixed point, "
            f"its input to at most {LOOKUP_BITS} bits, then make it a table "
            "(mase-lower-to-lookup)"
        )
    if (bits := input.format.width) <= LOOKUP_BITS:
        return "has no circuit of its own: make it a table (mase-lower-to-lookup)"
    return (
        f"has an input of {bits} bits: quantize it to at most {LOOKUP_BITS} bits, then "
        "make it a table (mase-lower-to-lookup)"
    )
