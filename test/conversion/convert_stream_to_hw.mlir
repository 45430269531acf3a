// RUN: mase-opt %s --convert-mase-to-stream --stream-size-fifos --convert-stream-to-hw | filecheck %s
// RUN: not mase-opt %s --convert-mase-to-stream --convert-stream-to-hw 2>&1 | filecheck %s --check-prefix=SIZES

// SIZES: error: {{.*}}stream.process has no capacity: run stream-size-fifos first

// CHECK-LABEL: hw.module private @f_fc_part0
// CHECK:         comb.mul
// CHECK-LABEL: hw.module private @f_fc(in %clk: !seq.clock, in %rst: i1, in %in0_reserve: i1, in %in0_valid: i1, in %in0: i4, in %out_ready: i1, out in0_ready: i1, out out_reserve: i1, out out_valid: i1, out out: i8)
// CHECK:         seq.firmem 0, 1, undefined, port_order {init = #seq.firmem.init<"f_fc_weight.hex", false, true>, name = "f_fc_weight"} : <3 x 4>
// CHECK-LABEL: hw.module private @f_out0
// CHECK-LABEL: hw.module @f(in %clk: !seq.clock, in %rst: i1, in %x_valid: i1, in %out0_ready: i1, in %x: i4, out out0_valid: i1, out x_ready: i1, out out0: i8)
// CHECK-SAME:    mase.interface = {{.*}}interval = 3 : i64
func.func @f(%x: tensor<1x3x!mase.fixed<4, 2>>) -> tensor<1x1x!mase.fixed<8, 4>> {
  %w = mase.constant <i8, [1, 2, -3]> : tensor<1x3x!mase.fixed<4, 2>>
  %0 = mase.linear %x, %w {layer = "fc", mase.parallelism = array<i64: 1, 1>} : (tensor<1x3x!mase.fixed<4, 2>>, tensor<1x3x!mase.fixed<4, 2>>) -> tensor<1x1x!mase.fixed<8, 4>>
  func.return %0 : tensor<1x1x!mase.fixed<8, 4>>
}
