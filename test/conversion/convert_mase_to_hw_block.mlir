// RUN: mase-opt --lower-block-arithmetic --convert-mase-to-hw=max-logic-depth=0 %s | filecheck %s
// RUN: mase-opt --emit-sv %s | filecheck %s --check-prefix=SV

// Shared exponents have ports of their own; the layer becomes a sum under
// one exponent, shifted by it behind the adders, and a cast.

// CHECK:       hw.module private @fc(in %in: i16, in %in_scales: i8, out out: i12)
// CHECK:       hw.module private @fc_cast(in %in: i12, out out: i4, out out_scales: i8)
// CHECK:       hw.module @f(in %in_valid: i1, in %x: i16, in %x_scales: i8, out out_valid: i1, out out0: i4, out out0_scales: i8)
// CHECK-SAME:    element = "!mase.block<!mase.fixed<8, 6>, e8m0, [2]>"
// CHECK-SAME:    element = "e8m0"

// SV:          // x: in, 2 x 8 bits signed !mase.block<!mase.fixed<8, 6>, e8m0, [2]>, shape 1x2
// SV:          // x_scales: in, 1 x 8 bits unsigned e8m0, shape 1x1
// SV:          // out0_scales: out, 1 x 8 bits unsigned e8m0, shape 1x1

func.func @f(%x: tensor<1x2x!mase.block<!mase.fixed<8, 6>, e8m0, [2]>>) -> tensor<1x1x!mase.block<!mase.minifloat<2, 1, finite>, e8m0, [2]>> {
  %w = mase.constant <i8, [64, -96]> {scales = #mase.dense<ui8, [127]>} : tensor<1x2x!mase.block<!mase.fixed<8, 6>, e8m0, [2]>>
  %0 = mase.linear %x, %w {accumulator = !mase.fixed<12, 6>, layer = "fc"} : (tensor<1x2x!mase.block<!mase.fixed<8, 6>, e8m0, [2]>>, tensor<1x2x!mase.block<!mase.fixed<8, 6>, e8m0, [2]>>) -> tensor<1x1x!mase.block<!mase.minifloat<2, 1, finite>, e8m0, [2]>>
  func.return %0 : tensor<1x1x!mase.block<!mase.minifloat<2, 1, finite>, e8m0, [2]>>
}
