// Each verifier and parser message, with what is there and what is expected.

// RUN: MASE_INVALID

// expected-error@+1 {{width must be between 1 and 64, got 65}}
func.func @width(%x: tensor<2x!mase.fixed<65, 4>>) {
  func.return
}

// -----

// expected-error@+1 {{width must be between 1 and 64, got 0}}
func.func @no_width(%x: tensor<2x!mase.ufixed<0, 4>>) {
  func.return
}

// -----

// expected-error@+1 {{frac must be between -256 and 256, got 257}}
func.func @frac(%x: tensor<2x!mase.fixed<8, 257>>) {
  func.return
}

// -----

func.func @shape(%x: tensor<1x3xf32>) {
  // expected-error@+1 {{result has shape 1x4, expected 1x3}}
  %y = mase.relu %x : (tensor<1x3xf32>) -> tensor<1x4xf32>
  func.return
}

// -----

func.func @scalar(%x: tensor<f32>) {
  // expected-error@+1 {{result has shape 1, expected scalar}}
  %y = mase.relu %x : (tensor<f32>) -> tensor<1xf32>
  func.return
}

// -----

func.func @dynamic(%x: tensor<?x3xf32>) {
  // expected-error@+1 {{dimension 0 of tensor<?x3xf32> is dynamic}}
  %y = mase.relu %x : (tensor<?x3xf32>) -> tensor<?x3xf32>
  func.return
}

// -----

func.func @unranked(%x: tensor<*xf32>) {
  // expected-error@+2 {{tensor<*xf32> should be of base attribute tensor}}
  %y = mase.relu %x : (tensor<*xf32>) -> tensor<*xf32>
  func.return
}

// -----

func.func @element_index(%x: tensor<2xindex>) {
  // expected-error@+1 {{element type is index, expected a number format, i1 to i64, f16, bf16, f32 or f64}}
  %y = mase.relu %x : (tensor<2xindex>) -> tensor<2xindex>
  func.return
}

// -----

func.func @element_wide(%x: tensor<2xi65>) {
  // expected-error@+1 {{element type is i65, expected a number format}}
  %y = mase.reshape %x : tensor<2xi65> -> tensor<1x2xi65>
  func.return
}

// -----

func.func @features(%x: tensor<1x3xf32>, %w: tensor<2x4xf32>) {
  // expected-error@+1 {{input has shape 1x3, expected 4 in the last dimension}}
  %y = mase.linear %x, %w : (tensor<1x3xf32>, tensor<2x4xf32>) -> tensor<1x2xf32>
  func.return
}

// -----

func.func @weight_rank(%x: tensor<1x3xf32>, %w: tensor<3xf32>) {
  // expected-error@+1 {{weight has rank 1, expected 2}}
  %y = mase.linear %x, %w : (tensor<1x3xf32>, tensor<3xf32>) -> tensor<1x2xf32>
  func.return
}

// -----

func.func @bias(%x: tensor<1x3xf32>, %w: tensor<2x3xf32>, %b: tensor<3xf32>) {
  // expected-error@+1 {{bias has shape 3, expected 2}}
  %y = mase.linear %x, %w, %b : (tensor<1x3xf32>, tensor<2x3xf32>, tensor<3xf32>) -> tensor<1x2xf32>
  func.return
}

// -----

func.func @accumulator(%x: tensor<1x3xf32>, %w: tensor<2x3xf32>) {
  // expected-error@+1 {{accumulator is i8, expected !mase.fixed or !mase.ufixed}}
  %y = mase.linear %x, %w {accumulator = i8} : (tensor<1x3xf32>, tensor<2x3xf32>) -> tensor<1x2xf32>
  func.return
}

// -----

func.func @broadcast(%x: tensor<3xf32>, %y: tensor<2xf32>) {
  // expected-error@+1 {{shapes 3 and 2 do not broadcast}}
  %z = mase.add %x, %y : (tensor<3xf32>, tensor<2xf32>) -> tensor<3xf32>
  func.return
}

