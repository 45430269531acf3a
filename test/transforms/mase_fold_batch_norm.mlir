// RUN: mase-opt --fold-batch-norm --split-input-file %s | filecheck %s

// Scale 4 and 1/2: eps is 0.

// CHECK-LABEL: func.func @conv
// CHECK-NEXT:    %[[W:.*]] = mase.constant <f32, [4.0, 1.0]> : tensor<2x1x1xf32>
// CHECK-NEXT:    %[[B:.*]] = mase.constant <f32, [-1.0, 10.5]> : tensor<2xf32>
// CHECK-NEXT:    %[[Y:.*]] = mase.conv1d %arg0, %[[W]], %[[B]] {strides = array<i64: 1>, padding = array<i64: 0>, dilation = array<i64: 1>, layer = "conv"}
// CHECK-SAME:    -> tensor<1x2x3xf32>
// CHECK-NEXT:    return %[[Y]]
func.func @conv(%arg0: tensor<1x1x3xf32>) -> tensor<1x2x3xf32> {
  %w = mase.constant <f32, [1.0, 2.0]> : tensor<2x1x1xf32>
  %b = mase.constant <f32, [1.0, 3.0]> : tensor<2xf32>
  %mean = mase.constant <f32, [1.0, 2.0]> : tensor<2xf32>
  %var = mase.constant <f32, [0.25, 4.0]> : tensor<2xf32>
  %gamma = mase.constant <f32, [2.0, 1.0]> : tensor<2xf32>
  %beta = mase.constant <f32, [-1.0, 10.0]> : tensor<2xf32>
  %0 = mase.conv1d %arg0, %w, %b {strides = array<i64: 1>, padding = array<i64: 0>, dilation = array<i64: 1>, layer = "conv"} : (tensor<1x1x3xf32>, tensor<2x1x1xf32>, tensor<2xf32>) -> tensor<1x2x3xf32>
  %1 = mase.batch_norm %0, %mean, %var, %gamma, %beta {eps = 0.0 : f64, layer = "bn"} : (tensor<1x2x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x3xf32>
  func.return %1 : tensor<1x2x3xf32>
}

// -----

// No bias before; the calibration is that of the batch norm's result.

// CHECK-LABEL: func.func @linear
// CHECK:         mase.constant <f32, [4.0, 8.0]> : tensor<1x2xf32>
// CHECK-NEXT:    mase.constant <f32, [-5.0]> : tensor<1xf32>
// CHECK-NEXT:    mase.linear {{.*}} {mase.calibration = #mase.calibration<#mase.dense<f32, [7.0]>>, layer = "fc"}
// CHECK-NOT:     batch_norm
func.func @linear(%arg0: tensor<1x2xf32>) -> tensor<1x1xf32> {
  %w = mase.constant <f32, [1.0, 2.0]> : tensor<1x2xf32>
  %one = mase.constant <f32, [1.0]> : tensor<1xf32>
  %var = mase.constant <f32, [0.25]> : tensor<1xf32>
  %gamma = mase.constant <f32, [2.0]> : tensor<1xf32>
  %beta = mase.constant <f32, [-1.0]> : tensor<1xf32>
  %0 = mase.linear %arg0, %w {layer = "fc", mase.calibration = #mase.calibration<#mase.dense<f32, [6.0]>>} : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x1xf32>
  %1 = mase.batch_norm %0, %one, %var, %gamma, %beta {eps = 0.0 : f64, mase.calibration = #mase.calibration<#mase.dense<f32, [7.0]>>} : (tensor<1x1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x1xf32>
  func.return %1 : tensor<1x1xf32>
}

// -----

// Two groups of one input and two output channels each: the weight is [C, O / groups].

// CHECK-LABEL: func.func @transposed
// CHECK:         mase.constant <f32, [1.0, 2.0, 3.0, 4.0]> : tensor<2x2x1x1xf32>
// CHECK:         mase.conv_transpose2d
// CHECK-NOT:     batch_norm
func.func @transposed(%arg0: tensor<1x2x1x1xf32>) -> tensor<1x4x1x1xf32> {
  %w = mase.constant <f32, [1.0, 1.0, 1.0, 1.0]> : tensor<2x2x1x1xf32>
  %zero = mase.constant <f32, [0.0, 0.0, 0.0, 0.0]> : tensor<4xf32>
  %one = mase.constant <f32, [1.0, 1.0, 1.0, 1.0]> : tensor<4xf32>
  %gamma = mase.constant <f32, [1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %0 = mase.conv_transpose2d %arg0, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0>, output_padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x2x1x1xf32>, tensor<2x2x1x1xf32>) -> tensor<1x4x1x1xf32>
  %1 = mase.batch_norm %0, %zero, %one, %gamma, %zero {eps = 0.0 : f64} : (tensor<1x4x1x1xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4x1x1xf32>
  func.return %1 : tensor<1x4x1x1xf32>
}

// -----

// CHECK-LABEL: func.func @alone
// CHECK-NEXT:    %[[S:.*]] = mase.constant <f32, [4.0, 0.5]> : tensor<2x1xf32>
// CHECK-NEXT:    %[[T:.*]] = mase.constant <f32, [-5.0, 9.0]> : tensor<2x1xf32>
// CHECK-NEXT:    %[[P:.*]] = mase.mul %arg0, %[[S]] {layer = "bn"}
// CHECK-NEXT:    %[[Y:.*]] = mase.add %[[P]], %[[T]] {layer = "bn"}
// CHECK-NEXT:    return %[[Y]]
func.func @alone(%arg0: tensor<1x2x3xf32>) -> tensor<1x2x3xf32> {
  %mean = mase.constant <f32, [1.0, 2.0]> : tensor<2xf32>
  %var = mase.constant <f32, [0.25, 4.0]> : tensor<2xf32>
  %gamma = mase.constant <f32, [2.0, 1.0]> : tensor<2xf32>
  %beta = mase.constant <f32, [-1.0, 10.0]> : tensor<2xf32>
  %1 = mase.batch_norm %arg0, %mean, %var, %gamma, %beta {eps = 0.0 : f64, layer = "bn"} : (tensor<1x2x3xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<1x2x3xf32>
  func.return %1 : tensor<1x2x3xf32>
}

// -----

// The layer's own result is used too, so the layer stays.

// CHECK-LABEL: func.func @shared
// CHECK:         %[[X:.*]] = mase.linear
// CHECK:         mase.mul %[[X]]
// CHECK:         mase.add
func.func @shared(%arg0: tensor<1x2xf32>, %w: tensor<1x2xf32>) -> (tensor<1x1xf32>, tensor<1x1xf32>) {
  %one = mase.constant <f32, [1.0]> : tensor<1xf32>
  %0 = mase.linear %arg0, %w : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x1xf32>
  %1 = mase.batch_norm %0, %one, %one, %one, %one {eps = 0.0 : f64} : (tensor<1x1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x1xf32>
  func.return %0, %1 : tensor<1x1xf32>, tensor<1x1xf32>
}

// -----

// Behind a linear layer of rank 3, the batch norm's channels are other dimensions.

// CHECK-LABEL: func.func @rank_3
// CHECK:         mase.linear
// CHECK:         mase.mul
// CHECK:         mase.add
func.func @rank_3(%arg0: tensor<1x1x2xf32>) -> tensor<1x1x1xf32> {
  %w = mase.constant <f32, [1.0, 2.0]> : tensor<1x2xf32>
  %one = mase.constant <f32, [1.0]> : tensor<1xf32>
  %0 = mase.linear %arg0, %w : (tensor<1x1x2xf32>, tensor<1x2xf32>) -> tensor<1x1x1xf32>
  %1 = mase.batch_norm %0, %one, %one, %one, %one {eps = 0.0 : f64} : (tensor<1x1x1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x1x1xf32>
  func.return %1 : tensor<1x1x1xf32>
}

// -----

// Statistics that are computed stay.

// CHECK-LABEL: func.func @computed
// CHECK:         mase.batch_norm
func.func @computed(%arg0: tensor<1x1xf32>, %s: tensor<1xf32>) -> tensor<1x1xf32> {
  %1 = mase.batch_norm %arg0, %s, %s, %s, %s {eps = 0.0 : f64} : (tensor<1x1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x1xf32>
  func.return %1 : tensor<1x1xf32>
}
