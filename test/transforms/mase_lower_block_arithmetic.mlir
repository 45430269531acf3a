// RUN: mase-opt --lower-block-arithmetic --split-input-file %s | filecheck %s

// Blocks of 2 and 4: a part has zeros where the weight has another block.

// CHECK-LABEL: func.func @linear
// CHECK-NEXT:    %[[B:.*]] = mase.constant <i8, [5]>
// CHECK-NEXT:    %[[W0:.*]] = mase.constant <i8, [64, 1, 0, 0]> {scales = #mase.dense<ui8, [126]>} : tensor<1x4x!mase.block<!mase.fixed<8, 6>, e8m0, [-1]>>
// CHECK-NEXT:    %[[P0:.*]] = mase.linear %x, %[[W0]] {layer = "fc"} : ({{.*}}) -> tensor<1x1x!mase.fixed<24, 12>>
// CHECK-NEXT:    %[[W1:.*]] = mase.constant <i8, [0, 0, -96, 3]> {scales = #mase.dense<ui8, [127]>} : tensor<1x4x!mase.block<!mase.fixed<8, 6>, e8m0, [-1]>>
// CHECK-NEXT:    %[[P1:.*]] = mase.linear %x, %[[W1]] {layer = "fc"} : ({{.*}}) -> tensor<1x1x!mase.fixed<24, 12>>
// CHECK-NEXT:    %[[SUM:.*]] = mase.add %[[P0]], %[[P1]] {layer = "fc"} : ({{.*}}) -> tensor<1x1x!mase.fixed<24, 12>>
// CHECK-NEXT:    %[[ALL:.*]] = mase.add %[[SUM]], %[[B]] {layer = "fc"} : ({{.*}}) -> tensor<1x1x!mase.fixed<24, 12>>
// CHECK-NEXT:    %[[Y:.*]] = mase.cast %[[ALL]] {layer = "fc"} : ({{.*}}) -> tensor<1x1x!mase.fixed<8, 4>>
// CHECK-NEXT:    return %[[Y]]
func.func @linear(%x: tensor<1x4x!mase.block<!mase.fixed<8, 6>, e8m0, [4]>>) -> tensor<1x1x!mase.fixed<8, 4>> {
  %w = mase.constant <i8, [64, 1, -96, 3]> {scales = #mase.dense<ui8, [126, 127]>} : tensor<1x4x!mase.block<!mase.fixed<8, 6>, e8m0, [2]>>
  %b = mase.constant <i8, [5]> : tensor<1x!mase.fixed<8, 4>>
  %0 = mase.linear %x, %w, %b {accumulator = !mase.fixed<24, 12>, layer = "fc"} : (tensor<1x4x!mase.block<!mase.fixed<8, 6>, e8m0, [4]>>, tensor<1x4x!mase.block<!mase.fixed<8, 6>, e8m0, [2]>>, tensor<1x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<8, 4>>
  func.return %0 : tensor<1x1x!mase.fixed<8, 4>>
}

// -----

// Rows of the image have exponents of their own, so the kernel is cut into rows.

// CHECK-LABEL: func.func @conv
// CHECK:         %[[PAD:.*]] = mase.pad %x {low = array<i64: 0, 0, 1, 0>, high = array<i64: 0, 0, 1, 0>, value = 0.000000e+00 : f64}
// CHECK-NEXT:    %[[X0:.*]] = mase.slice %[[PAD]] {starts = array<i64: 0, 0, 0, 0>, stops = array<i64: 1, 1, 3, 3>
// CHECK-NEXT:    %[[W0:.*]] = mase.constant <i8, [1, 2]> {scales = #mase.dense<ui8, [127]>} : tensor<1x1x1x2x!mase.block<!mase.fixed<8, 6>, e8m0, [-1, -1, -1]>>
// CHECK-NEXT:    %[[P0:.*]] = mase.conv2d %[[X0]], %[[W0]] {strides = array<i64: 1, 1>, padding = array<i64: 0, 1>, dilation = array<i64: 1, 1>} : ({{.*}}) -> tensor<1x1x3x4x!mase.fixed<24, 12>>
// CHECK-NEXT:    %[[X1:.*]] = mase.slice %[[PAD]] {starts = array<i64: 0, 0, 1, 0>, stops = array<i64: 1, 1, 4, 3>
// CHECK-NEXT:    %[[W1:.*]] = mase.constant <i8, [3, 4]>
// CHECK-NEXT:    %[[P1:.*]] = mase.conv2d %[[X1]], %[[W1]]
// CHECK-NEXT:    mase.add %[[P0]], %[[P1]]
func.func @conv(%x: tensor<1x1x2x3x!mase.block<!mase.fixed<8, 6>, e8m0, [-1]>>) -> tensor<1x1x3x4x!mase.fixed<8, 4>> {
  %w = mase.constant <i8, [1, 2, 3, 4]> {scales = #mase.dense<ui8, [127]>} : tensor<1x1x2x2x!mase.block<!mase.fixed<8, 6>, e8m0, [2, 2]>>
  %0 = mase.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 1, 1>, dilation = array<i64: 1, 1>, accumulator = !mase.fixed<24, 12>} : (tensor<1x1x2x3x!mase.block<!mase.fixed<8, 6>, e8m0, [-1]>>, tensor<1x1x2x2x!mase.block<!mase.fixed<8, 6>, e8m0, [2, 2]>>) -> tensor<1x1x3x4x!mase.fixed<8, 4>>
  func.return %0 : tensor<1x1x3x4x!mase.fixed<8, 4>>
}

// -----

// Other ops compute on fixed point that loses nothing: 8 bits become 9, since -8 makes
// 7.94 round up to 8.

// CHECK-LABEL: func.func @relu
// CHECK-NEXT:    %[[X:.*]] = mase.cast %x : ({{.*}}) -> tensor<4x!mase.block<!mase.fixed<4, 2>, e8m0, [2]>>
// CHECK-NEXT:    %[[FIXED:.*]] = mase.cast %[[X]] {rounding = #mase.rounding<floor, wrap>} : ({{.*}}) -> tensor<4x!mase.fixed<9, 4>>
// CHECK-NEXT:    %[[RELU:.*]] = mase.relu %[[FIXED]] {layer = "act", rounding = #mase.rounding<floor, saturate>} : ({{.*}}) -> tensor<4x!mase.ufixed<8, 4>>
// CHECK-NEXT:    %[[Y:.*]] = mase.cast %[[RELU]] {layer = "act", rounding = #mase.rounding<floor, saturate>} : ({{.*}}) -> tensor<4x!mase.block<!mase.fixed<4, 2>, e8m0, [2]>>
// CHECK-NEXT:    return %[[Y]]
func.func @relu(%x: tensor<4x!mase.fixed<8, 4>>) -> tensor<4x!mase.block<!mase.fixed<4, 2>, e8m0, [2]>> {
  %0 = mase.cast %x : (tensor<4x!mase.fixed<8, 4>>) -> tensor<4x!mase.block<!mase.fixed<4, 2>, e8m0, [2]>>
  %1 = mase.relu %0 {layer = "act", rounding = #mase.rounding<floor, saturate>} : (tensor<4x!mase.block<!mase.fixed<4, 2>, e8m0, [2]>>) -> tensor<4x!mase.block<!mase.fixed<4, 2>, e8m0, [2]>>
  func.return %1 : tensor<4x!mase.block<!mase.fixed<4, 2>, e8m0, [2]>>
}
