// Weights of 3 fit in three bits, not in fewer.

// RUN: %python -c "import numpy; numpy.savez('%t.npz', x=[[1.0, 0.0], [0.0, 1.0]], labels=[0, 1])"
// RUN: sed "s:DATA:%t.npz:" %S/Inputs/search.toml > %t.toml
// RUN: mase-opt --calibrate=data=%t.npz --search=config=%t.toml %s 2> %t.err | filecheck %s
// RUN: filecheck %s --check-prefix=BEST < %t.err
// RUN: mase-opt -p "mase-calibrate{data=\"%t.npz\"},mase-search{config=\"%t.toml\" n-trials=1}" %s 2>&1 | filecheck %s --check-prefix=ONE
// RUN: sed "s:loss:lost:" %t.toml > %t.lost.toml
// RUN: not mase-opt --search=config=%t.lost.toml %s 2>&1 | filecheck %s --check-prefix=METRIC
// RUN: not mase-opt --search=config=%t.none.toml %s 2>&1 | filecheck %s --check-prefix=NONE
// RUN: not mase-opt --search=n-jobs=2 %s 2>&1 | filecheck %s --check-prefix=CONFIG
// RUN: not mase-opt --quantize --search=config=%t.toml %s 2>&1 | filecheck %s --check-prefix=QUANTIZED

// BEST: trial {{[0-2]}} of 3: accuracy 1, loss 0.0485874
// ONE: trial 0 of 1: accuracy 1, loss
// METRIC: error: config '{{.*}}lost.toml': strategy.metrics: no runner measures 'lost'; did you mean 'loss'? (metrics: accuracy, loss, perplexity, sqnr)
// NONE: error: config '{{.*}}none.toml': No such file or directory
// CONFIG: error: pass 'mase-search' needs the option 'config'
// QUANTIZED: error: config '{{.*}}toml': search_space: the model is quantized already

// CHECK: func.func @f({{.*}}tensor<1x2x!mase.{{.*}} attributes {mase.recipe = {by = "name", layers = {{\[\[}}"fc", {weight = "fixed<3, 0>"}]]}, mase.decision = "[passes.set-recipe]\0Aby = \22name\22\0A\0A[passes.set-recipe.fc.config]\0Aweight = \22fixed<3, 0>\22\0A\0A[passes.quantize]\0Aby = \22name\22\0A\0A[passes.quantize.fc.config]\0Aweight = \22fixed<3, 0>\22\0A"}
// CHECK: mase.constant <i8, [3, 0, 0, 3]> : tensor<2x2x!mase.fixed<3, 0>>
func.func @f(%x: tensor<1x2xf32> {mase.name = "x"}) -> tensor<1x2xf32> {
  %w = mase.constant <f32, [3.0, 0.0, 0.0, 3.0]> : tensor<2x2xf32>
  %0 = mase.linear %x, %w {layer = "fc"}
    : (tensor<1x2xf32>, tensor<2x2xf32>) -> tensor<1x2xf32>
  func.return %0 : tensor<1x2xf32>
}
