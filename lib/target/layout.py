"""Reads the port layout of a circuit off its top module."""

from __future__ import annotations

from math import prod
from typing import Any, Literal, cast

from xdsl.dialects import hw
from xdsl.dialects.builtin import (
    ArrayAttr,
    DenseArrayBase,
    DictionaryAttr,
    IntegerAttr,
    ModuleOp,
    StringAttr,
)
from xdsl.ir import Attribute

from mase_opt.lib.conversion.hw.top import INTERFACE
from mase_opt.lib.errors import UserError
from mase_opt.lib.target.interface import Port, PortLayout


def port_layout(module: ModuleOp | hw.HWModuleOp) -> PortLayout:
    """
    The layout that `mase.interface` describes.

    Raises `UserError` unless exactly one module has that attribute.
    """
    circuits = [module] if isinstance(module, hw.HWModuleOp) else list(module.ops)
    tops = [
        op
        for op in circuits
        if isinstance(op, hw.HWModuleOp) and INTERFACE in op.attributes
    ]
    if len(tops) != 1:
        raise UserError(
            f"expected one hw.module with {INTERFACE}, found {len(tops)}: lower the "
            "model with convert-mase-to-hw"
        )
    fields = _Fields(tops[0].attributes[INTERFACE])
    return PortLayout(
        top=tops[0].sym_name.data,
        ports=tuple(
            _port(_Fields(port)) for port in cast(ArrayAttr[Any], fields["ports"])
        ),
        latency=fields.integer("latency"),
        logic_depth=fields.integer("depth"),
        has_clock=bool(fields.integer("clock")),
        has_valid=True,
        has_ready=bool(fields.integer("ready")),
    )


class _Fields:
    """A dictionary attribute whose entries must be there."""

    def __init__(self, attribute: Attribute):
        assert isinstance(attribute, DictionaryAttr)
        self.data = attribute.data

    def __getitem__(self, key: str) -> Attribute:
        if key not in self.data:
            raise UserError(f"{INTERFACE} has no entry '{key}'")
        return self.data[key]

    def integer(self, key: str) -> int:
        return cast(IntegerAttr[Any], self[key]).value.data

    def text(self, key: str) -> str:
        return cast(StringAttr, self[key]).data


def _port(fields: _Fields) -> Port:
    shape = cast(DenseArrayBase[Any], fields["shape"]).get_values()
    sizes = tuple(int(n) for n in shape)
    return Port(
        name=fields.text("name"),
        direction=cast(Literal["in", "out"], fields.text("direction")),
        elements=prod(sizes),
        width=fields.integer("width"),
        signed=bool(fields.integer("signed")),
        shape=sizes,
        format=fields.text("element"),
    )
