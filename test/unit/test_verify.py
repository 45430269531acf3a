"""The built-in comparison of circuit and model finds a wrong circuit, and where."""

from collections.abc import Callable
from pathlib import Path

import pytest
from xdsl.context import Context
from xdsl.dialects import comb, hw
from xdsl.dialects.builtin import ModuleOp
from xdsl.ir import Operation
from xdsl.parser import Parser
from xdsl.rewriter import Rewriter

from mase_opt.dialects.mase.elementwise import AbsOp, ReluOp
from mase_opt.dialects.mase.types import element_of
from mase_opt.driver.main import run
from mase_opt.lib.conversion.convert_mase_to_hw import ConvertMaseToHwPass
from mase_opt.lib.errors import UserError
from mase_opt.lib.target.layout import port_layout
from mase_opt.lib.transforms.mase_lower_block_arithmetic import (
    MaseLowerBlockArithmeticPass,
)
from mase_opt.lib.transforms.mase_lower_to_lookup import MaseLowerToLookupPass
from mase_opt.model.verify import Lowering, verify_lowering, verify_rtl
from mase_opt.registry import load_universe

MODEL = """
func.func @two(%x: tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<8, 4>> {
  %w = mase.constant <i8, [3, -2, 5, 7]> : tensor<2x2x!mase.fixed<8, 4>>
  %0 = mase.linear %x, %w {layer = "first"}
    : (tensor<1x2x!mase.fixed<8, 4>>, tensor<2x2x!mase.fixed<8, 4>>)
    -> tensor<1x2x!mase.fixed<8, 4>>
  %1 = mase.relu %0 {layer = "second"}
    : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<8, 4>>
  func.return %1 : tensor<1x2x!mase.fixed<8, 4>>
}
"""


MASKED = """
func.func @masked(%m: tensor<3xi1>, %x: tensor<3x!mase.fixed<4, 0>>)
    -> (tensor<3xi1>, tensor<3x!mase.fixed<4, 0>>) {
  %0 = mase.neg %x
    : (tensor<3x!mase.fixed<4, 0>>) -> tensor<3x!mase.fixed<4, 0>>
  %1 = mase.select %m, %x, %0
    : (tensor<3xi1>, tensor<3x!mase.fixed<4, 0>>, tensor<3x!mase.fixed<4, 0>>)
    -> tensor<3x!mase.fixed<4, 0>>
  func.return %m, %1 : tensor<3xi1>, tensor<3x!mase.fixed<4, 0>>
}
"""
"""A truth value as input and as output."""


def parse(text: str) -> ModuleOp:
    ctx = Context()
    for name, factory in load_universe().all_dialects.items():
        ctx.register_dialect(name, factory)
    return Parser(ctx, text).parse_module()


@pytest.fixture
def model() -> ModuleOp:
    return parse(MODEL)


@pytest.mark.parametrize("text", [MODEL, MASKED])
def test_right_circuit(text: str):
    model = parse(text)
    circuit = model.clone()
    ConvertMaseToHwPass(max_logic_depth=2).apply(Context(), circuit)
    verify_rtl(model, circuit, port_layout(circuit), 64)


def swap_muxes(op: Operation) -> Operation | None:
    """The other value is chosen."""
    if not isinstance(op, comb.MuxOp):
        return None
    return comb.MuxOp(op.cond, op.false_value, op.true_value)


def subtract(op: Operation) -> Operation | None:
    """Subtract where it should add."""
    if not isinstance(op, comb.AddOp) or len(op.operands) != 2:
        return None
    return comb.SubOp(*op.operands)


