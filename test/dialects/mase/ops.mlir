// Every op, type and attribute in its custom form: what prints is what was read.

// RUN: MASE_ROUNDTRIP

// CHECK-LABEL: func.func @constants(
func.func @constants() -> tensor<2xf32> {
  %f = mase.constant <f32, [1.0, -2.5]> : tensor<2xf32>
  // CHECK-NEXT: %f = mase.constant <f32, [1.0, -2.5]> : tensor<2xf32>
  %e = mase.constant <f32, [1.0e-20, -0.0, inf, -inf, nan]> : tensor<5xf32>
  // CHECK-NEXT: %e = mase.constant <f32, [1.0e-20, -0.0, inf, -inf, nan]> : tensor<5xf32>
  %d = mase.constant <f64, [0.1]> : tensor<1xf64>
  // CHECK-NEXT: %d = mase.constant <f64, [0.1]> : tensor<1xf64>
  %b = mase.constant <i1, [true, false]> : tensor<2xi1>
  // CHECK-NEXT: %b = mase.constant <i1, [true, false]> : tensor<2xi1>
  %i = mase.constant <i64, [-9223372036854775808]> : tensor<i64>
  // CHECK-NEXT: %i = mase.constant <i64, [-9223372036854775808]> : tensor<i64>
  %c = mase.constant <i8, [16, -40]> : tensor<2x!mase.fixed<8, 4>>
  // CHECK-NEXT: %c = mase.constant <i8, [16, -40]> : tensor<2x!mase.fixed<8, 4>>
  %u = mase.constant <ui16, [1023]> : tensor<1x!mase.ufixed<10, -3>>
  // CHECK-NEXT: %u = mase.constant <ui16, [1023]> : tensor<1x!mase.ufixed<10, -3>>
  %w = mase.constant <ui64, [18446744073709551615]> : tensor<!mase.ufixed<64, 70>>
  // CHECK-NEXT: %w = mase.constant <ui64, [18446744073709551615]> : tensor<!mase.ufixed<64, 70>>
  %n = mase.constant <i8, []> : tensor<0x!mase.fixed<1, 0>>
  // CHECK-NEXT: %n = mase.constant <i8, []> : tensor<0x!mase.fixed<1, 0>>
  func.return %f : tensor<2xf32>
}

