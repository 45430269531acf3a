// RUN: MASE_ROUNDTRIP

!x = !stream.channel<tensor<1x6x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]>
!y = !stream.channel<tensor<1x3x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]>

// Two outputs at a time, two inputs for each of them.
// CHECK-LABEL: func.func @fc(%x: !stream.channel<tensor<1x6x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]>) -> !stream.channel<tensor<1x3x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]> {
func.func @fc(%x: !x) -> !y {
  // CHECK-NEXT: %[[Y:.*]] = stream.process %x {layer = "fc", loops = array<i64: 2, 3>, reads = [affine_map<(d0, d1) -> (0, d1)>], fill = array<i64: 0>, held = array<i64: 0>, write = affine_map<(d0, d1) -> (0, d0)>, stages = array<i64: 1, 0>, capacity = array<i64: 3>}
  %y = stream.process %x {layer = "fc", loops = array<i64: 2, 3>, reads = [affine_map<(n, k) -> (0, k)>], fill = array<i64: 0>, held = array<i64: 0>, write = affine_map<(n, k) -> (0, n)>, stages = array<i64: 1, 0>, capacity = array<i64: 3>} : (!x) -> !y {
  ^bb0(%t: tensor<1x2x!mase.fixed<8, 4>>):
    // CHECK: stream.rom <i8, {{.*}}> {loops = array<i64: 0, 1>} : tensor<2x2x!mase.fixed<4, 0>>
    %w = stream.rom <i8, [1, 2, 3, 4, 5, 6, 7, -8, 1, 1, 1, 1, 2, 2, 0, 0, 3, 3, 0, 0, 4, 4, 0, 0]> {loops = array<i64: 0, 1>} : tensor<2x2x!mase.fixed<4, 0>>
    %p = mase.linear %t, %w : (tensor<1x2x!mase.fixed<8, 4>>, tensor<2x2x!mase.fixed<4, 0>>) -> tensor<1x2x!mase.fixed<13, 4>>
    // CHECK: stream.accumulate "sum" %{{.*}} : tensor<1x2x!mase.fixed<13, 4>> -> tensor<1x2x!mase.fixed<15, 4>>
    %s = stream.accumulate "sum" %p : tensor<1x2x!mase.fixed<13, 4>> -> tensor<1x2x!mase.fixed<15, 4>>
    %r = mase.cast %s : (tensor<1x2x!mase.fixed<15, 4>>) -> tensor<1x2x!mase.fixed<8, 4>>
    // CHECK: stream.yield %{{.*}} : tensor<1x2x!mase.fixed<8, 4>>
    stream.yield %r : tensor<1x2x!mase.fixed<8, 4>>
  }
  // CHECK: %[[Z:.*]] = stream.fifo %[[Y]] {capacity = 2 : i64} : !stream.channel<tensor<1x3x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]>
  %z = stream.fifo %y {capacity = 2 : i64} : !y
  func.return %z : !y
}

// -----

!x = !stream.channel<tensor<1x6x!mase.fixed<8, 4>>, tile [1, 2], order [0, 1]>
!w = !stream.channel<tensor<1x6x!mase.fixed<8, 4>>, tile [1, 6], order [0, 1]>

// CHECK-LABEL: func.func @widths
func.func @widths(%x: !x) -> !x {
  %w = stream.process %x {loops = array<i64: 1, 1, 3>, reads = [affine_map<(b, c, p) -> (b, c * 3 + p)>], fill = array<i64: 0>, held = array<i64: 3>, write = affine_map<(b, c, p) -> (b, c)>} : (!x) -> !w {
  ^bb0(%t: tensor<1x2x!mase.fixed<8, 4>>):
    // CHECK: stream.join %{{.*}} : tensor<1x2x!mase.fixed<8, 4>> -> tensor<1x6x!mase.fixed<8, 4>>
    %j = stream.join %t : tensor<1x2x!mase.fixed<8, 4>> -> tensor<1x6x!mase.fixed<8, 4>>
    stream.yield %j : tensor<1x6x!mase.fixed<8, 4>>
  }
  %y = stream.process %w {loops = array<i64: 1, 1, 3>, reads = [affine_map<(b, c, p) -> (b, c)>], fill = array<i64: 0>, held = array<i64: 3>, write = affine_map<(b, c, p) -> (b, c * 3 + p)>} : (!w) -> !x {
  ^bb0(%t: tensor<1x6x!mase.fixed<8, 4>>):
    // CHECK: stream.select %{{.*}} {loop = 2 : i64} : tensor<1x6x!mase.fixed<8, 4>> -> tensor<1x2x!mase.fixed<8, 4>>
    %s = stream.select %t {loop = 2 : i64} : tensor<1x6x!mase.fixed<8, 4>> -> tensor<1x2x!mase.fixed<8, 4>>
    stream.yield %s : tensor<1x2x!mase.fixed<8, 4>>
  }
  func.return %y : !x
}

