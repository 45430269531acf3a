// RUN: mase-opt %s --convert-mase-to-hw=max-logic-depth=0 --split-input-file | filecheck %s

// Truncation is wiring.
func.func @floor(%x: tensor<!mase.fixed<8, 4>>) -> tensor<!mase.fixed<6, 2>> {
  %0 = mase.cast %x {rounding = #mase.rounding<floor, saturate>}
    : (tensor<!mase.fixed<8, 4>>) -> tensor<!mase.fixed<6, 2>>
  func.return %0 : tensor<!mase.fixed<6, 2>>
}
// CHECK-LABEL: hw.module private @floor_cast_0(in %in: i8, out out: i6)
// CHECK-NEXT:    %[[Y:.*]] = comb.extract %in from 2 :  (i8) -> i6
// CHECK-NEXT:    hw.output %[[Y]] : i6

// -----

// A value that cannot overflow is not compared.
func.func @widen(%x: tensor<!mase.fixed<4, 2>>) -> tensor<!mase.fixed<8, 4>> {
  %0 = mase.cast %x : (tensor<!mase.fixed<4, 2>>) -> tensor<!mase.fixed<8, 4>>
  func.return %0 : tensor<!mase.fixed<8, 4>>
}
// CHECK-LABEL: hw.module private @widen_cast_0
// CHECK-NOT:     comb.icmp
// CHECK-NOT:     comb.mux
// CHECK-LABEL: hw.module @widen(

// -----

// To nearest even: add a half, clear the last bit at a tie.
func.func @even(%x: tensor<!mase.fixed<8, 4>>) -> tensor<!mase.fixed<8, 2>> {
  %0 = mase.cast %x : (tensor<!mase.fixed<8, 4>>) -> tensor<!mase.fixed<8, 2>>
  func.return %0 : tensor<!mase.fixed<8, 2>>
}
// CHECK-LABEL: hw.module private @even_cast_0
// CHECK:         %[[HALF:.*]] = hw.constant 2 : i9
// CHECK:         %[[T:.*]] = comb.add %[[HALF]], %{{.*}} : i9
// CHECK:         %[[REST:.*]] = comb.extract %[[T]] from 0 :  (i9) -> i2
// CHECK:         %[[UP:.*]] = comb.icmp ne %[[REST]], %{{.*}} : i2
// CHECK:         comb.and %{{.*}}, %[[UP]] : i1

// -----

// Saturation to unsigned: the sign bit is the comparison with zero.
func.func @clip(%x: tensor<!mase.fixed<8, 4>>) -> tensor<!mase.ufixed<7, 4>> {
  %0 = mase.cast %x : (tensor<!mase.fixed<8, 4>>) -> tensor<!mase.ufixed<7, 4>>
  func.return %0 : tensor<!mase.ufixed<7, 4>>
}
// CHECK-LABEL: hw.module private @clip_cast_0
// CHECK:         %[[SIGN:.*]] = comb.extract %in from 7 :  (i8) -> i1
// CHECK-NOT:     comb.icmp
// CHECK:         comb.mux %[[SIGN]], %{{.*}}, %{{.*}} : i7

// -----

// Division by three is a multiplication; the mean of three is exact.
func.func @mean(%x: tensor<3x!mase.ufixed<4, 0>>) -> tensor<!mase.ufixed<4, 0>> {
  %0 = mase.reduce %x {kind = "mean", axes = array<i64: 0>,
      rounding = #mase.rounding<floor, saturate>}
    : (tensor<3x!mase.ufixed<4, 0>>) -> tensor<!mase.ufixed<4, 0>>
  func.return %0 : tensor<!mase.ufixed<4, 0>>
}
// CHECK-LABEL: hw.module private @mean_reduce_0
// CHECK-NOT:     comb.div
// CHECK-LABEL: hw.module @mean(

// -----

// Elements are as narrow as their formats: two bits, none, and one; the rest is constant.
func.func @elements(%x: tensor<3x!mase.ufixed<4, 2>>) -> tensor<3x!mase.ufixed<4, 2>> {
  %0 = mase.cast_elements %x {grid = array<i64: 3>, widths = #mase.dense<i8, [2, 0, 1]>,
    fracs = #mase.dense<i16, [0, 0, 2]>, rounding = #mase.rounding<floor, wrap>}
    : (tensor<3x!mase.ufixed<4, 2>>) -> tensor<3x!mase.ufixed<4, 2>>
  func.return %0 : tensor<3x!mase.ufixed<4, 2>>
}
// CHECK-LABEL: hw.module private @elements_cast_elements_0(in %in: i12, out out: i12)
// CHECK-NOT:     comb.icmp
// CHECK-NOT:     comb.mux
// CHECK-DAG:     %[[A:.*]] = comb.extract %in from 2 : (i12) -> i2
// CHECK-DAG:     %[[C:.*]] = comb.extract %in from 8 : (i12) -> i1
// CHECK-LABEL: hw.module @elements(
