// RUN: mase-opt --equalize --split-input-file %s | filecheck %s
// RUN: mase-opt --equalize %S/Inputs/model.mlir 2>&1 | filecheck %s --check-prefix=NONE

// NONE: warning: mase-equalize has no effect: no linear or conv layer is followed by others alone, with nothing but relus, pools and shape ops between

// Ranges 4 and 1 before the first channel, alike in the second.

// CHECK-LABEL: func.func @pair
// CHECK-DAG:     %[[W1:.*]] = mase.constant <f32, [2.0, 1.0]> : tensor<2x1xf32>
// CHECK-DAG:     %[[B1:.*]] = mase.constant <f32, [3.0, 5.0]> : tensor<2xf32>
// CHECK:         mase.linear %{{.*}}, %[[W1]], %[[B1]] {layer = "fc1"}
// CHECK:         %[[W2:.*]] = mase.constant <f32, [2.0, -1.0]> : tensor<1x2xf32>
// CHECK:         mase.linear %{{.*}}, %[[W2]] {layer = "fc2"}
func.func @pair(%x: tensor<1x1xf32>) -> tensor<1x1xf32> {
  %w1 = mase.constant <f32, [4.0, 1.0]> : tensor<2x1xf32>
  %b1 = mase.constant <f32, [6.0, 5.0]> : tensor<2xf32>
  %w2 = mase.constant <f32, [1.0, -1.0]> : tensor<1x2xf32>
  %0 = mase.linear %x, %w1, %b1 {layer = "fc1"} : (tensor<1x1xf32>, tensor<2x1xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %1 = mase.relu %0 : (tensor<1x2xf32>) -> tensor<1x2xf32>
  %2 = mase.linear %1, %w2 {layer = "fc2"} : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x1xf32>
  func.return %2 : tensor<1x1xf32>
}

// -----

// A channel goes on as four elements; what has no weights stays.

// CHECK-LABEL: func.func @flatten
// CHECK:         mase.constant <f32, [2.0, 0.0]> : tensor<2x1x1x1xf32>
// CHECK:         mase.constant <f32, [1.0, 2.0, 0.0, 2.0, 1.0, 1.0, 1.0, 1.0]> : tensor<1x8xf32>
func.func @flatten(%x: tensor<1x1x2x2xf32>) -> tensor<1x1xf32> {
  %w1 = mase.constant <f32, [4.0, 0.0]> : tensor<2x1x1x1xf32>
  %w2 = mase.constant <f32, [0.5, 1.0, 0.0, 1.0, 1.0, 1.0, 1.0, 1.0]> : tensor<1x8xf32>
  %0 = mase.conv2d %x, %w1 {strides = array<i64: 1, 1>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>} : (tensor<1x1x2x2xf32>, tensor<2x1x1x1xf32>) -> tensor<1x2x2x2xf32>
  %1 = mase.reshape %0 : tensor<1x2x2x2xf32> -> tensor<1x8xf32>
  %2 = mase.linear %1, %w2 : (tensor<1x8xf32>, tensor<1x8xf32>) -> tensor<1x1xf32>
  func.return %2 : tensor<1x1xf32>
}

// -----

// A batch norm is part of the layer before.

// CHECK-LABEL: func.func @folded
// CHECK-NOT:     batch_norm
// CHECK:         mase.constant <f32, [2.0]> : tensor<1x1x1xf32>
// CHECK:         mase.constant <f32, [2.0]> : tensor<1x1x1xf32>
func.func @folded(%x: tensor<1x1x2xf32>) -> tensor<1x1x2xf32> {
  %one = mase.constant <f32, [1.0]> : tensor<1xf32>
  %zero = mase.constant <f32, [0.0]> : tensor<1xf32>
  %four = mase.constant <f32, [4.0]> : tensor<1xf32>
  %w = mase.constant <f32, [1.0]> : tensor<1x1x1xf32>
  %0 = mase.conv1d %x, %w {strides = array<i64: 1>, padding = array<i64: 0>, dilation = array<i64: 1>} : (tensor<1x1x2xf32>, tensor<1x1x1xf32>) -> tensor<1x1x2xf32>
  %1 = mase.batch_norm %0, %zero, %one, %four, %zero {eps = 0.0 : f64} : (tensor<1x1x2xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>, tensor<1xf32>) -> tensor<1x1x2xf32>
  %2 = mase.conv1d %1, %w {strides = array<i64: 1>, padding = array<i64: 0>, dilation = array<i64: 1>} : (tensor<1x1x2xf32>, tensor<1x1x1xf32>) -> tensor<1x1x2xf32>
  func.return %2 : tensor<1x1x2xf32>
}