// -----

!x = !stream.channel<tensor<2x4x!mase.fixed<8, 4>>, tile [1, 4], order [0, 1]>
!y = !stream.channel<tensor<1x3x4x!mase.fixed<8, 4>>, tile [1, 1, 4], order [0, 1, 2]>
!z = !stream.channel<tensor<3x4x!mase.fixed<8, 4>>, tile [1, 4], order [0, 1]>

// Two rows, then three of another channel.
// CHECK-LABEL: func.func @joined
func.func @joined(%x: !x, %y: !y) -> !stream.channel<tensor<5x4x!mase.fixed<8, 4>>, tile [1, 4], order [0, 1]> {
  // CHECK-NEXT: %[[Z:.*]] = stream.view %y : !stream.channel<tensor<1x3x4x!mase.fixed<8, 4>>, tile [1, 1, 4], order [0, 1, 2]> -> !stream.channel<tensor<3x4x!mase.fixed<8, 4>>, tile [1, 4], order [0, 1]>
  %z = stream.view %y : !y -> !z
  // CHECK-NEXT: stream.process %x, %[[Z]]
  %0 = stream.process %x, %z {loops = array<i64: 5>, reads = [affine_map<(k) -> (k, 0)>, affine_map<(k) -> (k - 2, 0)>], fill = array<i64: 0, 0>, held = array<i64: 0, 0>, write = affine_map<(k) -> (k, 0)>} : (!x, !z) -> !stream.channel<tensor<5x4x!mase.fixed<8, 4>>, tile [1, 4], order [0, 1]> {
  ^bb0(%s: tensor<1x4x!mase.fixed<8, 4>>, %t: tensor<1x4x!mase.fixed<8, 4>>):
    // CHECK: stream.merge %{{.*}}, %{{.*}} : tensor<1x4x!mase.fixed<8, 4>>
    %m = stream.merge %s, %t : tensor<1x4x!mase.fixed<8, 4>>
    stream.yield %m : tensor<1x4x!mase.fixed<8, 4>>
  }
  func.return %0 : !stream.channel<tensor<5x4x!mase.fixed<8, 4>>, tile [1, 4], order [0, 1]>
}

// -----

!i = !stream.channel<tensor<1x3x!mase.ufixed<2, 0>>, tile [1, 1], order [0, 1]>
!r = !stream.channel<tensor<1x3x2x!mase.fixed<8, 4>>, tile [1, 1, 2], order [0, 1, 2]>

// CHECK-LABEL: func.func @rows
func.func @rows(%i: !i) -> !r {
  %0 = stream.process %i {loops = array<i64: 3>, reads = [affine_map<(k) -> (0, k)>], fill = array<i64: 0>, held = array<i64: 1>, write = affine_map<(k) -> (0, k, 0)>, stages = array<i64: 0, 0>} : (!i) -> !r {
  ^bb0(%n: tensor<1x1x!mase.ufixed<2, 0>>):
    // CHECK: stream.table %{{.*}}, <i8, {{.*}}> : tensor<1x1x!mase.ufixed<2, 0>> -> tensor<1x1x2x!mase.fixed<8, 4>>
    %w = stream.table %n, <i8, [1, 2, 3, 4, 5, 6]> : tensor<1x1x!mase.ufixed<2, 0>> -> tensor<1x1x2x!mase.fixed<8, 4>>
    stream.yield %w : tensor<1x1x2x!mase.fixed<8, 4>>
  }
  func.return %0 : !r
}
