// The number format in docs/extending.md works as it stands there.

// RUN: %python %S/code_block.py %root/docs/extending.md nf4.py > %t.py
// RUN: mase-opt --load-plugin %t.py --list-formats | filecheck %s --check-prefix=LIST
// RUN: mase-opt --load-plugin %t.py --quantize="weight-format=scaled<nf4,auto>" %s 2> /dev/null > %t.mlir
// RUN: mase-opt --load-plugin %t.py --canonicalize %t.mlir | filecheck %s

// LIST: nf4 {{.*}} -1 {{.*}} 1 {{.*}} 0.0795803

// CHECK: mase.constant <ui8, [15, 0, 12, 7]> : tensor<1x4x!mase.scaled<!extra.nf4, 3.0>>
// CHECK: mase.linear %x, {{.*}} : (tensor<1x4x!mase.fixed<8, {{.*}}>>, tensor<1x4x!mase.scaled<!extra.nf4, 3.0>>)

func.func @f(%x: tensor<1x4xf32>) -> tensor<1x1xf32> {
  %w = mase.constant <f32, [3.0, -3.0, 1.3, 0.1]> : tensor<1x4xf32>
  %0 = mase.linear %x, %w {layer = "fc"} : (tensor<1x4xf32>, tensor<1x4xf32>) -> tensor<1x1xf32>
  func.return %0 : tensor<1x1xf32>
}
