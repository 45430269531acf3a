// The pass in docs/extending.md works as it stands there.

// RUN: %python %S/code_block.py %root/docs/extending.md fast_gelu.py > %t.py
// RUN: mase-opt --load-plugin %t.py --fast-gelu %s | filecheck %s
// RUN: mase-opt --load-plugin %t.py -p "mase-fast-gelu{factor=1.75}" %s | filecheck %s --check-prefix=FACTOR
// RUN: mase-opt --load-plugin %t.py --list-passes | filecheck %s --check-prefix=LIST
// RUN: not mase-opt --fast-gelu %s 2>&1 | filecheck %s --check-prefix=WITHOUT

// CHECK: func.func @f([[X:%.*]]: tensor<2x3xf32>)
// CHECK-NEXT: [[K:%.*]] = mase.constant <f32, {{.*}}> : tensor<1xf32>
// CHECK-NEXT: [[SCALED:%.*]] = mase.mul [[X]], [[K]]
// CHECK-NEXT: [[GATE:%.*]] = mase.sigmoid [[SCALED]]
// CHECK-NEXT: [[PRODUCT:%.*]] = mase.mul [[X]], [[GATE]] {layer = "act"}
// CHECK-NEXT: func.return [[PRODUCT]]

// FACTOR: mase.constant <f32, [1.75]>

// LIST: mase-fast-gelu  (--fast-gelu)
// LIST-NEXT: Replace gelu(x) by x · sigmoid(factor · x).
// LIST-NEXT: factor: float [1.702]  Where the two functions are closest.

// WITHOUT: error: unknown option '--fast-gelu'

func.func @f(%x: tensor<2x3xf32>) -> tensor<2x3xf32> {
  %y = mase.gelu %x {layer = "act"} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  func.return %y : tensor<2x3xf32>
}
