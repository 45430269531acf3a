// RUN: mase-opt --decompose-normalizations --split-input-file %s | filecheck %s

// CHECK-LABEL: func.func @softmax
// CHECK-NEXT:    %[[M:.*]] = mase.reduce %x {layer = "s", keepdims = true, kind = "max", axes = array<i64: 1>} : (tensor<1x4xf32>) -> tensor<1x1xf32>
// CHECK-NEXT:    %[[D:.*]] = mase.sub %x, %[[M]] {layer = "s"}
// CHECK-NEXT:    %[[E:.*]] = mase.exp %[[D]] {layer = "s"}
// CHECK-NEXT:    %[[S:.*]] = mase.reduce %[[E]] {layer = "s", keepdims = true, kind = "sum", axes = array<i64: 1>}
// CHECK-NEXT:    %[[R:.*]] = mase.reciprocal %[[S]] {layer = "s"} : (tensor<1x1xf32>) -> tensor<1x1xf32>
// CHECK-NEXT:    %y = mase.mul %[[E]], %[[R]] {layer = "s"}
// CHECK-NEXT:    func.return %y
func.func @softmax(%x: tensor<1x4xf32>) -> tensor<1x4xf32> {
  %y = mase.softmax %x {axis = 1 : i64, layer = "s"} : (tensor<1x4xf32>) -> tensor<1x4xf32>
  func.return %y : tensor<1x4xf32>
}

// -----

// What is masked out counts as the least of its row, and has no weight.

// CHECK-LABEL: func.func @masked
// CHECK-NEXT:    %[[K:.*]] = mase.constant <i1, [true, false, true, true]> : tensor<2x2xi1>
// CHECK-NEXT:    %[[L:.*]] = mase.reduce %x {keepdims = true, kind = "min", axes = array<i64: 1>}
// CHECK-NEXT:    %[[S:.*]] = mase.select %[[K]], %x, %[[L]]
// CHECK-NEXT:    %[[M:.*]] = mase.reduce %[[S]] {keepdims = true, kind = "max", axes = array<i64: 1>}
// CHECK-NEXT:    %[[D:.*]] = mase.sub %[[S]], %[[M]]
// CHECK-NEXT:    %[[E:.*]] = mase.exp %[[D]]
// CHECK-NEXT:    %[[Z:.*]] = mase.constant <f32, [0.0]> : tensor<f32>
// CHECK-NEXT:    mase.select %[[K]], %[[E]], %[[Z]]
func.func @masked(%x: tensor<2x2xf32>) -> tensor<2x2xf32> {
  %m = mase.constant <f32, [0.0, -3.0e38, 0.0, 0.0]> : tensor<2x2xf32>
  %s = mase.add %x, %m : (tensor<2x2xf32>, tensor<2x2xf32>) -> tensor<2x2xf32>
  %y = mase.softmax %s {axis = 1 : i64} : (tensor<2x2xf32>) -> tensor<2x2xf32>
  func.return %y : tensor<2x2xf32>
}

// -----

// CHECK-LABEL: func.func @attention
// CHECK-NEXT:    %[[T:.*]] = mase.transpose %k {permutation = array<i64: 0, 2, 1>}
// CHECK-NEXT:    %[[P:.*]] = mase.matmul %q, %[[T]] {layer = "a"} : (tensor<2x2x4xf32>, tensor<2x4x3xf32>) -> tensor<2x2x3xf32>
// CHECK-NEXT:    %[[C:.*]] = mase.constant <f32, [0.5]> : tensor<f32>
// CHECK-NEXT:    %[[S:.*]] = mase.mul %[[P]], %[[C]] {layer = "a"}
// CHECK-NEXT:    %[[K:.*]] = mase.constant <i1, [true, false, false, true, true, false]> : tensor<2x3xi1>
// CHECK:         %[[W:.*]] = mase.mul
// CHECK-NEXT:    %y = mase.matmul %[[W]], %v {layer = "a"} : (tensor<2x2x3xf32>, tensor<2x3x5xf32>) -> tensor<2x2x5xf32>
func.func @attention(%q: tensor<2x2x4xf32>, %k: tensor<2x3x4xf32>, %v: tensor<2x3x5xf32>) -> tensor<2x2x5xf32> {
  %y = mase.attention %q, %k, %v {scale = 0.5 : f64, causal = true, layer = "a"} : (tensor<2x2x4xf32>, tensor<2x3x4xf32>, tensor<2x3x5xf32>) -> tensor<2x2x5xf32>
  func.return %y : tensor<2x2x5xf32>
}

