// REQUIRES: native
// RUN: mase-opt --build-adder-graphs="dsp=1" %s | filecheck %s

// 85 has more nonzero digits than 3, so its product is the one that stays.
// CHECK:       mase.adder_graph %x {
// CHECK-SAME:  products = #mase.dense<i64, [0, 85]>
func.func @digits(%x: tensor<1x2x!mase.fixed<4, 2>>) -> tensor<1x1x!mase.fixed<12, 0>> {
  %w = mase.constant <i8, [85, 3]> : tensor<1x2x!mase.fixed<8, 0>>
  %y = mase.linear %x, %w
    : (tensor<1x2x!mase.fixed<4, 2>>, tensor<1x2x!mase.fixed<8, 0>>) -> tensor<1x1x!mase.fixed<12, 0>>
  func.return %y : tensor<1x1x!mase.fixed<12, 0>>
}
