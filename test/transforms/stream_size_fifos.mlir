// RUN: mase-opt %s --convert-mase-to-stream --stream-size-fifos | filecheck %s
// RUN: not mase-opt %s --stream-size-fifos 2>&1 | filecheck %s --check-prefix=MASE

// MASE: error: {{.*}}mase.relu is no process: run convert-mase-to-stream first

// A beat comes every cycle: one more place than the one that is worked on.
// CHECK: stream.process %x {layer = "a", {{.*}}capacity = array<i64: 2>}
// What is reserved in one cycle arrives two later.
// CHECK: stream.process {{.*}}{layer = "b", {{.*}}stages = array<i64: 0>, capacity = array<i64: 3>}
// CHECK: stream.fifo {{.*}}{capacity = 3 : i64}
func.func @chain(%x: tensor<8x2x!mase.fixed<8, 4>>) -> tensor<8x2x!mase.fixed<8, 4>> {
  %0 = mase.relu %x {layer = "a"} : (tensor<8x2x!mase.fixed<8, 4>>) -> tensor<8x2x!mase.fixed<8, 4>>
  %1 = mase.neg %0 {layer = "b"} : (tensor<8x2x!mase.fixed<8, 4>>) -> tensor<8x2x!mase.fixed<8, 4>>
  func.return %1 : tensor<8x2x!mase.fixed<8, 4>>
}
