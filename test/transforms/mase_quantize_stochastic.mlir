// Rounding by chance: every op draws numbers of its own, and no circuit can.

// RUN: mase-opt --quantize="width=4 rounding=stochastic<7>" %s 2> /dev/null | filecheck %s
// RUN: not mase-opt --quantize="rounding=stochastic" --convert-mase-to-hw %s 2>&1 | filecheck %s --check-prefix=HW
// RUN: not mase-opt --quantize="rounding=stochastik" %s 2>&1 | filecheck %s --check-prefix=NAME
// RUN: not mase-opt --quantize="rounding=stochastic<4294967296>" %s 2>&1 | filecheck %s --check-prefix=SEED

// CHECK: mase.linear {{.*}} {layer = "fc", rounding = #mase.rounding<stochastic<7>, saturate>}
// CHECK: mase.sigmoid {{.*}} {rounding = #mase.rounding<stochastic<8>, saturate>}

// HW: mase.linear fc: no circuit draws random numbers for rounding stochastic<0>: use nearest_even

// NAME: error: {{.*}}options: rounding is 'stochastik', expected one of nearest_even, {{.*}}; did you mean 'stochastic'?

// SEED: error: {{.*}}seed must be between 0 and 2^32 - 1, got 4294967296

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x1xf32> {
  %w = mase.constant <f32, [3.0, -3.0, 1.3, 0.1]> : tensor<1x4xf32>
  %0 = mase.linear %x, %w {layer = "fc"} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x1xf32>
  %1 = mase.sigmoid %0 : (tensor<1x1xf32>) -> tensor<1x1xf32>
  func.return %1 : tensor<1x1xf32>
}
