// The function in docs/extending.md becomes a table.

// RUN: %python %S/code_block.py %root/docs/extending.md atan.py > %t.py
// RUN: mase-opt --load-plugin %t.py --mase-lower-to-lookup %s | filecheck %s
// RUN: mase-opt --load-plugin %t.py --emit-sv --verify-rtl=16 %s | filecheck %s --check-prefix=SV
// RUN: not mase-opt --load-plugin %t.py --convert-mase-to-hw %s 2>&1 | filecheck %s --check-prefix=HW
// RUN: not mase-opt %s 2>&1 | filecheck %s --check-prefix=WITHOUT

// 0, atan(1), atan(2), … atan(-1) in eighths
// CHECK: mase.constant <i8, [0, 6, 9, 10, -11, -10, -9, -6]> : tensor<8x!mase.fixed<6, 3>>
// CHECK-NEXT: mase.lookup %x, %{{.*}} {layer = "angle"}

// SV: module angle(

// HW: extra.atan angle: has no circuit of its own: make it a table (mase-lower-to-lookup)

// WITHOUT: error: Operation extra.atan is not registered

func.func @f(%x: tensor<2x!mase.fixed<3, 0>>) -> tensor<2x!mase.fixed<6, 3>> {
  %y = extra.atan %x {layer = "angle"}
    : (tensor<2x!mase.fixed<3, 0>>) -> tensor<2x!mase.fixed<6, 3>>
  func.return %y : tensor<2x!mase.fixed<6, 3>>
}
