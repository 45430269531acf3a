"""
The MLIR example in every operation's docstring parses, verifies and round-trips.

The one in the page on adder graphs computes the same, in as many adders as it says.
"""

import re
from contextlib import suppress
from io import StringIO
from pathlib import Path

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.dialects.builtin import Builtin, ModuleOp
from xdsl.dialects.func import Func
from xdsl.dialects.test import Test
from xdsl.ir import Operation
from xdsl.parser import Parser
from xdsl.printer import Printer
from xdsl.utils.exceptions import ParseError

from mase_opt.dialects.mase.adder_graph import AdderGraphOp
from mase_opt.lib import native
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.lib.transforms.mase_build_adder_graphs import MaseBuildAdderGraphsPass
from mase_opt.universe import UNIVERSE

DOCS = Path(__file__).parents[2] / "docs"
EXAMPLE = re.compile(r"^ *```mlir\n(.*?)^ *```$", re.DOTALL | re.MULTILINE)


def context() -> Context:
    ctx = Context()
    for dialect in (Builtin, Func, Test):
        ctx.load_dialect(dialect)
    ctx.load_dialect(UNIVERSE.all_dialects["mase"]())
    return ctx


def operations() -> list[type[Operation]]:
    return list(UNIVERSE.all_dialects["mase"]().operations)


def define_operands(text: str) -> str:
    """Put a `test.op` before the text for each value that it only uses."""
    parser = Parser(context(), text)
    # An example without operands is complete; any other error shows up later.
    with suppress(ParseError):
        parser.parse_module()
    header = [
        f'%{name} = "test.op"() : () -> {values[0].type}'
        for name, values in parser.forward_ssa_references.items()
    ]
    return "\n".join([*header, text])


def show(module: ModuleOp, ctx: Context, *, generic: bool) -> str:
    stream = StringIO()
    printer = Printer(stream=stream, print_generic_format=generic)
    printer.print_op(module)
    printer.print_metadata(ctx.loaded_dialects)
    return stream.getvalue()


@pytest.mark.parametrize("operation", operations(), ids=lambda op: op.name)
def test_example(operation: type[Operation]) -> None:
    examples = EXAMPLE.findall(operation.__doc__ or "")
    assert examples, f"{operation.name}: no ```mlir example in the docstring"
    assert any(operation.name in example for example in examples)
    for example in examples:
        text = define_operands(example)
        module = Parser(context(), text).parse_module()
        module.verify()
        custom = show(module, context(), generic=False)
        for generic in (False, True):
            ctx = context()
            again = Parser(ctx, show(module, ctx, generic=generic)).parse_module()
            again.verify()
            assert show(again, context(), generic=False) == custom


@pytest.mark.skipif(not native.AVAILABLE, reason="installed without a C++ compiler")
def test_page_on_adder_graphs() -> None:
    page = (DOCS / "adder_graphs.md").read_text(encoding="utf-8")
    layer, shown = (Parser(context(), e).parse_module() for e in EXAMPLE.findall(page))
    shown.verify()
    x = np.random.default_rng(0).integers(-128, 128, (256, 1, 2))
    assert np.array_equal(*(evaluate(m, [x])[0] for m in (layer, shown)))
    MaseBuildAdderGraphsPass().apply(context(), layer)
    made, adders = (
        [len(op.node_table) for op in m.walk() if isinstance(op, AdderGraphOp)]
        for m in (layer, shown)
    )
    assert made == adders == [3]
