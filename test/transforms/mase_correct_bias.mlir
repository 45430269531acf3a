// RUN: %python -c "import numpy as np; np.savez('%t.npz', x=np.array([[1], [3]]))"
// RUN: mase-opt --set-recipe="data-format='fixed<16, 8>' weight-format='fixed<3, 1>'" --correct-bias=data=%t.npz %s | filecheck %s
// RUN: mase-opt --set-recipe=config=%S/Inputs/bypass.toml --correct-bias=data=%t.npz %s 2>&1 | filecheck %s --check-prefix=NONE

// A weight of 0.75 becomes 1, too much by 0.25, with inputs of 2 on average; the second
// layer, whose weight stays, has nothing to correct then.

// CHECK:      %[[B:.*]] = mase.constant <f32, [-0.5]> : tensor<1xf32>
// CHECK-NEXT: mase.linear %{{.*}}, %{{.*}}, %[[B]] {{.*}}layer = "fc1"}
// CHECK:      %[[C:.*]] = mase.constant <f32, [4.0]> : tensor<1xf32>
// CHECK-NEXT: mase.linear %{{.*}}, %{{.*}}, %[[C]] {{.*}}layer = "fc2"}

// NONE: warning: mase-correct-bias has no effect: no layer in f32 with constant weights is to be quantized

func.func @f(%x: tensor<1x1xf32> {mase.name = "x"}) -> tensor<1x1xf32> {
  %w = mase.constant <f32, [0.75]> : tensor<1x1xf32>
  %v = mase.constant <f32, [1.5]> : tensor<1x1xf32>
  %b = mase.constant <f32, [4.0]> : tensor<1xf32>
  %0 = mase.linear %x, %w {layer = "fc1"} : (tensor<1x1xf32>, tensor<1x1xf32>) -> tensor<1x1xf32>
  %1 = mase.linear %0, %v, %b {layer = "fc2"} : (tensor<1x1xf32>, tensor<1x1xf32>, tensor<1xf32>) -> tensor<1x1xf32>
  func.return %1 : tensor<1x1xf32>
}
