// A number format in one file: examples/plugins/posit.py.

// RUN: mase-opt --load-plugin %root/examples/plugins/posit.py --list-formats | filecheck %s --check-prefix=LIST
// RUN: mase-opt --load-plugin %root/examples/plugins/posit.py --quantize="format=posit<8,1>" %s 2> /dev/null | filecheck %s
// RUN: mase-opt --load-plugin %root/examples/plugins/posit.py --quantize="format=posit<8,1>" %s 2> /dev/null | mase-opt --load-plugin %root/examples/plugins/posit.py --canonicalize - | filecheck %s
// RUN: mase-opt --load-plugin %root/examples/plugins/posit.py --quantize="config=%S/Inputs/posit.toml" %s 2> /dev/null | filecheck %s --check-prefix=CONFIG
// RUN: not mase-opt --load-plugin %root/examples/plugins/posit.py --quantize="format=posit<8,1>" --convert-mase-to-hw %s 2>&1 | filecheck %s --check-prefix=HW
// RUN: not mase-opt --load-plugin %root/examples/plugins/posit.py --quantize="format=posit<8,1> rounding=floor" %s 2>&1 | filecheck %s --check-prefix=FLOOR
// RUN: not mase-opt --quantize="format=posit<8,1>" %s 2>&1 | filecheck %s --check-prefix=WITHOUT

// LIST: posit<8, es>
// LIST: posit<8, 1> {{.*}} -4096 {{.*}} 4096

// CHECK: func.func @f(%x: tensor<1x2x!unum.posit<8, 1>>)
// CHECK-NEXT: mase.constant <i8, [48, -80]> : tensor<1x2x!unum.posit<8, 1>>
// CHECK-NEXT: mase.linear {{.*}} -> tensor<1x1x!unum.posit<8, 1>>

// CONFIG: mase.constant <i8, [48, -80]> : tensor<1x2x!unum.posit<8, 1>>
// CONFIG: mase.linear {{.*}} -> tensor<1x1x!mase.fixed<8,

// HW: mase.linear fc: element type !unum.posit<8, 1> has no circuit

// FLOOR: error: {{.*}}posit<8, 1> rounds to nearest_even only, not floor

// WITHOUT: error: {{.*}}unknown format 'posit' in 'posit<8,1>'

func.func @f(%x: tensor<1x2xf32>) -> tensor<1x1xf32> {
  %w = mase.constant <f32, [0.5, -2.0]> : tensor<1x2xf32>
  %0 = mase.linear %x, %w {layer = "fc"} : (tensor<1x2xf32>, tensor<1x2xf32>) -> tensor<1x1xf32>
  func.return %0 : tensor<1x1xf32>
}
