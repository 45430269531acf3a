// RUN: mase-opt %s --convert-mase-to-hw=max-logic-depth=0 | filecheck %s --check-prefix=HW
// RUN: mase-opt %s --convert-mase-to-hw=max-logic-depth=0 --emit-sv | filecheck %s --check-prefix=SV

// A layer is a module of its own, its constants are shifts and additions, and the bias
// takes the half that rounds with it: 1.0 + 0.5 * 2^-4 is 264 * 2^-8.

func.func @net(%x: tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<8, 4>> {
  %w = mase.constant <i8, [3, 8, 0, -1]> : tensor<2x2x!mase.fixed<8, 4>>
  %b = mase.constant <i8, [16, 0]> : tensor<2x!mase.fixed<8, 4>>
  %0 = mase.linear %x, %w, %b {layer = "features.0"}
    : (tensor<1x2x!mase.fixed<8, 4>>, tensor<2x2x!mase.fixed<8, 4>>,
       tensor<2x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<8, 4>>
  %1 = mase.relu %0 {layer = "act"}
    : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<8, 4>>
  func.return %1 : tensor<1x2x!mase.fixed<8, 4>>
}

// HW-LABEL: hw.module private @features_0(in %in: i16, out out: i16)
// HW-DAG:     %[[X0:.*]] = comb.extract %in from 0 :  (i16) -> i8
// HW-DAG:     %[[X1:.*]] = comb.extract %in from 8 :  (i16) -> i8
// HW-DAG:     %{{.*}} = hw.constant 33 : i9
// HW-NOT:     comb.mul
// HW:         hw.output %{{.*}} : i16
// HW-LABEL: hw.module private @act(in %in: i16, out out: i16)
// HW:         %[[SIGN:.*]] = comb.extract %in from 7 :  (i16) -> i1
// HW:         comb.mux %[[SIGN]], %{{.*}}, %{{.*}} : i8
// HW-LABEL: hw.module @net(in %in_valid: i1, in %x: i16, out out_valid: i1, out out0: i16)
// HW-SAME:    latency = 0
// HW-NEXT:    %[[FC:.*]] = hw.instance "features_0" @features_0(in: %x: i16) -> (out: i16)
// HW-NEXT:    %[[ACT:.*]] = hw.instance "act" @act(in: %[[FC]]: i16) -> (out: i16)
// HW-NEXT:    hw.output %in_valid, %[[ACT]] : i1, i16

// SV-LABEL: module features_0(
// SV-NEXT:    input  [15:0] in,
// SV-NEXT:    output [15:0] out
// SV-NOT:     *
// SV-LABEL: module act(
// SV-LABEL: module net(
// SV:         features_0 features_0 (
// SV:         act act (
// SV:         assign out_valid = in_valid;
