// What mase-quantize and mase-calibrate cannot do: an error with place and remedy.

// RUN: mase-opt --quantize --verify-diagnostics --split-input-file %s
// RUN: rm -rf %t && mkdir %t
// RUN: %python -c "import numpy as np; np.savez('%t/y.npz', y=np.ones((2, 3)), z=np.ones(2))"
// RUN: not mase-opt --calibrate=data=%t/y.npz %S/Inputs/model.mlir 2>&1 | filecheck %s --check-prefix=NAMES
// RUN: not mase-opt --quantize=data=%t/nowhere.npz %S/Inputs/model.mlir 2>&1 | filecheck %s --check-prefix=FILE
// RUN: not mase-opt --quantize=width=0 %S/Inputs/model.mlir 2>&1 | filecheck %s --check-prefix=WIDTH
// RUN: not mase-opt --quantize=method=msee %S/Inputs/model.mlir 2>&1 | filecheck %s --check-prefix=METHOD
// RUN: not mase-opt --quantize=config=%S/Inputs/unknown_layer.toml %S/Inputs/model.mlir 2>&1 | filecheck %s --check-prefix=LAYER
// RUN: not mase-opt --quantize=config=%S/Inputs/no_width.toml %S/Inputs/model.mlir 2>&1 | filecheck %s --check-prefix=NOWIDTH
// RUN: mase-opt --quantize=config=%S/Inputs/no_bias.toml %S/Inputs/model.mlir 2>&1 | filecheck %s --check-prefix=BIAS
// RUN: mase-opt --quantize=config=%S/Inputs/by_type.toml %S/Inputs/model.mlir 2>&1 | filecheck %s --check-prefix=TYPE

// NAMES: error: data '{{.*}}y.npz' has no array 'x' (it has y, z)
// FILE: error: data '{{.*}}nowhere.npz': no such file
// WIDTH: error: options: data-width: width must be between 1 and 64, got 0
// METHOD: error: options: method is 'msee', expected one of mse, minmax, percentile, kl; did you mean 'mse'?
// LAYER: error: config '{{.*}}unknown_layer.toml': there is no layer 'fc2'; did you mean 'fc1'? (layers: fc1)
// NOWIDTH: error: layer 'fc1' (mase.linear): weight '{{.*}}': a value between {{.*}} overflows fixed<64, 99>
// BIAS: warning: config '{{.*}}no_bias.toml': 'fc1' has no bias: the setting has no effect
// BIAS-NOT: has no weight
// TYPE-DAG: warning: config '{{.*}}by_type.toml': the model has no layer of type 'conv2d'
// TYPE-DAG: tensor<2x3x!mase.fixed<5, {{[0-9]}}>>) -> tensor<1x2x!mase.fixed<9, 5>>

func.func @not_finite(%x: tensor<1x3xf32>) -> tensor<1x2xf32> {
  %w = mase.constant <f32, [0.5, nan, 0.125, -inf, 0.25, -0.5]> : tensor<2x3xf32>
  // expected-error@below {{layer 'fc1' (mase.linear): weight 'data' holds 1 NaN and 1 infinite values of 6; train or export the model again}}
  %0 = mase.linear %x, %w {layer = "fc1"} : (tensor<1x3xf32>, tensor<2x3xf32>) -> tensor<1x2xf32>
  func.return %0 : tensor<1x2xf32>
}

// -----

func.func @foreign(%x: tensor<2xf32>) -> tensor<2xf32> {
  // expected-error@below {{not in the mase dialect: arith.addf (1); convert the module first}}
  %0 = arith.addf %x, %x : tensor<2xf32>
  func.return %0 : tensor<2xf32>
}