// -----

func.func @matmul(%x: tensor<2x3xf32>, %y: tensor<2x3xf32>) {
  // expected-error@+1 {{shapes 2x3 and 2x3 do not multiply, expected […, M, K] and […, K, N]}}
  %z = mase.matmul %x, %y : (tensor<2x3xf32>, tensor<2x3xf32>) -> tensor<2x3xf32>
  func.return
}

// -----

func.func @window(%x: tensor<1x1x2x2xf32>, %w: tensor<1x1x3x3xf32>) {
  // expected-error@+1 {{a window of 3 does not fit into 2 elements padded by 0}}
  %y = mase.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>} : (tensor<1x1x2x2xf32>, tensor<1x1x3x3xf32>) -> tensor<1x1x1x1xf32>
  func.return
}

// -----

func.func @groups(%x: tensor<1x4x3xf32>, %w: tensor<2x4x1xf32>) {
  // expected-error@+1 {{weight has shape 2x4x1, expected 4 input channels in 2 groups}}
  %y = mase.conv1d %x, %w {strides = array<i64: 1>, padding = array<i64: 0>, dilation = array<i64: 1>, groups = 2 : i64} : (tensor<1x4x3xf32>, tensor<2x4x1xf32>) -> tensor<1x2x3xf32>
  func.return
}

// -----

func.func @strides(%x: tensor<1x4x3xf32>, %w: tensor<2x4x1xf32>) {
  // expected-error@+1 {{strides has 2 values, expected 1}}
  %y = mase.conv1d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0>, dilation = array<i64: 1>} : (tensor<1x4x3xf32>, tensor<2x4x1xf32>) -> tensor<1x2x3xf32>
  func.return
}

// -----

func.func @stride_0(%x: tensor<1x4x3xf32>, %w: tensor<2x4x1xf32>) {
  // expected-error@+1 {{stride 0, dilation 1, padding 0: expected at least 1, 1, 0}}
  %y = mase.conv1d %x, %w {strides = array<i64: 0>, padding = array<i64: 0>, dilation = array<i64: 1>} : (tensor<1x4x3xf32>, tensor<2x4x1xf32>) -> tensor<1x2x3xf32>
  func.return
}

// -----

func.func @list_type(%x: tensor<1x4x3xf32>, %w: tensor<2x4x1xf32>) {
  // expected-error@+2 {{Expected attribute i64 but got f32}}
  %y = mase.conv1d %x, %w {strides = array<f32: 1.0>, padding = array<i64: 0>, dilation = array<i64: 1>} : (tensor<1x4x3xf32>, tensor<2x4x1xf32>) -> tensor<1x2x3xf32>
  func.return
}

// -----

func.func @transposed_groups(%x: tensor<1x3x2x2xf32>, %w: tensor<3x1x2x2xf32>) {
  // expected-error@+1 {{weight has shape 3x1x2x2, expected 3 input channels in 2 groups}}
  %y = mase.conv_transpose2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0>, output_padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>, groups = 2 : i64} : (tensor<1x3x2x2xf32>, tensor<3x1x2x2xf32>) -> tensor<1x2x3x3xf32>
  func.return
}

// -----

func.func @transposed_empty(%x: tensor<1x3x2x2xf32>, %w: tensor<3x1x2x2xf32>) {
  // expected-error@+1 {{stride 1, dilation 1, padding 2, output padding 0: expected at least 1, 1, 0, 0 and a result that is not empty}}
  %y = mase.conv_transpose2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 2, 2>, output_padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>} : (tensor<1x3x2x2xf32>, tensor<3x1x2x2xf32>) -> tensor<1x1x0x0xf32>
  func.return
}

// -----

func.func @embedding(%w: tensor<4x2xf32>, %i: tensor<3xf32>) {
  // expected-error@+1 {{indices have element type f32, expected an integer or fixed point without fraction bits}}
  %y = mase.embedding %w, %i : (tensor<4x2xf32>, tensor<3xf32>) -> tensor<3x2xf32>
  func.return
}