// CHECK-LABEL: func.func @casts(
func.func @casts(%x: tensor<4xf32>) -> tensor<4xf64> {
  %a = mase.cast %x : (tensor<4xf32>) -> tensor<4x!mase.fixed<8, 4>>
  // CHECK-NEXT: %a = mase.cast %x : (tensor<4xf32>) -> tensor<4x!mase.fixed<8, 4>>
  %b = mase.cast %a {rounding = #mase.rounding<floor, wrap>, layer = "fc1.in"} : (tensor<4x!mase.fixed<8, 4>>) -> tensor<4x!mase.ufixed<4, 2>>
  // CHECK-NEXT: %b = mase.cast %a {rounding = #mase.rounding<floor, wrap>, layer = "fc1.in"} : (tensor<4x!mase.fixed<8, 4>>) -> tensor<4x!mase.ufixed<4, 2>>
  %c = mase.cast %b {rounding = #mase.rounding<zero, error>} : (tensor<4x!mase.ufixed<4, 2>>) -> tensor<4xi64>
  // CHECK-NEXT: %c = mase.cast %b {rounding = #mase.rounding<zero, error>} : (tensor<4x!mase.ufixed<4, 2>>) -> tensor<4xi64>
  %d = mase.cast %c : (tensor<4xi64>) -> tensor<4xbf16>
  // CHECK-NEXT: %d = mase.cast %c : (tensor<4xi64>) -> tensor<4xbf16>
  %e = mase.cast %d : (tensor<4xbf16>) -> tensor<4xf64>
  // CHECK-NEXT: %e = mase.cast %d : (tensor<4xbf16>) -> tensor<4xf64>
  func.return %e : tensor<4xf64>
}

// CHECK-LABEL: func.func @rounding_modes(
func.func @rounding_modes(%x: tensor<4xf32>) -> tensor<4xf32> {
  %a = mase.neg %x {rounding = #mase.rounding<nearest_away, saturate>} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %a = mase.neg %x {rounding = #mase.rounding<nearest_away, saturate>} : (tensor<4xf32>) -> tensor<4xf32>
  %b = mase.neg %a {rounding = #mase.rounding<half_up, saturate>} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %b = mase.neg %a {rounding = #mase.rounding<half_up, saturate>} : (tensor<4xf32>) -> tensor<4xf32>
  %c = mase.neg %b {rounding = #mase.rounding<ceil, saturate>} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %c = mase.neg %b {rounding = #mase.rounding<ceil, saturate>} : (tensor<4xf32>) -> tensor<4xf32>
  %d = mase.neg %c : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %d = mase.neg %c : (tensor<4xf32>) -> tensor<4xf32>
  func.return %d : tensor<4xf32>
}

// CHECK-LABEL: func.func @accumulator(
func.func @accumulator(%x: tensor<2x4xf32>, %y: tensor<4x3xf32>) -> tensor<2x3xf32> {
  %z = mase.matmul %x, %y {accumulator = !mase.fixed<24, 12>} : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  // CHECK-NEXT: %z = mase.matmul %x, %y {accumulator = !mase.fixed<24, 12>} : (tensor<2x4xf32>, tensor<4x3xf32>) -> tensor<2x3xf32>
  func.return %z : tensor<2x3xf32>
}

// CHECK-LABEL: func.func @linear(
func.func @linear(%x: tensor<1x64x!mase.fixed<8, 4>>, %w: tensor<32x64x!mase.fixed<6, 5>>, %b: tensor<32x!mase.fixed<16, 9>>) -> tensor<1x32x!mase.fixed<8, 3>> {
  %y = mase.linear %x, %w, %b {layer = "fc1"} : (tensor<1x64x!mase.fixed<8, 4>>, tensor<32x64x!mase.fixed<6, 5>>, tensor<32x!mase.fixed<16, 9>>) -> tensor<1x32x!mase.fixed<8, 3>>
  // CHECK-NEXT: %y = mase.linear %x, %w, %b {layer = "fc1"} : (tensor<1x64x!mase.fixed<8, 4>>, tensor<32x64x!mase.fixed<6, 5>>, tensor<32x!mase.fixed<16, 9>>) -> tensor<1x32x!mase.fixed<8, 3>>
  %z = mase.linear %x, %w : (tensor<1x64x!mase.fixed<8, 4>>, tensor<32x64x!mase.fixed<6, 5>>) -> tensor<1x32xf32>
  // CHECK-NEXT: %z = mase.linear %x, %w : (tensor<1x64x!mase.fixed<8, 4>>, tensor<32x64x!mase.fixed<6, 5>>) -> tensor<1x32xf32>
  func.return %y : tensor<1x32x!mase.fixed<8, 3>>
}

// CHECK-LABEL: func.func @matmul(
func.func @matmul(%x: tensor<8x1x4x16xf32>, %y: tensor<3x16x5xf32>) -> tensor<8x3x4x5xf32> {
  %z = mase.matmul %x, %y {layer = "scores"} : (tensor<8x1x4x16xf32>, tensor<3x16x5xf32>) -> tensor<8x3x4x5xf32>
  // CHECK-NEXT: %z = mase.matmul %x, %y {layer = "scores"} : (tensor<8x1x4x16xf32>, tensor<3x16x5xf32>) -> tensor<8x3x4x5xf32>
  func.return %z : tensor<8x3x4x5xf32>
}

// CHECK-LABEL: func.func @conv1d(
func.func @conv1d(%x: tensor<1x2x8xf32>, %w: tensor<4x1x3xf32>, %b: tensor<4xf32>) -> tensor<1x4x4xf32> {
  %y = mase.conv1d %x, %w, %b {strides = array<i64: 2>, padding = array<i64: 1>, dilation = array<i64: 1>, groups = 2 : i64, layer = "conv"} : (tensor<1x2x8xf32>, tensor<4x1x3xf32>, tensor<4xf32>) -> tensor<1x4x4xf32>
  // CHECK-NEXT: %y = mase.conv1d %x, %w, %b {strides = array<i64: 2>, padding = array<i64: 1>, dilation = array<i64: 1>, groups = 2 : i64, layer = "conv"} : (tensor<1x2x8xf32>, tensor<4x1x3xf32>, tensor<4xf32>) -> tensor<1x4x4xf32>
  func.return %y : tensor<1x4x4xf32>
}

// CHECK-LABEL: func.func @conv2d(
func.func @conv2d(%x: tensor<1x1x8x8xf32>, %w: tensor<6x1x3x3xf32>, %b: tensor<6xf32>) -> tensor<1x6x8x8xf32> {
  %y = mase.conv2d %x, %w, %b {strides = array<i64: 1, 1>, padding = array<i64: 1, 1>, dilation = array<i64: 1, 1>, layer = "conv"} : (tensor<1x1x8x8xf32>, tensor<6x1x3x3xf32>, tensor<6xf32>) -> tensor<1x6x8x8xf32>
  // CHECK-NEXT: %y = mase.conv2d %x, %w, %b {strides = array<i64: 1, 1>, padding = array<i64: 1, 1>, dilation = array<i64: 1, 1>, layer = "conv"} : (tensor<1x1x8x8xf32>, tensor<6x1x3x3xf32>, tensor<6xf32>) -> tensor<1x6x8x8xf32>
  %z = mase.conv2d %x, %w {strides = array<i64: 1, 2>, padding = array<i64: 0, 1>, dilation = array<i64: 2, 1>} : (tensor<1x1x8x8xf32>, tensor<6x1x3x3xf32>) -> tensor<1x6x4x4xf32>
  // CHECK-NEXT: %z = mase.conv2d %x, %w {strides = array<i64: 1, 2>, padding = array<i64: 0, 1>, dilation = array<i64: 2, 1>} : (tensor<1x1x8x8xf32>, tensor<6x1x3x3xf32>) -> tensor<1x6x4x4xf32>
  func.return %y : tensor<1x6x8x8xf32>
}

// CHECK-LABEL: func.func @conv_transpose2d(
func.func @conv_transpose2d(%x: tensor<1x8x4x4xf32>, %w: tensor<8x2x4x4xf32>, %b: tensor<4xf32>) -> tensor<1x4x9x8xf32> {
  %y = mase.conv_transpose2d %x, %w, %b {strides = array<i64: 2, 2>, padding = array<i64: 1, 1>, output_padding = array<i64: 1, 0>, dilation = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x8x4x4xf32>, tensor<8x2x4x4xf32>, tensor<4xf32>) -> tensor<1x4x9x8xf32>
  // CHECK-NEXT: %y = mase.conv_transpose2d %x, %w, %b {strides = array<i64: 2, 2>, padding = array<i64: 1, 1>, output_padding = array<i64: 1, 0>, dilation = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x8x4x4xf32>, tensor<8x2x4x4xf32>, tensor<4xf32>) -> tensor<1x4x9x8xf32>
  func.return %y : tensor<1x4x9x8xf32>
}

// CHECK-LABEL: func.func @embedding(
func.func @embedding(%w: tensor<100x32xf32>, %i: tensor<1x8xi64>) -> tensor<1x8x32xf32> {
  %y = mase.embedding %w, %i {layer = "wte"} : (tensor<100x32xf32>, tensor<1x8xi64>) -> tensor<1x8x32xf32>
  // CHECK-NEXT: %y = mase.embedding %w, %i {layer = "wte"} : (tensor<100x32xf32>, tensor<1x8xi64>) -> tensor<1x8x32xf32>
  func.return %y : tensor<1x8x32xf32>
}

// CHECK-LABEL: func.func @norms(
func.func @norms(%x: tensor<1x6x8x8xf32>, %c: tensor<6xf32>, %w: tensor<8x8xf32>) -> tensor<1x6x8x8xf32> {
  %a = mase.batch_norm %x, %c, %c, %c, %c {eps = 1.000000e-05 : f64, layer = "bn"} : (tensor<1x6x8x8xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<1x6x8x8xf32>
  // CHECK-NEXT: %a = mase.batch_norm %x, %c, %c, %c, %c {eps = 1.000000e-05 : f64, layer = "bn"} : (tensor<1x6x8x8xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>, tensor<6xf32>) -> tensor<1x6x8x8xf32>
  %b = mase.layer_norm %a : tensor<1x6x8x8xf32> weight %w : tensor<8x8xf32> bias %w : tensor<8x8xf32> {rank = 2 : i64, eps = 1.000000e-05 : f64} -> tensor<1x6x8x8xf32>
  // CHECK-NEXT: %b = mase.layer_norm %a : tensor<1x6x8x8xf32> weight %w : tensor<8x8xf32> bias %w : tensor<8x8xf32> {rank = 2 : i64, eps = 1.000000e-05 : f64} -> tensor<1x6x8x8xf32>
  %d = mase.layer_norm %b : tensor<1x6x8x8xf32> bias %w : tensor<8x8xf32> {rank = 2 : i64, eps = 1.000000e-05 : f64} -> tensor<1x6x8x8xf32>
  // CHECK-NEXT: %d = mase.layer_norm %b : tensor<1x6x8x8xf32> bias %w : tensor<8x8xf32> {rank = 2 : i64, eps = 1.000000e-05 : f64} -> tensor<1x6x8x8xf32>
  %e = mase.group_norm %d : tensor<1x6x8x8xf32> weight %c : tensor<6xf32> {groups = 2 : i64, eps = 1.000000e-05 : f64, layer = "gn"} -> tensor<1x6x8x8xf32>
  // CHECK-NEXT: %e = mase.group_norm %d : tensor<1x6x8x8xf32> weight %c : tensor<6xf32> {groups = 2 : i64, eps = 1.000000e-05 : f64, layer = "gn"} -> tensor<1x6x8x8xf32>
  %f = mase.group_norm %e : tensor<1x6x8x8xf32> {groups = 6 : i64, eps = 1.000000e-05 : f64} -> tensor<1x6x8x8xf32>
  // CHECK-NEXT: %f = mase.group_norm %e : tensor<1x6x8x8xf32> {groups = 6 : i64, eps = 1.000000e-05 : f64} -> tensor<1x6x8x8xf32>
  func.return %f : tensor<1x6x8x8xf32>
}

// CHECK-LABEL: func.func @softmax(
func.func @softmax(%x: tensor<1x10xf32>) -> tensor<1x10x!mase.ufixed<8, 8>> {
  %y = mase.softmax %x {axis = 1 : i64} : (tensor<1x10xf32>) -> tensor<1x10x!mase.ufixed<8, 8>>
  // CHECK-NEXT: %y = mase.softmax %x {axis = 1 : i64} : (tensor<1x10xf32>) -> tensor<1x10x!mase.ufixed<8, 8>>
  func.return %y : tensor<1x10x!mase.ufixed<8, 8>>
}

// CHECK-LABEL: func.func @attention(
func.func @attention(%q: tensor<1x2x8x4xf32>, %k: tensor<1x2x6x4xf32>, %v: tensor<1x2x6x3xf32>, %m: tensor<8x6xi1>) -> tensor<1x2x8x3xf32> {
  %y = mase.attention %q, %k, %v mask %m {scale = 5.000000e-01 : f64, layer = "attn"} : (tensor<1x2x8x4xf32>, tensor<1x2x6x4xf32>, tensor<1x2x6x3xf32>, tensor<8x6xi1>) -> tensor<1x2x8x3xf32>
  // CHECK-NEXT: %y = mase.attention %q, %k, %v mask %m {scale = 5.000000e-01 : f64, layer = "attn"} : (tensor<1x2x8x4xf32>, tensor<1x2x6x4xf32>, tensor<1x2x6x3xf32>, tensor<8x6xi1>) -> tensor<1x2x8x3xf32>
  %z = mase.attention %q, %k, %v {scale = 5.000000e-01 : f64, causal = true} : (tensor<1x2x8x4xf32>, tensor<1x2x6x4xf32>, tensor<1x2x6x3xf32>) -> tensor<1x2x8x3xf32>
  // CHECK-NEXT: %z = mase.attention %q, %k, %v {scale = 5.000000e-01 : f64, causal = true} : (tensor<1x2x8x4xf32>, tensor<1x2x6x4xf32>, tensor<1x2x6x3xf32>) -> tensor<1x2x8x3xf32>
  func.return %y : tensor<1x2x8x3xf32>
}

// CHECK-LABEL: func.func @pools(
func.func @pools(%x: tensor<1x6x7x8xf32>) -> tensor<1x6x7x8xf32> {
  %a = mase.max_pool %x {kernel = array<i64: 3, 2>, strides = array<i64: 2, 2>, padding = array<i64: 1, 0>, dilation = array<i64: 1, 2>} : (tensor<1x6x7x8xf32>) -> tensor<1x6x4x3xf32>
  // CHECK-NEXT: %a = mase.max_pool %x {kernel = array<i64: 3, 2>, strides = array<i64: 2, 2>, padding = array<i64: 1, 0>, dilation = array<i64: 1, 2>} : (tensor<1x6x7x8xf32>) -> tensor<1x6x4x3xf32>
  %b = mase.avg_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>, ceil_mode = true, count_include_pad = false, layer = "pool"} : (tensor<1x6x7x8xf32>) -> tensor<1x6x4x4xf32>
  // CHECK-NEXT: %b = mase.avg_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>, ceil_mode = true, count_include_pad = false, layer = "pool"} : (tensor<1x6x7x8xf32>) -> tensor<1x6x4x4xf32>
  %c = mase.adaptive_avg_pool %x {output_size = array<i64: 1, 1>} : (tensor<1x6x7x8xf32>) -> tensor<1x6x1x1xf32>
  // CHECK-NEXT: %c = mase.adaptive_avg_pool %x {output_size = array<i64: 1, 1>} : (tensor<1x6x7x8xf32>) -> tensor<1x6x1x1xf32>
  %d = mase.adaptive_max_pool %x {output_size = array<i64: 3>} : (tensor<1x6x7x8xf32>) -> tensor<1x6x7x3xf32>
  // CHECK-NEXT: %d = mase.adaptive_max_pool %x {output_size = array<i64: 3>} : (tensor<1x6x7x8xf32>) -> tensor<1x6x7x3xf32>
  func.return %x : tensor<1x6x7x8xf32>
}

// CHECK-LABEL: func.func @reduce(
func.func @reduce(%x: tensor<1x6x8x8xf32>) -> tensor<1x6xf32> {
  %a = mase.reduce %x {kind = "mean", axes = array<i64: 2, 3>} : (tensor<1x6x8x8xf32>) -> tensor<1x6xf32>
  // CHECK-NEXT: %a = mase.reduce %x {kind = "mean", axes = array<i64: 2, 3>} : (tensor<1x6x8x8xf32>) -> tensor<1x6xf32>
  %b = mase.reduce %x {kind = "max", axes = array<i64: 1>, keepdims = true} : (tensor<1x6x8x8xf32>) -> tensor<1x1x8x8xf32>
  // CHECK-NEXT: %b = mase.reduce %x {kind = "max", axes = array<i64: 1>, keepdims = true} : (tensor<1x6x8x8xf32>) -> tensor<1x1x8x8xf32>
  %c = mase.argmax %x {axis = 1 : i64} : (tensor<1x6x8x8xf32>) -> tensor<1x8x8x!mase.ufixed<3, 0>>
  // CHECK-NEXT: %c = mase.argmax %x {axis = 1 : i64} : (tensor<1x6x8x8xf32>) -> tensor<1x8x8x!mase.ufixed<3, 0>>
  %d = mase.argmax %x {axis = 3 : i64, keepdims = true} : (tensor<1x6x8x8xf32>) -> tensor<1x6x8x1xi64>
  // CHECK-NEXT: %d = mase.argmax %x {axis = 3 : i64, keepdims = true} : (tensor<1x6x8x8xf32>) -> tensor<1x6x8x1xi64>
  func.return %a : tensor<1x6xf32>
}

// CHECK-LABEL: func.func @lookup(
func.func @lookup(%x: tensor<1x32x!mase.fixed<4, 2>>, %t: tensor<16x!mase.ufixed<8, 8>>) -> tensor<1x32x!mase.ufixed<8, 8>> {
  %y = mase.lookup %x, %t {layer = "act"} : (tensor<1x32x!mase.fixed<4, 2>>, tensor<16x!mase.ufixed<8, 8>>) -> tensor<1x32x!mase.ufixed<8, 8>>
  // CHECK-NEXT: %y = mase.lookup %x, %t {layer = "act"} : (tensor<1x32x!mase.fixed<4, 2>>, tensor<16x!mase.ufixed<8, 8>>) -> tensor<1x32x!mase.ufixed<8, 8>>
  func.return %y : tensor<1x32x!mase.ufixed<8, 8>>
}

// CHECK-LABEL: func.func @unary(
func.func @unary(%x: tensor<4xf32>) -> tensor<4xf32> {
  %neg = mase.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %neg = mase.neg %x : (tensor<4xf32>) -> tensor<4xf32>
  %abs = mase.abs %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %abs = mase.abs %x : (tensor<4xf32>) -> tensor<4xf32>
  %relu = mase.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %relu = mase.relu %x : (tensor<4xf32>) -> tensor<4xf32>
  %relu6 = mase.relu6 %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %relu6 = mase.relu6 %x : (tensor<4xf32>) -> tensor<4xf32>
  %leaky_relu = mase.leaky_relu %x {negative_slope = 1.000000e-02 : f64} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %leaky_relu = mase.leaky_relu %x {negative_slope = 1.000000e-02 : f64} : (tensor<4xf32>) -> tensor<4xf32>
  %elu = mase.elu %x {alpha = 1.000000e+00 : f64} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %elu = mase.elu %x {alpha = 1.000000e+00 : f64} : (tensor<4xf32>) -> tensor<4xf32>
  %sigmoid = mase.sigmoid %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %sigmoid = mase.sigmoid %x : (tensor<4xf32>) -> tensor<4xf32>
  %hardsigmoid = mase.hardsigmoid %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %hardsigmoid = mase.hardsigmoid %x : (tensor<4xf32>) -> tensor<4xf32>
  %tanh = mase.tanh %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %tanh = mase.tanh %x : (tensor<4xf32>) -> tensor<4xf32>
  %gelu = mase.gelu %x {approximate = "tanh"} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %gelu = mase.gelu %x {approximate = "tanh"} : (tensor<4xf32>) -> tensor<4xf32>
  %silu = mase.silu %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %silu = mase.silu %x : (tensor<4xf32>) -> tensor<4xf32>
  %hardswish = mase.hardswish %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %hardswish = mase.hardswish %x : (tensor<4xf32>) -> tensor<4xf32>
  %softplus = mase.softplus %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %softplus = mase.softplus %x : (tensor<4xf32>) -> tensor<4xf32>
  %exp = mase.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %exp = mase.exp %x : (tensor<4xf32>) -> tensor<4xf32>
  %log = mase.log %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %log = mase.log %x : (tensor<4xf32>) -> tensor<4xf32>
  %sqrt = mase.sqrt %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %sqrt = mase.sqrt %x : (tensor<4xf32>) -> tensor<4xf32>
  %rsqrt = mase.rsqrt %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %rsqrt = mase.rsqrt %x : (tensor<4xf32>) -> tensor<4xf32>
  %reciprocal = mase.reciprocal %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %reciprocal = mase.reciprocal %x : (tensor<4xf32>) -> tensor<4xf32>
  %erf = mase.erf %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %erf = mase.erf %x : (tensor<4xf32>) -> tensor<4xf32>
  %sin = mase.sin %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %sin = mase.sin %x : (tensor<4xf32>) -> tensor<4xf32>
  %cos = mase.cos %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %cos = mase.cos %x : (tensor<4xf32>) -> tensor<4xf32>
  %floor = mase.floor %x : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %floor = mase.floor %x : (tensor<4xf32>) -> tensor<4xf32>
  func.return %x : tensor<4xf32>
}

// CHECK-LABEL: func.func @binary(
func.func @binary(%x: tensor<2x4x!mase.fixed<8, 4>>, %y: tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4xf32> {
  %add = mase.add %x, %y : (tensor<2x4x!mase.fixed<8, 4>>, tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4x!mase.fixed<12, 5>>
  // CHECK-NEXT: %add = mase.add %x, %y : (tensor<2x4x!mase.fixed<8, 4>>, tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4x!mase.fixed<12, 5>>
  %sub = mase.sub %x, %y : (tensor<2x4x!mase.fixed<8, 4>>, tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4x!mase.fixed<12, 5>>
  // CHECK-NEXT: %sub = mase.sub %x, %y : (tensor<2x4x!mase.fixed<8, 4>>, tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4x!mase.fixed<12, 5>>
  %mul = mase.mul %x, %y : (tensor<2x4x!mase.fixed<8, 4>>, tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4x!mase.fixed<12, 5>>
  // CHECK-NEXT: %mul = mase.mul %x, %y : (tensor<2x4x!mase.fixed<8, 4>>, tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4x!mase.fixed<12, 5>>
  %div = mase.div %x, %y : (tensor<2x4x!mase.fixed<8, 4>>, tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4x!mase.fixed<12, 5>>
  // CHECK-NEXT: %div = mase.div %x, %y : (tensor<2x4x!mase.fixed<8, 4>>, tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4x!mase.fixed<12, 5>>
  %maximum = mase.maximum %x, %y : (tensor<2x4x!mase.fixed<8, 4>>, tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4x!mase.fixed<12, 5>>
  // CHECK-NEXT: %maximum = mase.maximum %x, %y : (tensor<2x4x!mase.fixed<8, 4>>, tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4x!mase.fixed<12, 5>>
  %minimum = mase.minimum %x, %y : (tensor<2x4x!mase.fixed<8, 4>>, tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4x!mase.fixed<12, 5>>
  // CHECK-NEXT: %minimum = mase.minimum %x, %y : (tensor<2x4x!mase.fixed<8, 4>>, tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4x!mase.fixed<12, 5>>
  %pow = mase.pow %x, %y : (tensor<2x4x!mase.fixed<8, 4>>, tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4xf32>
  // CHECK-NEXT: %pow = mase.pow %x, %y : (tensor<2x4x!mase.fixed<8, 4>>, tensor<4x!mase.ufixed<6, 2>>) -> tensor<2x4xf32>
  func.return %pow : tensor<2x4xf32>
}

// CHECK-LABEL: func.func @compare(
func.func @compare(%x: tensor<4x!mase.fixed<8, 4>>, %y: tensor<!mase.fixed<6, 2>>) -> tensor<4xi1> {
  %eq = mase.compare %x, %y {predicate = "eq"} : (tensor<4x!mase.fixed<8, 4>>, tensor<!mase.fixed<6, 2>>) -> tensor<4xi1>
  // CHECK-NEXT: %eq = mase.compare %x, %y {predicate = "eq"} : (tensor<4x!mase.fixed<8, 4>>, tensor<!mase.fixed<6, 2>>) -> tensor<4xi1>
  %ne = mase.compare %x, %y {predicate = "ne"} : (tensor<4x!mase.fixed<8, 4>>, tensor<!mase.fixed<6, 2>>) -> tensor<4xi1>
  // CHECK-NEXT: %ne = mase.compare %x, %y {predicate = "ne"} : (tensor<4x!mase.fixed<8, 4>>, tensor<!mase.fixed<6, 2>>) -> tensor<4xi1>
  %lt = mase.compare %x, %y {predicate = "lt"} : (tensor<4x!mase.fixed<8, 4>>, tensor<!mase.fixed<6, 2>>) -> tensor<4xi1>
  // CHECK-NEXT: %lt = mase.compare %x, %y {predicate = "lt"} : (tensor<4x!mase.fixed<8, 4>>, tensor<!mase.fixed<6, 2>>) -> tensor<4xi1>
  %le = mase.compare %x, %y {predicate = "le"} : (tensor<4x!mase.fixed<8, 4>>, tensor<!mase.fixed<6, 2>>) -> tensor<4xi1>
  // CHECK-NEXT: %le = mase.compare %x, %y {predicate = "le"} : (tensor<4x!mase.fixed<8, 4>>, tensor<!mase.fixed<6, 2>>) -> tensor<4xi1>
  %gt = mase.compare %x, %y {predicate = "gt"} : (tensor<4x!mase.fixed<8, 4>>, tensor<!mase.fixed<6, 2>>) -> tensor<4xi1>
  // CHECK-NEXT: %gt = mase.compare %x, %y {predicate = "gt"} : (tensor<4x!mase.fixed<8, 4>>, tensor<!mase.fixed<6, 2>>) -> tensor<4xi1>
  %ge = mase.compare %x, %y {predicate = "ge"} : (tensor<4x!mase.fixed<8, 4>>, tensor<!mase.fixed<6, 2>>) -> tensor<4xi1>
  // CHECK-NEXT: %ge = mase.compare %x, %y {predicate = "ge"} : (tensor<4x!mase.fixed<8, 4>>, tensor<!mase.fixed<6, 2>>) -> tensor<4xi1>
  func.return %ge : tensor<4xi1>
}

// CHECK-LABEL: func.func @select(
func.func @select(%c: tensor<4xi1>, %x: tensor<4x!mase.fixed<8, 4>>, %y: tensor<!mase.fixed<6, 2>>) -> tensor<4x!mase.fixed<8, 4>> {
  %s = mase.select %c, %x, %y : (tensor<4xi1>, tensor<4x!mase.fixed<8, 4>>, tensor<!mase.fixed<6, 2>>) -> tensor<4x!mase.fixed<8, 4>>
  // CHECK-NEXT: %s = mase.select %c, %x, %y : (tensor<4xi1>, tensor<4x!mase.fixed<8, 4>>, tensor<!mase.fixed<6, 2>>) -> tensor<4x!mase.fixed<8, 4>>
  func.return %s : tensor<4x!mase.fixed<8, 4>>
}

// CHECK-LABEL: func.func @bitwise(
func.func @bitwise(%x: tensor<4xi1>, %y: tensor<1xi1>, %i: tensor<2xi32>) -> tensor<4xi1> {
  %a = mase.and %x, %y : (tensor<4xi1>, tensor<1xi1>) -> tensor<4xi1>
  // CHECK-NEXT: %a = mase.and %x, %y : (tensor<4xi1>, tensor<1xi1>) -> tensor<4xi1>
  %b = mase.or %a, %y : (tensor<4xi1>, tensor<1xi1>) -> tensor<4xi1>
  // CHECK-NEXT: %b = mase.or %a, %y : (tensor<4xi1>, tensor<1xi1>) -> tensor<4xi1>
  %c = mase.xor %b, %y : (tensor<4xi1>, tensor<1xi1>) -> tensor<4xi1>
  // CHECK-NEXT: %c = mase.xor %b, %y : (tensor<4xi1>, tensor<1xi1>) -> tensor<4xi1>
  %d = mase.xor %i, %i : (tensor<2xi32>, tensor<2xi32>) -> tensor<2xi32>
  // CHECK-NEXT: %d = mase.xor %i, %i : (tensor<2xi32>, tensor<2xi32>) -> tensor<2xi32>
  func.return %c : tensor<4xi1>
}

// CHECK-LABEL: func.func @moves(
func.func @moves(%x: tensor<1x4x8x!mase.fixed<8, 4>>, %i: tensor<2xi64>) -> tensor<1x4x8x!mase.fixed<8, 4>> {
  %a = mase.reshape %x : tensor<1x4x8x!mase.fixed<8, 4>> -> tensor<1x32x!mase.fixed<8, 4>>
  // CHECK-NEXT: %a = mase.reshape %x : tensor<1x4x8x!mase.fixed<8, 4>> -> tensor<1x32x!mase.fixed<8, 4>>
  %b = mase.transpose %x {permutation = array<i64: 0, 2, 1>} : tensor<1x4x8x!mase.fixed<8, 4>> -> tensor<1x8x4x!mase.fixed<8, 4>>
  // CHECK-NEXT: %b = mase.transpose %x {permutation = array<i64: 0, 2, 1>} : tensor<1x4x8x!mase.fixed<8, 4>> -> tensor<1x8x4x!mase.fixed<8, 4>>
  %c = mase.broadcast %x : tensor<1x4x8x!mase.fixed<8, 4>> -> tensor<3x2x4x8x!mase.fixed<8, 4>>
  // CHECK-NEXT: %c = mase.broadcast %x : tensor<1x4x8x!mase.fixed<8, 4>> -> tensor<3x2x4x8x!mase.fixed<8, 4>>
  %d = mase.concat %x, %x, %x {axis = 1 : i64} : (tensor<1x4x8x!mase.fixed<8, 4>>, tensor<1x4x8x!mase.fixed<8, 4>>, tensor<1x4x8x!mase.fixed<8, 4>>) -> tensor<1x12x8x!mase.fixed<8, 4>>
  // CHECK-NEXT: %d = mase.concat %x, %x, %x {axis = 1 : i64} : (tensor<1x4x8x!mase.fixed<8, 4>>, tensor<1x4x8x!mase.fixed<8, 4>>, tensor<1x4x8x!mase.fixed<8, 4>>) -> tensor<1x12x8x!mase.fixed<8, 4>>
  %e = mase.slice %x {starts = array<i64: 0, 1, 0>, stops = array<i64: 1, 4, 8>, strides = array<i64: 1, 2, 3>} : tensor<1x4x8x!mase.fixed<8, 4>> -> tensor<1x2x3x!mase.fixed<8, 4>>
  // CHECK-NEXT: %e = mase.slice %x {starts = array<i64: 0, 1, 0>, stops = array<i64: 1, 4, 8>, strides = array<i64: 1, 2, 3>} : tensor<1x4x8x!mase.fixed<8, 4>> -> tensor<1x2x3x!mase.fixed<8, 4>>
  %f = mase.pad %x {low = array<i64: 0, 1, 0>, high = array<i64: 0, 0, 2>, value = -2.500000e-01 : f64} : tensor<1x4x8x!mase.fixed<8, 4>> -> tensor<1x5x10x!mase.fixed<8, 4>>
  // CHECK-NEXT: %f = mase.pad %x {low = array<i64: 0, 1, 0>, high = array<i64: 0, 0, 2>, value = -2.500000e-01 : f64} : tensor<1x4x8x!mase.fixed<8, 4>> -> tensor<1x5x10x!mase.fixed<8, 4>>
  %g = mase.gather %x, %i {axis = 1 : i64} : (tensor<1x4x8x!mase.fixed<8, 4>>, tensor<2xi64>) -> tensor<1x2x8x!mase.fixed<8, 4>>
  // CHECK-NEXT: %g = mase.gather %x, %i {axis = 1 : i64} : (tensor<1x4x8x!mase.fixed<8, 4>>, tensor<2xi64>) -> tensor<1x2x8x!mase.fixed<8, 4>>
  func.return %x : tensor<1x4x8x!mase.fixed<8, 4>>
}

// CHECK-LABEL: func.func @calibrated(
func.func @calibrated(%x: tensor<4xf32> {mase.calibration = #mase.calibration<#mase.dense<f32, [-1.0, 0.0, 2.5]>>}) -> tensor<4xf32> {
  %y = mase.relu %x {mase.calibration = #mase.calibration<#mase.dense<f32, [0.0, 0.0, 2.5]>>} : (tensor<4xf32>) -> tensor<4xf32>
  // CHECK-NEXT: %y = mase.relu %x {mase.calibration = #mase.calibration<#mase.dense<f32, [0.0, 0.0, 2.5]>>} : (tensor<4xf32>) -> tensor<4xf32>
  func.return %y : tensor<4xf32>
}

// The default rounding is not printed.
// CHECK-LABEL: func.func @default_rounding(
func.func @default_rounding(%x: tensor<4x!mase.ufixed<3, 5>>) -> tensor<4x!mase.ufixed<3, 5>> {
  // CHECK-NEXT: %y = mase.relu %x : (tensor<4x!mase.ufixed<3, 5>>) -> tensor<4x!mase.ufixed<3, 5>>
  %y = mase.relu %x {rounding = #mase.rounding<nearest_even, saturate>}
    : (tensor<4x!mase.ufixed<3, 5>>) -> tensor<4x!mase.ufixed<3, 5>>
  func.return %y : tensor<4x!mase.ufixed<3, 5>>
}

// CHECK-LABEL: func.func @adder_graph(
func.func @adder_graph(%x: tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<11, 4>> {
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 0, 0, 1, 0, 2, 1, 0, 0, 1]>, outputs = #mase.dense<i32, [2, 0, 0, -1, 0, 0]>, offsets = #mase.dense<i64, [0, 8]>, frac = 4 : i64, layer = "fc"} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<11, 4>>
  // CHECK-NEXT: %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 0, 0, 1, 0, 2, 1, 0, 0, 1]>, outputs = #mase.dense<i32, [2, 0, 0, -1, 0, 0]>, offsets = #mase.dense<i64, [0, 8]>, frac = 4 : i64, layer = "fc"} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x2x!mase.fixed<11, 4>>
  func.return %y : tensor<1x2x!mase.fixed<11, 4>>
}

// CHECK-LABEL: func.func @adder_graph_products(
func.func @adder_graph_products(%x: tensor<1x2x!mase.scaled<!mase.fixed<8, 4>, 0.3>>) -> tensor<1x1x!mase.fixed<11, 4>> {
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [1, 2, 0, 0, 0]>, outputs = #mase.dense<i32, [3, 0, 0]>, offsets = #mase.dense<i64, [0]>, products = #mase.dense<i64, [0, 85]>, scales = #mase.dense<f64, [0.75, -1.0]>, frac = 4 : i64} : (tensor<1x2x!mase.scaled<!mase.fixed<8, 4>, 0.3>>) -> tensor<1x1x!mase.fixed<11, 4>>
  // CHECK-NEXT: %y = mase.adder_graph %x {nodes = #mase.dense<i32, [1, 2, 0, 0, 0]>, outputs = #mase.dense<i32, [3, 0, 0]>, offsets = #mase.dense<i64, [0]>, products = #mase.dense<i64, [0, 85]>, scales = #mase.dense<f64, [0.75, -1.0]>, frac = 4 : i64} : (tensor<1x2x!mase.scaled<!mase.fixed<8, 4>, 0.3>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return %y : tensor<1x1x!mase.fixed<11, 4>>
}

// CHECK-LABEL: func.func @formats_of_elements(
func.func @formats_of_elements(%x: tensor<2x3xf32>) -> tensor<2x3x!mase.ufixed<5, 2>> {
  %a = mase.cast_elements %x {grid = array<i64: 3>, widths = #mase.dense<i8, [3, 0, 2]>, fracs = #mase.dense<i16, [1, 0, 2]>} : (tensor<2x3xf32>) -> tensor<2x3x!mase.fixed<4, 2>>
  // CHECK-NEXT: %a = mase.cast_elements %x {grid = array<i64: 3>, widths = #mase.dense<i8, [3, 0, 2]>, fracs = #mase.dense<i16, [1, 0, 2]>} : (tensor<2x3xf32>) -> tensor<2x3x!mase.fixed<4, 2>>
  %b = mase.cast_elements %a {rounding = #mase.rounding<floor, wrap>, layer = "fc1.in", grid = array<i64>, widths = #mase.dense<i8, [4]>, fracs = #mase.dense<i16, [1]>} : (tensor<2x3x!mase.fixed<4, 2>>) -> tensor<2x3x!mase.ufixed<5, 2>>
  // CHECK-NEXT: %b = mase.cast_elements %a {rounding = #mase.rounding<floor, wrap>, layer = "fc1.in", grid = array<i64>, widths = #mase.dense<i8, [4]>, fracs = #mase.dense<i16, [1]>} : (tensor<2x3x!mase.fixed<4, 2>>) -> tensor<2x3x!mase.ufixed<5, 2>>
  func.return %b : tensor<2x3x!mase.ufixed<5, 2>>
}
