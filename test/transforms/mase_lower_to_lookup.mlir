// RUN: mase-opt --lower-to-lookup --split-input-file %s | filecheck %s

// Codes 0, 1, -2, -1 are 0, 1, -2, -1: the table starts with the positive ones.

// CHECK-LABEL: func.func @sigmoid
// CHECK-NEXT:    %[[T:.*]] = mase.constant <ui8, [8, 12, 2, 4]> : tensor<4x!mase.ufixed<4, 4>>
// CHECK-NEXT:    %[[Y:.*]] = mase.lookup %x, %[[T]] {mase.source = "a.py:1", layer = "act"} : (tensor<1x3x!mase.fixed<2, 0>>, tensor<4x!mase.ufixed<4, 4>>) -> tensor<1x3x!mase.ufixed<4, 4>>
// CHECK-NEXT:    return %[[Y]]
func.func @sigmoid(%x: tensor<1x3x!mase.fixed<2, 0>>) -> tensor<1x3x!mase.ufixed<4, 4>> {
  %0 = mase.sigmoid %x {layer = "act", mase.source = "a.py:1"} : (tensor<1x3x!mase.fixed<2, 0>>) -> tensor<1x3x!mase.ufixed<4, 4>>
  func.return %0 : tensor<1x3x!mase.ufixed<4, 4>>
}

// -----

// Rounding down, parameters and the infinity at 0 are in the table.

// CHECK-LABEL: func.func @parameters
// CHECK-NEXT:    mase.constant <ui8, [0, 1, 1, 1]> : tensor<4x!mase.ufixed<2, 0>>
// CHECK:         mase.constant <i8, [0, 4, -4, -3]> : tensor<4x!mase.fixed<4, 2>>
// CHECK:         mase.constant <i8, [7, 4, 2, 1]> : tensor<4x!mase.fixed<4, 2>>
func.func @parameters(%x: tensor<3x!mase.ufixed<2, 2>>, %y: tensor<3x!mase.fixed<2, 0>>, %z: tensor<3x!mase.ufixed<2, 0>>) -> (tensor<3x!mase.ufixed<2, 0>>, tensor<3x!mase.fixed<4, 2>>, tensor<3x!mase.fixed<4, 2>>) {
  %0 = mase.tanh %x {rounding = #mase.rounding<ceil, saturate>} : (tensor<3x!mase.ufixed<2, 2>>) -> tensor<3x!mase.ufixed<2, 0>>
  %1 = mase.elu %y {alpha = 1.0 : f64, rounding = #mase.rounding<floor, saturate>} : (tensor<3x!mase.fixed<2, 0>>) -> tensor<3x!mase.fixed<4, 2>>
  %2 = mase.reciprocal %z : (tensor<3x!mase.ufixed<2, 0>>) -> tensor<3x!mase.fixed<4, 2>>
  func.return %0, %1, %2 : tensor<3x!mase.ufixed<2, 0>>, tensor<3x!mase.fixed<4, 2>>, tensor<3x!mase.fixed<4, 2>>
}

// -----

// Functions of two numbers of which one is a constant.

// CHECK-LABEL: func.func @constants
// CHECK:         mase.constant <ui8, [0, 1, 4, 9]> : tensor<4x!mase.ufixed<4, 0>>
// CHECK-NEXT:    mase.lookup %x
// CHECK:         mase.constant <ui8, [1, 2, 4, 8]> : tensor<4x!mase.ufixed<4, 0>>
// CHECK-NEXT:    mase.lookup %x
// CHECK-NEXT:    mase.pow %x, %x
// CHECK-NEXT:    mase.div %x
func.func @constants(%x: tensor<1x3x!mase.ufixed<2, 0>>) -> (tensor<1x3x!mase.ufixed<4, 0>>, tensor<1x3x!mase.ufixed<4, 0>>, tensor<1x3x!mase.ufixed<4, 0>>, tensor<1x3x!mase.ufixed<4, 0>>) {
  %two = mase.constant <ui8, [2]> : tensor<!mase.ufixed<2, 0>>
  %0 = mase.pow %x, %two : (tensor<1x3x!mase.ufixed<2, 0>>, tensor<!mase.ufixed<2, 0>>) -> tensor<1x3x!mase.ufixed<4, 0>>
  %1 = mase.pow %two, %x : (tensor<!mase.ufixed<2, 0>>, tensor<1x3x!mase.ufixed<2, 0>>) -> tensor<1x3x!mase.ufixed<4, 0>>
  %2 = mase.pow %x, %x : (tensor<1x3x!mase.ufixed<2, 0>>, tensor<1x3x!mase.ufixed<2, 0>>) -> tensor<1x3x!mase.ufixed<4, 0>>
  %3 = mase.div %x, %two : (tensor<1x3x!mase.ufixed<2, 0>>, tensor<!mase.ufixed<2, 0>>) -> tensor<1x3x!mase.ufixed<4, 0>>
  func.return %0, %1, %2, %3 : tensor<1x3x!mase.ufixed<4, 0>>, tensor<1x3x!mase.ufixed<4, 0>>, tensor<1x3x!mase.ufixed<4, 0>>, tensor<1x3x!mase.ufixed<4, 0>>
}

// -----

// What has a circuit, is wide, or is not quantized, stays.

// CHECK-LABEL: func.func @stay
// CHECK-NOT:     mase.lookup
func.func @stay(%x: tensor<3x!mase.fixed<4, 2>>, %wide: tensor<3x!mase.fixed<13, 2>>, %f: tensor<3xf32>) -> (tensor<3x!mase.fixed<4, 2>>, tensor<3x!mase.fixed<4, 2>>, tensor<3xf32>) {
  %0 = mase.relu %x : (tensor<3x!mase.fixed<4, 2>>) -> tensor<3x!mase.fixed<4, 2>>
  %1 = mase.sigmoid %wide : (tensor<3x!mase.fixed<13, 2>>) -> tensor<3x!mase.fixed<4, 2>>
  %2 = mase.sigmoid %f : (tensor<3xf32>) -> tensor<3xf32>
  func.return %0, %1, %2 : tensor<3x!mase.fixed<4, 2>>, tensor<3x!mase.fixed<4, 2>>, tensor<3xf32>
}
