"""Parsing of torch-dialect text: generic form, weights beside it as arrays."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray
from xdsl.context import Context
from xdsl.dialect_interfaces.op_asm import OpAsmDialectInterface
from xdsl.dialects.builtin import Builtin, DenseResourceAttr, ModuleOp
from xdsl.dialects.func import Func
from xdsl.ir import Dialect

from mase_opt.dialects.mase.attrs import DenseAttr
from mase_opt.dialects.torch import LiteralOp, Torch
from mase_opt.frontend.importer.torch_lowering import LITERAL
from mase_opt.frontend.locations import BoundedParser
from mase_opt.lib.errors import UserError


def read_generic(text: str, arrays: Mapping[str, NDArray[Any]]) -> ModuleOp:
    """
    Parse generic torch-dialect text whose resources are in `arrays`.

    Raises `UserError` for weights of a type that the mase dialect has no data for.
    """
    context = Context(allow_unregistered=True)
    # xDSL's own storage of resources is one per process and renames a key that was
    # seen before.
    context.load_dialect(
        Dialect(
            Builtin.name,
            list(Builtin.operations),
            list(Builtin.attributes),
            [_ResourceNames()],
        )
    )
    context.load_dialect(Func)
    context.load_dialect(Torch)
    module = BoundedParser(context, text).parse_module()
    for op in module.walk():
        if isinstance(op, LiteralOp):
            op.value = _dense(op, arrays)
    return module


class _ResourceNames(OpAsmDialectInterface):
    """Accepts every resource key as it is; the data is elsewhere."""

    def declare_resource(self, key: str) -> str:
        return key


def _dense(op: LiteralOp, arrays: Mapping[str, NDArray[Any]]) -> DenseAttr:
    """The data of a literal as the mase dialect holds it."""
    if not isinstance(op.value, DenseResourceAttr):
        raise UserError(f"literal with unsupported data: {op.value}")
    key = op.value.resource_handle.data
    if key not in arrays:
        raise UserError(f"weight '{key}' has no data in this file")
    values = arrays[key]
    if values.dtype == np.float16:
        values = values.astype(np.float32)
    try:
        return DenseAttr.from_array(values, "data" if key.startswith(LITERAL) else key)
    except ValueError as error:
        raise UserError(
            f"weight '{key}' of type {op.result.type}: {error}; convert the model with "
            ".float()"
        ) from error