// -----

func.func @gather_indices(%x: tensor<4x2xf32>, %i: tensor<3x!mase.fixed<8, 1>>) {
  // expected-error@+1 {{indices have element type !mase.fixed<8, 1>, expected an integer}}
  %y = mase.gather %x, %i {axis = 0 : i64} : (tensor<4x2xf32>, tensor<3x!mase.fixed<8, 1>>) -> tensor<3x2xf32>
  func.return
}

// -----

func.func @batch_norm_rank(%x: tensor<4xf32>, %c: tensor<4xf32>) {
  // expected-error@+1 {{input has rank 1, expected at least 2}}
  %y = mase.batch_norm %x, %c, %c, %c, %c {eps = 1.0e-05 : f64} : (tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<4xf32>
  func.return
}

// -----

func.func @variance(%x: tensor<1x4xf32>, %c: tensor<4xf32>, %d: tensor<3xf32>) {
  // expected-error@+1 {{variance has shape 3, expected 4}}
  %y = mase.batch_norm %x, %c, %d, %c, %c {eps = 1.0e-05 : f64} : (tensor<1x4xf32>, tensor<4xf32>, tensor<3xf32>, tensor<4xf32>, tensor<4xf32>) -> tensor<1x4xf32>
  func.return
}

// -----

func.func @layer_norm(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{rank is 3, expected 1 to 2}}
  %y = mase.layer_norm %x : tensor<1x4xf32> {rank = 3 : i64, eps = 1.0e-05 : f64} -> tensor<1x4xf32>
  func.return
}

// -----

func.func @layer_norm_weight(%x: tensor<2x4xf32>, %w: tensor<2xf32>) {
  // expected-error@+1 {{weight has shape 2, expected 4}}
  %y = mase.layer_norm %x : tensor<2x4xf32> weight %w : tensor<2xf32> {rank = 1 : i64, eps = 1.0e-05 : f64} -> tensor<2x4xf32>
  func.return
}

// -----

func.func @group_norm(%x: tensor<1x4xf32>) {
  // expected-error@+1 {{input has shape 1x4, expected channels in 3 groups}}
  %y = mase.group_norm %x : tensor<1x4xf32> {groups = 3 : i64, eps = 1.0e-05 : f64} -> tensor<1x4xf32>
  func.return
}

// -----

