// RUN: %python -c "import numpy as np; np.savez('%t.npz', x=np.array([[1, 1], [2, 2], [-3, -3]]))"
// RUN: mase-opt --set-recipe="weight-format='fixed<3, 1>'" --gptq=data=%t.npz %s | filecheck %s
// RUN: mase-opt --set-recipe="weight-format='fixed<3, 1>'" --gptq=data=%t.npz --quantize %s | filecheck %s --check-prefix=CODES
// RUN: mase-opt --quantize="data=%t.npz weight-format='fixed<3, 1>'" %s | filecheck %s --check-prefix=NEAREST
// RUN: not mase-opt --set-recipe="weight-format='scaled<ufixed<3, 0>, 0.5, zero_point = 3>'" --gptq=data=%t.npz %s 2>&1 | filecheck %s --check-prefix=AFFINE
// RUN: not mase-opt --gptq=damping=0 %s 2>&1 | filecheck %s --check-prefix=DAMPING
// RUN: mase-opt --set-recipe=config=%S/Inputs/bypass.toml --gptq=data=%t.npz %s 2>&1 | filecheck %s --check-prefix=NONE

// Inputs are alike, so the second weight makes up for what the first one lost.

// CHECK:   mase.constant <f32, [0.5, 0.5]> : tensor<1x2xf32>
// CODES:   mase.constant <i8, [1, 1]> : tensor<1x2x!mase.fixed<3, 1>>
// NEAREST: mase.constant <i8, [1, 0]> : tensor<1x2x!mase.fixed<3, 1>>

// AFFINE:  error: layer 'fc' (mase.linear): values of scaled<ufixed<3, 0>, 0.5, zero_point = 3> do not lie on a grid of their own; use fixed, ufixed, minifloat, log, binary, ternary, scaled without zero point, or block
// DAMPING: error: damping is 0.0, expected a positive number
// NONE:    warning: mase-gptq has no effect: no layer in f32 with constant weights is to be quantized

func.func @f(%x: tensor<1x2xf32> {mase.name = "x"}) -> tensor<1x1xf32> {
  %w = mase.constant <f32, [0.7, 0.2]> : tensor<1x2xf32>
  %0 = mase.linear %x, %w {layer = "fc"} : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x1xf32>
  func.return %0 : tensor<1x1xf32>
}
