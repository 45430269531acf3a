// Each verifier message, with what is there and what is expected.

// RUN: MASE_INVALID

// expected-error@+1 {{tile is [1], expected 2 positive sizes}}
func.func @tile(%x: !stream.channel<tensor<1x6x!mase.fixed<8, 4>>, tile [1], order [0, 1]>) {
  func.return
}

// -----

// expected-error@+1 {{order is [0, 0], expected each of the 2 dimensions}}
func.func @order(%x: !stream.channel<tensor<1x6x!mase.fixed<8, 4>>, tile [1, 2], order [0, 0]>) {
  func.return
}

// -----

// expected-error@+1 {{shape 1x0 has no elements}}
func.func @empty(%x: !stream.channel<tensor<1x0x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]>) {
  func.return
}

// -----

!x = !stream.channel<tensor<1x6x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]>

// Only two of three beats are written.
func.func @writes(%x: !x) -> !x {
  // expected-error@+1 {{its iterations write 2 beats, expected the 3 of the result's type, in their order}}
  %y = stream.process %x {loops = array<i64: 2>, reads = [affine_map<(k) -> (0, k)>], fill = array<i64: 0>, held = array<i64: 1>, write = affine_map<(k) -> (0, k)>} : (!x) -> !x {
  ^bb0(%t: tensor<1x2x!mase.fixed<8, 4>>):
    stream.yield %t : tensor<1x2x!mase.fixed<8, 4>>
  }
  func.return %y : !x
}

// -----

!x = !stream.channel<tensor<1x6x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]>

// The second time, the beats are gone.
func.func @dropped(%x: !x) -> !x {
  // expected-error@+1 {{operand 0: beats that were dropped would have to come back}}
  %y = stream.process %x {loops = array<i64: 3, 3>, reads = [affine_map<(n, k) -> (0, k)>], fill = array<i64: 0>, held = array<i64: 2>, write = affine_map<(n, k) -> (0, n)>} : (!x) -> !x {
  ^bb0(%t: tensor<1x2x!mase.fixed<8, 4>>):
    %m = stream.accumulate "max" %t : tensor<1x2x!mase.fixed<8, 4>> -> tensor<1x2x!mase.fixed<8, 4>>
    stream.yield %m : tensor<1x2x!mase.fixed<8, 4>>
  }
  func.return %y : !x
}

// -----

!x = !stream.channel<tensor<1x6x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]>

func.func @linear(%x: !x) -> !x {
  // expected-error@+1 {{is not linear in the counters: no counter of a circuit follows it}}
  %y = stream.process %x {loops = array<i64: 3>, reads = [affine_map<(k) -> (0, k floordiv 2)>], fill = array<i64: 0>, held = array<i64: 1>, write = affine_map<(k) -> (0, k)>} : (!x) -> !x {
  ^bb0(%t: tensor<1x2x!mase.fixed<8, 4>>):
    stream.yield %t : tensor<1x2x!mase.fixed<8, 4>>
  }
  func.return %y : !x
}

// -----

!x = !stream.channel<tensor<1x6x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]>

func.func @body(%x: !x) -> !x {
  // expected-error@+1 {{the body takes tensor<1x3x!mase.fixed<8, 4>>, expected tensor<1x2x!mase.fixed<8, 4>>}}
  %y = stream.process %x {loops = array<i64: 3>, reads = [affine_map<(k) -> (0, k)>], fill = array<i64: 0>, held = array<i64: 1>, write = affine_map<(k) -> (0, k)>} : (!x) -> !x {
  ^bb0(%t: tensor<1x3x!mase.fixed<8, 4>>):
    %s = "test.op"() : () -> tensor<1x2x!mase.fixed<8, 4>>
    stream.yield %s : tensor<1x2x!mase.fixed<8, 4>>
  }
  func.return %y : !x
}

// -----

func.func @inexact(%x: tensor<2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{!mase.fixed<8, 4> is not accumulated exactly in !mase.fixed<10, 3>: expected fixed point of the same fraction}}
  %s = stream.accumulate "sum" %x : tensor<2x!mase.fixed<8, 4>> -> tensor<2x!mase.fixed<10, 3>>
  func.return
}

// -----

func.func @kind(%x: tensor<2x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{kind is 'mean', expected one of sum, max, min}}
  %s = stream.accumulate "mean" %x : tensor<2x!mase.fixed<8, 4>> -> tensor<2x!mase.fixed<8, 4>>
  func.return
}

// -----

func.func @part(%x: tensor<5x!mase.fixed<8, 4>>) {
  // expected-error@+1 {{tensor<2x!mase.fixed<8, 4>> is no part of tensor<5x!mase.fixed<8, 4>> along its one dimension}}
  %s = stream.select %x {loop = 0 : i64} : tensor<5x!mase.fixed<8, 4>> -> tensor<2x!mase.fixed<8, 4>>
  func.return
}

// -----

!x = !stream.channel<tensor<1x6x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]>

func.func @beats(%x: !x) {
  // expected-error@+1 {{result has 2 beats, expected 3}}
  %y = stream.view %x : !x -> !stream.channel<tensor<1x4x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]>
  func.return
}

// -----

!x = !stream.channel<tensor<1x6x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]>

func.func @lanes(%x: !x) {
  // expected-error@+1 {{result has 1 lanes, expected 2}}
  %y = stream.view %x : !x -> !stream.channel<tensor<1x3x!mase.fixed<8, 4>>, tile [1, 1], order [0, 1]>
  func.return
}

// -----

!x = !stream.channel<tensor<1x6x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]>

func.func @elements(%x: !x) {
  // expected-error@+1 {{elements are !mase.fixed<8, 3>, expected !mase.fixed<8, 4>}}
  %y = stream.view %x : !x -> !stream.channel<tensor<1x6x!mase.fixed<8, 3>>, tile [1, 2], order [0, 1]>
  func.return
}

// -----

func.func @merge(%x: tensor<2x!mase.fixed<8, 4>>) {
  %y = "test.op"() : () -> tensor<2x!mase.fixed<8, 4>>
  // expected-error@+1 {{expected tiles that are read, not what is computed}}
  %m = stream.merge %x, %y : tensor<2x!mase.fixed<8, 4>>
  func.return
}

// -----

func.func @table(%x: tensor<2x!mase.ufixed<2, 0>>) {
  // expected-error@+1 {{tensor<2x!mase.ufixed<2, 0>> chooses, expected one number without fraction bits}}
  %m = stream.table %x, <i8, [1, 2]> : tensor<2x!mase.ufixed<2, 0>> -> tensor<1x!mase.fixed<8, 4>>
  func.return
}
