// The operation in docs/extending.md works as it stands there, at every level.

// RUN: %python %S/code_block.py %root/docs/extending.md square.py > %t.py
// RUN: mase-opt --load-plugin %t.py %s | mase-opt --load-plugin %t.py - | filecheck %s
// RUN: mase-opt --load-plugin %t.py --convert-mase-to-hw %s | filecheck %s --check-prefix=HW
// RUN: mase-opt --load-plugin %t.py --emit-sv --verify-rtl=64 %s | filecheck %s --check-prefix=SV
// RUN: not mase-opt --load-plugin %t.py %S/Inputs/square_invalid.mlir 2>&1 | filecheck %s --check-prefix=SHAPE
// RUN: not mase-opt %s 2>&1 | filecheck %s --check-prefix=WITHOUT

// CHECK: extra.square %x {layer = "energy", rounding = #mase.rounding<floor, saturate>}

// HW: hw.module private @energy(
// HW: comb.mul
// HW: hw.module @f(

// SV: module energy(
// SV: module f(

// SHAPE: square_invalid.mlir:2:3: error: result has shape 3, expected 2

// WITHOUT: error: Operation extra.square is not registered

func.func @f(%x: tensor<2x!mase.fixed<6, 3>>) -> tensor<2x!mase.fixed<8, 3>> {
  %y = extra.square %x {layer = "energy", rounding = #mase.rounding<floor, saturate>}
    : (tensor<2x!mase.fixed<6, 3>>) -> tensor<2x!mase.fixed<8, 3>>
  func.return %y : tensor<2x!mase.fixed<8, 3>>
}
