// The module goes through as it is; the table goes to standard error, or to a file.

// RUN: mase-opt --summarize-operations --summarize-operations="format=csv output=%t.csv" --summarize-operations="ignore=relu,block format=csv output=%t.less" %s 2> %t.err | filecheck %s
// RUN: filecheck %s --check-prefix=TABLE < %t.err
// RUN: filecheck %s --check-prefix=CSV < %t.csv
// RUN: filecheck %s --check-prefix=LESS < %t.less
// RUN: not mase-opt --summarize-operations=ignore=linaer %s 2>&1 | filecheck %s --check-prefix=BAD

// TABLE: layer {{.*}} products {{.*}} flops

// Two sums of four products each, and a bias.
// CSV:      layer,operation,parameters,products,flops
// CSV-NEXT: block.fc,linear,10,8,16
// CSV-NEXT: act,relu,0,0,2
// CSV-NEXT: total,,10,8,18

// LESS:      layer,operation,parameters,products,flops
// LESS-NEXT: total,,0,0,0

// BAD: error: options: ignore has 'linaer', which is no kind or path of a layer; did you mean 'linear'? (kinds: linear, relu)

// CHECK: mase.linear {{.*}} {layer = "block.fc"}
// CHECK: mase.relu

func.func @model(%x: tensor<1x4xf32>) -> tensor<1x2xf32> {
  %w = mase.constant <f32, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]> : tensor<2x4xf32>
  %b = mase.constant <f32, [1.0, 2.0]> : tensor<2xf32>
  %0 = mase.linear %x, %w, %b {layer = "block.fc"} : (tensor<1x4xf32>, tensor<2x4xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  %1 = mase.relu %0 {layer = "act"} : (tensor<1x2xf32>) -> tensor<1x2xf32>
  func.return %1 : tensor<1x2xf32>
}
