// RUN: mase-opt --canonicalize --split-input-file %s | filecheck %s

// CHECK-LABEL: func.func @identities(%x: tensor<2x3xf32>)
// CHECK-NEXT:    return %x : tensor<2x3xf32>
func.func @identities(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %0 = mase.cast %x : (tensor<2x3xf32>) -> tensor<2x3xf32>
  %1 = mase.reshape %0 : tensor<2x3xf32> -> tensor<2x3xf32>
  %2 = mase.transpose %1 {permutation = array<i64: 0, 1>} : tensor<2x3xf32> -> tensor<2x3xf32>
  %3 = mase.broadcast %2 : tensor<2x3xf32> -> tensor<2x3xf32>
  %4 = mase.slice %3 {starts = array<i64: 0, 0>, stops = array<i64: 2, 3>, strides = array<i64: 1, 1>} : tensor<2x3xf32> -> tensor<2x3xf32>
  %5 = mase.pad %4 {low = array<i64: 0, 0>, high = array<i64: 0, 0>, value = 1.0 : f64} : tensor<2x3xf32> -> tensor<2x3xf32>
  %6 = mase.concat %5 {axis = 0 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  func.return %6 : tensor<2x3xf32>
}

// -----

// A transposition of a square is none the less one; one of single elements is not.

// CHECK-LABEL: func.func @transposes
// CHECK-NEXT:    %[[T:.*]] = mase.transpose %x {permutation = array<i64: 0, 2, 1>}
// CHECK-NEXT:    return %[[T]]
func.func @transposes(%x: tensor<1x2x2xf32>) -> tensor<1x2x2xf32> {
  %0 = mase.transpose %x {permutation = array<i64: 0, 2, 1>} : tensor<1x2x2xf32> -> tensor<1x2x2xf32>
  func.return %0 : tensor<1x2x2xf32>
}

// -----

// CHECK-LABEL: func.func @single_elements(%x: tensor<1x1x2xf32>)
// CHECK-NEXT:    return %x
func.func @single_elements(%x: tensor<1x1x2xf32>) -> tensor<1x1x2xf32> {
  %0 = mase.transpose %x {permutation = array<i64: 1, 0, 2>} : tensor<1x1x2xf32> -> tensor<1x1x2xf32>
  func.return %0 : tensor<1x1x2xf32>
}

// -----

// Dimension 0 of the result is dimension 2 of %0, which is dimension 0 of %x.

// CHECK-LABEL: func.func @transpose_twice
// CHECK-NEXT:    %[[T:.*]] = mase.transpose %x {permutation = array<i64: 0, 2, 1>} : tensor<2x3x4xf32> -> tensor<2x4x3xf32>
// CHECK-NEXT:    return %[[T]]
func.func @transpose_twice(%x: tensor<2x3x4xf32>) -> tensor<2x4x3xf32> {
  %0 = mase.transpose %x {permutation = array<i64: 1, 2, 0>} : tensor<2x3x4xf32> -> tensor<3x4x2xf32>
  %1 = mase.transpose %0 {permutation = array<i64: 2, 1, 0>} : tensor<3x4x2xf32> -> tensor<2x4x3xf32>
  func.return %1 : tensor<2x4x3xf32>
}

// -----

// CHECK-LABEL: func.func @twice
// CHECK-NEXT:    %[[R:.*]] = mase.reshape %x : tensor<2x3xf32> -> tensor<3x2xf32>
// CHECK-NEXT:    %[[B:.*]] = mase.broadcast %x : tensor<2x3xf32> -> tensor<5x4x2x3xf32>
// CHECK-NEXT:    return %[[R]], %[[B]]
func.func @twice(%x: tensor<2x3xf32>) -> (tensor<3x2xf32>, tensor<5x4x2x3xf32>) {
  %0 = mase.reshape %x : tensor<2x3xf32> -> tensor<6xf32>
  %1 = mase.reshape %0 : tensor<6xf32> -> tensor<3x2xf32>
  %2 = mase.broadcast %x : tensor<2x3xf32> -> tensor<4x2x3xf32>
  %3 = mase.broadcast %2 : tensor<4x2x3xf32> -> tensor<5x4x2x3xf32>
  func.return %1, %3 : tensor<3x2xf32>, tensor<5x4x2x3xf32>
}

// -----

// Saturation at zero has done what the relu does.

// CHECK-LABEL: func.func @relu(%x: tensor<2x!mase.ufixed<8, 4>>)
// CHECK-NEXT:    return %x
func.func @relu(%x: tensor<2x!mase.ufixed<8, 4>>) -> tensor<2x!mase.ufixed<8, 4>> {
  %0 = mase.relu %x : (tensor<2x!mase.ufixed<8, 4>>) -> tensor<2x!mase.ufixed<8, 4>>
  func.return %0 : tensor<2x!mase.ufixed<8, 4>>
}

// -----

// CHECK-LABEL: func.func @lossless
// CHECK-NEXT:    %[[A:.*]] = mase.cast %x {rounding = #mase.rounding<floor, wrap>} : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<4, 2>>
// CHECK-NEXT:    %[[B:.*]] = mase.cast %x : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<4, 2>>
// CHECK-NEXT:    return %[[A]], %[[B]], %x
func.func @lossless(%x: tensor<2x!mase.fixed<8, 4>>) -> (tensor<2x!mase.fixed<4, 2>>, tensor<2x!mase.fixed<4, 2>>, tensor<2x!mase.fixed<8, 4>>) {
  %0 = mase.cast %x : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<10, 5>>
  %1 = mase.cast %0 {rounding = #mase.rounding<floor, wrap>} : (tensor<2x!mase.fixed<10, 5>>) -> tensor<2x!mase.fixed<4, 2>>
  %2 = mase.cast %x : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2xf32>
  %3 = mase.cast %2 : (tensor<2xf32>) -> tensor<2x!mase.fixed<4, 2>>
  %4 = mase.cast %2 : (tensor<2xf32>) -> tensor<2x!mase.fixed<8, 4>>
  func.return %1, %3, %4 : tensor<2x!mase.fixed<4, 2>>, tensor<2x!mase.fixed<4, 2>>, tensor<2x!mase.fixed<8, 4>>
}

// -----

// A range or a fraction that is too small changes numbers, as does f32 for 25 bits.

// CHECK-LABEL: func.func @lossy
// CHECK-COUNT-8: mase.cast
func.func @lossy(%x: tensor<2x!mase.fixed<8, 4>>, %y: tensor<2x!mase.fixed<25, 0>>) -> (tensor<2x!mase.fixed<8, 4>>, tensor<2x!mase.fixed<8, 4>>, tensor<2x!mase.fixed<8, 4>>, tensor<2x!mase.fixed<25, 0>>) {
  %0 = mase.cast %x : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 5>>
  %1 = mase.cast %0 : (tensor<2x!mase.fixed<8, 5>>) -> tensor<2x!mase.fixed<8, 4>>
  %2 = mase.cast %x : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<9, 3>>
  %3 = mase.cast %2 : (tensor<2x!mase.fixed<9, 3>>) -> tensor<2x!mase.fixed<8, 4>>
  %4 = mase.cast %x : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.ufixed<9, 4>>
  %5 = mase.cast %4 : (tensor<2x!mase.ufixed<9, 4>>) -> tensor<2x!mase.fixed<8, 4>>
  %6 = mase.cast %y : (tensor<2x!mase.fixed<25, 0>>) -> tensor<2xf32>
  %7 = mase.cast %6 : (tensor<2xf32>) -> tensor<2x!mase.fixed<25, 0>>
  func.return %1, %3, %5, %7 : tensor<2x!mase.fixed<8, 4>>, tensor<2x!mase.fixed<8, 4>>, tensor<2x!mase.fixed<8, 4>>, tensor<2x!mase.fixed<25, 0>>
}

// -----

// CHECK-LABEL: func.func @constants
// CHECK-DAG:     mase.constant <f32, [1.0, 3.0, 2.0, 4.0, 9.0, 9.0]> : tensor<3x2xf32>
// CHECK-DAG:     mase.constant <i8, [16, 48]> : tensor<1x2x!mase.fixed<8, 4>>
// CHECK-DAG:     mase.constant <f32, [3.0, 4.0]> : tensor<1x2xf32>
// CHECK-NOT:     mase.{{[a-b,d-z]}}
// CHECK:         return
func.func @constants() -> (tensor<3x2xf32>, tensor<1x2x!mase.fixed<8, 4>>, tensor<1x2xf32>) {
  %c = mase.constant <f32, [1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %9 = mase.constant <f32, [9.0]> : tensor<f32>
  %i = mase.constant <i64, [-1]> : tensor<1xi64>
  %0 = mase.reshape %c : tensor<4xf32> -> tensor<2x2xf32>
  %1 = mase.transpose %0 {permutation = array<i64: 1, 0>} : tensor<2x2xf32> -> tensor<2x2xf32>
  %2 = mase.broadcast %9 : tensor<f32> -> tensor<1x2xf32>
  %3 = mase.concat %1, %2 {axis = 0 : i64} : (tensor<2x2xf32>, tensor<1x2xf32>) -> tensor<3x2xf32>
  %4 = mase.slice %1 {starts = array<i64: 0, 0>, stops = array<i64: 1, 2>, strides = array<i64: 1, 1>} : tensor<2x2xf32> -> tensor<1x2xf32>
  %5 = mase.cast %4 : (tensor<1x2xf32>) -> tensor<1x2x!mase.fixed<8, 4>>
  %6 = mase.gather %0, %i {axis = 0 : i64} : (tensor<2x2xf32>, tensor<1xi64>) -> tensor<1x2xf32>
  func.return %3, %5, %6 : tensor<3x2xf32>, tensor<1x2x!mase.fixed<8, 4>>, tensor<1x2xf32>
}

// -----

// A number without a code is an error where the cast runs, not here.

// CHECK-LABEL: func.func @no_code
// CHECK:         mase.cast
func.func @no_code() -> tensor<1x!mase.fixed<8, 4>> {
  %c = mase.constant <f32, [nan]> : tensor<1xf32>
  %0 = mase.cast %c : (tensor<1xf32>) -> tensor<1x!mase.fixed<8, 4>>
  func.return %0 : tensor<1x!mase.fixed<8, 4>>
}

// -----

// Elements of blocks are rounded wherever they are moved to.

!b = !mase.block<!mase.fixed<4, 2>, e8m0, [2]>
!c = !mase.scaled<!mase.fixed<4, 0>, #mase.dense<f32, [0.5, 0.25]>, axis = 0>

// CHECK-LABEL: func.func @moved_blocks
// CHECK-NEXT:    mase.reshape
// CHECK-NEXT:    mase.reshape
// CHECK-NEXT:    mase.transpose
// CHECK-NEXT:    mase.transpose
// CHECK-NEXT:    mase.reshape
// CHECK-NEXT:    mase.broadcast
// CHECK-NEXT:    mase.broadcast
// CHECK-NEXT:    return
func.func @moved_blocks(%x: tensor<2x3x!b>) -> tensor<2x4x3x2x!b> {
  %0 = mase.reshape %x : tensor<2x3x!b> -> tensor<3x2x!b>
  %1 = mase.reshape %0 : tensor<3x2x!b> -> tensor<1x2x3x!b>
  %2 = mase.transpose %1 {permutation = array<i64: 0, 2, 1>} : tensor<1x2x3x!b> -> tensor<1x3x2x!b>
  %3 = mase.transpose %2 {permutation = array<i64: 2, 1, 0>} : tensor<1x3x2x!b> -> tensor<2x3x1x!b>
  %4 = mase.reshape %3 : tensor<2x3x1x!b> -> tensor<2x1x3x1x!b>
  %6 = mase.broadcast %4 : tensor<2x1x3x1x!b> -> tensor<2x1x3x2x!b>
  %7 = mase.broadcast %6 : tensor<2x1x3x2x!b> -> tensor<2x4x3x2x!b>
  func.return %7 : tensor<2x4x3x2x!b>
}

// CHECK-LABEL: func.func @moved_channels
// CHECK-NEXT:    mase.transpose
// CHECK-NEXT:    mase.transpose
func.func @moved_channels(%x: tensor<2x2x!c>) -> tensor<2x2x!c> {
  %0 = mase.transpose %x {permutation = array<i64: 1, 0>} : tensor<2x2x!c> -> tensor<2x2x!c>
  %1 = mase.transpose %0 {permutation = array<i64: 1, 0>} : tensor<2x2x!c> -> tensor<2x2x!c>
  func.return %1 : tensor<2x2x!c>
}

// -----

// 3 and 0.25 do not fit into one block of four bits, so 0.25 is lost between the two.

!b = !mase.block<!mase.fixed<3, 1>, e8m0, [2]>

// CHECK-LABEL: func.func @folded_blocks
// CHECK-NEXT:    mase.constant <i8, [3, 0, 2, 2]> {scales = #mase.dense<ui8, [128, 125]>} : tensor<1x4x!mase.block
func.func @folded_blocks() -> tensor<1x4x!b> {
  %0 = mase.constant <i8, [3, 3, 2, 2]> {scales = #mase.dense<ui8, [128, 125]>} : tensor<4x!b>
  %i = mase.constant <i64, [0, 2, 3, 3]> : tensor<4xi64>
  %1 = mase.gather %0, %i {axis = 0 : i64} : (tensor<4x!b>, tensor<4xi64>) -> tensor<4x!b>
  %2 = mase.reshape %1 : tensor<4x!b> -> tensor<1x4x!b>
  func.return %2 : tensor<1x4x!b>
}

// -----

// Casts of constants become codes, whatever the format.

// CHECK-LABEL: func.func @codes
// CHECK-DAG:     mase.constant <ui8, [56, 193, 24]> : tensor<3x!mase.minifloat<4, 3, fn>>
// CHECK-DAG:     mase.constant <i8, [32, -96, 64, 16]> {scales = #mase.dense<ui8, [128, 126]>} : tensor<2x2x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>
// CHECK-DAG:     mase.constant <i8, [2, -6, 2, 0]> : tensor<2x2x!mase.scaled<!mase.fixed<4, 0>, #mase.dense<f32, [0.5, 0.25]>, axis = 0>>
// CHECK-DAG:     mase.constant <i8, [1, -1, 0]> : tensor<3x!mase.ternary>
// CHECK-DAG:     mase.constant <i8, [0, -1, 0]> : tensor<3x!mase.ternary>
// CHECK-NOT:     mase.cast
// CHECK:         return
func.func @codes() -> (tensor<3x!mase.minifloat<4, 3, fn>>, tensor<2x2x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>, tensor<2x2x!mase.scaled<!mase.fixed<4, 0>, #mase.dense<f32, [0.5, 0.25]>, axis = 0>>, tensor<3x!mase.ternary>, tensor<3x!mase.ternary>) {
  %c = mase.constant <f32, [1.0, -2.25, 0.0625]> : tensor<3xf32>
  %d = mase.constant <f32, [1.0, -3.0, 0.5, 0.125]> : tensor<2x2xf32>
  %0 = mase.cast %c : (tensor<3xf32>) -> tensor<3x!mase.minifloat<4, 3, fn>>
  %1 = mase.cast %d : (tensor<2x2xf32>) -> tensor<2x2x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>
  %2 = mase.cast %d : (tensor<2x2xf32>) -> tensor<2x2x!mase.scaled<!mase.fixed<4, 0>, #mase.dense<f32, [0.5, 0.25]>, axis = 0>>
  %3 = mase.cast %c : (tensor<3xf32>) -> tensor<3x!mase.ternary>
  %4 = mase.cast %c {threshold = 2.0 : f64} : (tensor<3xf32>) -> tensor<3x!mase.ternary>
  func.return %0, %1, %2, %3, %4 : tensor<3x!mase.minifloat<4, 3, fn>>, tensor<2x2x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>, tensor<2x2x!mase.scaled<!mase.fixed<4, 0>, #mase.dense<f32, [0.5, 0.25]>, axis = 0>>, tensor<3x!mase.ternary>, tensor<3x!mase.ternary>
}

// -----

// A threshold survives, and a cast with one is none that changes nothing. Nor is a relu
// of numbers without a sign more than its operand.

// CHECK-LABEL: func.func @thresholds
// CHECK-NEXT:    %[[A:.*]] = mase.cast %x {threshold = 5.000000e-01 : f64} : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.ternary>
// CHECK-NEXT:    %[[B:.*]] = mase.cast %y {threshold = 1.000000e+00 : f64} : (tensor<2x!mase.ternary>) -> tensor<2x!mase.ternary>
// CHECK-NEXT:    return %[[A]], %[[B]], %y, %z
func.func @thresholds(%x: tensor<2x!mase.fixed<8, 4>>, %y: tensor<2x!mase.ternary>, %z: tensor<2x!mase.scaled<!mase.ufixed<8, 0>, 0.25>>) -> (tensor<2x!mase.ternary>, tensor<2x!mase.ternary>, tensor<2x!mase.ternary>, tensor<2x!mase.scaled<!mase.ufixed<8, 0>, 0.25>>) {
  %0 = mase.cast %x : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2xf32>
  %1 = mase.cast %0 {threshold = 0.5 : f64} : (tensor<2xf32>) -> tensor<2x!mase.ternary>
  %2 = mase.cast %y {threshold = 1.0 : f64} : (tensor<2x!mase.ternary>) -> tensor<2x!mase.ternary>
  %3 = mase.cast %y : (tensor<2x!mase.ternary>) -> tensor<2x!mase.ternary>
  %4 = mase.relu %z : (tensor<2x!mase.scaled<!mase.ufixed<8, 0>, 0.25>>) -> tensor<2x!mase.scaled<!mase.ufixed<8, 0>, 0.25>>
  func.return %1, %2, %3, %4 : tensor<2x!mase.ternary>, tensor<2x!mase.ternary>, tensor<2x!mase.ternary>, tensor<2x!mase.scaled<!mase.ufixed<8, 0>, 0.25>>
}

// -----

// A constant is cast once: 0.25 of 0.3, a tie to even, the largest number, and nothing.

// CHECK-LABEL: func.func @elements_of_a_constant
// CHECK-NEXT:    %{{.*}} = mase.constant <i8, [1, -8, 14, 0]> : tensor<4x!mase.fixed<6, 2>>
func.func @elements_of_a_constant() -> tensor<4x!mase.fixed<6, 2>> {
  %0 = mase.constant <f32, [0.3, -1.75, 9.0, 4.0]> : tensor<4xf32>
  %1 = mase.cast_elements %0 {grid = array<i64: 4>, widths = #mase.dense<i8, [4, 3, 4, 0]>, fracs = #mase.dense<i16, [2, 1, 1, 5]>}
    : (tensor<4xf32>) -> tensor<4x!mase.fixed<6, 2>>
  func.return %1 : tensor<4x!mase.fixed<6, 2>>
}