func.func @axis(%x: tensor<2x3xf32>) {
  // expected-error@+1 {{axis is 2, expected 0 to 1}}
  %y = mase.softmax %x {axis = 2 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  func.return
}

// -----

func.func @axis_of_scalar(%x: tensor<f32>) {
  // expected-error@+1 {{axis is 0, but a scalar has no dimensions}}
  %y = mase.softmax %x {axis = 0 : i64} : (tensor<f32>) -> tensor<f32>
  func.return
}

// -----

func.func @attention(%q: tensor<5x4xf32>, %v: tensor<6x3xf32>) {
  // expected-error@+1 {{shapes 5x4, 6x3, 6x3 do not fit, expected […, L, E], […, S, E], […, S, V]}}
  %y = mase.attention %q, %v, %v {scale = 1.0 : f64} : (tensor<5x4xf32>, tensor<6x3xf32>, tensor<6x3xf32>) -> tensor<5x3xf32>
  func.return
}

// -----

func.func @mask(%q: tensor<5x4xf32>, %m: tensor<2x5x5xi1>) {
  // expected-error@+1 {{mask has shape 2x5x5, expected one that broadcasts to 5x5}}
  %y = mase.attention %q, %q, %q mask %m {scale = 1.0 : f64} : (tensor<5x4xf32>, tensor<5x4xf32>, tensor<5x4xf32>, tensor<2x5x5xi1>) -> tensor<5x4xf32>
  func.return
}

// -----

func.func @kernel(%x: tensor<4xf32>) {
  // expected-error@+1 {{kernel has 2 values for rank 1}}
  %y = mase.max_pool %x {kernel = array<i64: 2, 2>, strides = array<i64: 2, 2>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>} : (tensor<4xf32>) -> tensor<2xf32>
  func.return
}

// -----

func.func @pool_padding(%x: tensor<4xf32>) {
  // expected-error@+1 {{padding is 2, expected at most half of the kernel 3}}
  %y = mase.avg_pool %x {kernel = array<i64: 3>, strides = array<i64: 1>, padding = array<i64: 2>, dilation = array<i64: 1>} : (tensor<4xf32>) -> tensor<6xf32>
  func.return
}

// -----

func.func @only_padding(%x: tensor<1xf32>) {
  // expected-error@+1 {{a window of 2 elements with dilation 2 lies in the padding around 1 elements}}
  %y = mase.max_pool %x {kernel = array<i64: 2>, strides = array<i64: 1>, padding = array<i64: 1>, dilation = array<i64: 2>} : (tensor<1xf32>) -> tensor<1xf32>
  func.return
}

// -----

func.func @output_size(%x: tensor<4xf32>) {
  // expected-error@+1 {{output_size is 0, expected 1 to 1 positive values}}
  %y = mase.adaptive_avg_pool %x {output_size = array<i64: 0>} : (tensor<4xf32>) -> tensor<0xf32>
  func.return
}

// -----

func.func @kind(%x: tensor<4xf32>) {
  // expected-error@+1 {{kind is 'median', expected one of sum, mean, max, min}}
  %y = mase.reduce %x {kind = "median", axes = array<i64: 0>} : (tensor<4xf32>) -> tensor<f32>
  func.return
}

// -----

func.func @axes(%x: tensor<4x2xf32>) {
  // expected-error@+1 {{axes are 0x0, expected no repetition}}
  %y = mase.reduce %x {kind = "sum", axes = array<i64: 0, 0>} : (tensor<4x2xf32>) -> tensor<2xf32>
  func.return
}

// -----

func.func @max_of_nothing(%x: tensor<0x2xf32>) {
  // expected-error@+1 {{the max of no elements, expected no dimension of size 0}}
  %y = mase.reduce %x {kind = "max", axes = array<i64: 0>} : (tensor<0x2xf32>) -> tensor<2xf32>
  func.return
}

// -----

func.func @argmax(%x: tensor<1x17xf32>) {
  // expected-error@+1 {{result element type is !mase.ufixed<4, 0>, expected an integer or !mase.ufixed<W, 0> that holds 16}}
  %y = mase.argmax %x {axis = 1 : i64} : (tensor<1x17xf32>) -> tensor<1x!mase.ufixed<4, 0>>
  func.return
}

// -----

func.func @argmax_fraction(%x: tensor<1x3xf32>) {
  // expected-error@+1 {{result element type is !mase.ufixed<8, 1>, expected an integer or !mase.ufixed<W, 0> that holds 2}}
  %y = mase.argmax %x {axis = 1 : i64} : (tensor<1x3xf32>) -> tensor<1x!mase.ufixed<8, 1>>
  func.return
}

// -----

func.func @lookup_input(%x: tensor<2xf32>, %t: tensor<16xf32>) {
  // expected-error@+1 {{input element type is f32, expected !mase.fixed or !mase.ufixed}}
  %y = mase.lookup %x, %t : (tensor<2xf32>, tensor<16xf32>) -> tensor<2xf32>
  func.return
}

// -----

func.func @lookup_table(%x: tensor<2x!mase.fixed<5, 2>>, %t: tensor<16xf32>) {
  // expected-error@+1 {{table has shape 16, expected 32}}
  %y = mase.lookup %x, %t : (tensor<2x!mase.fixed<5, 2>>, tensor<16xf32>) -> tensor<2xf32>
  func.return
}

// -----

func.func @lookup_result(%x: tensor<2x!mase.fixed<4, 2>>, %t: tensor<16xf32>) {
  // expected-error@+1 {{result element type is f64, expected f32}}
  %y = mase.lookup %x, %t : (tensor<2x!mase.fixed<4, 2>>, tensor<16xf32>) -> tensor<2xf64>
  func.return
}

// -----

func.func @gelu(%x: tensor<2xf32>) {
  // expected-error@+1 {{approximate is 'fast', expected 'none' or 'tanh'}}
  %y = mase.gelu %x {approximate = "fast"} : (tensor<2xf32>) -> tensor<2xf32>
  func.return
}

// -----

func.func @slope(%x: tensor<2xf32>) {
  // expected-error@+1 {{negative_slope is inf, expected a finite one}}
  %y = mase.leaky_relu %x {negative_slope = 0x7FF0000000000000 : f64} : (tensor<2xf32>) -> tensor<2xf32>
  func.return
}

// -----

func.func @predicate(%x: tensor<2xf32>) {
  // expected-error@+1 {{predicate is 'olt', expected one of eq, ne, lt, le, gt, ge}}
  %y = mase.compare %x, %x {predicate = "olt"} : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xi1>
  func.return
}

// -----

func.func @compare_result(%x: tensor<2xf32>) {
  // expected-error@+1 {{result element type is f32, expected i1}}
  %y = mase.compare %x, %x {predicate = "lt"} : (tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  func.return
}

// -----

func.func @condition(%x: tensor<2xf32>) {
  // expected-error@+1 {{condition element type is f32, expected i1}}
  %y = mase.select %x, %x, %x : (tensor<2xf32>, tensor<2xf32>, tensor<2xf32>) -> tensor<2xf32>
  func.return
}

// -----

func.func @bits(%x: tensor<2xi1>, %y: tensor<2xi8>) {
  // expected-error@+1 {{element type is i8, expected one integer type}}
  %z = mase.and %x, %y : (tensor<2xi1>, tensor<2xi8>) -> tensor<2xi1>
  func.return
}

// -----

func.func @rounding(%x: tensor<2xf32>) {
  // expected-error@+1 {{got 'up', expected one of nearest_even, nearest_away, half_up, floor, ceil, zero}}
  %y = mase.relu %x {rounding = #mase.rounding<up, saturate>} : (tensor<2xf32>) -> tensor<2xf32>
  func.return
}

// -----

func.func @overflow(%x: tensor<2xf32>) {
  // expected-error@+1 {{got 'clip', expected one of saturate, wrap, error}}
  %y = mase.relu %x {rounding = #mase.rounding<floor, clip>} : (tensor<2xf32>) -> tensor<2xf32>
  func.return
}

// -----

func.func @moved_type(%x: tensor<2x3xf32>) {
  // expected-error@+1 {{element type is i8, expected f32}}
  %y = mase.reshape %x : tensor<2x3xf32> -> tensor<6xi8>
  func.return
}

// -----

func.func @reshape(%x: tensor<2x3xf32>) {
  // expected-error@+1 {{result has 7 elements, expected 6}}
  %y = mase.reshape %x : tensor<2x3xf32> -> tensor<7xf32>
  func.return
}

// -----

func.func @permutation(%x: tensor<2x3xf32>) {
  // expected-error@+1 {{permutation is [0, 0], expected one of [0, 1]}}
  %y = mase.transpose %x {permutation = array<i64: 0, 0>} : tensor<2x3xf32> -> tensor<2x3xf32>
  func.return
}

// -----

func.func @broadcast_down(%x: tensor<2x3xf32>) {
  // expected-error@+1 {{result has shape 3, expected 2x3}}
  %y = mase.broadcast %x : tensor<2x3xf32> -> tensor<3xf32>
  func.return
}

// -----

func.func @concat_nothing() {
  // expected-error@+1 {{expected at least one input}}
  %y = "mase.concat"() <{axis = 0 : i64}> : () -> tensor<3xf32>
  func.return
}

// -----

func.func @concat(%x: tensor<2x3xf32>, %y: tensor<2x4xf32>) {
  // expected-error@+1 {{input has shape 2x4, expected 2x3 except along axis 0}}
  %z = mase.concat %x, %y {axis = 0 : i64} : (tensor<2x3xf32>, tensor<2x4xf32>) -> tensor<4x3xf32>
  func.return
}

// -----

func.func @slice(%x: tensor<4xf32>) {
  // expected-error@+1 {{slice 1:5:1 is outside a dimension of 4}}
  %y = mase.slice %x {starts = array<i64: 1>, stops = array<i64: 5>, strides = array<i64: 1>} : tensor<4xf32> -> tensor<4xf32>
  func.return
}

// -----

func.func @negative_padding(%x: tensor<4xf32>) {
  // expected-error@+1 {{padding is negative, use mase.slice}}
  %y = mase.pad %x {low = array<i64: -1>, high = array<i64: 0>, value = 0.0 : f64} : tensor<4xf32> -> tensor<3xf32>
  func.return
}

// -----

func.func @pad_value(%x: tensor<4x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{value is 0.3, which !mase.fixed<8, 4> has no code for}}
  %y = mase.pad %x {low = array<i64: 1>, high = array<i64: 0>, value = 0.3 : f64} : tensor<4x!mase.fixed<8, 4>> -> tensor<5x!mase.fixed<8, 4>>
  func.return
}

// -----

func.func @pad_infinity(%x: tensor<4xi8>) {
  // expected-error@+1 {{value is -inf, which i8 has no code for}}
  %y = mase.pad %x {low = array<i64: 1>, high = array<i64: 0>, value = 0xFFF0000000000000 : f64} : tensor<4xi8> -> tensor<5xi8>
  func.return
}

// -----

func.func @storage() {
  // expected-error@+1 {{data of !mase.fixed<8, 4> is stored as i16, expected i8}}
  %0 = mase.constant <i16, [1, 2]> : tensor<2x!mase.fixed<8, 4>>
  func.return
}

// -----

func.func @storage_type() {
  // expected-error@+1 {{unknown storage type 'i4', expected one of i1, i8, i16, i32, i64, ui8, ui16, ui32, ui64, f32, f64}}
  %0 = mase.constant <i4, [1, 2]> : tensor<2xi4>
  func.return
}

// -----

func.func @no_storage() {
  // expected-error@+1 {{no constants of element type ui7}}
  %0 = mase.constant <ui8, [1]> : tensor<1xui7>
  func.return
}

// -----

func.func @count() {
  // expected-error@+1 {{data has 3 elements, expected 4}}
  %0 = mase.constant <i8, [1, 2, 3]> : tensor<2x2x!mase.fixed<8, 4>>
  func.return
}

// -----

func.func @range() {
  // expected-error@+1 {{200 is out of range for i8, expected -128 to 127}}
  %0 = mase.constant <i8, [1, 200]> : tensor<2x!mase.fixed<8, 4>>
  func.return
}

// -----

func.func @float_range() {
  // expected-error@+1 {{1e+39 is out of range for f32}}
  %0 = mase.constant <f32, [1.0e39]> : tensor<1xf32>
  func.return
}

// -----

func.func @code_above() {
  // expected-error@+1 {{data has the code 9, expected 0 to 7, the range of !mase.ufixed<3, 0>}}
  %0 = mase.constant <ui8, [1, 9]> : tensor<2x!mase.ufixed<3, 0>>
  func.return
}

// -----

func.func @code_below() {
  // expected-error@+1 {{data has the code -33, expected -32 to 31, the range of !mase.fixed<6, 9>}}
  %0 = mase.constant <i8, [-33, 31]> : tensor<2x!mase.fixed<6, 9>>
  func.return
}

// -----

func.func @integer_code() {
  // expected-error@+1 {{data has the code 8, expected -8 to 7, the range of i4}}
  %0 = mase.constant <i64, [8]> : tensor<1xi4>
  func.return
}

// -----

// expected-error@+1 {{quantiles are f64, expected f32}}
func.func @quantile_type(%x: tensor<4xf32> {mase.calibration = #mase.calibration<#mase.dense<f64, [0.0]>>}) {
  func.return
}

// -----

// expected-error@+1 {{2 quantiles, expected an odd number}}
func.func @quantile_count(%x: tensor<4xf32> {mase.calibration = #mase.calibration<#mase.dense<f32, [0.0, 1.0]>>}) {
  func.return
}

// -----

// expected-error@+1 {{quantiles are not ascending}}
func.func @quantile_order(%x: tensor<4xf32> {mase.calibration = #mase.calibration<#mase.dense<f32, [0.0, 2.0, 1.0]>>}) {
  func.return
}

// -----

func.func @adder_graph_float(%x: tensor<1x2xf32>) {
  // expected-error@+1 {{input element type is f32, expected fixed point, binary or ternary}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, 1, 0]>, outputs = #mase.dense<i32, [2, 0, 0]>, offsets = #mase.dense<i64, [0]>, frac = 4 : i64} : (tensor<1x2xf32>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_rows(%x: tensor<1x2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{nodes are 4 numbers, not rows of 5}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, 1]>, outputs = #mase.dense<i32, [2, 0, 0]>, offsets = #mase.dense<i64, [0]>, frac = 4 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_order(%x: tensor<1x2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{a node uses a value that does not come before it}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 2, 0, 1, 0]>, outputs = #mase.dense<i32, [2, 0, 0]>, offsets = #mase.dense<i64, [0]>, frac = 4 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_shift(%x: tensor<1x2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{a shift is negative}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, -1, 0]>, outputs = #mase.dense<i32, [2, 0, 0]>, offsets = #mase.dense<i64, [0]>, frac = 4 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_sign(%x: tensor<1x2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{a sign is neither 0 nor 1}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, 1, 0]>, outputs = #mase.dense<i32, [2, 0, 2]>, offsets = #mase.dense<i64, [0]>, frac = 4 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_output(%x: tensor<1x2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{an output is of a value that does not exist}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, 1, 0]>, outputs = #mase.dense<i32, [3, 0, 0]>, offsets = #mase.dense<i64, [0]>, frac = 4 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_offsets(%x: tensor<1x2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{the number of offsets is not that of outputs}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, 1, 0]>, outputs = #mase.dense<i32, [2, 0, 0]>, offsets = #mase.dense<i64, [0, 1]>, frac = 4 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_shape(%x: tensor<1x2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{result has shape 1x1, expected 1x2}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, 1, 0]>, outputs = #mase.dense<i32, [2, 0, 0, 2, 0, 0]>, offsets = #mase.dense<i64, [0, 0]>, frac = 4 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_storage(%x: tensor<1x2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{nodes are f32, expected i32 or i64}}
  %y = mase.adder_graph %x {nodes = #mase.dense<f32, [0.0]>, outputs = #mase.dense<i32, [2, 0, 0]>, offsets = #mase.dense<i64, [0]>, frac = 4 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_scalar(%x: tensor<!mase.fixed<8, 4>>) {
  // expected-error@+1 {{input is a scalar}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, 1, 0]>, outputs = #mase.dense<i32, [2, 0, 0]>, offsets = #mase.dense<i64, [0]>, frac = 4 : i64} : (tensor<!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_product(%x: tensor<1x2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{a product is of an input that does not exist}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, 1, 0]>, outputs = #mase.dense<i32, [2, 0, 0]>, offsets = #mase.dense<i64, [0]>, products = #mase.dense<i64, [2, 5]>, frac = 4 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_product_rows(%x: tensor<1x2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{products are 3 numbers, not rows of 2}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, 1, 0]>, outputs = #mase.dense<i32, [2, 0, 0]>, offsets = #mase.dense<i64, [0]>, products = #mase.dense<i64, [0, 5, 1]>, frac = 4 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_scale_count(%x: tensor<1x2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{the number of scales is not that of outputs}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, 1, 0]>, outputs = #mase.dense<i32, [2, 0, 0]>, offsets = #mase.dense<i64, [0]>, scales = #mase.dense<f64, [1.0, 0.0, 1.0, 0.0]>, frac = 4 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_scale_sign(%x: tensor<1x2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{a scale is not positive, or a number not finite}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, 1, 0]>, outputs = #mase.dense<i32, [2, 0, 0]>, offsets = #mase.dense<i64, [0]>, scales = #mase.dense<f64, [-1.0, 0.0]>, frac = 4 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_scale_finite(%x: tensor<1x2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{a scale is not positive, or a number not finite}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, 1, 0]>, outputs = #mase.dense<i32, [2, 0, 0]>, offsets = #mase.dense<i64, [0]>, scales = #mase.dense<f64, [1.0, nan]>, frac = 4 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @adder_graph_scale_storage(%x: tensor<1x2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{scales are f32, expected f64}}
  %y = mase.adder_graph %x {nodes = #mase.dense<i32, [0, 1, 0, 1, 0]>, outputs = #mase.dense<i32, [2, 0, 0]>, offsets = #mase.dense<i64, [0]>, scales = #mase.dense<f32, [1.0, 0.0]>, frac = 4 : i64} : (tensor<1x2x!mase.fixed<8, 4>>) -> tensor<1x1x!mase.fixed<11, 4>>
  func.return
}

// -----

func.func @elements_too_many_bits(%x: tensor<2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{fixed<8, 0> has not all numbers of fixed<9, 0>}}
  %y = mase.cast_elements %x {grid = array<i64: 2>, widths = #mase.dense<i8, [8, 9]>, fracs = #mase.dense<i16, [0, 0]>} : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 0>>
  func.return
}

// -----

func.func @elements_too_fine(%x: tensor<2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{fixed<8, 0> has not all numbers of fixed<2, 3>}}
  %y = mase.cast_elements %x {grid = array<i64: 1>, widths = #mase.dense<i8, [2]>, fracs = #mase.dense<i16, [3]>} : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 0>>
  func.return
}

// -----

func.func @elements_negative(%x: tensor<2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{a width is -1, expected at least 0}}
  %y = mase.cast_elements %x {grid = array<i64: 1>, widths = #mase.dense<i8, [-1]>, fracs = #mase.dense<i16, [0]>} : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 0>>
  func.return
}

// -----

func.func @elements_grid(%x: tensor<2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{shapes 3 and 2 do not broadcast}}
  %y = mase.cast_elements %x {grid = array<i64: 3>, widths = #mase.dense<i8, [1, 1, 1]>, fracs = #mase.dense<i16, [0, 0, 0]>} : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 0>>
  func.return
}

// -----

func.func @elements_larger_grid(%x: tensor<2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{grid is 2x2, expected what broadcasts to 2}}
  %y = mase.cast_elements %x {grid = array<i64: 2, 2>, widths = #mase.dense<i8, [1, 1, 1, 1]>, fracs = #mase.dense<i16, [0, 0, 0, 0]>} : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 0>>
  func.return
}

// -----

func.func @elements_count(%x: tensor<2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{1 fracs, expected 2: the grid is 2}}
  %y = mase.cast_elements %x {grid = array<i64: 2>, widths = #mase.dense<i8, [1, 1]>, fracs = #mase.dense<i16, [0]>} : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 0>>
  func.return
}

// -----

func.func @elements_storage(%x: tensor<2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{widths are i16, expected i8}}
  %y = mase.cast_elements %x {grid = array<i64: 1>, widths = #mase.dense<i16, [1]>, fracs = #mase.dense<i16, [0]>} : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2x!mase.fixed<8, 0>>
  func.return
}

// -----

func.func @elements_of_floats(%x: tensor<2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{the result is of f32, expected fixed point}}
  %y = mase.cast_elements %x {grid = array<i64: 1>, widths = #mase.dense<i8, [1]>, fracs = #mase.dense<i16, [0]>} : (tensor<2x!mase.fixed<8, 4>>) -> tensor<2xf32>
  func.return
}
