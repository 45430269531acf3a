// RUN: MASE_INVALID

// expected-error@+1 {{width must be between 1 and 64, got 65}}
func.func @width(%x: tensor<2x!mase.fixed<65, 4>>) {
  func.return
}

// -----

func.func @shape(%x: tensor<1x3xf32>) {
  // expected-error@+1 {{result has shape 1x4, expected 1x3}}
  %y = mase.relu %x : (tensor<1x3xf32>) -> tensor<1x4xf32>
  func.return
}

// -----

func.func @features(%x: tensor<1x3xf32>, %w: tensor<2x4xf32>) {
  // expected-error@+1 {{input has shape 1x3, expected 4 in the last dimension}}
  %y = mase.linear %x, %w : (tensor<1x3xf32>, tensor<2x4xf32>) -> tensor<1x2xf32>
  func.return
}

// -----

func.func @bias(%x: tensor<1x3xf32>, %w: tensor<2x3xf32>, %b: tensor<3xf32>) {
  // expected-error@+1 {{bias has shape 3, expected 2}}
  %y = mase.linear %x, %w, %b : (tensor<1x3xf32>, tensor<2x3xf32>, tensor<3xf32>) -> tensor<1x2xf32>
  func.return
}

// -----

func.func @broadcast(%x: tensor<3xf32>, %y: tensor<2xf32>) {
  // expected-error@+1 {{shapes 3 and 2 do not broadcast}}
  %z = mase.add %x, %y : (tensor<3xf32>, tensor<2xf32>) -> tensor<3xf32>
  func.return
}

// -----

func.func @window(%x: tensor<1x1x2x2xf32>, %w: tensor<1x1x3x3xf32>) {
  // expected-error@+1 {{a window of 3 does not fit into 2 elements padded by 0}}
  %y = mase.conv2d %x, %w {strides = array<i64: 1, 1>, padding = array<i64: 0, 0>, dilation = array<i64: 1, 1>} : (tensor<1x1x2x2xf32>, tensor<1x1x3x3xf32>) -> tensor<1x1x1x1xf32>
  func.return
}

// -----

func.func @storage() {
  // expected-error@+1 {{data of !mase.fixed<8, 4> is stored as i16, expected i8}}
  %0 = mase.constant <i16, [1, 2]> : tensor<2x!mase.fixed<8, 4>>
  func.return
}

// -----

func.func @range() {
  // expected-error@+1 {{200 is out of range for i8}}
  %0 = mase.constant <i8, [1, 200]> : tensor<2x!mase.fixed<8, 4>>
  func.return
}

// -----

func.func @gelu(%x: tensor<2xf32>) {
  // expected-error@+1 {{approximate is 'fast', expected 'none' or 'tanh'}}
  %y = mase.gelu %x {approximate = "fast"} : (tensor<2xf32>) -> tensor<2xf32>
  func.return
}

// -----

func.func @moved_type(%x: tensor<2x3xf32>) {
  // expected-error@+1 {{element type is i8, expected f32}}
  %y = mase.reshape %x : tensor<2x3xf32> -> tensor<6xi8>
  func.return
}

// -----

func.func @axis(%x: tensor<2x3xf32>) {
  // expected-error@+1 {{axis is 2, expected 0 to 1}}
  %y = mase.softmax %x {axis = 2 : i64} : (tensor<2x3xf32>) -> tensor<2x3xf32>
  func.return
}
