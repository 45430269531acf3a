// RUN: mase-opt %s --allocate-parallelism="interval=36" | filecheck %s
// RUN: mase-opt %s --allocate-parallelism="multipliers=9" | filecheck %s --check-prefix=NINE
// RUN: mase-opt %s --allocate-parallelism="layers=fc:4x2" | filecheck %s --check-prefix=ONE
// RUN: not mase-opt %s --allocate-parallelism="interval=8" 2>&1 | filecheck %s --check-prefix=FAST
// RUN: not mase-opt %s --allocate-parallelism="multipliers=1" 2>&1 | filecheck %s --check-prefix=FEW
// RUN: mase-opt %s --allocate-parallelism="clock=200e6 rate=5.5e6" | filecheck %s
// RUN: mase-opt %s --allocate-parallelism="multipliers=20 interval=36" | filecheck %s
// RUN: mase-opt %s --allocate-parallelism="device=xc7z020 interval=36" | filecheck %s
// RUN: mase-opt %s --allocate-parallelism="lut=100000" | filecheck %s --check-prefix=MANY
// RUN: not mase-opt %s --allocate-parallelism="multipliers=9 interval=40 clock=90e6" 2>&1 | filecheck %s --check-prefix=BEST
// RUN: not mase-opt %s --allocate-parallelism="layers=conv:unrolled" 2>&1 | filecheck %s --check-prefix=PLACES
// RUN: not mase-opt %s --allocate-parallelism="lut=600 interval=36" 2>&1 | filecheck %s --check-prefix=TABLES
// RUN: not mase-opt %s --allocate-parallelism="lut=50" 2>&1 | filecheck %s --check-prefix=NONE
// RUN: not mase-opt %s --allocate-parallelism="clock=200e6 rate=100e6" 2>&1 | filecheck %s --check-prefix=RATE
// RUN: not mase-opt %s --allocate-parallelism="rate=100e6" 2>&1 | filecheck %s --check-prefix=NOCLOCK
// RUN: not mase-opt %s --allocate-parallelism="clock=1e6" 2>&1 | filecheck %s --check-prefix=ALONE
// RUN: not mase-opt %s --allocate-parallelism="clock=200e6 rate=0.0" 2>&1 | filecheck %s --check-prefix=ZERO
// RUN: not mase-opt %s --allocate-parallelism="clock=200e6 rate=3 interval=4" 2>&1 | filecheck %s --check-prefix=BOTH
// RUN: not mase-opt %s --allocate-parallelism="device=xc7z200" 2>&1 | filecheck %s --check-prefix=DEVICE
// RUN: not mase-opt %s --allocate-parallelism="layers=cnv:4x2" 2>&1 | filecheck %s --check-prefix=NAME
// RUN: not mase-opt %s --allocate-parallelism="layers=fc:4x0" 2>&1 | filecheck %s --check-prefix=FORM

// 9 positions, 4 places of the kernel and 2 of 2 inputs for 2 of 3 outputs at a time.
// CHECK: mase.parallelism = array<i64: 3, 2>, layer = "conv"
// 27 features, one at a time for all 5 outputs: cheaper than 3 for 2 of them.
// CHECK: mase.parallelism = array<i64: 5, 1>, layer = "fc"

// A sample every 45 cycles: at 44, fc would take 2 x 3.
// NINE: mase.parallelism = array<i64: 3, 2>, layer = "conv"
// NINE: mase.parallelism = array<i64: 1, 3>, layer = "fc"

// ONE: mase.conv2d %x, %w {layer = "conv"
// ONE: mase.parallelism = array<i64: 4, 2>, layer = "fc"

// FAST: error: {{.*}}interval=8 cannot be met: layer conv takes 36 cycles at least
// FEW: error: {{.*}}the limits cannot be met: the layers take 2 multipliers of 1 at least, with one multiplier each
// MANY: mase.parallelism = array<i64: 3, 2>, layer = "conv"
// MANY: mase.parallelism = array<i64: 5, 1>, layer = "fc"
// BEST: error: {{.*}}a sample every 40 cycles cannot be met: it takes 11 multipliers of 9; the best within that is interval=45, 2e+06 samples a second
// TABLES: error: {{.*}}interval=36 cannot be met: it takes {{[0-9]+}} lut of 600; the best within that is interval={{[0-9]+}}
// PLACES: error: {{.*}}layer 'conv' cannot be unrolled: places of a kernel, groups and what is flattened take turns; unrolled are linear layers and 1x1 convolutions
// NONE: error: {{.*}}the limits cannot be met: the layers take {{[0-9]+}} lut of 50 at least, with one multiplier each
// RATE: error: {{.*}}a sample every 2 cycles cannot be met: layer conv takes 36 cycles at least, 5.55556e+06 samples a second
// NOCLOCK: error: {{.*}}rate needs a clock in hertz, as clock=200e6
// ZERO: error: {{.*}}rate is 0, expected samples a second
// ALONE: error: {{.*}}clock alone decides nothing: add a rate, as rate=1000
// BOTH: error: {{.*}}give interval, or clock and rate, not both
// DEVICE: error: {{.*}}unknown device 'xc7z200'; did you mean 'xc7z020'? (known: xc7z020, {{.*}}or give lut, dsp and bram)
// NAME: error: {{.*}}no layer 'cnv' adds up products; did you mean 'conv'?
// FORM: error: {{.*}}layers: 'fc:4x0', expected a layer, outputs and inputs at a time, as fc1:4x8, or fc1:unrolled

func.func @f(%x: tensor<1x2x4x4x!mase.fixed<4, 2>>) -> tensor<1x5x!mase.fixed<8, 4>> {
  %w = mase.constant <i8, [1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7, 1, 2, 3]> : tensor<3x2x2x2x!mase.fixed<4, 2>>
  %0 = mase.conv2d %x, %w {layer = "conv", strides = array<i64: 1, 1>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>} : (tensor<1x2x4x4x!mase.fixed<4, 2>>, tensor<3x2x2x2x!mase.fixed<4, 2>>) -> tensor<1x3x3x3x!mase.fixed<8, 4>>
  %1 = mase.reshape %0 : tensor<1x3x3x3x!mase.fixed<8, 4>> -> tensor<1x27x!mase.fixed<8, 4>>
  %v = mase.constant <i8, fc> : tensor<5x27x!mase.fixed<4, 2>>
  %2 = mase.linear %1, %v {layer = "fc"} : (tensor<1x27x!mase.fixed<8, 4>>, tensor<5x27x!mase.fixed<4, 2>>) -> tensor<1x5x!mase.fixed<8, 4>>
  func.return %2 : tensor<1x5x!mase.fixed<8, 4>>
}

{-#
  dialect_resources: {
    mase: {
      fc: "0x08000000010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101010101"
    }
  }
#-}
