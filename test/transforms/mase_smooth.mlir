// RUN: %python -c "import numpy as np; np.savez('%t.npz', x=np.array([[-1, 1], [1, -1]]))"
// RUN: mase-opt --smooth=data=%t.npz %s | filecheck %s
// RUN: mase-opt --smooth="data=%t.npz alpha=1" %s | filecheck %s --check-prefix=ONE
// RUN: mase-opt --smooth="multiply=true" %S/Inputs/model.mlir 2>&1 | filecheck %s --check-prefix=MUL
// RUN: mase-opt --smooth %S/Inputs/model.mlir 2>&1 | filecheck %s --check-prefix=NONE
// RUN: not mase-opt --smooth=alpha=2 %s 2>&1 | filecheck %s --check-prefix=ALPHA

// Results of the norm are up to 16 and 1; two layers read them, with weights of 1.

// CHECK-DAG:  %[[G:.*]] = mase.constant <f32, [4.0, 1.0]> : tensor<2xf32>
// CHECK-DAG:  %[[B:.*]] = mase.constant <f32, [0.0, 0.0]> : tensor<2xf32>
// CHECK:      mase.layer_norm %{{.*}} weight %[[G]] : tensor<2xf32> bias %[[B]] : tensor<2xf32>
// CHECK:      %[[Q:.*]] = mase.constant <f32, [4.0, 0.5]> : tensor<1x2xf32>
// CHECK-NEXT: mase.linear %{{.*}}, %[[Q]] {layer = "query"}
// CHECK:      %[[K:.*]] = mase.constant <f32, [-2.0, 1.0]> : tensor<1x2xf32>
// CHECK-NEXT: mase.linear %{{.*}}, %[[K]] {layer = "key"}

// ONE-DAG: mase.constant <f32, [1.0, 1.0]> : tensor<2xf32>
// ONE-DAG: mase.constant <f32, [16.0, 0.5]> : tensor<1x2xf32>
// ONE-DAG: mase.constant <f32, [-8.0, 1.0]> : tensor<1x2xf32>

// MUL: %[[S:.*]] = mase.constant <f32, [{{.*}}]> : tensor<3xf32>
// MUL: %[[X:.*]] = mase.mul %{{.*}}, %[[S]] {layer = "fc1.smooth"}
// MUL: mase.linear %[[X]]

// NONE: warning: mase-smooth has no effect: no norm or layer is followed by linear or conv layers alone, to which scales could move; multiply=true inserts products instead
// ALPHA: error: alpha is 2.0, expected 0 to 1

func.func @f(%x: tensor<1x2xf32> {mase.name = "x"}) -> tensor<1x1xf32> {
  %g = mase.constant <f32, [16.0, 1.0]> : tensor<2xf32>
  %b = mase.constant <f32, [0.0, 0.0]> : tensor<2xf32>
  %q = mase.constant <f32, [1.0, 0.5]> : tensor<1x2xf32>
  %k = mase.constant <f32, [-0.5, 1.0]> : tensor<1x2xf32>
  %0 = mase.layer_norm %x : tensor<1x2xf32> weight %g : tensor<2xf32> bias %b : tensor<2xf32> {rank = 1 : i64, eps = 0.0 : f64} -> tensor<1x2xf32>
  %1 = mase.linear %0, %q {layer = "query"} : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x1xf32>
  %2 = mase.linear %0, %k {layer = "key"} : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x1xf32>
  %3 = mase.mul %1, %2 : (tensor<1x1xf32>, tensor<1x1xf32>) -> tensor<1x1xf32>
  func.return %3 : tensor<1x1xf32>
}
