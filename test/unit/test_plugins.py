"""What plug-ins do wrong: the message names the operation, its layer or the line."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from xdsl.context import Context
from xdsl.utils.exceptions import InterpretationError

from mase_opt.driver.main import run as mase_opt
from mase_opt.frontend.inputs import load_module, read_chunks
from mase_opt.lib.conversion.unrolled.registry import TEMPLATES
from mase_opt.lib.errors import UserError
from mase_opt.lib.interpreters.kernels import KERNELS
from mase_opt.lib.interpreters.mase import evaluate
from mase_opt.registry import load_universe

PLUGIN = """\
from xdsl.ir import Dialect
from xdsl.irdl import irdl_op_definition
from xdsl.universe import Universe
import numpy as np

from mase_opt.dialects.mase.base import UnaryOp
from mase_opt.lib.hardware.codec import decode, encode
from mase_opt.lib.hardware.number import product, total
from mase_opt.lib.conversion.unrolled.registry import template
from mase_opt.lib.hardware.wire import constant
from mase_opt.lib.interpreters import kernels
from mase_opt.lib.interpreters.kernels import kernel

@irdl_op_definition
class SquareOp(UnaryOp):
    name = "extra.square"

@kernel(SquareOp)
def meaning(op, x):
    right = kernels.from_exact(op, kernels.exact_mul(x, x), 6)
    return {kernel}

@template(SquareOp)
def circuit(op, b, x):
    numbers = decode(b, op.input, x)
    right = encode(b, op, [total(b, [product(b, n, n)]) for n in numbers])
    return {template}

UNIVERSE = Universe(all_dialects={{"extra": lambda: Dialect("extra", [SquareOp])}})
"""

MODEL = """\
func.func @f(%x: tensor<2x!mase.fixed<6, 3>>) -> tensor<2x!mase.fixed<8, 3>> {
  %y = extra.square %x {layer = "energy"}
    : (tensor<2x!mase.fixed<6, 3>>) -> tensor<2x!mase.fixed<8, 3>>
  func.return %y : tensor<2x!mase.fixed<8, 3>>
}
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "m.mlir").write_text(MODEL)
    # Other tests look at all that is registered.
    with patch.dict(KERNELS), patch.dict(TEMPLATES):
        yield tmp_path


def write(folder: Path, *, kernel: str = "right", template: str = "right") -> None:
    text = PLUGIN.format(kernel=kernel, template=template)
    (folder / "square.py").write_text(text)


def run(capsys: Any, *arguments: str) -> str:
    code = mase_opt(["--load-plugin=square.py", *arguments, "m.mlir"])
    error = capsys.readouterr().err
    assert (code == 0) == (error == ""), error
    assert "this is a bug" not in error
    return error


def test_right_ones(folder: Path, capsys: Any) -> None:
    write(folder)
    assert run(capsys, "--emit-sv") == ""


@pytest.mark.parametrize(
    ("kernel", "message"),
    [
        (
            "right[:, :1]",
            "its kernel gave an array of shape 3x1, expected 3x2, the samples first",
        ),
        (
            "right[:2]",
            "its kernel gave an array of shape 2x2, expected 3x2, the samples first",
        ),
        (
            "right / 8",
            "its kernel gave float64, expected integers, the codes of "
            "!mase.fixed<8, 3>",
        ),
        (
            "right > 3",
            "its kernel gave bool, expected integers, the codes of !mase.fixed<8, 3>",
        ),
        ("right.tolist()", "its kernel gave list, expected an array"),
        ("None", "its kernel gave NoneType, expected an array"),
    ],
)
def test_kernels(folder: Path, kernel: str, message: str) -> None:
    write(folder, kernel=kernel)
    universe = load_universe(["square.py"])
    context = Context()
    for name, factory in universe.all_dialects.items():
        context.register_dialect(name, factory)
    (chunk,) = read_chunks("m.mlir", split=False)
    module = load_module(chunk, context, implicit_module=True)
    with pytest.raises(InterpretationError) as caught:
        evaluate(module, [np.arange(6).reshape(3, 2)])
    assert str(caught.value) == f'extra.square "energy": {message}'


@pytest.mark.parametrize(
    ("template", "message"),
    [
        (
            "right[1:]",
            "its template gave 1 wires, expected 2, one for each element of the result",
        ),
        (
            "[*right, *right]",
            "its template gave 4 wires, expected 2, one for each element of the result",
        ),
        ("None", "its template gave NoneType, expected a list of wires"),
        ("[3, 4]", "its template gave int, expected a list of wires"),
        (
            "[right[0], constant(128)]",
            "its template gave a wire of 128 to 128, expected codes of "
            "!mase.fixed<8, 3>, -128 to 127: round with encode",
        ),
    ],
)
def test_templates(folder: Path, capsys: Any, template: str, message: str) -> None:
    write(folder, template=template)
    error = run(capsys, "--emit-sv")
    assert error.startswith(
        f"m.mlir:2:3: error: no circuit for extra.square energy: {message}\n"
    )


def test_exceptions_of_kernels_and_templates(folder: Path, capsys: Any) -> None:
    write(folder, kernel="right.missing")
    line = 1 + PLUGIN[: PLUGIN.index("{kernel}")].count("\n")
    assert run(capsys, "--emit-sv", "--verify-rtl=4").startswith(
        f"m.mlir: error: plug-in square.py:{line}: AttributeError: "
    )
    write(folder, template="x[7]")
    line = 1 + PLUGIN[: PLUGIN.index("{template}")].count("\n")
    assert run(capsys, "--convert-mase-to-hw").startswith(
        f"m.mlir: error: pass 'convert-mase-to-hw': plug-in square.py:{line}: "
        "IndexError: list index out of range\n"
    )


def test_operation_without_a_template(folder: Path, capsys: Any) -> None:
    write(folder)
    text = (folder / "square.py").read_text()
    (folder / "square.py").write_text(text.replace("@template(SquareOp)\n", ""))
    error = run(capsys, "--emit-sv")
    assert (
        "\n  extra.square energy: no spatial template: add one where the operation is "
        "defined (docs/extending.md)\n"
    ) in error
    assert "mase-lower-to-lookup" not in error


def test_functions_of_other_arguments(folder: Path, capsys: Any) -> None:
    write(folder)
    text = (folder / "square.py").read_text()
    (folder / "square.py").write_text(
        re.sub(r"(def \w+)\(op, b, x\)", r"\1(op, b)", text)
    )
    assert (
        "no circuit for extra.square energy: its template takes other arguments than "
        "the op, a builder and 1 lists of wires: "
    ) in run(capsys, "--emit-sv")
    (folder / "square.py").write_text(re.sub(r"(def \w+)\(op, x\)", r"\1(op)", text))
    assert (
        'extra.square "energy": its kernel takes other arguments than the op and 1 '
        "arrays: "
    ) in run(capsys, "--emit-sv", "--verify-rtl=2")


def test_option_of_an_unknown_type(folder: Path) -> None:
    (folder / "odd.py").write_text(
        "from dataclasses import dataclass\n"
        "from xdsl.passes import ModulePass\n"
        "from xdsl.universe import Universe\n"
        "@dataclass(frozen=True)\n"
        "class Odd(ModulePass):\n"
        '    name = "odd"\n'
        "    to: 2 = 3\n"
        "    def apply(self, ctx, op): pass\n"
        'UNIVERSE = Universe(all_passes={"odd": lambda: Odd})\n'
    )
    with pytest.raises(UserError, match="pass 'odd': an option's type is unknown"):
        load_universe(["odd.py"])
