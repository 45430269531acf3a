"""Reads the port layout of a circuit off its top module."""

from __future__ import annotations

from math import prod
from typing import Any, TypeVar, cast

from xdsl.context import Context
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
from xdsl.parser import Parser

from mase_opt.lib.errors import UserError
from mase_opt.lib.hardware.interface import INTERFACE, Port, PortLayout
from mase_opt.lib.target import circt

_A = TypeVar("_A", bound=Attribute)


def port_layout(module: ModuleOp | hw.HWModuleOp) -> PortLayout:
    """
    The layout that `mase.interface` describes.

    Raises `UserError` unless exactly one module has that attribute, and all in it.
    """
    circuits = [module] if isinstance(module, hw.HWModuleOp) else list(module.ops)
    found = {
        op.sym_name.data: op.attributes[INTERFACE]
        for op in circuits
        if isinstance(op, hw.HWModuleOp) and INTERFACE in op.attributes
    }
    return _only_layout(found)


def text_layout(circuit: str) -> PortLayout:
    """The same for text, of which only the attribute is parsed in Python."""
    found = circt.module_attributes(circuit, INTERFACE)
    return _only_layout(
        {
            name: Parser(Context(), text).parse_attribute()
            for name, text in found.items()
        }
    )


def _only_layout(interfaces: dict[str, Attribute]) -> PortLayout:
    if len(interfaces) != 1:
        raise UserError(
            f"expected one hw.module with {INTERFACE}, found {len(interfaces)}: lower "
            "the model with convert-mase-to-hw"
        )
    ((top, attribute),) = interfaces.items()
    return interface_layout(top, attribute)


def interface_layout(top: str, attribute: Attribute) -> PortLayout:
    """What `mase.interface` of a module says. Raises `UserError` if it is damaged."""
    fields = _Fields(attribute)
    try:
        return PortLayout(
            top=top,
            ports=tuple(_port(_Fields(p)) for p in fields.get("ports", ArrayAttr)),
            latency=fields.integer("latency"),
            initiation_interval=fields.integer("interval"),
            logic_depth=fields.integer("depth"),
            has_clock=bool(fields.integer("clock")),
            has_valid="channels" not in fields.data,
            has_ready=bool(fields.integer("ready")),
            has_channels="channels" in fields.data,
            is_axis="axis" in fields.data,
        )
    except AssertionError as error:
        raise UserError(f"{INTERFACE} is damaged: {error}") from error


class _Fields:
    """A dictionary attribute whose entries must be there."""

    def __init__(self, attribute: Attribute):
        if not isinstance(attribute, DictionaryAttr):
            raise UserError(f"{INTERFACE} is damaged: {attribute} is no dictionary")
        self.data = attribute.data

    def get(self, key: str, kind: type[_A]) -> _A:
        value = self.data.get(key)
        if not isinstance(value, kind):
            what = "there is none" if value is None else f"it is {value}"
            raise UserError(f"{INTERFACE} is damaged: its entry '{key}': {what}")
        return value

    def integer(self, key: str) -> int:
        return self.get(key, IntegerAttr).value.data

    def sizes(self, key: str) -> tuple[int, ...]:
        values = cast(DenseArrayBase[Any], self.get(key, DenseArrayBase))
        return tuple(int(n) for n in values.get_values())

    def text(self, key: str) -> str:
        return self.get(key, StringAttr).data


def _port(fields: _Fields) -> Port:
    sizes = fields.sizes("shape")
    tile = fields.sizes("tile") if "tile" in fields.data else ()
    direction = fields.text("direction")
    assert direction in ("in", "out"), f"direction '{direction}'"
    return Port(
        name=fields.text("name"),
        direction=direction,
        elements=prod(tile or sizes),
        width=fields.integer("width"),
        signed=bool(fields.integer("signed")),
        shape=sizes,
        format=fields.text("element"),
        tile=tile,
        order=fields.sizes("order") if tile else (),
    )