// -----

// CHECK-LABEL: func.func @layer_norm
// CHECK:         %[[M:.*]] = mase.reduce %x {keepdims = true, kind = "mean", axes = array<i64: 1>}
// CHECK-NEXT:    %[[D:.*]] = mase.sub %x, %[[M]]
// CHECK-NEXT:    %[[Q:.*]] = mase.mul %[[D]], %[[D]]
// CHECK-NEXT:    %[[V:.*]] = mase.reduce %[[Q]] {keepdims = true, kind = "mean", axes = array<i64: 1>}
// CHECK-NEXT:    %[[E:.*]] = mase.constant <f32, [0.5]> : tensor<f32>
// CHECK-NEXT:    %[[A:.*]] = mase.add %[[V]], %[[E]]
// CHECK-NEXT:    %[[R:.*]] = mase.rsqrt %[[A]]
// CHECK-NEXT:    %[[N:.*]] = mase.mul %[[D]], %[[R]]
// CHECK-NEXT:    %y = mase.mul %[[N]], %w
func.func @layer_norm(%x: tensor<2x4xf32>) -> tensor<2x4xf32> {
  %w = mase.constant <f32, [1.0, 2.0, 3.0, 4.0]> : tensor<4xf32>
  %y = mase.layer_norm %x : tensor<2x4xf32> weight %w : tensor<4xf32> {rank = 1 : i64, eps = 0.5 : f64} -> tensor<2x4xf32>
  func.return %y : tensor<2x4xf32>
}

// -----

// A mean of the means of the channels of a group.

// CHECK-LABEL: func.func @group_norm
// CHECK-NEXT:    %[[C:.*]] = mase.reduce %x {keepdims = true, kind = "mean", axes = array<i64: 2, 3>} : (tensor<1x4x2x2xf32>) -> tensor<1x4x1x1xf32>
// CHECK-NEXT:    %[[R:.*]] = mase.reshape %[[C]] : tensor<1x4x1x1xf32> -> tensor<1x2x2xf32>
// CHECK-NEXT:    %[[M:.*]] = mase.reduce %[[R]] {keepdims = true, kind = "mean", axes = array<i64: 2>}
// CHECK-NEXT:    %[[B:.*]] = mase.broadcast %[[M]] : tensor<1x2x1xf32> -> tensor<1x2x2xf32>
// CHECK-NEXT:    %[[S:.*]] = mase.reshape %[[B]] : tensor<1x2x2xf32> -> tensor<1x4x1x1xf32>
// CHECK-NEXT:    mase.sub %x, %[[S]]
func.func @group_norm(%x: tensor<1x4x2x2xf32>) -> tensor<1x4x2x2xf32> {
  %y = mase.group_norm %x : tensor<1x4x2x2xf32> {groups = 2 : i64, eps = 0.5 : f64} -> tensor<1x4x2x2xf32>
  func.return %y : tensor<1x4x2x2xf32>
}

// -----

// What has formats already stays, and so do rows of which nothing counts.

// CHECK-LABEL: func.func @stays
// CHECK:         mase.softmax
// CHECK:         mase.softmax
func.func @stays(%x: tensor<1x2x!mase.fixed<8, 4>>, %y: tensor<1x2xf32>) -> (tensor<1x2x!mase.fixed<8, 4>>, tensor<1x2xf32>) {
  %m = mase.constant <f32, [-3.0e38, -3.0e38]> : tensor<1x2xf32>
  %a = mase.softmax %x {axis = 1 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<8, 4>>
  %s = mase.add %y, %m : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x2xf32>
  %b = mase.softmax %s {axis = 1 : i64} : (tensor<1x2xf32>) -> tensor<1x2xf32>
  func.return %a, %b : tensor<1x2x!mase.fixed<8, 4>>, tensor<1x2xf32>
}
