"""Parsing mase IR in tests."""

from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp
from xdsl.dialects.func import Func
from xdsl.parser import Parser

from mase_opt.dialects.mase import Mase


def parse(text: str) -> ModuleOp:
    """A verified module."""
    context = Context()
    for dialect in (Builtin, Func, Mase):
        context.load_dialect(dialect)
    module = Parser(context, text).parse_module()
    module.verify()
    return module
