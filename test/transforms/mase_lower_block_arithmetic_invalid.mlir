// RUN: mase-opt --lower-block-arithmetic --split-input-file --verify-diagnostics %s

func.func @accumulator(%x: tensor<1x4x!mase.block<!mase.fixed<8, 6>, e8m0, [2]>>, %w: tensor<1x4x!mase.fixed<8, 6>>) -> tensor<1x1x!mase.fixed<8, 4>> {
  // expected-error@below {{layer 'fc' (mase.linear) adds what 2 blocks contribute exactly, whatever their exponents: say in which format hardware adds it, such as accumulator = "fixed<24, 12>" in the settings of the layer}}
  %0 = mase.linear %x, %w {layer = "fc"} : (tensor<1x4x!mase.block<!mase.fixed<8, 6>, e8m0, [2]>>, tensor<1x4x!mase.fixed<8, 6>>) -> tensor<1x1x!mase.fixed<8, 4>>
  func.return %0 : tensor<1x1x!mase.fixed<8, 4>>
}
