"""What a builder forgets: operations that are gone are not read again."""

from __future__ import annotations

from pathlib import Path

import mase_opt as mo

# At six levels a stage, a literal that is swept away is wanted again.
MODEL = """
func.func @mlp(%x: tensor<1x8x!mase.ufixed<7, 5>>) -> tensor<1x3x!mase.fixed<7, 7>> {
  %w0 = mase.constant <i8, w0_0> : tensor<6x8x!mase.fixed<5, 4>>
  %b0 = mase.constant <i16, [-133, 28, 122, 170, 47, -81]>
    : tensor<6x!mase.fixed<16, 9>>
  %w1 = mase.constant <i8, w1_1> : tensor<9x6x!mase.fixed<5, 4>>
  %b1 = mase.constant <i16, [-181, -36, -271, -360, -92, -238, -416, 199, 267]>
    : tensor<9x!mase.fixed<16, 10>>
  %w2 = mase.constant <i8, w2_2> : tensor<3x9x!mase.fixed<5, 4>>
  %b2 = mase.constant <i16, [-2, 77, -100]> : tensor<3x!mase.fixed<16, 9>>
  %0 = mase.linear %x, %w0, %b0 {rounding = #mase.rounding<zero, saturate>}
    : (tensor<1x8x!mase.ufixed<7, 5>>, tensor<6x8x!mase.fixed<5, 4>>,
       tensor<6x!mase.fixed<16, 9>>) -> tensor<1x6x!mase.ufixed<7, 6>>
  %1 = mase.linear %0, %w1, %b1 {rounding = #mase.rounding<zero, saturate>}
    : (tensor<1x6x!mase.ufixed<7, 6>>, tensor<9x6x!mase.fixed<5, 4>>,
       tensor<9x!mase.fixed<16, 10>>) -> tensor<1x9x!mase.fixed<7, 5>>
  %2 = mase.leaky_relu %1
    {rounding = #mase.rounding<zero, saturate>, negative_slope = 1.0e-02 : f64}
    : (tensor<1x9x!mase.fixed<7, 5>>) -> tensor<1x9x!mase.fixed<7, 5>>
  %3 = mase.linear %2, %w2, %b2 {rounding = #mase.rounding<zero, saturate>}
    : (tensor<1x9x!mase.fixed<7, 5>>, tensor<3x9x!mase.fixed<5, 4>>,
       tensor<3x!mase.fixed<16, 9>>) -> tensor<1x3x!mase.fixed<7, 7>>
  func.return %3 : tensor<1x3x!mase.fixed<7, 7>>
}
"""
CODES = (
    "fc00000000f7fc0008fb0600fa0006000100f60c000001ff000000f70800f40000ff0106"
    "00000000f800fcfa0100fa00",
    "000600fbf600f30000010000000b030100f2fff7f60300f90002000200000007010000f9"
    "00fc0900000000ff000400060f050000ff00",
    "00fffeff000b03020000f9fe04030005fefa0906060100000108f1",
)


def test_what_is_swept_away_is_not_read_again(tmp_path: Path) -> None:
    codes = ", ".join(f'w{i}_{i}: "0x08000000{c}"' for i, c in enumerate(CODES))
    path = tmp_path / "mlp.mlir"
    path.write_text(f"{MODEL}{{-# dialect_resources: {{ mase: {{ {codes} }} }} #-}}")
    result = mo.load(path).emit(verify=64, max_logic_depth=6)
    assert result.verified >= 64
