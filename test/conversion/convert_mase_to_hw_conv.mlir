// RUN: mase-opt %s --convert-mase-to-hw=max-logic-depth=0 | filecheck %s

// One window module per group, instantiated at every position; zeros pad.

func.func @net(%x: tensor<1x1x3x!mase.fixed<4, 0>>) -> tensor<1x2x3x!mase.fixed<8, 0>> {
  %w = mase.constant <i8, [1, 2, 1, -1, 0, 1]> : tensor<2x1x3x!mase.fixed<4, 0>>
  %0 = mase.conv1d %x, %w {strides = array<i64: 1>, padding = array<i64: 1>,
      dilation = array<i64: 1>, layer = "conv"}
    : (tensor<1x1x3x!mase.fixed<4, 0>>, tensor<2x1x3x!mase.fixed<4, 0>>)
    -> tensor<1x2x3x!mase.fixed<8, 0>>
  func.return %0 : tensor<1x2x3x!mase.fixed<8, 0>>
}

// CHECK-LABEL: hw.module private @conv_window(in %in: i12, out out: i16)
// CHECK-LABEL: hw.module private @conv(in %in: i12, out out: i48)
// CHECK-DAG:     %[[ZERO:.*]] = hw.constant 0 : i4
// CHECK-DAG:     %[[LEFT:.*]] = comb.extract %in from 0 :  (i12) -> i8
// CHECK-DAG:     %[[FIRST:.*]] = comb.concat %[[LEFT]], %[[ZERO]] : i8, i4
// CHECK-DAG:     %[[W0:.*]] = hw.instance "window_0" @conv_window(in: %[[FIRST]]: i12) -> (out: i16)
// CHECK-DAG:     %[[W1:.*]] = hw.instance "window_1" @conv_window(in: %in: i12) -> (out: i16)
// CHECK-DAG:     %[[RIGHT:.*]] = comb.extract %in from 4 :  (i12) -> i8
// CHECK-DAG:     %[[LAST:.*]] = comb.concat %[[ZERO]], %[[RIGHT]] : i4, i8
// CHECK-DAG:     %[[W2:.*]] = hw.instance "window_2" @conv_window(in: %[[LAST]]: i12) -> (out: i16)
// CHECK:         hw.output %{{.*}} : i48
