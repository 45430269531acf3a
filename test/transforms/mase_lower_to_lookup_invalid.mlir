// RUN: mase-opt --lower-to-lookup --verify-diagnostics --split-input-file %s

func.func @log(%x: tensor<3x!mase.fixed<4, 2>>) -> tensor<3x!mase.fixed<4, 2>> {
  // expected-error@below {{layer 'head' (mase.log) has no value for some numbers in fixed<4, 2>: mase.log}}
  %0 = mase.log %x {layer = "head"} : (tensor<3x!mase.fixed<4, 2>>) -> tensor<3x!mase.fixed<4, 2>>
  func.return %0 : tensor<3x!mase.fixed<4, 2>>
}
