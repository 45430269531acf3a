// Resources that are missing, malformed or of the wrong length.

// RUN: MASE_INVALID

func.func @missing() {
  // expected-error@+1 {{resource 'fc1.weight' has no data in this file}}
  %0 = mase.constant <i8, fc1.weight_0123456789ab> : tensor<4xi8>
  func.return
}

// -----

func.func @bytes() {
  // expected-error@+1 {{resource 'w' has 3 bytes, expected a multiple of 2}}
  %0 = mase.constant <i16, w> : tensor<2xi16>
  func.return
}
{-# dialect_resources: { mase: { w: "0x08000000010203" } } #-}

// -----

func.func @truncated() {
  // expected-error@+1 {{data has 1 elements, expected 2}}
  %0 = mase.constant <i16, w> : tensor<2xi16>
  func.return
}
{-# dialect_resources: { mase: { w: "0x080000000102" } } #-}

// -----

func.func @half_a_byte() {
  %0 = mase.constant <i8, w> : tensor<2xi8>
  func.return
}
// expected-error@+1 {{resource 'w': expected 0x, an alignment of 8 hexadecimal digits and two digits for each byte}}
{-# dialect_resources: { mase: { w: "0x08000000012" } } #-}

// -----

func.func @not_hexadecimal() {
  %0 = mase.constant <i8, w> : tensor<2xi8>
  func.return
}
// expected-error@+1 {{resource 'w': expected 0x}}
{-# dialect_resources: { mase: { w: "0x0800000001gg" } } #-}

// -----

func.func @no_header() {
  %0 = mase.constant <i8, w> : tensor<0xi8>
  func.return
}
// expected-error@+1 {{resource 'w': expected 0x}}
{-# dialect_resources: { mase: { w: "0x0800" } } #-}

// -----

func.func @no_prefix() {
  %0 = mase.constant <i8, w> : tensor<1xi8>
  func.return
}
// expected-error@+1 {{resource 'w': expected 0x}}
{-# dialect_resources: { mase: { w: "0800000001" } } #-}

// -----

func.func @twice() {
  %0 = mase.constant <i8, w> : tensor<1xi8>
  func.return
}
// expected-error@+1 {{'w' has more than one entry}}
{-# dialect_resources: { mase: { w: "0x0800000001", w: "0x0800000002" } } #-}

// -----

{-# dialect_resources: { mase: { w: "0x0800000001" } } #-}
func.func @before() {
  // expected-error@+1 {{the data of 'w' must come behind its uses}}
  %0 = mase.constant <i8, w> : tensor<1xi8>
  func.return
}

// -----

func.func @bool() {
  // expected-error@+1 {{data has the code 2, expected 0 to 1, the range of i1}}
  %0 = mase.constant <i1, w> : tensor<2xi1>
  func.return
}
{-# dialect_resources: { mase: { w: "0x080000000102" } } #-}

// -----

func.func @code() {
  // expected-error@+1 {{data has the code 9, expected 0 to 7, the range of !mase.ufixed<3, 0>}}
  %0 = mase.constant <ui8, w> : tensor<2x!mase.ufixed<3, 0>>
  func.return
}
{-# dialect_resources: { mase: { w: "0x080000000109" } } #-}