@pytest.mark.parametrize(
    ("damage", "layer"),
    [(subtract, "linear first"), (swap_muxes, "relu second")],
)
def test_wrong_circuit_is_located(
    model: ModuleOp,
    monkeypatch: pytest.MonkeyPatch,
    damage: Callable[[Operation], Operation | None],
    layer: str,
):
    right = ConvertMaseToHwPass.apply

    def broken(self: ConvertMaseToHwPass, ctx: Context, module: ModuleOp) -> None:
        right(self, ctx, module)
        for circuit in module.ops:
            assert isinstance(circuit, hw.HWModuleOp)
            if not layer.endswith(circuit.sym_name.data):
                continue
            for op in list(circuit.walk()):
                wrong = damage(op)
                if wrong is not None:
                    Rewriter.replace_op(op, wrong)

    circuit = model.clone()
    monkeypatch.setattr(ConvertMaseToHwPass, "apply", broken)
    ConvertMaseToHwPass(max_logic_depth=0).apply(Context(), circuit)
    with pytest.raises(UserError) as error:
        verify_rtl(model, circuit, port_layout(circuit), 64)
    text = str(error.value)
    assert f"layer: mase.{layer}" in text
    assert "input x: [" in text
    assert "expected [" in text
    assert "actual   [" in text


BLOCKS = """
func.func @blocks(%x: tensor<1x4x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<16, 8>> {
  %0 = mase.cast %x : (tensor<1x4x!mase.fixed<8, 4>>)
    -> tensor<1x4x!mase.block<!mase.fixed<8, 6>, e8m0, [2]>>
  %w = mase.constant <i8, [64, 33, 17, -9]> {scales = #mase.dense<ui8, [127, 127]>}
    : tensor<1x4x!mase.block<!mase.fixed<8, 6>, e8m0, [2]>>
  %1 = mase.linear %0, %w {accumulator = ACCUMULATOR, layer = "fc"}
    : (tensor<1x4x!mase.block<!mase.fixed<8, 6>, e8m0, [2]>>,
       tensor<1x4x!mase.block<!mase.fixed<8, 6>, e8m0, [2]>>)
    -> tensor<1x1x!mase.fixed<16, 8>>
  func.return %1 : tensor<1x1x!mase.fixed<16, 8>>
}
"""


def lowering(text: str) -> Lowering:
    before = parse(text)
    after = before.clone()
    MaseLowerBlockArithmeticPass().apply(Context(), after)
    return Lowering("mase-lower-block-arithmetic", before, after)


def test_accumulators_that_lose_nothing():
    verify_lowering(lowering(BLOCKS.replace("ACCUMULATOR", "!mase.fixed<40, 20>")), 64)


def test_accumulators_that_round_are_a_warning():
    narrow = lowering(BLOCKS.replace("ACCUMULATOR", "!mase.fixed<12, 4>"))
    with pytest.warns(UserWarning, match=r"\d+ of 73 vectors .* round in .*fc"):
        verify_lowering(narrow, 64)


def test_wrong_lowering_names_the_pass(model: ModuleOp):
    """Between the levels: the circuit of the lowered module agrees with that."""
    wrong = parse(MODEL.replace("mase.relu", "mase.abs"))
    with pytest.raises(UserError) as error:
        verify_lowering(Lowering("mase-lower-to-lookup", model, wrong), 64)
    lines = str(error.value).splitlines()
    assert lines[0] == (
        "pass 'mase-lower-to-lookup' changes output out0, vector 0: the quantized and "
        "the lowered model differ"
    )
    assert lines[1:] == [
        "  input 0: [-128, -128]",
        "  quantized [0, 0]",
        "  lowered   [8, 96]",
    ]


@pytest.mark.parametrize(
    "flags", [[], ["--lower-to-lookup"], ["--lower-to-lookup", "--convert-mase-to-hw"]]
)
def test_driver_compares_quantized_with_lowered(
    flags: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
):
    right = MaseLowerToLookupPass.apply

    def broken(self: MaseLowerToLookupPass, ctx: Context, module: ModuleOp) -> None:
        right(self, ctx, module)
        for op in list(module.walk()):
            if isinstance(op, ReluOp):
                Rewriter.replace_op(op, AbsOp(op.input, element=element_of(op.input)))

    path = tmp_path / "model.mlir"
    path.write_text(MODEL)
    command = [*flags, "--emit-sv", "--verify-rtl=8", str(path)]
    assert run(command) == 0
    monkeypatch.setattr(MaseLowerToLookupPass, "apply", broken)
    assert run(command) == 1
    assert capsys.readouterr().err.splitlines()[-4] == (
        "error: pass 'mase-lower-to-lookup' changes output out0, vector 0: the "
        "quantized and the lowered model differ"
    )
