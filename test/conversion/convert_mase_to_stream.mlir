// RUN: mase-opt %s --convert-mase-to-stream --split-input-file | filecheck %s

// Two of three outputs and two of four inputs at a time: 2 x 2 iterations.

// CHECK-LABEL: func.func @linear(%x: !stream.channel<tensor<1x4x!mase.fixed<4, 2>>, tile [1, 2], order [0, 1]>) -> !stream.channel<tensor<1x3x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]> {
// CHECK-NEXT:    stream.process %x {layer = "fc", loops = array<i64: 1, 2, 2>, reads = [affine_map<(d0, d1, d2) -> (d0, d2)>]
// CHECK-SAME:      held = array<i64: 2>, write = affine_map<(d0, d1, d2) -> (d0, d1)>
// CHECK:           %[[W:.*]] = stream.rom <i8, [1, 2, 5, 6, 3, 4, 7, -8, -1, -2, 0, 0, -3, -4, 0, 0]> {loops = array<i64: 1, 2>} : tensor<2x2x!mase.fixed<4, 2>>
// CHECK-NEXT:      %[[P:.*]] = mase.linear %{{.*}}, %[[W]]
// CHECK-SAME:        -> tensor<1x2x!mase.fixed<9, 4>>
// CHECK-NEXT:      %[[S:.*]] = stream.accumulate "sum" %[[P]]
// CHECK-NEXT:      %[[R:.*]] = mase.cast %[[S]]
// CHECK-NEXT:      stream.yield %[[R]]
// CHECK:         stream.fifo
func.func @linear(%x: tensor<1x4x!mase.fixed<4, 2>>) -> tensor<1x3x!mase.fixed<8, 4>> {
  %w = mase.constant <i8, [1, 2, 3, 4, 5, 6, 7, -8, -1, -2, -3, -4]> : tensor<3x4x!mase.fixed<4, 2>>
  %0 = mase.linear %x, %w {layer = "fc", mase.parallelism = array<i64: 2, 2>} : (tensor<1x4x!mase.fixed<4, 2>>, tensor<3x4x!mase.fixed<4, 2>>) -> tensor<1x3x!mase.fixed<8, 4>>
  func.return %0 : tensor<1x3x!mase.fixed<8, 4>>
}

// -----

// The features of a flattened tensor come channel by channel; weights follow.

// CHECK-LABEL: func.func @flattened(%x: !stream.channel<tensor<1x2x1x2x!mase.fixed<4, 2>>, tile [1, 2, 1, 1], order [0, 2, 3, 1]>)
// CHECK:         stream.rom <ui8, [1, 3, 2, 4]> {loops = array<i64: 0, 1, 2, 3, 4>} : tensor<1x2x!mase.fixed<4, 2>>
func.func @flattened(%x: tensor<1x2x1x2x!mase.fixed<4, 2>>) -> tensor<1x1x!mase.fixed<8, 4>> {
  %w = mase.constant <i8, [1, 2, 3, 4]> : tensor<1x4x!mase.fixed<4, 2>>
  %p = mase.max_pool %x {kernel = array<i64: 1, 1>, strides = array<i64: 1, 1>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>} : (tensor<1x2x1x2x!mase.fixed<4, 2>>) -> tensor<1x2x1x2x!mase.fixed<4, 2>>
  %f = mase.reshape %p : tensor<1x2x1x2x!mase.fixed<4, 2>> -> tensor<1x4x!mase.fixed<4, 2>>
  %0 = mase.linear %f, %w : (tensor<1x4x!mase.fixed<4, 2>>, tensor<1x4x!mase.fixed<4, 2>>) -> tensor<1x1x!mase.fixed<8, 4>>
  func.return %0 : tensor<1x1x!mase.fixed<8, 4>>
}
