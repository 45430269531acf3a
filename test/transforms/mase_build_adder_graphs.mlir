// REQUIRES: native
// RUN: mase-opt --build-adder-graphs %s | filecheck %s

// CHECK-LABEL: func.func @shared
// CHECK-NEXT:  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 0, 0, 2, 1, 1, 2, 0, 0, 1]>, outputs = #mase.dense<i32, [3, 1, 0, 3, 2, 0]>, offsets = #mase.dense<i64, [4, 8]>, frac = 6 : i64, layer = "fc"} : (tensor<1x2x!mase.fixed<4, 2>>) -> tensor<1x2x!mase.fixed<8, 4>>
// CHECK-NEXT:  func.return %y
func.func @shared(%x: tensor<1x2x!mase.fixed<4, 2>>) -> tensor<1x2x!mase.fixed<8, 4>> {
  %w = mase.constant <i8, [3, 1, 6, 2]> : tensor<2x2x!mase.fixed<4, 3>>
  %b = mase.constant <i8, [4, 8]> : tensor<2x!mase.fixed<8, 6>>
  %y = mase.linear %x, %w, %b {layer = "fc"}
    : (tensor<1x2x!mase.fixed<4, 2>>, tensor<2x2x!mase.fixed<4, 3>>, tensor<2x!mase.fixed<8, 6>>)
    -> tensor<1x2x!mase.fixed<8, 4>>
  func.return %y : tensor<1x2x!mase.fixed<8, 4>>
}

// CHECK-LABEL: func.func @float_stays
// CHECK:       mase.linear
func.func @float_stays(%x: tensor<1x2xf32>) -> tensor<1x1xf32> {
  %w = mase.constant <f32, [3.0, 1.0]> : tensor<1x2xf32>
  %y = mase.linear %x, %w : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x1xf32>
  func.return %y : tensor<1x1xf32>
}

// CHECK-LABEL: func.func @variable_weight_stays
// CHECK:       mase.linear
func.func @variable_weight_stays(%x: tensor<1x2x!mase.fixed<4, 2>>, %w: tensor<1x2x!mase.fixed<4, 2>>) -> tensor<1x1x!mase.fixed<4, 2>> {
  %y = mase.linear %x, %w
    : (tensor<1x2x!mase.fixed<4, 2>>, tensor<1x2x!mase.fixed<4, 2>>) -> tensor<1x1x!mase.fixed<4, 2>>
  func.return %y : tensor<1x1x!mase.fixed<4, 2>>
}
