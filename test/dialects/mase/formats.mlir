// The types of formats: what prints is what was read.

// RUN: MASE_ROUNDTRIP

// CHECK-LABEL: func.func @elements(
func.func @elements(
  // CHECK-SAME: %a: tensor<2x!mase.minifloat<4, 3, fn>>
  %a: tensor<2x!mase.minifloat<4, 3, fn>>,
  // CHECK-SAME: %b: tensor<2x!mase.minifloat<5, 2, ieee>>
  %b: tensor<2x!mase.minifloat<5, 2, ieee, 15>>,
  // CHECK-SAME: %c: tensor<2x!mase.minifloat<0, 3, no_implicit, -2>>
  %c: tensor<2x!mase.minifloat<0, 3, no_implicit, -2>>,
  // CHECK-SAME: %d: tensor<2x!mase.log<8, 63>>
  %d: tensor<2x!mase.log<8, 63>>,
  // CHECK-SAME: %e: tensor<2x!mase.log<4, -2, no_zero>>
  %e: tensor<2x!mase.log<4, -2, no_zero>>,
  // CHECK-SAME: %f: tensor<2x!mase.binary>
  %f: tensor<2x!mase.binary>,
  // CHECK-SAME: %g: tensor<!mase.binary<unsigned>>
  %g: tensor<!mase.binary<unsigned>>,
  // CHECK-SAME: %h: tensor<2x!mase.ternary>
  %h: tensor<2x!mase.ternary>) {
  func.return
}

// CHECK-LABEL: func.func @blocks(
func.func @blocks(
  // CHECK-SAME: %a: tensor<2x32x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>
  %a: tensor<2x32x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>,
  // CHECK-SAME: %b: tensor<2x!mase.block<!mase.minifloat<2, 1, finite>, exp<4, -7>, [-1, 16], bump>>
  %b: tensor<2x!mase.block<!mase.minifloat<2, 1, finite>, exp<4, -7>, [-1, 16], bump>>,
  // CHECK-SAME: %c: tensor<2x!mase.block<!mase.log<4, 3>, e8m0, []>>
  %c: tensor<2x!mase.block<!mase.log<4, 3>, e8m0, []>>) {
  func.return
}

// CHECK-LABEL: func.func @scaled(
func.func @scaled(
  // CHECK-SAME: %a: tensor<2x!mase.scaled<!mase.fixed<8, 0>, 0.0125>>
  %a: tensor<2x!mase.scaled<!mase.fixed<8, 0>, 0.0125>>,
  // CHECK-SAME: %b: tensor<2x!mase.scaled<!mase.ufixed<8, 0>, 1.0e-06, zero_point = 128>>
  %b: tensor<2x!mase.scaled<!mase.ufixed<8, 0>, 1.0e-6, zero_point = 128>>,
  // CHECK-SAME: %c: tensor<2x!mase.scaled<!mase.ternary, #mase.dense<f32, [0.5, 0.25]>, axis = 0>>
  %c: tensor<2x!mase.scaled<!mase.ternary, #mase.dense<f32, [0.5, 0.25]>, axis = 0>>,
  // CHECK-SAME: %d: tensor<2x4x!mase.scaled<!mase.fixed<4, 0>, #mase.dense<f32, [1.0, 2.0, 3.0, 4.0]>, axis = -1, group = 2, grid = [2, 2]>>
  %d: tensor<2x4x!mase.scaled<!mase.fixed<4, 0>, #mase.dense<f32, [1.0, 2.0, 3.0, 4.0]>, axis = -1, group = 2, grid = [2, 2]>>) {
  func.return
}
