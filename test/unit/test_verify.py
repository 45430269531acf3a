"""The built-in comparison of circuit and model finds a wrong circuit, and where."""

import pytest
from xdsl.context import Context
from xdsl.dialects import comb
from xdsl.dialects.builtin import ModuleOp
from xdsl.parser import Parser

from mase_opt.lib.conversion.convert_mase_to_hw import ConvertMaseToHwPass
from mase_opt.lib.errors import UserError
from mase_opt.lib.target.layout import port_layout
from mase_opt.registry import load_universe
from mase_opt.verify import verify_rtl

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


def test_wrong_circuit_is_located(model: ModuleOp, monkeypatch: pytest.MonkeyPatch):
    """A lowering that subtracts where it should add is found in the first layer."""

    right = ConvertMaseToHwPass.apply

    def broken(self: ConvertMaseToHwPass, ctx: Context, module: ModuleOp) -> None:
        right(self, ctx, module)
        for op in list(module.walk()):
            if isinstance(op, comb.AddOp) and len(op.operands) == 2:
                wrong = comb.SubOp(*op.operands)
                block = op.parent_block()
                assert block is not None
                block.insert_op_before(wrong, op)
                op.results[0].replace_all_uses_with(wrong.results[0])

    circuit = model.clone()
    monkeypatch.setattr(ConvertMaseToHwPass, "apply", broken)
    ConvertMaseToHwPass(max_logic_depth=0).apply(Context(), circuit)
    with pytest.raises(UserError) as error:
        verify_rtl(model, circuit, port_layout(circuit), 64)
    text = str(error.value)
    assert "layer: mase.linear first" in text
    assert "input x: [" in text
    assert "expected [" in text
    assert "actual   [" in text
