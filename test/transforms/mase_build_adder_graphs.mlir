// REQUIRES: native
// RUN: mase-opt --build-adder-graphs %s | filecheck %s

// CHECK-LABEL: func.func @shared
// CHECK-NEXT:  %y = mase.adder_graph %x {nodes = #mase.dense<i32, {{.*}}>, outputs = #mase.dense<i32, {{.*}}>, offsets = #mase.dense<i64, [4, 8]>, frac = 6 : i64, layer = "fc"} : (tensor<1x2x!mase.fixed<4, 2>>) -> tensor<1x2x!mase.fixed<8, 4>>
// CHECK-NEXT:  func.return %y
func.func @shared(%x: tensor<1x2x!mase.fixed<4, 2>>) -> tensor<1x2x!mase.fixed<8, 4>> {
  %w = mase.constant <i8, [3, 1, 6, 2]> : tensor<2x2x!mase.fixed<4, 3>>
  %b = mase.constant <i8, [4, 8]> : tensor<2x!mase.fixed<8, 6>>
  %y = mase.linear %x, %w, %b {layer = "fc"}
    : (tensor<1x2x!mase.fixed<4, 2>>, tensor<2x2x!mase.fixed<4, 3>>, tensor<2x!mase.fixed<8, 6>>)
    -> tensor<1x2x!mase.fixed<8, 4>>
  func.return %y : tensor<1x2x!mase.fixed<8, 4>>
}

// CHECK-LABEL: func.func @convolution
// CHECK-NEXT:  %[[FLAT:.*]] = mase.reshape %x : tensor<1x1x1x3x!mase.fixed<4, 2>> -> tensor<1x3x!mase.fixed<4, 2>>
// x0 + x1 and x1 + x2
// CHECK-NEXT:  %[[Y:.*]] = mase.adder_graph %[[FLAT]] {nodes = #mase.dense<i32, [0, 1, 0, 0, 0, 1, 2, 0, 0, 0]>, outputs = #mase.dense<i32, [3, 0, 0, 4, 0, 0]>, offsets = #mase.dense<i64, [0, 0]>, frac = 2 : i64}
// CHECK-NEXT:  %y = mase.reshape %[[Y]] : tensor<1x2x!mase.fixed<5, 2>> -> tensor<1x1x1x2x!mase.fixed<5, 2>>
func.func @convolution(%x: tensor<1x1x1x3x!mase.fixed<4, 2>>) -> tensor<1x1x1x2x!mase.fixed<5, 2>> {
  %w = mase.constant <ui8, [1, 1]> : tensor<1x1x1x2x!mase.ufixed<1, 0>>
  %y = mase.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>}
    : (tensor<1x1x1x3x!mase.fixed<4, 2>>, tensor<1x1x1x2x!mase.ufixed<1, 0>>) -> tensor<1x1x1x2x!mase.fixed<5, 2>>
  func.return %y : tensor<1x1x1x2x!mase.fixed<5, 2>>
}

// The scale of each channel is multiplied once.
// CHECK-LABEL: func.func @scaled
// CHECK-NEXT:  mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, 0, 0]>, outputs = #mase.dense<i32, [2, 0, 0, 0, 0, 0]>, offsets = #mase.dense<i64, [0, 0]>, scales = #mase.dense<f64, [0.1875, 0.0, 0.75, 0.0]>, frac = 0 : i64}
func.func @scaled(%x: tensor<1x2x!mase.fixed<4, 2>>) -> tensor<1x2x!mase.fixed<8, 4>> {
  %w = mase.constant <i8, [1, 1, 1, 0]> : tensor<2x2x!mase.scaled<!mase.fixed<2, 0>, #mase.dense<f32, [0.75, 3.0]>, axis = 0>>
  %y = mase.linear %x, %w
    : (tensor<1x2x!mase.fixed<4, 2>>, tensor<2x2x!mase.scaled<!mase.fixed<2, 0>, #mase.dense<f32, [0.75, 3.0]>, axis = 0>>) -> tensor<1x2x!mase.fixed<8, 4>>
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
