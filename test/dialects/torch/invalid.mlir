// RUN: mase-opt %s --split-input-file --verify-diagnostics

// Text with #mase. attributes is read without torch-mlir: generic form.

// expected-error@+2 {{unknown type !torch.nothing}}
#a = #mase.dense<f32, [1.0]>
func.func private @container(!torch.list<nothing>)

// -----

// expected-error@+2 {{Expected 0 operands, but got 1}}
%0 = "torch.vtensor.literal"() <{value = #mase.dense<f32, [1.0]>}> : () -> !torch.vtensor<[1],f32>
"torch.constant.none"(%0) : (!torch.vtensor<[1],f32>) -> !torch.none

// -----

// expected-error@+1 {{result}}
%0 = "torch.vtensor.literal"() <{value = #mase.dense<f32, [1.0]>}> : () -> !torch.int
