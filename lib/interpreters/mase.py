"""
The reference interpreter: runs a function of mase ops on arrays.

Every value has a leading axis for samples, so that one run evaluates a whole data
set whatever batch size the shapes in the IR say. Values are freed after their last
use; constants are shared by all samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation, SSAValue
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase.base import show
from mase_opt.dialects.mase.types import shape_of
from mase_opt.lib.formats import FormatError
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.kernels import KERNELS

Observer = Callable[[SSAValue, Array], None]


def main_function(module: ModuleOp) -> func.FuncOp:
    """
    The only function of `module`.

    Raises `InterpretationError` unless there is exactly one, with one block.
    """
    functions = [op for op in module.ops if isinstance(op, func.FuncOp)]
    if len(functions) != 1:
        names = ", ".join(f.sym_name.data for f in functions) or "none"
        raise InterpretationError(f"expected one function, found {names}")
    if len(functions[0].body.blocks) != 1:
        raise InterpretationError(
            f"function {functions[0].sym_name.data} has "
            f"{len(functions[0].body.blocks)} blocks, expected 1"
        )
    return functions[0]


def evaluate(
    module: ModuleOp | func.FuncOp,
    inputs: Sequence[Array],
    *,
    observe: Observer | None = None,
) -> list[Array]:
    """
    Run the function of `module`.

    `inputs` and the results have shape `[samples, *shape]`: numbers for builtin
    element types, codes for number formats. `observe` is called with every argument
    and every op result.

    Raises `InterpretationError` for a wrong number or shape of inputs, an op without
    a meaning, or a value that a format cannot hold.
    """
    function = main_function(module) if isinstance(module, ModuleOp) else module
    block = function.body.block
    if len(inputs) != len(block.args):
        raise InterpretationError(
            f"function {function.sym_name.data} takes {len(block.args)} inputs, "
            f"got {len(inputs)}"
        )
    values: dict[SSAValue, Array] = {}
    for index, (argument, array) in enumerate(zip(block.args, inputs, strict=True)):
        array = np.asarray(array)
        if array.shape[1:] != shape_of(argument) or array.ndim == 0:
            raise InterpretationError(
                f"input {index} has shape {show(array.shape)}, expected samples of "
                f"{show(shape_of(argument))}"
            )
        values[argument] = array
        if observe is not None:
            observe(argument, array)
    last_use = {operand: op for op in block.ops for operand in op.operands}
    for op in block.ops:
        if isinstance(op, func.ReturnOp):
            samples = max((a.shape[0] for a in inputs), default=1)
            return [
                np.broadcast_to(a, (samples, *a.shape[1:]))
                for a in (values[v] for v in op.operands)
            ]
        result = evaluate_op(op, [values[v] for v in op.operands])
        values[op.results[0]] = result
        if observe is not None:
            observe(op.results[0], result)
        for operand in set(op.operands):
            if last_use[operand] is op:
                del values[operand]
    raise InterpretationError(f"function {function.sym_name.data} does not return")


def evaluate_op(op: Operation, operands: Sequence[Array]) -> Array:
    """
    The result of one op, operands and result with a leading sample axis.

    Raises `InterpretationError` as `evaluate` does.
    """
    kernel = KERNELS.get(type(op))
    if kernel is None:
        raise InterpretationError(f"{op.name} has no meaning in the interpreter")
    try:
        return kernel(op, *operands)
    except FormatError as error:
        layer = op.properties.get("layer")
        where = f"{op.name} {layer}" if layer is not None else op.name
        raise InterpretationError(f"{where}: {error}") from error
