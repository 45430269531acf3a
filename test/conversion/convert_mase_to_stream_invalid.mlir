// RUN: mase-opt %s --convert-mase-to-stream --split-input-file --verify-diagnostics > %t.out
// RUN: not mase-opt %s --convert-mase-to-stream="max-logic-depth=-1" 2>&1 | filecheck %s --check-prefix=DEPTH

// DEPTH: error: {{.*}}max-logic-depth is -1, expected at least 0

// expected-error@below {{mase.softmax act: no process}}
func.func @none(%x: tensor<1x4x!mase.fixed<8, 4>>) -> tensor<1x4x!mase.fixed<8, 4>> {
  %0 = mase.softmax %x {axis = 1 : i64, layer = "act"} : (tensor<1x4x!mase.fixed<8, 4>>) -> tensor<1x4x!mase.fixed<8, 4>>
  func.return %0 : tensor<1x4x!mase.fixed<8, 4>>
}

// -----

// expected-error@below {{argument 1 is not used: leave it out}}
func.func @unused(%x: tensor<1x4x!mase.fixed<8, 4>>, %y: tensor<1x4x!mase.fixed<8, 4>>) -> tensor<1x4x!mase.fixed<8, 4>> {
  %0 = mase.relu %x : (tensor<1x4x!mase.fixed<8, 4>>) -> tensor<1x4x!mase.fixed<8, 4>>
  func.return %0 : tensor<1x4x!mase.fixed<8, 4>>
}

// -----

func.func @reshaped(%x: tensor<1x8x!mase.fixed<8, 4>>) -> tensor<1x2x1x1x!mase.fixed<8, 4>> {
  %r = mase.relu %x : (tensor<1x8x!mase.fixed<8, 4>>) -> tensor<1x8x!mase.fixed<8, 4>>
  %0 = mase.reshape %r : tensor<1x8x!mase.fixed<8, 4>> -> tensor<1x2x2x2x!mase.fixed<8, 4>>
  // expected-error@below {{no process for mase.max_pool pool: its operand of shape 1x2x2x2 arrives as 1x8: between processes, only what goes into mase.linear is reshaped}}
  %1 = mase.max_pool %0 {layer = "pool", kernel = array<i64: 2, 2>, strides = array<i64: 1, 1>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>} : (tensor<1x2x2x2x!mase.fixed<8, 4>>) -> tensor<1x2x1x1x!mase.fixed<8, 4>>
  func.return %1 : tensor<1x2x1x1x!mase.fixed<8, 4>>
}
