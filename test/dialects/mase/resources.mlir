// Data of more than 16 elements travels as a resource behind the IR.

// RUN: mase-opt %s | filecheck %s
// RUN: mase-opt %s | mase-opt - | filecheck %s
// RUN: mase-opt %s --print-op-generic | mase-opt - | filecheck %s

// CHECK-LABEL: func.func @long(
func.func @long() -> tensor<20x!mase.fixed<8, 0>> {
  // CHECK-NEXT: mase.constant <i8, data_[[LONG:[0-9a-f]{12}]]> : tensor<20x!mase.fixed<8, 0>>
  %0 = mase.constant <i8, [1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, -128]> : tensor<20x!mase.fixed<8, 0>>
  func.return %0 : tensor<20x!mase.fixed<8, 0>>
}

// Names are kept; the digest follows the content, not the key that was read.
// CHECK-LABEL: func.func @named(
func.func @named() -> tensor<17x!mase.ufixed<8, 0>> {
  // CHECK-NEXT: mase.constant <ui8, fc1.weight_[[NAMED:[0-9a-f]{12}]]> : tensor<17x!mase.ufixed<8, 0>>
  %0 = mase.constant <ui8, fc1.weight_0123456789ab> : tensor<17x!mase.ufixed<8, 0>>
  // The same entry, read as signed.
  // CHECK-NEXT: mase.constant <i8, fc1.weight_[[NAMED]]> : tensor<17x!mase.fixed<8, 0>>
  %1 = mase.constant <i8, fc1.weight_0123456789ab> : tensor<17x!mase.fixed<8, 0>>
  func.return %0 : tensor<17x!mase.ufixed<8, 0>>
}

// Short data is printed in place, wherever it came from; any alignment will do.
// CHECK-LABEL: func.func @short(
func.func @short() -> tensor<2xi16> {
  // CHECK-NEXT: mase.constant <i16, [1, -2]> : tensor<2xi16>
  %0 = mase.constant <i16, short> : tensor<2xi16>
  // CHECK-NEXT: mase.constant <f32, []> : tensor<0x3xf32>
  %1 = mase.constant <f32, nothing> : tensor<0x3xf32>
  func.return %0 : tensor<2xi16>
}

// CHECK: {-#
// CHECK-NEXT: dialect_resources: {
// CHECK-NEXT: mase: {
// CHECK-NEXT: data_[[LONG]]: "0x080000000102030405060708090a0b0c0d0e0f1011121380",
// CHECK-SAME: fc1.weight_[[NAMED]]: "0x08000000ff0102030405060708090a0b0c0d0e0f10"
// CHECK-NEXT: }

{-#
  dialect_resources: {
    mase: {
      fc1.weight_0123456789ab: "0x08000000FF0102030405060708090A0B0C0D0E0F10",
      nothing: "0x04000000",
      short: "0x400000000100feff"
    }
  }
#-}
