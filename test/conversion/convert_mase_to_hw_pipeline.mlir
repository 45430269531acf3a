// RUN: mase-opt %s --convert-mase-to-hw=max-logic-depth=1 | filecheck %s --check-prefix=HW
// RUN: mase-opt %s --convert-mase-to-hw=stages=1 | filecheck %s --check-prefix=HW
// RUN: mase-opt %s --convert-mase-to-hw="max-logic-depth=1 stall=true" | filecheck %s --check-prefix=STALL
// RUN: mase-opt %s --convert-mase-to-hw="max-logic-depth=1 stall=true" --emit-sv | filecheck %s --check-prefix=SV

// Two levels of adders with a register between them: latency 1. The other branch waits.

func.func @sum(%x: tensor<4x!mase.fixed<8, 4>>)
    -> (tensor<!mase.fixed<10, 4>>, tensor<4x!mase.fixed<8, 4>>) {
  %0 = mase.reduce %x {kind = "sum", axes = array<i64: 0>, layer = "head"}
    : (tensor<4x!mase.fixed<8, 4>>) -> tensor<!mase.fixed<10, 4>>
  func.return %0, %x : tensor<!mase.fixed<10, 4>>, tensor<4x!mase.fixed<8, 4>>
}

// HW-LABEL: hw.module private @head(in %clk: !seq.clock, in %in: i32, out out: i10)
// HW:         %[[A:.*]] = comb.add %{{.*}}, %{{.*}} : i9
// HW:         %[[B:.*]] = comb.add %{{.*}}, %{{.*}} : i9
// HW:         %[[AQ:.*]] = seq.compreg %[[A]], %clk : i9
// HW:         %[[BQ:.*]] = seq.compreg %[[B]], %clk : i9
// HW:         %[[S:.*]] = comb.add %{{.*}}, %{{.*}} : i10
// HW-NEXT:    hw.output %[[S]] : i10
// HW-LABEL: hw.module @sum(in %clk: !seq.clock, in %rst: i1, in %in_valid: i1, in %x: i32, out out_valid: i1, out out0: i10, out out1: i32)
// HW-SAME:    latency = 1
// HW:         %[[LATE:.*]] = seq.compreg %x, %clk : i32
// HW:         %[[VALID:.*]] = seq.compreg %in_valid, %clk reset %rst, %{{.*}} : i1
// HW-NEXT:    hw.output %[[VALID]], %{{.*}}, %[[LATE]] : i1, i10, i32

// STALL-LABEL: hw.module private @head(in %clk: !seq.clock, in %ce: i1, in %in: i32, out out: i10)
// STALL:         seq.compreg.ce %{{.*}}, %clk, %ce : i9
// STALL-LABEL: hw.module @sum(in %clk: !seq.clock, in %rst: i1, in %in_valid: i1, in %out_ready: i1,
// STALL-SAME:    out out_valid: i1, out in_ready: i1,
// STALL:         %[[VALID:.*]] = seq.compreg.ce %in_valid, %clk, %[[CE:.*]] reset %rst, %{{.*}} : i1
// STALL:         %[[FREE:.*]] = comb.xor %[[VALID]], %{{.*}} : i1
// STALL:         %[[CE]] = comb.or %[[FREE]], %out_ready : i1
// STALL:         hw.output %[[VALID]], %[[CE]],

// SV-LABEL: module head(
// SV:         always_ff @(posedge clk)
// SV-NEXT:      _GEN <= ce ?
// SV-LABEL: module sum(
// SV:         if (rst)
