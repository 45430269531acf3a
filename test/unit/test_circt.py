"""The bridge to CIRCT: text that it reads, SystemVerilog, errors."""

import importlib

import pytest
from hw_circuits import CASES, ROM, STALL, SUMS
from xdsl.dialects import comb, hw, seq
from xdsl.dialects.builtin import ArrayAttr, ModuleOp, StringAttr, i1
from xdsl.ir import Block, Region

from mase_opt.dialects.circt import CompRegClockEnabledOp
from mase_opt.lib.errors import UserError
from mase_opt.lib.target import circt
from mase_opt.lib.target.circt import CirctError


def build_register() -> ModuleOp:
    """A register with clock enable and reset, built in xDSL."""
    names = ("clk", "rst", "ce", "d")
    types = (seq.clock, i1, i1, i1)
    ports = [
        hw.ModulePort(StringAttr(name), kind, hw.DirectionAttr(hw.Direction.INPUT))
        for name, kind in zip(names, types, strict=True)
    ]
    ports.append(
        hw.ModulePort(StringAttr("q"), i1, hw.DirectionAttr(hw.Direction.OUTPUT))
    )
    block = Block(arg_types=types)
    clk, rst, enable, data = block.args
    zero = hw.ConstantOp(0, 1)
    register = CompRegClockEnabledOp(data, clk, enable, (rst, zero.result))
    both = comb.AndOp([register.data, data], i1)
    block.add_ops([zero, register, both, hw.OutputOp([both.result])])
    top = hw.HWModuleOp(
        StringAttr("top"),
        hw.ModuleType(ArrayAttr(ports)),
        Region(block),
    )
    return ModuleOp([top])


def test_xdsl_modules_are_read():
    verilog = circt.export_verilog(build_register())
    assert "if (rst)" in verilog
    assert "ce ? d" in verilog


def test_comments_stand_in_front_of_their_module():
    verilog = circt.export_verilog(SUMS, {"add": "13 bits\nare enough"})
    assert "// 13 bits\n// are enough\nmodule add(" in verilog


def test_export_is_deterministic():
    texts = {circt.export_verilog(STALL) for _ in range(3)}
    assert len(texts) == 1


def test_split_export_has_a_file_per_module():
    files = circt.export_split_verilog(SUMS)
    assert {name for name in files if name.endswith(".sv")} == {"sums.sv", "add.sv"}
    assert "module add(" in files["add.sv"]


@pytest.mark.parametrize("name", CASES)
def test_check_accepts_circuits(name: str):
    circt.check(CASES[name][0])


def test_diagnostics_name_the_place(capfd: pytest.CaptureFixture[str]):
    wrong = SUMS.replace("comb.add %ax, %bx : i13", "comb.add %ax, %b : i13")
    with pytest.raises(CirctError, match=r"expects different type(.|\n)*'i12'"):
        circt.check(wrong)
    captured = capfd.readouterr()
    assert captured.out == captured.err == ""


def test_missing_package_is_a_user_error(monkeypatch: pytest.MonkeyPatch):
    def missing(name: str) -> None:
        raise ImportError(name)

    monkeypatch.setattr(importlib, "import_module", missing)
    with pytest.raises(UserError, match="pip install pycde"):
        circt.check(SUMS)


def test_gate_depth():
    assert circt.gate_depth(ROM, "rom") == 6
    assert circt.gate_depth(STALL, "stall") > circt.gate_depth(ROM, "rom")
    deeper = SUMS.replace("%y = comb.add", "%z = comb.mul").replace(
        "hw.output %y : i13", "%y = comb.mul %z, %z : i13\n hw.output %y : i13"
    )
    assert circt.gate_depth(deeper, "sums") >= circt.gate_depth(SUMS, "sums") > 13
