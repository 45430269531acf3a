// RUN: mase-opt --quantize --split-input-file %s > %t.mlir 2> %t.err
// RUN: filecheck %s < %t.mlir
// RUN: not grep warning %t.err

// A second run changes nothing, and wants no calibration.
// RUN: mase-opt --quantize --split-input-file %t.mlir > %t.again.mlir 2> %t.err
// RUN: diff %t.mlir %t.again.mlir
// RUN: grep "warning: mase-quantize has no effect: no value in floating point is left" %t.err

// Input and weights within ±1, bias at the product's fraction. Only a relu uses the
// first result, so its negative part is cut off at once.

// CHECK-LABEL: func.func @mlp(%x: tensor<1x2x!mase.fixed<8, 6>> {mase.name = "x"}) -> tensor<1x2x!mase.fixed<8, 3>>
// CHECK-NEXT:    %[[W:.*]] = mase.constant <i8, [64, -32, 16, 127]> : tensor<2x2x!mase.fixed<8, 7>>
// CHECK-NEXT:    %[[B:.*]] = mase.constant <i16, [819, -1638]> : tensor<2x!mase.fixed<16, 13>>
// CHECK-NEXT:    %[[Y:.*]] = mase.linear %x, %[[W]], %[[B]] {layer = "fc1"} :
// CHECK-SAME:      -> tensor<1x2x!mase.ufixed<8, 6>>
// CHECK-NEXT:    %[[R:.*]] = mase.relu %[[Y]] : {{.*}} -> tensor<1x2x!mase.ufixed<8, 6>>
// CHECK-NEXT:    %[[Z:.*]] = mase.linear %[[R]], %[[W]] {layer = "fc2"} :
// CHECK-SAME:      (tensor<1x2x!mase.ufixed<8, 6>>, tensor<2x2x!mase.fixed<8, 7>>) -> tensor<1x2x!mase.fixed<8, 3>>
// CHECK-NEXT:    func.return %[[Z]]
func.func @mlp(%x: tensor<1x2xf32> {mase.name = "x", mase.calibration = #mase.calibration<#mase.dense<f32, [-1.0, 0.0, 1.0]>>}) -> tensor<1x2xf32> {
  %w = mase.constant <f32, [0.5, -0.25, 0.125, 0.9921875]> : tensor<2x2xf32>
  %b = mase.constant <f32, [0.1, -0.2]> : tensor<2xf32>
  %0 = mase.linear %x, %w, %b {layer = "fc1", mase.calibration = #mase.calibration<#mase.dense<f32, [-9.0, 0.5, 3.0]>>} : (tensor<1x2xf32>, tensor<2x2xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %1 = mase.relu %0 {mase.calibration = #mase.calibration<#mase.dense<f32, [0.0, 0.5, 3.0]>>} : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %2 = mase.linear %1, %w {layer = "fc2", mase.calibration = #mase.calibration<#mase.dense<f32, [-9.0, 0.0, 15.0]>>} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  func.return %2 : tensor<1x2xf32>
}

// -----

// The relu is not the only use; its result has no sign bit.

// CHECK-LABEL: func.func @residual(%x: tensor<1x4x!mase.fixed<8, 4>>)
// CHECK-NEXT:    %[[R:.*]] = mase.relu %x : (tensor<1x4x!mase.fixed<8, 4>>) -> tensor<1x4x!mase.ufixed<7, 4>>
// CHECK-NEXT:    %[[S:.*]] = mase.add %x, %[[R]] : {{.*}} -> tensor<1x4x!mase.fixed<8, 3>>
// CHECK-NEXT:    return %[[S]] : tensor<1x4x!mase.fixed<8, 3>>
func.func @residual(%x: tensor<1x4xf32> {mase.calibration = #mase.calibration<#mase.dense<f32, [-7.0, 0.0, 7.0]>>}) -> tensor<1x4xf32> {
  %1 = mase.relu %x {mase.calibration = #mase.calibration<#mase.dense<f32, [0.0, 0.0, 7.0]>>} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  %2 = mase.add %x, %1 {mase.calibration = #mase.calibration<#mase.dense<f32, [-7.0, 0.0, 14.0]>>} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x4xf32>
  func.return %2 : tensor<1x4xf32>
}

// -----

// Shape ops and max pools keep the format; the relu behind them still decides.

// CHECK-LABEL: func.func @keep(%x: tensor<1x4x!mase.ufixed<8, 4>>) -> tensor<2x!mase.ufixed<8, 4>>
// CHECK:         mase.max_pool {{.*}} -> tensor<1x2x!mase.ufixed<8, 4>>
// CHECK-NEXT:    mase.reshape {{.*}} -> tensor<2x!mase.ufixed<8, 4>>
// CHECK-NEXT:    mase.relu {{.*}} -> tensor<2x!mase.ufixed<8, 4>>
func.func @keep(%x: tensor<1x4xf32> {mase.calibration = #mase.calibration<#mase.dense<f32, [-900.0, 0.0, 15.0]>>}) -> tensor<2xf32> {
  %0 = mase.max_pool %x {kernel = array<i64: 2>, strides = array<i64: 2>, padding = array<i64: 0>, dilation = array<i64: 1>, mase.calibration = #mase.calibration<#mase.dense<f32, [1.0]>>} : (tensor<1x4xf32>) -> tensor<1x2xf32>
  %1 = mase.reshape %0 {mase.calibration = #mase.calibration<#mase.dense<f32, [1.0]>>} : tensor<1x2xf32> -> tensor<2xf32>
  %2 = mase.relu %1 {mase.calibration = #mase.calibration<#mase.dense<f32, [1.0]>>} : (tensor<2xf32>) -> tensor<2xf32>
  func.return %2 : tensor<2xf32>
}

// -----

// All parts of a concatenation, the constant one too, get its format.

// CHECK-LABEL: func.func @concat
// CHECK-NEXT:    %[[C:.*]] = mase.constant <i8, [8, 16]> : tensor<1x2x!mase.fixed<8, 3>>
// CHECK-NEXT:    %[[X:.*]] = mase.cast %x : (tensor<1x2x!mase.fixed<8, 6>>) -> tensor<1x2x!mase.fixed<8, 3>>
// CHECK-NEXT:    %[[Y:.*]] = mase.cast %y : (tensor<1x2x!mase.ufixed<8, 4>>) -> tensor<1x2x!mase.fixed<8, 3>>
// CHECK-NEXT:    mase.concat %[[X]], %[[C]], %[[Y]] {axis = 1 : i64}
func.func @concat(%x: tensor<1x2xf32> {mase.calibration = #mase.calibration<#mase.dense<f32, [-1.0, 0.0, 1.0]>>}, %y: tensor<1x2xf32> {mase.calibration = #mase.calibration<#mase.dense<f32, [0.0, 9.0, 15.0]>>}) -> tensor<1x6xf32> {
  %c = mase.constant <f32, [1.0, 2.0]> : tensor<1x2xf32>
  %0 = mase.concat %x, %c, %y {axis = 1 : i64, mase.calibration = #mase.calibration<#mase.dense<f32, [-1.0, 1.0, 15.0]>>} : (tensor<1x2xf32>, tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x6xf32>
  func.return %0 : tensor<1x6xf32>
}

// -----

// Indices and comparisons stay; an embedding gives what its table holds.

// CHECK-LABEL: func.func @indices(%ids: tensor<1x2xi64>, %x: tensor<1x2x1x!mase.ufixed<8, 7>>) -> (tensor<1x2x1xi1>, tensor<1x2xi64>)
// CHECK-NEXT:    %[[W:.*]] = mase.constant <i8, [64, -64, 0]> : tensor<3x1x!mase.fixed<8, 7>>
// CHECK-NEXT:    %[[E:.*]] = mase.embedding %[[W]], %ids {{.*}} -> tensor<1x2x1x!mase.fixed<8, 7>>
// CHECK-NEXT:    mase.compare %[[E]], %x
// CHECK-NEXT:    mase.argmax %[[E]]
func.func @indices(%ids: tensor<1x2xi64>, %x: tensor<1x2x1xf32> {mase.calibration = #mase.calibration<#mase.dense<f32, [0.0, 0.5, 1.0]>>}) -> (tensor<1x2x1xi1>, tensor<1x2xi64>) {
  %w = mase.constant <f32, [0.5, -0.5, 0.0]> : tensor<3x1xf32>
  %0 = mase.embedding %w, %ids {mase.calibration = #mase.calibration<#mase.dense<f32, [-0.5, 0.0, 0.5]>>} : (tensor<3x1xf32>, tensor<1x2xi64>) -> tensor<1x2x1xf32>
  %1 = mase.compare %0, %x {predicate = "lt"} : (tensor<1x2x1xf32>, tensor<1x2x1xf32>) -> tensor<1x2x1xi1>
  %2 = mase.argmax %0 {axis = 2 : i64} : (tensor<1x2x1xf32>) -> tensor<1x2xi64>
  func.return %1, %2 : tensor<1x2x1xi1>, tensor<1x2xi64>
}

// -----

// An argument that is a result as it is needs a format too.

// CHECK-LABEL: func.func @identity(%x: tensor<2x!mase.fixed<8, 6>>
// CHECK-SAME:      -> tensor<2x!mase.fixed<8, 6>> {
// CHECK-NEXT:    func.return %x : tensor<2x!mase.fixed<8, 6>>
func.func @identity(%x: tensor<2xf32> {mase.calibration = #mase.calibration<#mase.dense<f32, [-1.0, 0.0, 1.0]>>}) -> tensor<2xf32> {
  func.return %x : tensor<2xf32>
}

// -----

// Parts of a concatenation that nothing else uses are rounded once, to its format.

// CHECK-LABEL: func.func @concat_of_results
// CHECK-NEXT:    %[[N:.*]] = mase.neg %x : {{.*}} -> tensor<1x2x!mase.fixed<8, 3>>
// CHECK-NEXT:    %[[T:.*]] = mase.tanh %x : {{.*}} -> tensor<1x2x!mase.fixed<8, 7>>
// CHECK-NEXT:    %[[C:.*]] = mase.cast %[[T]] : {{.*}} -> tensor<1x2x!mase.fixed<8, 3>>
// CHECK-NEXT:    mase.concat %[[N]], %[[C]]
func.func @concat_of_results(%x: tensor<1x2xf32> {mase.calibration = #mase.calibration<#mase.dense<f32, [-15.0, 0.0, 1.0]>>}) -> (tensor<1x4xf32>, tensor<1x2xf32>) {
  %0 = mase.neg %x {mase.calibration = #mase.calibration<#mase.dense<f32, [-1.0, 0.0, 15.0]>>} : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %1 = mase.tanh %x {mase.calibration = #mase.calibration<#mase.dense<f32, [-0.984375, 0.0, 0.75]>>} : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %2 = mase.concat %0, %1 {axis = 1 : i64, mase.calibration = #mase.calibration<#mase.dense<f32, [-1.0, 0.0, 15.0]>>} : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x4xf32>
  func.return %2, %1 : tensor<1x4xf32>, tensor<1x2xf32>
}

// -----

// So does a constant that is a result.

// CHECK-LABEL: func.func @constant_result() -> tensor<2x!mase.ufixed<8, 7>> {
// CHECK-NEXT:    %[[C:.*]] = mase.constant <ui8, [128, 32]> : tensor<2x!mase.ufixed<8, 7>>
// CHECK-NEXT:    func.return %[[C]]
func.func @constant_result() -> tensor<2xf32> {
  %c = mase.constant <f32, [1.0, 0.25]> : tensor<2xf32>
  func.return %c : tensor<2xf32>
}
