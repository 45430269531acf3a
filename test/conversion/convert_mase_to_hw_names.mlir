// RUN: mase-opt %s --split-input-file --convert-mase-to-hw=max-logic-depth=0 | filecheck %s

// Names: ports from `mase.name` or the argument, layers made legal and unique, ops
// without a layer numbered by kind. Shape ops are wiring in the top.

func.func @top(%x: tensor<2x!mase.fixed<4, 0>> {mase.name = "pixels"},
               %wire: tensor<2x!mase.fixed<4, 0>>)
    -> (tensor<2x!mase.fixed<4, 0>> {mase.name = "logits"}) {
  %0 = mase.neg %x {layer = "0.block"} : (tensor<2x!mase.fixed<4, 0>>) -> tensor<2x!mase.fixed<4, 0>>
  %1 = mase.abs %0 {layer = "0.block"} : (tensor<2x!mase.fixed<4, 0>>) -> tensor<2x!mase.fixed<4, 0>>
  %2 = mase.relu %1 : (tensor<2x!mase.fixed<4, 0>>) -> tensor<2x!mase.fixed<4, 0>>
  %3 = mase.relu %wire : (tensor<2x!mase.fixed<4, 0>>) -> tensor<2x!mase.fixed<4, 0>>
  %4 = mase.slice %3 {starts = array<i64: 1>, stops = array<i64: 2>, strides = array<i64: 1>}
    : tensor<2x!mase.fixed<4, 0>> -> tensor<1x!mase.fixed<4, 0>>
  %5 = mase.add %2, %4 {layer = "input"} : (tensor<2x!mase.fixed<4, 0>>, tensor<1x!mase.fixed<4, 0>>) -> tensor<2x!mase.fixed<4, 0>>
  func.return %5 : tensor<2x!mase.fixed<4, 0>>
}

// CHECK: hw.module private @_0_block(
// CHECK: hw.module private @_0_block_abs(
// CHECK: hw.module private @top_relu_0(
// CHECK: hw.module private @top_relu_1(
// CHECK: hw.module private @input_(in %lhs: i8, in %rhs: i4, out out: i8)
// CHECK: hw.module @top(in %in_valid: i1, in %pixels: i8, in %wire_: i8, out out_valid: i1, out logits: i8)
// CHECK:   %[[PART:.*]] = comb.extract %{{.*}} from 4 :  (i8) -> i4
// CHECK:   hw.instance "input_" @input_(lhs: %{{.*}}: i8, rhs: %[[PART]]: i4) -> (out: i8)

// -----

// A number at the end belongs to the name.
func.func @numbered(%x: tensor<1x!mase.fixed<4, 0>> {mase.name = "x_0"},
                    %y: tensor<1x!mase.fixed<4, 0>> {mase.name = "x_1"})
    -> tensor<1x!mase.fixed<4, 0>> {
  %0 = mase.sub %x, %y : (tensor<1x!mase.fixed<4, 0>>, tensor<1x!mase.fixed<4, 0>>) -> tensor<1x!mase.fixed<4, 0>>
  func.return %0 : tensor<1x!mase.fixed<4, 0>>
}

// CHECK: hw.module @numbered(in %in_valid: i1, in %{{.*}}x_0: i4, in %{{.*}}x_1: i4, out out_valid: i1, out out0: i4)
