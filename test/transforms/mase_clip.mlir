// RUN: %python -c "import numpy as np; np.savez('%t.npz', x=np.array([[1, 8], [-1, 8], [1, -8]]))"
// RUN: mase-opt --set-recipe="weight-format='scaled<fixed<3, 0>, auto>' method=minmax" --clip=data=%t.npz %s | filecheck %s
// RUN: mase-opt --set-recipe="weight-format='fixed<16, 8>'" --clip=data=%t.npz %s | filecheck %s --check-prefix=SAME

// Thirds of 1 miss 0.25, which matters eight times as much; quarters have it.

// CHECK: mase.constant <f32, [0.75, 0.25]> : tensor<1x2xf32>
// SAME:  mase.constant <f32, [1.0, 0.25]> : tensor<1x2xf32>

func.func @f(%x: tensor<1x2xf32> {mase.name = "x"}) -> tensor<1x1xf32> {
  %w = mase.constant <f32, [1.0, 0.25]> : tensor<1x2xf32>
  %0 = mase.linear %x, %w {layer = "fc"} : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x1xf32>
  func.return %0 : tensor<1x1xf32>
}
