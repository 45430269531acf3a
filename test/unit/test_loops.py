"""Loops without a register are found, within modules and through several."""

import pytest
from hw_circuits import parse
from xdsl.dialects import hw
from xdsl.utils.exceptions import PassFailedException

from mase_opt.lib.hardware.loops import check_loops

PASS = """
hw.module private @pass(in %a: i1, in %b: i1, out x: i1, out y: i1) {
  hw.output %b, %a : i1, i1
}
"""


def check(text: str) -> None:
    module = parse(text)
    check_loops(op for op in module.ops if isinstance(op, hw.HWModuleOp))


def test_loop_within_a_module():
    with pytest.raises(PassFailedException, match=r"top: a loop .*: x -> y"):
        check(
            "hw.module @top(in %a: i1, out o: i1) {\n"
            "  %x = comb.and %a, %y : i1\n"
            "  %y = comb.or %a, %x : i1\n"
            "  hw.output %x : i1\n}"
        )


def test_registers_end_loops():
    check(
        "hw.module @top(in %clk: !seq.clock, in %a: i1, out o: i1) {\n"
        "  %x = comb.and %a, %y : i1\n"
        "  %y = seq.compreg %x, %clk : i1\n"
        "  hw.output %x : i1\n}"
    )


@pytest.mark.parametrize(("back", "ends"), [("x", "a"), ("y", "b")])
def test_loop_through_an_instance(back: str, ends: str):
    """x follows b and y follows a: only what comes back at the right place loops."""
    operands = {"a": "%i", "b": "%i", ends: f"%{back}"}
    text = (
        f"{PASS}hw.module @top(in %i: i1, out o: i1) {{\n"
        f'  %x, %y = hw.instance "p" @pass(a: {operands["a"]}: i1, '
        f"b: {operands['b']}: i1) -> (x: i1, y: i1)\n"
        "  hw.output %x : i1\n}"
    )
    check(text)
    swapped = {"a": "%i", "b": "%i", "b" if back == "x" else "a": f"%{back}"}
    text = (
        f"{PASS}hw.module @top(in %i: i1, out o: i1) {{\n"
        f'  %x, %y = hw.instance "p" @pass(a: {swapped["a"]}: i1, '
        f"b: {swapped['b']}: i1) -> (x: i1, y: i1)\n"
        f"  hw.output %{back} : i1\n}}"
    )
    with pytest.raises(PassFailedException, match="a loop without a register"):
        check(text)
