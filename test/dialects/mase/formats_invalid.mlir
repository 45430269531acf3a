// Impossible formats, and where mase cannot compute with a format.

// RUN: MASE_INVALID

// expected-error@+1 {{exponent must have between 1 and 8 bits in kind ieee, got 0}}
func.func @no_exponent(%x: tensor<2x!mase.minifloat<0, 3, ieee>>) {
  func.return
}

// -----

// expected-error@+1 {{mantissa must have between 1 and 23 bits in kind no_implicit, got 0}}
func.func @no_bits(%x: tensor<2x!mase.minifloat<0, 0, no_implicit>>) {
  func.return
}

// -----

// expected-error@+1 {{got 'fin', expected one of ieee, fn, finite, no_implicit}}
func.func @kind(%x: tensor<2x!mase.minifloat<4, 3, fin>>) {
  func.return
}

// -----

// expected-error@+1 {{width must be between 2 and 9, got 1}}
func.func @log_width(%x: tensor<2x!mase.log<1, 0>>) {
  func.return
}

// -----

// expected-error@+1 {{element is f32, expected a type of mase whose elements have a code each}}
func.func @block_element(%x: tensor<2x!mase.block<f32, e8m0, [32]>>) {
  func.return
}

// -----

// expected-error@+1 {{no blocks of binary: its elements share no exponents, those of fixed, ufixed, minifloat and log do}}
func.func @block_of_binary(%x: tensor<2x!mase.block<!mase.binary, e8m0, [32]>>) {
  func.return
}

// -----

// expected-error@+1 {{block sizes must be positive, or -1 for a whole dimension, got [0]}}
func.func @block_size(%x: tensor<2x!mase.block<!mase.fixed<8, 6>, e8m0, [0]>>) {
  func.return
}

// -----

// expected-error@+1 {{expected e8m0 or exp<bits, bias>}}
func.func @block_scale(%x: tensor<2x!mase.block<!mase.fixed<8, 6>, e5m2, [32]>>) {
  func.return
}

// -----

// expected-error@+1 {{shared exponents must be between -400 and 400, but exp<9, 0> has 0 to 511}}
func.func @exponent(%x: tensor<2x!mase.block<!mase.fixed<8, 6>, exp<9, 0>, [32]>>) {
  func.return
}

// -----

// expected-error@+1 {{scales must be positive normal float32 numbers, got 0.0}}
func.func @no_scale(%x: tensor<2x!mase.scaled<!mase.fixed<8, 0>, 0.0>>) {
  func.return
}

// -----

// expected-error@+1 {{scales must be positive normal float32 numbers, got -1.5}}
func.func @negative_scale(%x: tensor<2x!mase.scaled<!mase.fixed<8, 0>, -1.5>>) {
  func.return
}

// -----

// expected-error@+1 {{expected a number or #mase.dense<f32, …> as scales}}
func.func @scales(%x: tensor<2x!mase.scaled<!mase.fixed<8, 0>, #mase.dense<i8, [1]>>>) {
  func.return
}

// -----

// expected-error@+1 {{expected a list of scales, got shape []}}
func.func @one_scale(%x: tensor<2x!mase.scaled<!mase.fixed<8, 0>, 0.5, axis = 0>>) {
  func.return
}

// -----

// expected-error@+1 {{got 'axes', expected axis, group, grid or zero_point, once}}
func.func @option(%x: tensor<2x!mase.scaled<!mase.fixed<8, 0>, 0.5, axes = 0>>) {
  func.return
}

// -----

// expected-error@+1 {{cannot reshape array of size 2 into shape (3,1)}}
func.func @grid(%x: tensor<3x2x!mase.scaled<!mase.fixed<8, 0>, #mase.dense<f32, [1.0, 2.0]>, axis = 1, group = 2, grid = [3, 1]>>) {
  func.return
}

// -----

// expected-error@+1 {{zero point 300 is not a code of ufixed<8, 0>}}
func.func @zero_point(%x: tensor<2x!mase.scaled<!mase.ufixed<8, 0>, 0.5, zero_point = 300>>) {
  func.return
}

// -----

func.func @axis(%x: tensor<2xf32>) {
  // expected-error@+1 {{there is no axis 1}}
  %y = mase.relu %x : (tensor<2xf32>) -> tensor<2x!mase.scaled<!mase.fixed<8, 0>, #mase.dense<f32, [1.0, 2.0]>, axis = 1>>
  func.return
}

// -----

func.func @scales(%x: tensor<3xf32>) {
  // expected-error@+1 {{scales have shape [2], but a tensor of shape [3] needs [3], axis = 0}}
  %y = mase.relu %x : (tensor<3xf32>) -> tensor<3x!mase.scaled<!mase.fixed<8, 0>, #mase.dense<f32, [1.0, 2.0]>, axis = 0>>
  func.return
}

// -----

func.func @block_rank(%x: tensor<3xf32>) {
  // expected-error@+1 {{the tensor has rank 1, which is less than that of a block}}
  %y = mase.relu %x : (tensor<3xf32>) -> tensor<3x!mase.block<!mase.fixed<8, 6>, e8m0, [1, 32]>>
  func.return
}

// -----

func.func @no_scales() {
  // expected-error@+1 {{has no scales}}
  %y = mase.constant <i8, [1, 2]> : tensor<2x!mase.block<!mase.fixed<8, 6>, e8m0, [32]>>
  func.return
}

// -----

func.func @needless_scales() {
  // expected-error@+1 {{data of !mase.fixed<8, 6> has no use for scales}}
  %y = mase.constant <i8, [1, 2]> {scales = #mase.dense<ui8, [1]>} : tensor<2x!mase.fixed<8, 6>>
  func.return
}

// -----

func.func @short_scales() {
  // expected-error@+1 {{data has 1 elements, expected 2}}
  %y = mase.constant <i8, [1, 2]> {scales = #mase.dense<ui8, [1]>} : tensor<2x!mase.block<!mase.fixed<8, 6>, e8m0, [1]>>
  func.return
}

// -----

func.func @scale_range() {
  // expected-error@+1 {{scales: data has the code 16, expected 0 to 15, the range of exp<4, 7>}}
  %y = mase.constant <i8, [1, 2]> {scales = #mase.dense<ui8, [16]>} : tensor<2x!mase.block<!mase.fixed<8, 6>, exp<4, 7>, [2]>>
  func.return
}

// -----

func.func @no_code() {
  // expected-error@+1 {{data has the code 2, expected -1 to 1, the range of !mase.ternary}}
  %y = mase.constant <i8, [2]> : tensor<1x!mase.ternary>
  func.return
}

// -----

func.func @threshold(%x: tensor<3xf32>) {
  // expected-error@+1 {{a threshold, but the result is of f32}}
  %y = mase.cast %x {threshold = 0.5 : f64} : (tensor<3xf32>) -> tensor<3xf32>
  func.return
}

// -----

func.func @negative_threshold(%x: tensor<3xf32>) {
  // expected-error@+1 {{threshold must be a number and not negative, got -0.5}}
  %y = mase.cast %x {threshold = -0.5 : f64} : (tensor<3xf32>) -> tensor<3x!mase.ternary>
  func.return
}
