"""The function that a mase module holds, and how its parts are called in messages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable

from xdsl.dialects.builtin import ModuleOp, StringAttr
from xdsl.dialects.func import FuncOp, ReturnOp
from xdsl.ir import BlockArgument, Operation, SSAValue
from xdsl.utils.exceptions import InterpretationError, PassFailedException

from mase_opt.dialects.mase.base import MaseOp
from mase_opt.lib.errors import UserError
from mase_opt.lib.interpreters.mase import main_function
from mase_opt.lib.suggest import did_you_mean


def model_function(module: ModuleOp) -> FuncOp:
    """
    The only function of `module`, which holds nothing but mase ops.

    Raises `PassFailedException` naming what else there is.
    """
    try:
        function = main_function(module)
    except InterpretationError as error:
        raise PassFailedException(f"not a model: {error}") from error
    for op in function.body.block.ops:
        # The driver reports the place of `op`, the first one.
        if not isinstance(op, MaseOp | ReturnOp):
            foreign = Counter(
                other.name
                for other in function.body.block.ops
                if not isinstance(other, MaseOp | ReturnOp)
            )
            found = ", ".join(f"{name} ({count})" for name, count in foreign.items())
            raise PassFailedException(
                f"not in the mase dialect: {found}; convert the module first, torch "
                "ops with convert-torch-to-mase"
            )
    return function


def layer_of(op: Operation) -> str | None:
    """The path of the layer in the torch model, such as `encoder.0.attention`."""
    layer = op.properties.get("layer")
    return layer.data if isinstance(layer, StringAttr) else None


def layer_pattern(
    pattern: str, ops: Iterable[Operation], *, what: str = "layer"
) -> re.Pattern[str]:
    """
    The regular expression `pattern`, which the whole path of one of `ops` fits.

    Raises `UserError` if it is none, or fits no path; `what` says what ops are.
    """
    try:
        compiled = re.compile(pattern)
    except re.error as error:
        raise UserError(
            f"options: layers '{pattern}' is not a regular expression: {error}"
        ) from error
    names = list(dict.fromkeys(n for op in ops if (n := layer_of(op))))
    if not any(compiled.fullmatch(name) for name in names):
        raise UserError(
            f"options: no {what} fits '{pattern}'{did_you_mean(pattern, names)} "
            f"(layers: {', '.join(names) or 'none has a name'})"
        )
    return compiled


def describe(value: SSAValue) -> str:
    """What makes `value`: `layer 'fc1' (mase.linear)`, `argument 'x'`."""
    if isinstance(value, BlockArgument):
        function = value.owner.parent_op()
        assert isinstance(function, FuncOp)
        return f"argument '{argument_names(function)[value.index]}'"
    op = value.owner
    assert isinstance(op, Operation)
    layer = layer_of(op)
    return op.name if layer is None else f"layer '{layer}' ({op.name})"


def argument_names(function: FuncOp) -> list[str]:
    """
    The arguments' names: `mase.name`, else `arg0`, `arg1` and so on.

    Raises `UserError` if two are the same: data could not tell them apart.
    """
    attributes = function.arg_attrs.data if function.arg_attrs is not None else ()
    given = [a.data.get("mase.name") for a in attributes] or [None] * len(function.args)
    names = [
        name.data if isinstance(name, StringAttr) else f"arg{index}"
        for index, name in enumerate(given)
    ]
    for index, name in enumerate(names):
        if (first := names.index(name)) < index:
            raise UserError(
                f"arguments {first} and {index} of function "
                f"'{function.sym_name.data}' are both called '{name}': give each a "
                "mase.name of its own"
            )
    return names
