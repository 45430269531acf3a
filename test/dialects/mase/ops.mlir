// RUN: MASE_ROUNDTRIP

// CHECK-LABEL: func.func @layers
// CHECK-NEXT: mase.constant <f32, [1.0, -2.5]> : tensor<2xf32>
// CHECK-NEXT: mase.constant <i8, [16, -40, 1, 0, 0, 127]> : tensor<2x3x!mase.fixed<8, 4>>
// CHECK-NEXT: mase.cast %x : (tensor<1x3xf32>) -> tensor<1x3x!mase.fixed<8, 4>>
// CHECK-NEXT: mase.linear %q, %w {layer = "fc", rounding = #mase.rounding<floor, wrap>} : (tensor<1x3x!mase.fixed<8, 4>>, tensor<2x3x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<6, -1>>
// CHECK-NEXT: mase.linear %x, %wf, %b : (tensor<1x3xf32>, tensor<2x3xf32>, tensor<2xf32>) -> tensor<1x2xf32>
func.func @layers(%x: tensor<1x3xf32>, %wf: tensor<2x3xf32>) -> tensor<1x2x!mase.fixed<6, -1>> {
  %b = mase.constant <f32, [1.0, -2.5]> : tensor<2xf32>
  %w = mase.constant <i8, [16, -40, 1, 0, 0, 127]> : tensor<2x3x!mase.fixed<8, 4>>
  %q = mase.cast %x : (tensor<1x3xf32>) -> tensor<1x3x!mase.fixed<8, 4>>
  %y = mase.linear %q, %w {layer = "fc", rounding = #mase.rounding<floor, wrap>}
    : (tensor<1x3x!mase.fixed<8, 4>>, tensor<2x3x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<6, -1>>
  %z = mase.linear %x, %wf, %b : (tensor<1x3xf32>, tensor<2x3xf32>, tensor<2xf32>) -> tensor<1x2xf32>
  func.return %y : tensor<1x2x!mase.fixed<6, -1>>
}

// The default rounding is not printed.
// CHECK-LABEL: func.func @default_rounding
// CHECK-NEXT: mase.relu %x : (tensor<4x!mase.ufixed<3, 5>>) -> tensor<4x!mase.ufixed<3, 5>>
func.func @default_rounding(%x: tensor<4x!mase.ufixed<3, 5>>) -> tensor<4x!mase.ufixed<3, 5>> {
  %y = mase.relu %x {rounding = #mase.rounding<nearest_even, saturate>}
    : (tensor<4x!mase.ufixed<3, 5>>) -> tensor<4x!mase.ufixed<3, 5>>
  func.return %y : tensor<4x!mase.ufixed<3, 5>>
}

// CHECK-LABEL: func.func @resources
// CHECK-NEXT: mase.constant <i8, {{[a-z.]+}}_{{[0-9a-f]+}}> : tensor<20x!mase.fixed<8, 0>>
func.func @resources() -> tensor<20x!mase.fixed<8, 0>> {
  %0 = mase.constant <i8, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, -128]> : tensor<20x!mase.fixed<8, 0>>
  func.return %0 : tensor<20x!mase.fixed<8, 0>>
}
