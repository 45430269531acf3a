// What mase-prune cannot do: an error with place and remedy.

// RUN: mase-opt --prune=granularity=channel --verify-diagnostics --split-input-file %s
// RUN: not mase-opt --prune=sparsity=1.5 %S/Inputs/model.mlir 2>&1 | filecheck %s --check-prefix=SHARE
// RUN: not mase-opt --prune=layers=fc2 %S/Inputs/model.mlir 2>&1 | filecheck %s --check-prefix=LAYER
// RUN: not mase-opt --prune=output=/ %S/Inputs/model.mlir 2>&1 | filecheck %s --check-prefix=OUTPUT

// SHARE: error: pass 'mase-prune': sparsity is 1.5, expected 0 to 1
// LAYER: error: options: no layer with weights fits 'fc2'; did you mean 'fc1'? (layers: fc1)
// OUTPUT: error: cannot write '/': it is a folder

func.func @nan(%x: tensor<1x3xf32>) -> tensor<1x2xf32> {
  %w = mase.constant <f32, [0.5, nan, 0.125, 1.0, 0.25, -0.5]> : tensor<2x3xf32>
  // expected-error@below {{layer 'fc1' (mase.linear): weight 'data' holds 1 NaN of 6 values; train or export the model again}}
  %0 = mase.linear %x, %w {layer = "fc1"} : (tensor<1x3xf32>, tensor<2x3xf32>) -> tensor<1x2xf32>
  func.return %0 : tensor<1x2xf32>
}

// -----

func.func @quantized(%x: tensor<1x3xf32>) -> tensor<1x2xf32> {
  %w = mase.constant <i8, [1, 2, 3, 4, 5, 6]> : tensor<2x3x!mase.fixed<8, 4>>
  // expected-error@below {{layer 'fc1' (mase.linear): weight 'data' is !mase.fixed<8, 4>, expected floating point: prune before mase-quantize, or leave the layer out with layers=}}
  %0 = mase.linear %x, %w {layer = "fc1"} : (tensor<1x3xf32>, tensor<2x3x!mase.fixed<8, 4>>) -> tensor<1x2xf32>
  func.return %0 : tensor<1x2xf32>
}

// -----

func.func @master(%x: tensor<1x2xf32>) -> tensor<1x2xf32> {
  %w = mase.constant <f32, [1.0, 2.0, 3.0, 4.0]> : tensor<2x2xf32>
  %c = mase.cast %w : (tensor<2x2xf32>) -> tensor<2x2x!mase.ternary>
  // expected-error@below {{layer 'fc1' (mase.linear): weight 'data' is !mase.ternary, expected floating point: prune before mase-quantize, or leave the layer out with layers=}}
  %0 = mase.linear %x, %c {layer = "fc1"} : (tensor<1x2xf32>, tensor<2x2x!mase.ternary>) -> tensor<1x2xf32>
  func.return %0 : tensor<1x2xf32>
}

// -----

func.func @shared(%x: tensor<1x2xf32>) -> (tensor<1x2xf32>, tensor<1x2xf32>) {
  %w = mase.constant <f32, [0.5, 1.0, 0.125, 1.0]> : tensor<2x2xf32>
  %0 = mase.linear %x, %w {layer = "fc1"} : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  // expected-error@below {{mase.matmul and layer 'fc1' (mase.linear) share 'data', whose outputs are different parts of it for them: name one with layers=, or prune by element}}
  %1 = mase.matmul %x, %w : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  func.return %0, %1 : tensor<1x2xf32>, tensor<1x2xf32>
}

// -----

func.func @foreign() {
  // expected-error@below {{not in the mase dialect: test.op (1); convert the module first, torch ops with convert-torch-to-mase}}
  "test.op"() : () -> ()
  func.return
}
