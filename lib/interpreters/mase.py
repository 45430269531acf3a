"""
The reference interpreter: runs a function of mase ops on arrays.

Every value has a leading axis for samples, so that one run evaluates a whole data
set whatever batch size the shapes in the IR say. Values are freed after their last
use; constants are shared by all samples.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
from xdsl.dialects import func
from xdsl.dialects.builtin import ModuleOp, TensorType, i1
from xdsl.ir import Attribute, Operation, SSAValue
from xdsl.utils.exceptions import InterpretationError

from mase_opt.dialects.mase.base import show
from mase_opt.dialects.mase.types import (
    ElementType,
    element_of,
    exact_format,
    shape_of,
)
from mase_opt.lib.errors import is_of_call
from mase_opt.lib.formats import FormatError
from mase_opt.lib.formats.format import Format
from mase_opt.lib.formats.rounding import integers
from mase_opt.lib.interpreters.exact import Array
from mase_opt.lib.interpreters.floats import to_float
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
    return _with_one_block(functions[0])


def _with_one_block(function: func.FuncOp) -> func.FuncOp:
    if len(function.body.blocks) != 1:
        raise InterpretationError(
            f"function {function.sym_name.data} has {len(function.body.blocks)} "
            "blocks, expected 1"
        )
    return function


def evaluate(
    module: ModuleOp | func.FuncOp,
    inputs: Sequence[Array],
    *,
    observe: Observer | None = None,
) -> list[Array]:
    """
    Run the function of `module`.

    `inputs` and the results have shape `[samples, *shape]`: codes for fixed point and
    integers (`int64`, or Python integers where they do not fit), numbers for all other
    types (float64 for number formats: `format.encode` gives their codes). An input with
    one sample stands for all. `observe` is called with every argument and every op
    result; without samples, nothing is run.

    Raises `InterpretationError` for a wrong number, shape or content of inputs, an op
    without a meaning, or a value that a format cannot hold.
    """
    if isinstance(module, ModuleOp):
        function = main_function(module)
    else:
        function = _with_one_block(module)
    block = function.body.block
    if len(inputs) != len(block.args):
        raise InterpretationError(
            f"function {function.sym_name.data} takes {len(block.args)} inputs, "
            f"got {len(inputs)}"
        )
    values: dict[SSAValue, Array] = {
        argument: _admit(argument, np.asarray(array), index)
        for index, (argument, array) in enumerate(zip(block.args, inputs, strict=True))
    }
    samples = _samples([len(array) for array in values.values()])
    last = block.last_op
    if not isinstance(last, func.ReturnOp):
        raise InterpretationError(
            f"function {function.sym_name.data} does not end in func.return"
        )
    if samples == 0:
        return [_no_samples(v) for v in last.operands]
    if observe is not None:
        for argument, array in values.items():
            observe(argument, array)
    last_use = {operand: op for op in block.ops for operand in op.operands}
    for op in block.ops:
        if op is last:
            break
        result = _checked(
            op, evaluate_op(op, [values[v] for v in op.operands]), samples
        )
        if observe is not None:
            observe(op.results[0], _canonical(result))
        if op.results[0] in last_use:
            values[op.results[0]] = result
        for operand in set(op.operands):
            if last_use[operand] is op:
                del values[operand]
    results = [_canonical(values[v]) for v in last.operands]
    return [np.broadcast_to(a, (samples, *a.shape[1:])) for a in results]


def _admit(argument: SSAValue, array: Array, index: int) -> Array:
    """An input as kernels expect it. Raises `InterpretationError`."""
    if not isinstance(argument.type, TensorType):
        raise InterpretationError(
            f"input {index} has type {argument.type}, expected a tensor"
        )
    element = element_of(argument)
    if array.ndim == 0 or array.shape[1:] != shape_of(argument):
        raise InterpretationError(
            f"input {index} has shape {show(array.shape)}, expected samples of "
            f"{show(shape_of(argument))}"
        )
    try:
        format = exact_format(element)
        if isinstance(element, ElementType) and format is None:
            return _held(_number(array, "fiub").astype(np.float64), element.format)
        if format is None:
            return to_float(_number(array, "fiub"), element)
        if _is_bool(element):
            codes = integers(_number(array, "b" if array.dtype.kind == "b" else "iu"))
            return _fitting(codes, 0, 1).astype(np.bool_)
        codes = integers(_number(array, "biuO"))
        return _fitting(codes, format.min_code, format.max_code)
    except FormatError as error:
        raise InterpretationError(
            f"input {index} has {error} for elements of type {element}"
        ) from error


def _number(array: Array, kinds: str) -> Array:
    if array.dtype.kind not in kinds:
        wanted = "numbers" if "f" in kinds else "integer codes"
        raise FormatError(f"dtype {array.dtype}, expected {wanted}")
    return array


def _held(values: Array, format: Format[Any]) -> Array:
    """Numbers that the format has. Raises `FormatError` for others."""
    held = format.cast_samples(values)
    different = ~((held == values) | np.isnan(values))
    if different.any():
        raise FormatError(f"the number {values[different][0]}, which has no code")
    return values


def _fitting(codes: Array, lowest: int, highest: int) -> Array:
    for code in (codes.min(initial=0), codes.max(initial=0)):
        if not lowest <= int(code) <= highest:
            raise FormatError(f"the code {code}, expected {lowest} to {highest}")
    return codes


def _is_bool(element: Attribute) -> bool:
    return element == i1


def _samples(counts: list[int]) -> int:
    """The number of samples. Raises `InterpretationError` if inputs differ in it."""
    samples = next((n for n in counts if n != 1), 1)
    for index, count in enumerate(counts):
        if count not in (1, samples):
            raise InterpretationError(
                f"input {index} has {count} samples, expected {samples} as others have"
            )
    return samples


def _no_samples(value: SSAValue) -> Array:
    element = element_of(value)
    dtype: Any = np.bool_ if _is_bool(element) else np.int64
    if isinstance(element, ElementType) and exact_format(element) is None:
        dtype = np.float64
    elif exact_format(element) is None:
        dtype = to_float(np.empty(0), element).dtype
    return np.empty((0, *shape_of(value)), dtype=dtype)


def _checked(op: Operation, result: Any, samples: int) -> Array:
    """What a kernel gave, as others need it. Raises `InterpretationError`."""
    value = op.results[0]
    shape, dtype = shape_of(value), _no_samples(value).dtype
    if not isinstance(result, np.ndarray):
        raise InterpretationError(
            f"{_describe(op)}: its kernel gave {type(result).__name__}, expected an "
            "array"
        )
    array = cast(Array, result)
    if array.shape not in ((1, *shape), (samples, *shape)):
        raise InterpretationError(
            f"{_describe(op)}: its kernel gave an array of shape {show(array.shape)}, "
            f"expected {show((samples, *shape))}, the samples first"
        )
    integer = dtype.kind == "i"
    if array.dtype.kind not in "iuO" if integer else array.dtype != dtype:
        raise InterpretationError(
            f"{_describe(op)}: its kernel gave {array.dtype}, expected "
            f"{'integers, the codes' if integer else dtype} of {element_of(value)}"
        )
    return array


def _canonical(array: Array) -> Array:
    """Integers as `int64` or Python integers: kernels also pass narrow dtypes on."""
    return integers(array) if array.dtype.kind in "iu" else array


def evaluate_op(op: Operation, operands: Sequence[Array]) -> Array:
    """
    The result of one op, operands and result with a leading sample axis.

    Integers may have any integer dtype. Raises `InterpretationError` as `evaluate`
    does.
    """
    kernel = KERNELS.get(type(op))
    if kernel is None:
        raise InterpretationError(
            f"{_describe(op)} has no meaning in the interpreter: give it a kernel "
            "(docs/extending.md)"
        )
    try:
        # Infinities and NaN are values like others here.
        with np.errstate(all="ignore"):
            return kernel(op, *operands)
    except FormatError as error:
        raise InterpretationError(f"{_describe(op)}: {error}") from error
    except TypeError as error:
        if not is_of_call(error):
            raise
        raise InterpretationError(
            f"{_describe(op)}: its kernel takes other arguments than the op and "
            f"{len(operands)} arrays: {error}"
        ) from error


def _describe(op: Operation) -> str:
    layer = op.properties.get("layer")
    return f"{op.name} {layer}" if layer is not None else op.name
